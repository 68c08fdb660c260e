/*
 * What an answer may lack, in words: `complete` and `incomplete_reasons` of series and of drift.
 *
 * Errors   as in common/err.h
 * Threads  that of the store
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/err.h"
#include "storage/store.h"

struct completeness {
    const char *what; /* of n_damaged: "windows", "profiles" */
    size_t n_damaged; /* stored ones that were left out */
    size_t n_partial; /* windows that cut through data of longer panes */
    bool reference;   /* so does the span of time that they are compared with */
};

/* Both members; messages that were deleted before they were read are looked up. */
int completeness_write(const struct completeness *lacks, struct store *store, struct buf *out,
                       struct err *err);
