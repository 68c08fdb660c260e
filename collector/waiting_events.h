/*
 * What detectors of changes wait for until a look, and the order in which they take it then: by
 * time, then by id, so that it does not matter how partitions and batches interleaved.
 *
 * Shape    a row for each event, with an item for each stream that it says something of. Once in
 *          order, the items of one stream stand by (ts, hash, place, value). Streams do not know
 *          each other: theirs may interleave
 * Use      waiting_begin with enough room, waiting_add for each stream, waiting_end
 * Cost     predictions come nearly in order, and so do labels, which stand at their predictions'
 *          time; else they are merged
 * Owner    waiting_finish frees
 * Errors   -ENOMEM: nothing changed
 * Threads  one
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

struct waiting_item {
    uint32_t stream;
    float value;
    uint8_t place;
};

struct waiting_row {
    unsigned __int128 key; /* time, hash */
    uint32_t first, n;     /* items */
};

struct waiting_events {
    struct waiting_row *rows;
    struct waiting_item *items;
    size_t n_rows, row_capacity; /* and as many to sort them with */
    size_t n_items, item_capacity;
};

int waiting_begin(struct waiting_events *events, int64_t ts_ms, uint64_t hash, size_t room,
                  struct err *err);
static inline void waiting_add(struct waiting_events *events, uint32_t stream, unsigned place,
                               double value)
{
    events->items[events->n_items++] = (struct waiting_item){stream, (float)value, (uint8_t)place};
}
/* The row stays if it has an item. */
static inline void waiting_end(struct waiting_events *events)
{
    struct waiting_row *row = &events->rows[events->n_rows];
    row->n = (uint32_t)(events->n_items - row->first);
    events->n_rows += row->n > 0;
}

/* `since_ms`: what is older is probably of labels, and in an order of its own. */
int waiting_order(struct waiting_events *events, int64_t since_ms, struct err *err);
void waiting_clear(struct waiting_events *events);
void waiting_finish(struct waiting_events *events);

static inline int64_t waiting_ts_ms(const struct waiting_row *row)
{
    return (int64_t)((uint64_t)(row->key >> 64) ^ UINT64_C(1) << 63);
}

static inline uint64_t waiting_hash(const struct waiting_row *row)
{
    return (uint64_t)row->key;
}
