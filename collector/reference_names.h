/*
 * What the categories and features of a reference are called, while its events are read: the page would not know those
 * that the stream never brings.
 *
 * Shape    the first REFERENCE_NAMES texts: a model's stream has room for `limits.categories` of them, and most are the same
 * Owner    zero it; reference_names_finish takes what is in it
 * Errors   -ENOMEM
 * Threads  one
 */
#pragma once

#include "collector/id_set.h"
#include "common/view.h"
#include "stats/fitted.h"

enum {
    REFERENCE_NAMES = 1000
};

struct reference_names {
    struct id_set known;
    struct category_name *names;
    uint32_t n;
};

int reference_names_add(struct reference_names *names, struct view text, uint64_t id,
                        struct err *err);
/* They are the caller's now. */
void reference_names_give(struct reference_names *names, struct category_name **out, uint32_t *n);
void reference_names_finish(struct reference_names *names);
