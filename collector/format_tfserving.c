/*
 * TensorFlow Serving's REST bodies, request and answer in one object, as a logging proxy writes
 * them: either side by side (`instances` and `predictions`, `inputs` and `outputs`) or as members
 * `request` and `response`. `id`, `ts`, `model`, `version` stand beside them, or `model_spec`
 * {name, version}, or the topic's `mapping` says where they are.
 *
 * The server writes bare NaN, Infinity and -Infinity, which are not JSON: they are quoted here,
 * and then are an invalid value of that feature alone.
 */
#include <string.h>

#include "collector/format_parts.h"

/* The length of a token that JSON does not have, at p; 0: none. */
static size_t bare_token(const char *p, size_t n)
{
    static const char *const tokens[] = {"NaN", "-NaN", "Infinity", "-Infinity"};
    for (size_t i = 0; i < 4; i++)
        if (n >= strlen(tokens[i]) && memcmp(p, tokens[i], strlen(tokens[i])) == 0)
            return strlen(tokens[i]);
    return 0;
}

static void quote_bare_tokens(const char *bytes, size_t n, struct buf *out)
{
    bool in_string = false;
    for (size_t i = 0; i < n; i++) {
        size_t size = in_string ? 0 : bare_token(bytes + i, n - i);
        if (size) {
            buf_u8(out, '"');
            /* "-NaN" is no other value than NaN. */
            size_t skip = size == 4;
            buf_bytes(out, bytes + i + skip, size - skip);
            buf_u8(out, '"');
            i += size - 1;
            continue;
        }
        buf_u8(out, (uint8_t)bytes[i]);
        if (in_string && bytes[i] == '\\' && i + 1 < n)
            buf_u8(out, (uint8_t)bytes[++i]);
        else if (bytes[i] == '"')
            in_string = !in_string;
    }
}

static void take_over(json_t *event, const char *field, json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    if (!value || json_is_null(value))
        return;
    /* A version is a number in this server's world. */
    json_t *text = json_is_integer(value) && strcmp(field, "ts") != 0
                       ? json_sprintf("%" JSON_INTEGER_FORMAT, json_integer_value(value))
                       : json_incref(value);
    event_default(event, field, text);
}

static enum reject rows_of(struct format *format, json_t *message, json_t *common)
{
    static const char *const fields[] = {"id", "ts", "model", "version"};
    event_map(format, message, common);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        take_over(common, fields[i], message, fields[i]);
    json_t *spec = json_object_get(message, "model_spec");
    take_over(common, "model", spec, "name");
    take_over(common, "version", spec, "version");
    event_topic_defaults(format, common);

    json_t *request = json_object_get(message, "request");
    json_t *answer = json_object_get(message, "response");
    json_t *id = json_object_get(common, "id");
    const struct batch_facts facts = {json_string_value(id), message, common};
    return inference_rows(format, request ? request : message, answer ? answer : message, &facts);
}

enum reject format_tfserving_decode(struct format *format, const struct format_message *message)
{
    json_t *foreign = NULL;
    buf_clear(&format->clean);
    quote_bare_tokens(message->bytes, message->n, &format->clean);
    if (buf_failed(&format->clean))
        return format_refuse(format, REJECT_TOO_LARGE, "no memory for it");
    enum reject reason =
        foreign_parse(format, (char *)format->clean.data, format->clean.size, &foreign);
    if (reason)
        return reason;
    json_t *common = json_object();
    if (!json_is_object(foreign))
        reason = format_refuse(format, REJECT_WRONG_TYPE, "the message is not an object");
    else if (!common)
        reason = format_refuse(format, REJECT_TOO_LARGE, "no memory for it");
    else
        reason = rows_of(format, foreign, common);
    json_decref(common);
    json_decref(foreign);
    return reason;
}
