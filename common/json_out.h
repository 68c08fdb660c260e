/*
 * Writes JSON in the order it is called, commas included; what is written is what is sent.
 *
 * Shape    `out_open(out, '{'); out_key(out, "n"); out_int(out, 3); out_close(out, '}');`
 *          A comma is put where the last byte written asks for one, so there is no state to carry
 * Errors   those of the buf: check buf_failed once at the end
 * Source   RFC 8259; texts and numbers as in common/text.h (NaN and infinities become null)
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"

void out_open(struct buf *out, char bracket);  /* '{' or '[' */
void out_close(struct buf *out, char bracket); /* '}' or ']' */
void out_key_bytes(struct buf *out, const char *key, size_t n);
void out_string(struct buf *out, const char *text); /* NULL: null */
void out_bytes(struct buf *out, const char *text, size_t n);
void out_int(struct buf *out, int64_t value);
void out_double(struct buf *out, double value);
void out_bool(struct buf *out, bool value);
void out_null(struct buf *out);
/* JSON that is text already. */
void out_raw(struct buf *out, const char *json, size_t n);

/* Inline, as nearly every key is a literal whose length is known then. */
static inline void out_key(struct buf *out, const char *key)
{
    out_key_bytes(out, key, strlen(key));
}

/* A key with its value, for the common case. */
static inline void out_key_string(struct buf *out, const char *key, const char *text)
{
    out_key(out, key);
    out_string(out, text);
}

static inline void out_key_int(struct buf *out, const char *key, int64_t value)
{
    out_key(out, key);
    out_int(out, value);
}

static inline void out_key_double(struct buf *out, const char *key, double value)
{
    out_key(out, key);
    out_double(out, value);
}

static inline void out_key_bool(struct buf *out, const char *key, bool value)
{
    out_key(out, key);
    out_bool(out, value);
}

/* A time; below 0 means unknown and becomes null. */
void out_key_time(struct buf *out, const char *key, int64_t ms);
