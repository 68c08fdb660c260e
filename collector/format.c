#include "collector/format.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/format_parts.h"
#include "common/text.h"

static const struct format_kind kinds[] = {
    {"assay", false, NULL}, /* straight to event_decode */
    {"cloudevents", true, format_cloudevents_decode},
    {"json", false, format_json_decode},
    {"kserve", true, format_kserve_decode},
    {"tfserving", false, format_tfserving_decode},
};

int format_new(struct format **out, const struct config_topic *topic, const struct config *config,
               struct err *err)
{
    AUTO(format) struct format *format = calloc(1, sizeof(*format));
    if (!format)
        return err_set(err, -ENOMEM, "topic %s: no memory for its format", topic->name);
    format->topic = topic;
    format->config = config;
    buf_init(&format->rows, FORMAT_ROW_BYTES);
    buf_init(&format->clean, (size_t)4 * EVENT_MAX_BYTES);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(kinds[i].name, topic->format) == 0)
            format->kind = &kinds[i];
    if (!format->kind)
        return err_set(err, ERR_DATA, "topic %s: format %s is not known", topic->name,
                       topic->format);
    int rc = mapping_compile(format, err);
    if (rc == 0)
        rc = decoder_new(&format->decoder, err);
    if (rc)
        return rc;
    *out = format;
    format = NULL; /* the caller owns it now */
    return 0;
}

void format_free(struct format *format)
{
    if (!format)
        return;
    decoder_free(format->decoder);
    buf_finish(&format->rows);
    buf_finish(&format->clean);
    free(format);
}

bool format_wants_headers(const struct format *format)
{
    return format->kind->wants_headers;
}

enum reject format_refuse(struct format *format, enum reject reason, const char *form, ...)
{
    va_list args;
    va_start(args, form);
    vsnprintf(format->detail, sizeof(format->detail), form, args);
    va_end(args);
    return reason;
}

static enum reject decode_row(struct format *format, size_t row, struct event *out,
                              const char **detail)
{
    const char *bytes = (const char *)format->rows.data + format->starts[row];
    return event_decode(format->decoder, bytes, format->starts[row + 1] - format->starts[row], out,
                        detail);
}

/* A batch with one bad row is refused before any of its rows is counted. */
static enum reject decode_rows(struct format *format, struct event *out, const char **detail)
{
    for (size_t i = format->n_rows; i-- > 1;) {
        enum reject reason = decode_row(format, i, out, detail);
        if (reason)
            return reason;
    }
    return decode_row(format, 0, out, detail);
}

enum reject format_decode(struct format *format, const struct format_message *message,
                          struct event *out, size_t *n_events, const char **detail)
{
    *n_events = 1;
    if (!format->kind->decode)
        return event_decode(format->decoder, message->bytes, message->n, out, detail);

    const char *unwanted;
    detail = detail ? detail : &unwanted;
    *detail = format->detail;
    format->n_rows = format->next_row = 0;
    format->starts[0] = 0;
    buf_clear(&format->rows);
    if (message->n == 0)
        return format_refuse(format, REJECT_EMPTY, "no bytes");
    if (message->n > EVENT_MAX_BYTES)
        return format_refuse(format, REJECT_TOO_LARGE, "more than 256 KiB");
    enum reject reason = format->kind->decode(format, message);
    if (reason)
        return reason;
    *detail = NULL;
    *n_events = format->n_rows;
    format->next_row = 1;
    return format->n_rows ? decode_rows(format, out, detail) : REJECT_NONE;
}

void format_next(struct format *format, struct event *out)
{
    /* Every row was decoded once already, and was good. */
    if (format->next_row < format->n_rows)
        decode_row(format, format->next_row++, out, NULL);
}

static bool too_deep(json_t *value, int depth)
{
    const char *key;
    json_t *child;
    size_t i;
    if (!json_is_object(value) && !json_is_array(value))
        return false;
    if (++depth > EVENT_MAX_DEPTH)
        return true;
    json_object_foreach(value, key, child)
    {
        if (too_deep(child, depth))
            return true;
    }
    json_array_foreach(value, i, child)
    {
        if (too_deep(child, depth))
            return true;
    }
    return false;
}

enum reject foreign_parse(struct format *format, const char *bytes, size_t n, json_t **out)
{
    json_error_t error;
    json_t *value = json_loadb(bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY, &error);
    /* Whole numbers beyond int64 are still numbers. */
    if (!value && json_error_code(&error) == json_error_numeric_overflow)
        value = json_loadb(
            bytes, n, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_DECODE_INT_AS_REAL, &error);
    if (value && too_deep(value, 0)) {
        json_decref(value);
        return format_refuse(format, REJECT_NOT_JSON, "more than 16 levels");
    }
    *out = value;
    if (value)
        return REJECT_NONE;
    switch (json_error_code(&error)) {
    case json_error_duplicate_key:
        return format_refuse(format, REJECT_DUPLICATE_KEY, "the same key twice in one object");
    case json_error_numeric_overflow:
        return format_refuse(format, REJECT_NOT_FINITE, "a number beyond all doubles");
    default:
        return format_refuse(format, REJECT_NOT_JSON, "line %d, column %d: %s", error.line,
                             error.column, error.text);
    }
}

static void value_write(json_t *value, struct buf *out)
{
    const char *key, *comma = "";
    json_t *child;
    size_t i;
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        buf_u8(out, '{');
        json_object_foreach(value, key, child)
        {
            buf_printf(out, "%s", comma);
            json_text(out, key, strlen(key));
            buf_u8(out, ':');
            value_write(child, out);
            comma = ",";
        }
        buf_u8(out, '}');
        break;
    case JSON_ARRAY:
        buf_u8(out, '[');
        json_array_foreach(value, i, child)
        {
            buf_printf(out, "%s", comma);
            value_write(child, out);
            comma = ",";
        }
        buf_u8(out, ']');
        break;
    case JSON_STRING:
        json_text(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        buf_printf(out, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
        break;
    case JSON_REAL:
        json_number(out, json_real_value(value));
        break;
    default:
        buf_printf(out, "%s",
                   json_is_null(value)   ? "null"
                   : json_is_true(value) ? "true"
                                         : "false");
    }
}

enum reject row_add(struct format *format, json_t *event)
{
    if (format->n_rows == FORMAT_MAX_ROWS)
        return format_refuse(format, REJECT_TOO_LARGE, "more than %d rows", FORMAT_MAX_ROWS);
    value_write(event, &format->rows);
    if (buf_failed(&format->rows))
        return format_refuse(format, REJECT_TOO_LARGE, "its rows are more than 16 MiB");
    format->starts[++format->n_rows] = format->rows.size;
    return REJECT_NONE;
}

void event_default(json_t *event, const char *field, json_t *value)
{
    if (value && !json_object_get(event, field))
        json_object_set_new(event, field, value);
    else
        json_decref(value);
}

void event_topic_defaults(const struct format *format, json_t *event)
{
    if (format->topic->model)
        event_default(event, "model", json_string(format->topic->model));
    if (format->topic->version)
        event_default(event, "version", json_string(format->topic->version));
}
