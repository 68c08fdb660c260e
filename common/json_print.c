#include "common/json_print.h"

#include <stdint.h>

#include "common/json_out.h"

static void out_object(struct buf *out, const json_t *object)
{
    json_t *members = (json_t *)(uintptr_t)object; /* jansson changes nothing by iterating */
    const char *key;
    json_t *value;
    out_open(out, '{');
    json_object_foreach(members, key, value)
    {
        out_key(out, key);
        out_value(out, value);
    }
    out_close(out, '}');
}

static void out_array(struct buf *out, const json_t *array)
{
    out_open(out, '[');
    for (size_t i = 0; i < json_array_size(array); i++)
        out_value(out, json_array_get(array, i));
    out_close(out, ']');
}

void out_value(struct buf *out, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        out_object(out, value);
        break;
    case JSON_ARRAY:
        out_array(out, value);
        break;
    case JSON_STRING:
        out_bytes(out, json_string_value(value), json_string_length(value));
        break;
    case JSON_INTEGER:
        out_int(out, json_integer_value(value));
        break;
    case JSON_REAL:
        out_double(out, json_real_value(value));
        break;
    case JSON_TRUE:
    case JSON_FALSE:
        out_bool(out, json_is_true(value));
        break;
    default:
        out_null(out);
    }
}

char *json_print(const json_t *value)
{
    struct buf out;
    if (!value)
        return NULL;
    buf_init(&out, SIZE_MAX);
    out_value(&out, value);
    buf_u8(&out, 0);
    if (!buf_failed(&out))
        return (char *)out.data; /* the caller owns it now */
    buf_finish(&out);
    return NULL;
}
