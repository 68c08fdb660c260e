#include "common/buf.h"

#include <endian.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"

void buf_init(struct buf *buf, size_t limit)
{
    *buf = (struct buf){.limit = limit};
}

void buf_finish(struct buf *buf)
{
    free(buf->data);
    *buf = (struct buf){.limit = buf->limit};
}

void buf_clear(struct buf *buf)
{
    buf->size = 0;
    buf->failed = false;
}

unsigned char *buf_reserve(struct buf *buf, size_t n)
{
    if (buf->failed)
        return NULL;
    if (n <= buf->capacity - buf->size)
        return buf->data + buf->size;
    if (n > buf->limit - buf->size) {
        buf->failed = true;
        return NULL;
    }

    size_t capacity = buf->capacity ? buf->capacity : 64;
    while (capacity - buf->size < n)
        capacity = capacity > buf->limit / 2 ? buf->limit : capacity * 2;
    unsigned char *data = realloc(buf->data, capacity);
    if (!data) {
        buf->failed = true;
        return NULL;
    }
    buf->data = data;
    buf->capacity = capacity;
    return buf->data + buf->size;
}

void buf_bytes(struct buf *buf, const void *bytes, size_t n)
{
    if (n == 0)
        return;
    unsigned char *to = buf_reserve(buf, n);
    if (!to)
        return;
    memcpy(to, bytes, n);
    buf->size += n;
}

void buf_u32(struct buf *buf, uint32_t value)
{
    unsigned char bytes[4];
    for (int i = 0; i < 4; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    buf_bytes(buf, bytes, sizeof(bytes));
}

void buf_u64(struct buf *buf, uint64_t value)
{
    unsigned char bytes[8];
    for (int i = 0; i < 8; i++)
        bytes[i] = (unsigned char)(value >> (8 * i));
    buf_bytes(buf, bytes, sizeof(bytes));
}

static void buf_varint128(struct buf *buf, unsigned __int128 value)
{
    unsigned char bytes[19];
    size_t n = 0;
    do {
        bytes[n] = (unsigned char)(value & 0x7f);
        value >>= 7;
        if (value)
            bytes[n] |= 0x80;
        n++;
    } while (value);
    buf_bytes(buf, bytes, n);
}

void buf_varint_slow(struct buf *buf, uint64_t value)
{
    if (buf->failed || buf->capacity - buf->size < VARINT_BYTES) {
        buf_varint128(buf, value); /* it may just fit */
        return;
    }
    unsigned char *to = buf->data + buf->size;
    for (; value >= 0x80; value >>= 7)
        *to++ = (unsigned char)(value | 0x80);
    *to++ = (unsigned char)value;
    buf->size = (size_t)(to - buf->data);
}

void buf_zigzag(struct buf *buf, int64_t value)
{
    buf_varint(buf, ((uint64_t)value << 1) ^ (uint64_t)(value >> 63));
}

void buf_int128(struct buf *buf, __int128 value)
{
    buf_varint128(buf, ((unsigned __int128)value << 1) ^ (unsigned __int128)(value >> 127));
}

void buf_double(struct buf *buf, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof(bits));
    buf_u64(buf, bits);
}

void buf_string(struct buf *buf, const char *text, size_t n)
{
    buf_varint(buf, n);
    buf_bytes(buf, text, n);
}

/* Into the room that is there, and only when that is too small once more. */
void buf_text(struct buf *buf, const char *text)
{
    buf_bytes(buf, text, strlen(text));
}

void buf_decimal(struct buf *buf, int64_t value)
{
    char text[TEXT_INT_BYTES];
    buf_bytes(buf, text, int_print(text, value));
}

void buf_printf(struct buf *buf, const char *format, ...)
{
    size_t room = buf->failed ? 0 : buf->capacity - buf->size;
    va_list args;
    va_start(args, format);
    int n = vsnprintf(room ? (char *)buf->data + buf->size : NULL, room, format, args);
    va_end(args);
    if (n < 0) {
        buf->failed = true;
        return;
    }
    if ((size_t)n >= room) { /* vsnprintf writes a NUL, we drop it */
        unsigned char *to = buf_reserve(buf, (size_t)n + 1);
        if (!to)
            return;
        va_start(args, format);
        vsnprintf((char *)to, (size_t)n + 1, format, args);
        va_end(args);
    }
    buf->size += (size_t)n;
}

const void *reader_bytes(struct reader *r, size_t n)
{
    if (r->failed || n > reader_left(r)) {
        r->failed = true;
        return NULL;
    }
    const void *bytes = r->next;
    r->next += n;
    return bytes;
}

uint32_t reader_u32(struct reader *r)
{
    const unsigned char *bytes = reader_bytes(r, 4);
    uint32_t value = 0;
    for (int i = 0; bytes && i < 4; i++)
        value |= (uint32_t)bytes[i] << (8 * i);
    return value;
}

uint64_t reader_u64(struct reader *r)
{
    const unsigned char *bytes = reader_bytes(r, 8);
    uint64_t value = 0;
    for (int i = 0; bytes && i < 8; i++)
        value |= (uint64_t)bytes[i] << (8 * i);
    return value;
}

static unsigned __int128 reader_varint128(struct reader *r, int max_bytes)
{
    unsigned __int128 value = 0;
    for (int i = 0; i < max_bytes; i++) {
        uint8_t byte = reader_u8(r);
        if (r->failed)
            return 0;
        value |= (unsigned __int128)(byte & 0x7f) << (7 * i);
        if (!(byte & 0x80))
            return value;
    }
    r->failed = true;
    return 0;
}

/* Seven bits of each byte, the first byte's lowest, put together. */
static uint64_t sevens_together(uint64_t x)
{
    x = (x & UINT64_C(0x007f007f007f007f)) | (x & UINT64_C(0x7f007f007f007f00)) >> 1;
    x = (x & UINT64_C(0x00003fff00003fff)) | (x & UINT64_C(0x3fff00003fff0000)) >> 2;
    return (x & UINT64_C(0x000000000fffffff)) | (x & UINT64_C(0x0fffffff00000000)) >> 4;
}

/* A varint of up to eight bytes, of the eight at `next`, which then is behind it; false: it is longer. */
static inline bool short_varint(const unsigned char **next, uint64_t *out)
{
    uint64_t bytes;
    memcpy(&bytes, *next, sizeof(bytes));
    bytes = le64toh(bytes);
    const uint64_t ends = ~bytes & UINT64_C(0x8080808080808080);
    if (!ends)
        return false;
    *next += __builtin_ctzll(ends) / 8 + 1;
    *out = sevens_together(bytes & (ends ^ (ends - 1)));
    return true;
}

uint64_t reader_varint_slow(struct reader *r)
{
    uint64_t value;
    if (!r->failed && reader_left(r) >= sizeof(value) && short_varint(&r->next, &value))
        return value;
    return (uint64_t)reader_varint128(r, 10);
}

/* A large reference has millions of these. */
void reader_varints(struct reader *r, uint64_t *out, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        const unsigned char *next = r->next;
        while (i < n && !r->failed && r->end - next >= (ptrdiff_t)sizeof(*out)) {
            if (*next < 0x80)
                out[i++] = *next++;
            else if (short_varint(&next, &out[i]))
                i++;
            else
                break;
        }
        r->next = next;
        if (i < n)
            out[i] = reader_varint(r);
    }
}

/* In each byte of the eight: 1 if a varint ends there. */
static uint64_t ends_of(const unsigned char *bytes)
{
    uint64_t eight;
    memcpy(&eight, bytes, sizeof(eight));
    return ~eight >> 7 & UINT64_C(0x0101010101010101);
}

void reader_skip_varints(struct reader *r, uint64_t n)
{
    enum {
        AT_ONCE = 64
    };
    while (!r->failed && n >= AT_ONCE && reader_left(r) >= AT_ONCE) {
        uint64_t ends = 0;
        for (size_t i = 0; i < AT_ONCE; i += sizeof(ends))
            ends += ends_of(r->next + i);
        /* added up in the highest byte: at most 64 */
        n -= ends * UINT64_C(0x0101010101010101) >> 56;
        r->next += AT_ONCE;
    }
    while (!r->failed && n) {
        if (r->next == r->end)
            r->failed = true;
        else
            n -= *r->next++ < 0x80;
    }
}

int64_t reader_zigzag(struct reader *r)
{
    uint64_t value = reader_varint(r);
    return (int64_t)(value >> 1) ^ -(int64_t)(value & 1);
}

int64_t reader_count(struct reader *r)
{
    const int64_t most = INT64_C(1) << 53, count = reader_zigzag(r);
    if (count >= -most && count <= most)
        return count;
    r->failed = true;
    return 0;
}

__int128 reader_int128(struct reader *r)
{
    unsigned __int128 value = reader_varint128(r, 19);
    return (__int128)(value >> 1) ^ -(__int128)(value & 1);
}

double reader_double(struct reader *r)
{
    uint64_t bits = reader_u64(r);
    double value;
    memcpy(&value, &bits, sizeof(value));
    return value;
}

const char *reader_string(struct reader *r, size_t *n)
{
    uint64_t length = reader_varint(r);
    const char *text = length <= reader_left(r) ? reader_bytes(r, (size_t)length) : NULL;
    if (!text)
        r->failed = true;
    *n = text ? (size_t)length : 0;
    return text;
}
