/*
 * Growing bytes with a limit, and a reader over bytes: what states are saved to and loaded from.
 *
 * Shape    little-endian; unsigned integers as LEB128 varints (1..10 bytes), signed ones as
 *          zigzag varints, doubles as their 8 bytes, byte strings as length + bytes
 * Owner    buf_init gives nothing away; buf_finish takes what grew. A reader borrows its bytes
 * Errors   writing never fails half-way: after an allocation failure or past `limit` the buf is
 *          `failed`, further writes do nothing, and the one check at the end (buf_failed) tells.
 *          A reader past its end is `failed` and gives zeros; check reader_failed once at the end.
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
    unsigned char *data;
    size_t size;     /* bytes in use */
    size_t capacity; /* bytes allocated */
    size_t limit;    /* never grows beyond this many bytes */
    bool failed;
};

void buf_init(struct buf *buf, size_t limit);
void buf_finish(struct buf *buf);
void buf_clear(struct buf *buf); /* size 0, not failed; keeps the memory */
static inline bool buf_failed(const struct buf *buf)
{
    return buf->failed;
}

/* Room for n more bytes, or NULL (and failed). The caller writes and then adds to size. */
unsigned char *buf_reserve(struct buf *buf, size_t n);

void buf_bytes(struct buf *buf, const void *bytes, size_t n);
static inline void buf_u8(struct buf *buf, uint8_t value)
{
    if (buf->failed || buf->size == buf->capacity) {
        buf_bytes(buf, &value, 1);
        return;
    }
    buf->data[buf->size++] = value;
}
void buf_u32(struct buf *buf, uint32_t value); /* 4 bytes, little-endian */
void buf_u64(struct buf *buf, uint64_t value); /* 8 bytes, little-endian */
enum {
    VARINT_BYTES = 10 /* of 64 bits, at most */
};
void buf_varint_slow(struct buf *buf, uint64_t value);
static inline void buf_varint(struct buf *buf, uint64_t value) /* mostly one byte */
{
    if (value < 0x80)
        buf_u8(buf, (uint8_t)value);
    else
        buf_varint_slow(buf, value);
}
void buf_zigzag(struct buf *buf, int64_t value);
void buf_int128(struct buf *buf, __int128 value); /* zigzag varint of up to 19 bytes */
void buf_double(struct buf *buf, double value);
void buf_string(struct buf *buf, const char *text, size_t n); /* varint length + bytes */
void buf_text(struct buf *buf, const char *text);             /* without its 0 */
void buf_decimal(struct buf *buf, int64_t value);             /* as text */
void buf_printf(struct buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct reader {
    const unsigned char *next;
    const unsigned char *end;
    bool failed;
};

static inline struct reader reader_of(const void *bytes, size_t n)
{
    const unsigned char *start = (const unsigned char *)bytes;
    return (struct reader){start, n ? start + n : start, false};
}
static inline bool reader_failed(const struct reader *r)
{
    return r->failed;
}
static inline size_t reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->next);
}

const void *reader_bytes(struct reader *r, size_t n); /* NULL when fewer are left */
static inline uint8_t reader_u8(struct reader *r)
{
    if (r->failed || r->next == r->end) {
        r->failed = true;
        return 0;
    }
    return *r->next++;
}
uint32_t reader_u32(struct reader *r);
uint64_t reader_u64(struct reader *r);
uint64_t reader_varint_slow(struct reader *r);
static inline uint64_t reader_varint(struct reader *r)
{
    if (!r->failed && r->next != r->end && *r->next < 0x80)
        return *r->next++;
    return reader_varint_slow(r);
}
/* n of them; 0 from where it has failed. */
void reader_varints(struct reader *r, uint64_t *out, size_t n);
void reader_skip_varints(struct reader *r, uint64_t n); /* without a look at what they are */
int64_t reader_zigzag(struct reader *r);
/* A zigzag that counts something, 2^53 at most on either side of 0, so that sums of many stay whole:
   else the reader has failed, and it is 0. */
int64_t reader_count(struct reader *r);
__int128 reader_int128(struct reader *r);
double reader_double(struct reader *r);
const char *reader_string(struct reader *r, size_t *n); /* not NUL-terminated; lives as the bytes */
