/*
 * Where something stands in a request: a header, a cookie or a JSON pointer into the body.
 *
 * Shape    one of {header: x-user}, {cookie: uid}, {pointer: /user/id}
 * Owner    names are the settings'
 * Threads  any
 * Source   RFC 6901 (pointers), RFC 6265 §4.2.1 (the Cookie header)
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

enum place_kind {
    PLACE_NONE,
    PLACE_HEADER,
    PLACE_COOKIE,
    PLACE_POINTER
};

struct place {
    enum place_kind kind;
    const char *name; /* of the header or cookie, or the pointer */
};

/* "" (the whole) or "/…", with ~0 and ~1 alone after a tilde. */
bool pointer_is_valid(const char *pointer);
/* What it leads to, borrowed from `value`; NULL: nothing there. */
json_t *pointer_get(json_t *value, const char *pointer);

/*
 * The value of cookie `name` in a Cookie header, in `out` without its quotes; the length, or -1
 * when there is none or it does not fit.
 */
int cookie_get(const char *header, const char *name, char *out, size_t room);

/* A scalar as the text that names a unit: 42, "42" and 42.0 are one; the length, or -1. */
int scalar_text(json_t *value, char *out, size_t room);
