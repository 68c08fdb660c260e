/*
 * Any JSON, by `mapping`: a field of the event → a JSON pointer (RFC 6901) into the message, or
 * `=text` for a fixed one. `features.NAME` and `segment.NAME` fill one member; `ts_seconds` and
 * `latency_seconds` take seconds. Without a `type` the mapped fields tell it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/format_parts.h"
#include "common/text.h"

struct target {
    const char *field;
    bool is_text;
    bool has_members; /* FIELD.NAME may be mapped */
};

static const struct target targets[] = {
    {"type", true, false},        {"id", true, false},
    {"ts", false, false},         {"model", true, false},
    {"version", true, false},     {"unit", true, false},
    {"features", false, true},    {"score", false, false},
    {"scores", false, true},      {"prediction", false, false},
    {"ranking", false, false},    {"latency_ms", false, false},
    {"error", true, false},       {"segment", false, true},
    {"label", false, false},      {"confusion", false, true},
    {"name", true, false},        {"value", false, false},
    {"host", true, false},        {"values", false, true},
    {"ts_seconds", false, false}, {"latency_seconds", false, false},
};

enum {
    N_TARGETS = sizeof(targets) / sizeof(targets[0])
};

static int refuse_field(const struct format *format, const char *field, struct err *err)
{
    const char *words[N_TARGETS];
    for (size_t i = 0; i < N_TARGETS; i++)
        words[i] = targets[i].field;
    const char *near = text_near(field, words, N_TARGETS);
    return err_set(err, ERR_DATA, "topic %s: mapping.%.80s: unknown field%s%s%s",
                   format->topic->name, field, near ? "; did you mean " : "", near ? near : "",
                   near ? "?" : "");
}

static int compile_one(struct format *format, const struct config_pair *pair, struct err *err)
{
    if (format->n_mapped == FORMAT_MAX_MAPPED)
        return err_set(err, ERR_DATA, "topic %s: mapping: more than %d fields", format->topic->name,
                       FORMAT_MAX_MAPPED);
    const char *dot = strchr(pair->key, '.');
    size_t n = dot ? (size_t)(dot - pair->key) : strlen(pair->key);
    for (size_t i = 0; i < N_TARGETS; i++) {
        const struct target *target = &targets[i];
        if (strlen(target->field) != n || memcmp(target->field, pair->key, n) != 0 ||
            (dot && (!target->has_members || !dot[1])))
            continue;
        struct mapped *mapped = &format->mapped[format->n_mapped++];
        *mapped =
            (struct mapped){target->field, dot ? dot + 1 : NULL, NULL, NULL, 1, target->is_text};
        if (strcmp(mapped->field, "ts_seconds") == 0)
            mapped->field = "ts";
        else if (strcmp(mapped->field, "latency_seconds") == 0)
            mapped->field = "latency_ms";
        mapped->factor = mapped->field == target->field ? 1 : 1000;
        if (pair->value[0] == '=')
            mapped->text = pair->value + 1;
        else if (pair->value[0] == '/' || pair->value[0] == 0)
            mapped->pointer = pair->value;
        else
            return err_set(err, ERR_DATA,
                           "topic %s: mapping.%.80s: %.80s is no JSON pointer, as /req/id, and no "
                           "fixed text, as =prediction",
                           format->topic->name, pair->key, pair->value);
        return 0;
    }
    return refuse_field(format, pair->key, err);
}

int mapping_compile(struct format *format, struct err *err)
{
    static const struct {
        const char *field, *type;
    } tells[] = {
        {"label", "label"}, {"confusion", "label"}, {"value", "outcome"}, {"values", "system"}};
    format->default_type = "prediction";
    for (size_t i = 0; i < format->topic->n_mapping; i++) {
        int rc = compile_one(format, &format->topic->mapping[i], err);
        if (rc)
            return rc;
        for (size_t j = 0; j < sizeof(tells) / sizeof(tells[0]); j++)
            if (strcmp(format->mapped[i].field, tells[j].field) == 0)
                format->default_type = tells[j].type;
    }
    return 0;
}

/* One step of a pointer: "~1" is a slash, "~0" a tilde. */
static bool step_unescape(char *out, size_t room, const char *from, size_t n)
{
    size_t size = 0;
    for (size_t i = 0; i < n; i++) {
        char c = from[i];
        if (c == '~' && i + 1 < n && (from[i + 1] == '0' || from[i + 1] == '1'))
            c = from[++i] == '0' ? '~' : '/';
        if (size + 1 >= room)
            return false;
        out[size++] = c;
    }
    out[size] = 0;
    return true;
}

static json_t *pointer_get(json_t *value, const char *pointer)
{
    while (value && *pointer == '/') {
        const char *step = pointer + 1;
        size_t n = strcspn(step, "/");
        char name[EVENT_MAX_NAME_BYTES + 1];
        int64_t index;
        if (!step_unescape(name, sizeof(name), step, n))
            return NULL;
        if (json_is_array(value))
            value = int_parse(&index, step, n) || index < 0 ? NULL
                                                            : json_array_get(value, (size_t)index);
        else
            value = json_object_get(value, name);
        pointer = step + n;
    }
    return value;
}

/* The value as the field wants it; the caller owns it. NULL: nothing there. */
static json_t *mapped_value(const struct mapped *mapped, json_t *message)
{
    char text[TEXT_NUMBER_BYTES];
    if (!mapped->pointer)
        return json_string(mapped->text);
    json_t *found = pointer_get(message, mapped->pointer);
    if (!found || json_is_null(found))
        return NULL;
    if (mapped->is_text && json_is_integer(found)) {
        snprintf(text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(found));
        return json_string(text);
    }
    if (mapped->is_text && json_is_real(found))
        return json_string(number_print(text, json_real_value(found)));
    if (mapped->factor > 1 && json_is_number(found)) {
        double value = json_number_value(found) * mapped->factor;
        /* Seconds with a fraction give whole milliseconds. */
        return strcmp(mapped->field, "ts") == 0 && value > -1e15 && value < 1e15
                   ? json_integer((json_int_t)value)
                   : json_real(value);
    }
    return json_incref(found);
}

void event_map(const struct format *format, json_t *message, json_t *event)
{
    for (size_t i = 0; i < format->n_mapped; i++) {
        const struct mapped *mapped = &format->mapped[i];
        json_t *value = mapped_value(mapped, message);
        if (!value)
            continue;
        if (!mapped->name) {
            json_object_set_new(event, mapped->field, value);
            continue;
        }
        json_t *members = json_object_get(event, mapped->field);
        if (!json_is_object(members)) {
            members = json_object();
            json_object_set_new(event, mapped->field, members);
        }
        json_object_set_new(members, mapped->name, value);
    }
}

enum reject format_json_decode(struct format *format, const struct format_message *message)
{
    json_t *foreign = NULL;
    enum reject reason = foreign_parse(format, message->bytes, message->n, &foreign);
    if (reason)
        return reason;
    json_t *event = json_object();
    if (event) {
        event_map(format, foreign, event);
        event_default(event, "type", json_string(format->default_type));
        event_topic_defaults(format, event);
    }
    reason = event ? row_add(format, event)
                   : format_refuse(format, REJECT_TOO_LARGE, "no memory for it");
    json_decref(event);
    json_decref(foreign);
    return reason;
}
