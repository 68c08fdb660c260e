/*
 * Sums of values by name: what outcomes and system values are kept as.
 *
 * Shape    up to 256 names, those of the lowest ids; more are left out. Sums are exact
 * Rules    those of a metric's state (stats/metric.h): no order, canonical bytes, sign -1 takes
 *          out. The functions take void so that they are a state kind's
 * Owner    zeroed memory is empty; named_sums_finish takes what grew
 * Errors   -ENOMEM, and then nothing has changed; load: ERR_CORRUPT
 * Threads  one at a time
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"
#include "stats/exact_sum.h"

struct named_sum {
    uint64_t name_id;
    int64_t n, n_not_zero;
    struct wide_sum sum, squares;
};

struct named_sums {
    struct named_sum *names; /* by ascending id */
    uint32_t n, capacity;
    uint64_t cutoff; /* ids from here on are left out; 0: none */
};

/* NULL: none of that name. */
const struct named_sum *named_sums_find(const struct named_sums *sums, uint64_t name_id);
/* A value that is not finite changes nothing. */
int named_sums_add(struct named_sums *sums, uint64_t name_id, double value, int sign);

void named_sums_finish(void *state);
int named_sums_room_merge(void *into, const void *from);
void named_sums_merge(void *into, const void *from);
void named_sums_save(const void *state, struct buf *out);
int named_sums_load(void *state, struct reader *in, struct err *err);
