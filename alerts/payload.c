#include "alerts/payload.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "alerts/payload_forms.h"
#include "common/json_out.h"
#include "common/json_print.h"
#include "common/template.h"
#include "common/text.h"

enum {
    MAX_BODY_BYTES = 512 * 1024,
};

static const char *const fields[] = {
    "name",    "status",   "severity", "model",      "version",      "segment", "metric",
    "value",   "lower",    "upper",    "n",          "labelled",     "level",   "since",
    "summary", "cause",    "action",   "confidence", "url",          "runbook", "type",
    "group",   "group_id", "key",      "labels.",    "annotations.",
};

const char *const *payload_fields(size_t *n)
{
    *n = sizeof(fields) / sizeof(fields[0]);
    return fields;
}

const char *form_text(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

const char *form_time(const json_t *object, const char *key, char out[TEXT_TIME_BYTES])
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? time_print(out, json_integer_value(value)) : NULL;
}

json_t *form_first_alert(const json_t *data)
{
    return json_array_get(json_object_get(data, "alerts"), 0);
}

bool form_is_firing(const json_t *alert)
{
    return strcmp(form_text(alert, "status"), "firing") == 0;
}

bool form_is_resolved(const json_t *data)
{
    return strcmp(form_text(data, "type"), "alert.resolved") == 0;
}

const char *form_runbook(const json_t *alert)
{
    return form_text(json_object_get(alert, "annotations"), "runbook_url");
}

size_t form_fit(const char *text, size_t n_characters)
{
    size_t n = 0;
    for (; text[n]; n++) {
        bool starts = ((unsigned char)text[n] & 0xc0) != 0x80;
        if (starts && n_characters-- == 0)
            break;
    }
    return n;
}

/* `{"type","timestamp","data"}` of Standard Webhooks; data is what the outbox keeps, as it is. */
static void write_webhook(struct buf *out, const json_t *data, const char *data_text)
{
    char time[TEXT_TIME_BYTES];
    const char *at = form_time(data, "at", time);
    out_open(out, '{');
    out_key_string(out, "type", form_text(data, "type"));
    out_key_string(out, "timestamp", at ? at : "");
    out_key(out, "data");
    out_raw(out, data_text, strlen(data_text));
    out_close(out, '}');
}

struct lookup {
    const json_t *data;
    bool is_json; /* the body: texts are escaped, and a bare number that is not known is null */
    const struct buf *written;
    size_t n_scanned;    /* bytes of `written` that between_quotes is about */
    bool between_quotes; /* of a JSON text */
    char number[TEXT_NUMBER_BYTES];
    struct buf escaped;
};

static bool is_number(const char *name)
{
    static const char *const numbers[] = {"value", "lower",    "upper", "level",
                                          "n",     "labelled", "since"};
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
        if (strcmp(name, numbers[i]) == 0)
            return true;
    return false;
}

/* Whether what comes next in the JSON that is written stands inside a text. */
static bool stands_in_text(struct lookup *lookup)
{
    const struct buf *written = lookup->written;
    for (; lookup->n_scanned < written->size; lookup->n_scanned++) {
        unsigned char c = written->data[lookup->n_scanned];
        if (c == '"')
            lookup->between_quotes = !lookup->between_quotes;
        else if (c == '\\' && lookup->between_quotes)
            lookup->n_scanned++; /* what is escaped ends nothing */
    }
    return lookup->between_quotes;
}

static const char *number_unknown(struct lookup *lookup, size_t *n)
{
    const char *text = lookup->is_json && !stands_in_text(lookup) ? "null" : "–";
    *n = strlen(text);
    return text;
}

/* As it stands between the quotes of a JSON text. */
static const char *text_escaped(struct lookup *lookup, const char *text, size_t *n)
{
    buf_clear(&lookup->escaped);
    json_text(&lookup->escaped, text, *n);
    if (buf_failed(&lookup->escaped))
        return NULL;
    *n = lookup->escaped.size - 2;
    return (const char *)lookup->escaped.data + 1;
}

static const char *value_text(struct lookup *lookup, const json_t *value, size_t *n)
{
    if (json_is_string(value)) {
        *n = json_string_length(value);
        return lookup->is_json ? text_escaped(lookup, json_string_value(value), n)
                               : json_string_value(value);
    }
    if (!json_is_number(value))
        return NULL;
    const char *text = number_print(lookup->number, json_number_value(value));
    *n = strlen(text);
    return text;
}

static const char *look_up(void *context, const char *field, size_t n_field, size_t *n)
{
    struct lookup *lookup = context;
    char name[160];
    if (n_field >= sizeof(name))
        return NULL;
    memcpy(name, field, n_field);
    name[n_field] = '\0';
    const json_t *alert = form_first_alert(lookup->data);
    char *dot = strchr(name, '.');
    if (dot) {
        *dot = '\0';
        return value_text(lookup, json_object_get(json_object_get(alert, name), dot + 1), n);
    }
    if (strcmp(name, "runbook") == 0)
        return value_text(lookup,
                          json_object_get(json_object_get(alert, "annotations"), "runbook_url"), n);
    const json_t *value = json_object_get(alert, name);
    if (!value)
        value = json_object_get(lookup->data, name);
    if (!json_is_number(value) && is_number(name))
        return number_unknown(lookup, n);
    return value_text(lookup, value, n);
}

static void fill_template(struct buf *out, const struct receiver *receiver, const json_t *data)
{
    struct lookup lookup = {
        .data = data, .is_json = strstr(receiver->content_type, "json"), .written = out};
    buf_init(&lookup.escaped, MAX_BODY_BYTES);
    template_render(out, receiver->body, look_up, &lookup);
    buf_finish(&lookup.escaped);
}

static json_t *body_for(struct payload *out, const struct receiver *receiver, json_t *data,
                        int64_t now_ms)
{
    switch (receiver->type) {
    case RECEIVER_SLACK:
        return form_slack(data);
    case RECEIVER_PAGERDUTY:
        return form_pagerduty(out, data, receiver);
    case RECEIVER_OPSGENIE:
        return form_opsgenie(out, data);
    case RECEIVER_ALERTMANAGER:
        return form_alertmanager(out, data, now_ms);
    case RECEIVER_TEAMS:
        return form_teams(data);
    default:
        return NULL;
    }
}

int payload_render(struct payload *out, const struct receiver *receiver, const char *data_text,
                   int64_t now_ms, struct err *err)
{
    *out = (struct payload){.method = "POST", .content_type = "application/json"};
    buf_init(&out->body, MAX_BODY_BYTES);
    json_error_t why;
    json_t *data = json_loads(data_text, 0, &why);
    if (!data)
        return err_set(err, ERR_DATA, "notification: stored JSON is damaged: %s", why.text);

    int rc = 0;
    if (receiver->type == RECEIVER_TEMPLATE) {
        out->method = receiver->method;
        out->content_type = receiver->content_type;
        fill_template(&out->body, receiver, data);
    } else if (receiver->type == RECEIVER_WEBHOOK) {
        write_webhook(&out->body, data, data_text);
    } else {
        json_t *body = body_for(out, receiver, data, now_ms);
        char *text = body ? json_print(body) : NULL;
        if (text)
            buf_bytes(&out->body, text, strlen(text));
        else
            rc = err_set(err, ERR_DATA, "notification: cannot be written for %s", receiver->name);
        free(text);
        json_decref(body);
    }
    if (!rc && buf_failed(&out->body))
        rc = err_set(err, ERR_DATA, "notification: larger than %d bytes", MAX_BODY_BYTES);
    json_decref(data);
    return rc;
}

void payload_finish(struct payload *payload)
{
    buf_finish(&payload->body);
}
