/*
 * Events that wait for a look, at which the detectors take them by (event time, hash of the id,
 * value), so that it does not matter how partitions and batches interleaved.
 *
 * Shape    a row for each event, with an item for each stream that it says something of. An item
 *          waits with its value as it came, and has its place before it is put in order or saved.
 *          Once in order, the items of one stream stand by (ts, hash, place, value). Streams do
 *          not know each other: theirs may interleave
 * Use      waiting_begin with enough room, waiting_add for each stream or items behind the last,
 *          waiting_end; nothing else between them
 * Cost     predictions come nearly in order, and so do labels, which stand at their predictions'
 *          time; else they are merged
 * Owner    waiting_finish frees
 * Errors   -ENOMEM: nothing changed
 * Threads  one
 */
#pragma once

#include <float.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"

enum waiting_kind {
    WAITING_PLACED,  /* `place`, and the value as a float can hold it */
    WAITING_NUMBER,  /* as it came */
    WAITING_CATEGORY /* the same, its class_id */
};

struct waiting_item {
    union {
        double value;
        uint64_t category;
    };
    uint32_t stream;
    uint8_t place;
    uint8_t kind; /* enum waiting_kind */
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

static inline unsigned __int128 waiting_key(int64_t ts_ms, uint64_t hash)
{
    const uint64_t ts = (uint64_t)ts_ms ^ UINT64_C(1) << 63; /* sorts as signed ones do */
    return (unsigned __int128)ts << 64 | hash;
}
static inline int64_t waiting_ts_ms(const struct waiting_row *row)
{
    return (int64_t)((uint64_t)(row->key >> 64) ^ UINT64_C(1) << 63);
}
static inline uint64_t waiting_hash(const struct waiting_row *row)
{
    return (uint64_t)row->key;
}

/* For a row more, and so many items. */
int waiting_make_room(struct waiting_events *events, size_t n_items, struct err *err);

static inline int waiting_begin(struct waiting_events *events, int64_t ts_ms, uint64_t hash,
                                size_t room, struct err *err)
{
    const size_t left = events->item_capacity - events->n_items;
    if (events->n_rows == events->row_capacity || room > left) {
        int rc = waiting_make_room(events, room, err);
        if (rc)
            return rc;
    }
    events->rows[events->n_rows] =
        (struct waiting_row){waiting_key(ts_ms, hash), (uint32_t)events->n_items, 0};
    return 0;
}
/* As a float can hold it. */
static inline double waiting_value(double value)
{
    const double most = FLT_MAX;
    return (double)(float)(value > most ? most : value > -most ? value : -most);
}
static inline void waiting_add(struct waiting_events *events, uint32_t stream, unsigned place,
                               double value)
{
    events->items[events->n_items++] = (struct waiting_item){
        .value = waiting_value(value), .stream = stream, .place = (uint8_t)place};
}
static inline struct waiting_item waiting_number(uint32_t stream, double number)
{
    return (struct waiting_item){.value = number, .stream = stream, .kind = WAITING_NUMBER};
}
static inline struct waiting_item waiting_category(uint32_t stream, uint64_t category)
{
    return (struct waiting_item){.category = category, .stream = stream, .kind = WAITING_CATEGORY};
}
/* The row stays if it has an item. */
static inline void waiting_end(struct waiting_events *events)
{
    struct waiting_row *row = &events->rows[events->n_rows];
    row->n = (uint32_t)(events->n_items - row->first);
    events->n_rows += row->n > 0;
}
/* The row that was begun is none. */
static inline void waiting_undo(struct waiting_events *events)
{
    events->n_items = events->rows[events->n_rows].first;
}

/* Rows `from` to before `to`, of placed items. `since_ms`: what is older is probably of labels, and
   in an order of its own. */
int waiting_order(struct waiting_events *events, size_t from, size_t to, int64_t since_ms,
                  struct err *err);
/* The first n rows go; those behind them were not put in order yet. */
void waiting_drop(struct waiting_events *events, size_t n);
void waiting_clear(struct waiting_events *events);
void waiting_finish(struct waiting_events *events);
