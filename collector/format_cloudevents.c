/*
 * CloudEvents 1.0 (and 0.3, as MLServer still sends) around an event of ours.
 *
 * Structured: the message is the envelope. Binary: the message is the data, and the envelope's
 * attributes are headers `ce_NAME`. Which one it is, the header content-type tells; a message
 * without headers (a file's line) is structured. What the data lacks comes from the envelope: id,
 * ts from `time`, type from the last word of `type`, model and version from the extensions so
 * named.
 */
#include <string.h>
#include <strings.h>

#include "collector/format_parts.h"
#include "common/text.h"

static struct view header_get(const struct format_message *message, const char *name)
{
    for (size_t i = 0; i < message->n_headers; i++)
        if (strcmp(message->headers[i].name, name) == 0)
            return message->headers[i].value;
    return (struct view){NULL, 0};
}

static struct view member_get(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    if (!json_is_string(value) || json_string_length(value) > EVENT_MAX_BYTES)
        return (struct view){NULL, 0};
    return (struct view){json_string_value(value), (uint32_t)json_string_length(value)};
}

static bool starts_with(struct view text, const char *start)
{
    return text.size >= strlen(start) && strncasecmp(text.data, start, strlen(start)) == 0;
}

static bool contains(struct view text, const char *part)
{
    size_t n = strlen(part);
    for (size_t i = 0; i + n <= text.size; i++)
        if (strncasecmp(text.data + i, part, n) == 0)
            return true;
    return false;
}

/* Standard Base64 (RFC 4648, section 4), padded. */
static bool base64_decode(struct buf *out, struct view text)
{
    static const char letters[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    if (text.size % 4)
        return false;
    for (uint32_t i = 0; i < text.size; i += 4) {
        uint32_t bits = 0;
        int n = 3;
        for (uint32_t j = 0; j < 4; j++) {
            char c = text.data[i + j];
            const char *letter = c ? strchr(letters, c) : NULL;
            bool padding = c == '=' && i + 4 == text.size && j >= 2;
            if (padding)
                n = n == 3 ? (int)j - 1 : n;
            else if (!letter || n < 3)
                return false;
            bits = bits << 6 | (padding ? 0 : (uint32_t)(letter - letters));
        }
        for (int j = 0; j < n; j++)
            buf_u8(out, (uint8_t)(bits >> (16 - 8 * j)));
    }
    return !buf_failed(out);
}

static enum reject structured_data(struct format *format, struct cloud_event *out)
{
    struct view text = member_get(out->envelope, "data_base64");
    json_t *data = json_object_get(out->envelope, "data");
    if (!text.data && !data)
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: no data");
    if (text.data && data)
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: data and data_base64");
    if (data) {
        out->data = json_incref(data);
        return REJECT_NONE;
    }
    struct buf bytes;
    buf_init(&bytes, EVENT_MAX_BYTES);
    enum reject reason =
        base64_decode(&bytes, text)
            ? foreign_parse(format, (char *)bytes.data, bytes.size, &out->data)
            : format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: data_base64 is not Base64");
    buf_finish(&bytes);
    return reason;
}

/* Either no content type, or one that is JSON. */
static bool is_json_type(struct view type)
{
    return type.size == 0 || starts_with(type, "application/json") ||
           starts_with(type, "text/json") || contains(type, "+json");
}

static enum reject check_required(struct format *format, struct view specversion,
                                  struct view source, const struct cloud_event *event,
                                  struct view content_type)
{
    if (!starts_with(specversion, "1.") && !view_is(specversion, "0.3"))
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: specversion is not 1.0");
    if (event->id.size == 0 || source.size == 0 || event->type.size == 0)
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: no %s",
                             event->id.size == 0 ? "id"
                             : source.size == 0  ? "source"
                                                 : "type");
    if (!is_json_type(content_type))
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: its data is not JSON");
    return REJECT_NONE;
}

static enum reject read_structured(struct format *format, const struct format_message *message,
                                   struct cloud_event *out)
{
    enum reject reason = foreign_parse(format, message->bytes, message->n, &out->envelope);
    if (reason)
        return reason;
    if (!json_is_object(out->envelope))
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: not an envelope");
    out->id = member_get(out->envelope, "id");
    out->type = member_get(out->envelope, "type");
    out->time = member_get(out->envelope, "time");
    out->model = member_get(out->envelope, "inferenceservicename");
    if (!out->model.data)
        out->model = member_get(out->envelope, "model");
    out->version = member_get(out->envelope, "version");
    out->endpoint = member_get(out->envelope, "endpoint");
    reason = check_required(format, member_get(out->envelope, "specversion"),
                            member_get(out->envelope, "source"), out,
                            member_get(out->envelope, "datacontenttype"));
    return reason ? reason : structured_data(format, out);
}

static enum reject read_binary(struct format *format, const struct format_message *message,
                               struct cloud_event *out)
{
    out->id = header_get(message, "ce_id");
    out->type = header_get(message, "ce_type");
    out->time = header_get(message, "ce_time");
    out->model = header_get(message, "ce_inferenceservicename");
    if (!out->model.data)
        out->model = header_get(message, "ce_model");
    out->version = header_get(message, "ce_version");
    out->endpoint = header_get(message, "ce_endpoint");
    enum reject reason =
        check_required(format, header_get(message, "ce_specversion"),
                       header_get(message, "ce_source"), out, header_get(message, "content-type"));
    return reason ? reason : foreign_parse(format, message->bytes, message->n, &out->data);
}

enum reject cloud_event_read(struct format *format, const struct format_message *message,
                             struct cloud_event *out)
{
    struct view content_type = header_get(message, "content-type");
    *out = (struct cloud_event){0};
    if (starts_with(content_type, "application/cloudevents") && !contains(content_type, "json"))
        return format_refuse(format, REJECT_BAD_FORMAT, "cloudevents: not the JSON event format");
    if (!starts_with(content_type, "application/cloudevents") &&
        header_get(message, "ce_specversion").data)
        return read_binary(format, message, out);
    return read_structured(format, message, out);
}

void cloud_event_finish(struct cloud_event *event)
{
    json_decref(event->data);
    json_decref(event->envelope);
}

static json_t *text_of(struct view view)
{
    return view.size ? json_stringn(view.data, view.size) : NULL;
}

/* "com.example.prediction" → "prediction" */
static json_t *last_word(struct view type)
{
    const char *dot = type.size ? memrchr(type.data, '.', type.size) : NULL;
    uint32_t skip = dot ? (uint32_t)(dot + 1 - type.data) : 0;
    return text_of((struct view){type.data + skip, type.size - skip});
}

enum reject format_cloudevents_decode(struct format *format, const struct format_message *message)
{
    struct cloud_event cloud;
    json_t *event = NULL;
    enum reject reason = cloud_event_read(format, message, &cloud);
    if (reason == REJECT_NONE && !json_is_object(cloud.data))
        reason = format_refuse(format, REJECT_WRONG_TYPE, "data");
    if (reason == REJECT_NONE) {
        event = json_copy(cloud.data);
        if (!event)
            reason = format_refuse(format, REJECT_TOO_LARGE, "no memory for it");
    }
    if (reason == REJECT_NONE) {
        event_default(event, "id", text_of(cloud.id));
        event_default(event, "ts", text_of(cloud.time));
        event_default(event, "type", last_word(cloud.type));
        json_t *type = json_object_get(event, "type");
        /* Labels and outcomes name a model only to narrow the match. */
        if (json_is_string(type) && (strcmp(json_string_value(type), "prediction") == 0 ||
                                     strcmp(json_string_value(type), "system") == 0)) {
            event_default(event, "model", text_of(cloud.model));
            event_default(event, "version", text_of(cloud.version));
            event_topic_defaults(format, event);
        }
        reason = row_add(format, event);
    }
    json_decref(event);
    cloud_event_finish(&cloud);
    return reason;
}
