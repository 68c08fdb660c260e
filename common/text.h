/*
 * The small texts that people and programs exchange: durations, times, sizes, numbers, JSON
 * strings, and the nearest of the words that would have been right.
 *
 * Units    durations and times: milliseconds (since the epoch, UTC) · sizes: bytes
 * Errors   a parser gives 0, or -EINVAL (not of that form) or -ERANGE (beyond int64) and leaves
 *          `out` as it was; the caller knows the input's name and writes the message
 * Threads  any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"

enum {
    TEXT_DURATION_BYTES = 24, /* with the NUL */
    TEXT_TIME_BYTES = 32,
    TEXT_SIZE_BYTES = 24,
    TEXT_NUMBER_BYTES = 32,
    TEXT_INT_BYTES = 24,
};

/* `500ms`, `30s`, `5m`, `1h`, `7d`: a whole number and its unit, nothing else. */
int duration_parse(int64_t *out_ms, const char *text, size_t n);
/* In the largest unit that says it exactly: 90000 gives `90s`, 0 gives `0s`. Returns `out`. */
const char *duration_print(char out[TEXT_DURATION_BYTES], int64_t ms);

/* RFC 3339, `2023-11-14T22:13:20.123Z` or with `+01:00`; digits below the millisecond are cut. */
int time_parse(int64_t *out_ms, const char *text, size_t n);
/* The same, or a whole number of milliseconds since the epoch. */
int time_parse_any(int64_t *out_ms, const char *text, size_t n);
/* `2023-11-14T22:13:20.123Z`; a time outside the years 0..9999 is printed as its milliseconds. */
const char *time_print(char out[TEXT_TIME_BYTES], int64_t ms);

/* `4GiB`, `512MiB`, `64KiB`, `1TiB`, powers of ten as `10kB`, `1MB`, `1GB`; `100B` and `100`. */
int size_parse(int64_t *out_bytes, const char *text, size_t n);
const char *size_print(char out[TEXT_SIZE_BYTES], int64_t bytes); /* largest exact of B … TiB */

/* A whole number in decimal, with an optional minus and nothing else. */
int int_parse(int64_t *out, const char *text, size_t n);
/* The same the other way; its length. */
size_t int_print(char out[TEXT_INT_BYTES], int64_t value);
/* A finite decimal number as JSON writes it (also `+1`, `.5` and `5.` as people do). */
int number_parse(double *out, const char *text, size_t n);
/*
 * A finite number as the contract compares it when it is a class: whole numbers below 2^64 in all
 * their digits ("1", "-0" is "0"), others in the fewest digits that read back as the same double,
 * laid out as ECMAScript and RFC 8785 do ("1.5", "0.0001", "1e-8", "1e+21").
 */
const char *number_print(char out[TEXT_NUMBER_BYTES], double value);
/* The same from digits that are known to be the fewest, as "-1.5e+03": for whoever has them. */
const char *number_print_scientific(char out[TEXT_NUMBER_BYTES], const char *scientific);

/* Bytes of the byte order mark that some editors write first: 3, or 0. It says nothing in UTF-8. */
size_t text_order_mark(const char *text, size_t n);
bool text_is_utf8(const char *text, size_t n);
/* How many of the first n bytes of `text` end with a whole character: where it may be cut. */
size_t text_fit(const char *text, size_t n);

/* Appends `text` as a JSON string with its quotes. What is not UTF-8 becomes U+FFFD. */
void json_text(struct buf *buf, const char *text, size_t n);
/* Appends a number in the fewest digits that read back as the same double; NaN and infinities become
   null. A whole one beyond 64 bits ends in ".0" (up to 1e21, from where it has an exponent): who
   tells whole numbers apart would refuse it as one. */
void json_number(struct buf *buf, double value);

/*
 * The word of `words` that was probably meant, or NULL when none is near: at most one slip
 * (insert, drop, replace, swap neighbours) for each three letters.
 */
const char *text_near(const char *word, const char *const *words, size_t n_words);
