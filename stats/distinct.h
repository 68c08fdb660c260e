/*
 * How many different units there were: exactly up to 1,024, estimated beyond.
 *
 * Shape    the 1,024 lowest of the units' hashes, ascending: the same set in any order and split
 * Owner    distinct_finish takes; all zeros is an empty one
 * Errors   distinct_room*: -ENOMEM, nothing changed; after it one call cannot fail
 * Threads  one at a time
 * Source   bottom-k sketch, estimate (k - 1) / k-th lowest: Beyer et al., "On synopses for
 *          distinct-value estimation", 2007; standard error about n / sqrt(k - 2), 3%
 */
#pragma once

#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

struct distinct {
    uint64_t *hashes;
    uint32_t n, capacity;
};

void distinct_finish(struct distinct *d);
int distinct_room(struct distinct *d);
void distinct_add(struct distinct *d, uint64_t hash);
int distinct_room_merge(struct distinct *into, const struct distinct *from);
void distinct_merge(struct distinct *into, const struct distinct *from);
void distinct_save(const struct distinct *d, struct buf *out);
int distinct_load(struct distinct *d, struct reader *in, struct err *err);

/* *error: three standard errors; 0 when exact. */
double distinct_count(const struct distinct *d, double *error);
