/*
 * A borrowed run of bytes: text inside somebody else's memory, not NUL-terminated.
 *
 * Owner    whoever owns the bytes; a function that hands out a view says how long it lives
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct view {
    const char *data; /* NULL: absent; an empty text has size 0 and data != NULL */
    uint32_t size;    /* bytes */
};

static inline struct view view_of(const char *text)
{
    return (struct view){text, text ? (uint32_t)strlen(text) : 0};
}
static inline bool view_equal(struct view a, struct view b)
{
    return a.size == b.size && (a.size == 0 || memcmp(a.data, b.data, a.size) == 0);
}
static inline bool view_is(struct view a, const char *text)
{
    return a.data && a.size == strlen(text) && memcmp(a.data, text, a.size) == 0;
}
