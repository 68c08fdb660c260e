/*
 * The order in which detectors of changes take what waits for a look: by time, then by id, so that
 * it does not matter how partitions and batches interleaved.
 *
 * Shape    events as they came; order gives their places in it, so that those of one stream stand
 *          by (ts, hash, place, value). Streams do not know each other: theirs may interleave
 * Cost     the streams of one prediction came in one go and are sorted as one
 * Owner    waiting_order_finish frees; `at` is valid until the next waiting_order_by
 * Errors   -ENOMEM
 * Threads  one
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* One event of one stream. */
struct waiting {
    int64_t ts_ms;
    uint64_t hash;
    uint32_t stream;
    float value;
    uint8_t place;
};

struct waiting_group;
struct waiting_order {
    uint32_t *at;
    struct waiting_group *groups;
    size_t capacity, group_capacity;
};

int waiting_order_by(struct waiting_order *order, const struct waiting *waiting, size_t n);
void waiting_order_finish(struct waiting_order *order);
