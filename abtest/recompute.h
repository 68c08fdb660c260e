/*
 * Proves a decision: computes the verdict of an audit row again from what the row itself keeps
 * (object, situation, evidence), through the code that decides, and compares every bit.
 *
 * Shape    the verdicts' JSON texts are compared, which carry each number to its last bit
 * Errors   ERR_CORRUPT: what is kept cannot be read, or gives another verdict; the message says
 *          which member differs first · outcomes > 0 below
 * Threads  any
 */
#pragma once

#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

enum {
    RECOMPUTE_NOTHING = 1, /* a person's command, a creation: nothing was weighed */
    RECOMPUTE_OTHER = 2 /* decided by another version of the engine: its word cannot be checked */
};

/* `detail`: of the audit row, JSON. */
int recompute_detail(const char *detail, struct err *err);

struct recompute_counts {
    int64_t same;  /* computed again, to the same bits */
    int64_t other; /* RECOMPUTE_OTHER */
};

/* All rows of the audit log; ERR_CORRUPT names the first row that does not hold. */
int recompute_all(struct store *store, struct recompute_counts *counts, struct err *err);
