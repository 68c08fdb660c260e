#include "alerts/payload.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "alerts/template.h"
#include "common/text.h"

enum {
    MAX_BODY_BYTES = 512 * 1024,
    SLACK_ALERTS = 10,
    RESOLVE_AFTER_MS = 4 * 60 * 1000, /* Alertmanager: 4 × the time between two sends */
};

static const char *const fields[] = {
    "name",   "status", "severity", "model",    "version", "segment",      "metric",  "value",
    "lower",  "upper",  "n",        "labelled", "level",   "since",        "summary", "cause",
    "action", "url",    "type",     "group",    "labels.", "annotations.",
};

const char *const *payload_fields(size_t *n)
{
    *n = sizeof(fields) / sizeof(fields[0]);
    return fields;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static const char *time_of(const json_t *object, const char *key, char out[TEXT_TIME_BYTES])
{
    const json_t *value = json_object_get(object, key);
    return json_is_integer(value) ? time_print(out, json_integer_value(value)) : NULL;
}

static json_t *first_alert(const json_t *data)
{
    return json_array_get(json_object_get(data, "alerts"), 0);
}

static bool is_firing(const json_t *alert)
{
    return strcmp(text_of(alert, "status"), "firing") == 0;
}

/* `{"type","timestamp","data"}` of Standard Webhooks; data is what the outbox keeps. */
static json_t *webhook_body(json_t *data)
{
    char time[TEXT_TIME_BYTES];
    const char *at = time_of(data, "at", time);
    return json_pack("{s:s,s:s,s:O}", "type", text_of(data, "type"), "timestamp", at ? at : "",
                     "data", data);
}

/* Labels are an alert's identity there: values that change belong to the annotations. */
static json_t *alertmanager_alert(const json_t *alert, int64_t now_ms)
{
    json_t *labels = json_deep_copy(json_object_get(alert, "labels"));
    json_t *annotations = json_deep_copy(json_object_get(alert, "annotations"));
    if (!labels)
        labels = json_object();
    if (!annotations)
        annotations = json_object();
    json_object_set_new(labels, "alertname", json_string(text_of(alert, "name")));
    json_object_set_new(annotations, "summary", json_string(text_of(alert, "summary")));
    json_object_set_new(annotations, "description", json_string(text_of(alert, "cause")));
    static const char *const identity[] = {"model", "version", "segment", "severity", "metric"};
    for (size_t i = 0; i < 5; i++) {
        if (*text_of(alert, identity[i]))
            json_object_set_new(labels, identity[i], json_string(text_of(alert, identity[i])));
    }
    char starts[TEXT_TIME_BYTES], ends[TEXT_TIME_BYTES];
    if (!time_of(alert, "since", starts))
        time_print(starts, now_ms);
    time_print(ends, is_firing(alert) ? now_ms + RESOLVE_AFTER_MS : now_ms);
    return json_pack("{s:o,s:o,s:s,s:s,s:s}", "labels", labels, "annotations", annotations,
                     "startsAt", starts, "endsAt", ends, "generatorURL", text_of(alert, "url"));
}

static json_t *alertmanager_body(const json_t *data, int64_t now_ms)
{
    json_t *out = json_array();
    size_t i;
    json_t *alert;
    json_array_foreach(json_object_get(data, "alerts"), i, alert)
    {
        json_array_append_new(out, alertmanager_alert(alert, now_ms));
    }
    return out;
}

static json_t *pagerduty_body(json_t *data, const struct receiver *receiver)
{
    bool firing = strcmp(text_of(data, "type"), "alert.resolved") != 0;
    char dedup[256];
    snprintf(dedup, sizeof(dedup), "assay/%s", text_of(data, "group_id"));
    if (!firing)
        return json_pack("{s:s,s:s,s:s}", "routing_key", receiver->token, "event_action", "resolve",
                         "dedup_key", dedup);
    char time[TEXT_TIME_BYTES], summary[1025];
    const char *at = time_of(data, "at", time);
    const json_t *alert = first_alert(data);
    const char *severity = *text_of(alert, "severity") ? text_of(alert, "severity") : "info";
    snprintf(summary, sizeof(summary), "%s", text_of(data, "summary"));
    return json_pack(
        "{s:s,s:s,s:s,s:s,s:s,s:{s:s,s:s,s:s,s:s,s:s,s:s,s:s,s:O},s:[{s:s,s:s}]}", "routing_key",
        receiver->token, "event_action", "trigger", "dedup_key", dedup, "client", "Assay",
        "client_url", text_of(data, "url"), "payload", "summary", summary, "source",
        *text_of(alert, "model") ? text_of(alert, "model") : "assay", "severity", severity,
        "timestamp", at ? at : "", "component", text_of(alert, "model"), "group",
        text_of(alert, "version"), "class", text_of(alert, "metric"), "custom_details", data,
        "links", "href", text_of(data, "url"), "text", "Dashboard");
}

/* Slack's mrkdwn gives a meaning to & < > only. */
static void slack_escape(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '&')
            buf_printf(out, "&amp;");
        else if (*text == '<')
            buf_printf(out, "&lt;");
        else if (*text == '>')
            buf_printf(out, "&gt;");
        else
            buf_u8(out, (uint8_t)*text);
    }
}

static json_t *slack_section(const json_t *alert)
{
    struct buf text;
    buf_init(&text, 16 * 1024);
    buf_printf(&text, "%s *", is_firing(alert) ? "[FIRING]" : "[RESOLVED]");
    slack_escape(&text, text_of(alert, "name"));
    buf_printf(&text, "* ");
    slack_escape(&text, text_of(alert, "summary"));
    static const char *const more[] = {"cause", "action"};
    for (size_t i = 0; i < 2; i++) {
        if (!*text_of(alert, more[i]))
            continue;
        buf_printf(&text, "\n");
        slack_escape(&text, text_of(alert, more[i]));
    }
    size_t n = text.size > 2900 ? 2900 : text.size; /* Slack's limit is 3,000 characters */
    while (n && n < text.size && (text.data[n] & 0xc0) == 0x80)
        n--;
    json_t *section = json_pack("{s:s,s:{s:s,s:s%}}", "type", "section", "text", "type", "mrkdwn",
                                "text", (const char *)text.data, n);
    buf_finish(&text);
    return section;
}

static json_t *slack_body(const json_t *data)
{
    static const char *const colours[][2] = {
        {"critical", "#d1242f"}, {"error", "#bc4c00"}, {"warning", "#bf8700"}, {"info", "#0969da"}};
    const char *colour = "#1a7f37"; /* resolved */
    const json_t *alert = first_alert(data);
    for (size_t i = 0; i < 4 && is_firing(alert); i++) {
        if (strcmp(colours[i][0], text_of(alert, "severity")) == 0)
            colour = colours[i][1];
    }
    json_t *blocks = json_array();
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(data, "alerts"), i, each)
    {
        if (i < SLACK_ALERTS)
            json_array_append_new(blocks, slack_section(each));
    }
    if (*text_of(data, "url"))
        json_array_append_new(blocks,
                              json_pack("{s:s,s:[{s:s,s:{s:s,s:s},s:s}]}", "type", "actions",
                                        "elements", "type", "button", "text", "type", "plain_text",
                                        "text", "Dashboard", "url", text_of(data, "url")));
    return json_pack("{s:s,s:[{s:s,s:o}]}", "text", text_of(data, "summary"), "attachments",
                     "color", colour, "blocks", blocks);
}

static json_t *teams_body(const json_t *data)
{
    json_t *body = json_array();
    json_array_append_new(body, json_pack("{s:s,s:s,s:s,s:s,s:b}", "type", "TextBlock", "size",
                                          "Medium", "weight", "Bolder", "text",
                                          text_of(data, "summary"), "wrap", 1));
    size_t i;
    json_t *alert;
    json_array_foreach(json_object_get(data, "alerts"), i, alert)
    {
        if (i >= SLACK_ALERTS)
            break;
        json_array_append_new(body, json_pack("{s:s,s:[{s:s,s:s},{s:s,s:s},{s:s,s:s}]}", "type",
                                              "FactSet", "facts", "title", text_of(alert, "name"),
                                              "value", text_of(alert, "summary"), "title", "Cause",
                                              "value", text_of(alert, "cause"), "title", "Done",
                                              "value", text_of(alert, "action")));
    }
    json_t *actions = json_array();
    if (*text_of(data, "url"))
        json_array_append_new(actions, json_pack("{s:s,s:s,s:s}", "type", "Action.OpenUrl", "title",
                                                 "Dashboard", "url", text_of(data, "url")));
    return json_pack("{s:s,s:[{s:s,s:{s:s,s:s,s:s,s:o,s:o}}]}", "type", "message", "attachments",
                     "contentType", "application/vnd.microsoft.card.adaptive", "content", "$schema",
                     "http://adaptivecards.io/schemas/adaptive-card.json", "type", "AdaptiveCard",
                     "version", "1.4", "body", body, "actions", actions);
}

static json_t *opsgenie_body(struct payload *out, const json_t *data)
{
    bool firing = strcmp(text_of(data, "type"), "alert.resolved") != 0;
    const json_t *alert = first_alert(data);
    const char *group = text_of(data, "group_id");
    if (!firing) {
        snprintf(out->url_suffix, sizeof(out->url_suffix),
                 "/v2/alerts/%s/close?identifierType=alias", group);
        return json_pack("{s:s,s:s}", "source", "Assay", "note", text_of(data, "summary"));
    }
    static const char *const priorities[][2] = {
        {"critical", "P1"}, {"error", "P2"}, {"warning", "P3"}, {"info", "P5"}};
    const char *priority = "P3";
    for (size_t i = 0; i < 4; i++) {
        if (strcmp(priorities[i][0], text_of(alert, "severity")) == 0)
            priority = priorities[i][1];
    }
    char message[131];
    snprintf(message, sizeof(message), "%s", text_of(data, "summary"));
    snprintf(out->url_suffix, sizeof(out->url_suffix), "/v2/alerts");
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:s}", "message", message, "alias", group, "description",
                     text_of(alert, "cause"), "entity", text_of(alert, "model"), "source", "Assay",
                     "priority", priority);
}

struct lookup {
    const json_t *data;
    char number[TEXT_NUMBER_BYTES];
};

static const char *value_text(struct lookup *lookup, const json_t *value, size_t *n)
{
    if (json_is_string(value)) {
        *n = json_string_length(value);
        return json_string_value(value);
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
    const json_t *alert = first_alert(lookup->data);
    char *dot = strchr(name, '.');
    if (dot) {
        *dot = '\0';
        return value_text(lookup, json_object_get(json_object_get(alert, name), dot + 1), n);
    }
    const json_t *value = json_object_get(alert, name);
    if (!value)
        value = json_object_get(lookup->data, name);
    return value_text(lookup, value, n);
}

static json_t *body_for(struct payload *out, const struct receiver *receiver, json_t *data,
                        int64_t now_ms)
{
    switch (receiver->type) {
    case RECEIVER_SLACK:
        return slack_body(data);
    case RECEIVER_PAGERDUTY:
        return pagerduty_body(data, receiver);
    case RECEIVER_OPSGENIE:
        return opsgenie_body(out, data);
    case RECEIVER_ALERTMANAGER:
        snprintf(out->url_suffix, sizeof(out->url_suffix), "/api/v2/alerts");
        return alertmanager_body(data, now_ms);
    case RECEIVER_TEAMS:
        return teams_body(data);
    default:
        return webhook_body(data);
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
        struct lookup lookup = {.data = data};
        out->method = receiver->method;
        out->content_type = receiver->content_type;
        template_render(&out->body, receiver->body, look_up, &lookup);
    } else {
        json_t *body = body_for(out, receiver, data, now_ms);
        char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
        if (text)
            buf_bytes(&out->body, text, strlen(text));
        else
            rc = err_set(err, ERR_DATA, "notification: cannot be written for %s", receiver->name);
        free(text);
        json_decref(body);
    }
    if (!rc && buf_failed(&out->body))
        rc = err_set(err, -ENOMEM, "notification: larger than %d bytes", MAX_BODY_BYTES);
    json_decref(data);
    return rc;
}

void payload_finish(struct payload *payload)
{
    buf_finish(&payload->body);
}
