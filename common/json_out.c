#include "common/json_out.h"

#include <string.h>

#include "common/text.h"

static void separate(struct buf *out)
{
    if (out->size == 0)
        return;
    unsigned char last = out->data[out->size - 1];
    if (last != '{' && last != '[' && last != ':' && last != ',' && last != '\n')
        buf_text(out, ",");
}

void out_open(struct buf *out, char bracket)
{
    separate(out);
    buf_u8(out, (uint8_t)bracket);
}

void out_close(struct buf *out, char bracket)
{
    buf_u8(out, (uint8_t)bracket);
}

void out_key_bytes(struct buf *out, const char *key, size_t n)
{
    separate(out);
    json_text(out, key, n);
    buf_text(out, ":");
}

void out_bytes(struct buf *out, const char *text, size_t n)
{
    separate(out);
    json_text(out, text, n);
}

void out_string(struct buf *out, const char *text)
{
    if (text)
        out_bytes(out, text, strlen(text));
    else
        out_null(out);
}

void out_int(struct buf *out, int64_t value)
{
    separate(out);
    buf_decimal(out, value);
}

void out_double(struct buf *out, double value)
{
    separate(out);
    json_number(out, value);
}

void out_bool(struct buf *out, bool value)
{
    separate(out);
    buf_text(out, value ? "true" : "false");
}

void out_null(struct buf *out)
{
    separate(out);
    buf_text(out, "null");
}

void out_raw(struct buf *out, const char *json, size_t n)
{
    separate(out);
    buf_bytes(out, json, n);
}

void out_key_time(struct buf *out, const char *key, int64_t ms)
{
    out_key(out, key);
    if (ms < 0)
        out_null(out);
    else
        out_int(out, ms);
}
