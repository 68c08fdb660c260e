/*
 * A sparse table: key → a few signed counts. Histograms, score bins, confusion cells and outcome
 * counts are made of it.
 *
 * Shape    rows of 1 + width words in order of arrival, and an open-addressing index over them;
 *          both double together, so that an event seldom allocates. A row whose columns are all 0
 *          counts as absent: it is neither saved nor merged nor listed
 * Owner    bins_init gives nothing away; bins_finish takes the memory. A table of all zeros with
 *          its width set is an empty one
 * Errors   bins_room: -ENOMEM, nothing changed. After it the next n new keys cannot fail
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    BINS_MAX_WIDTH = 4
};

struct bins {
    int64_t *rows;   /* n rows: key, then width columns; the index lies behind them */
    uint32_t *index; /* 1 + row; 0: free */
    uint32_t n;      /* rows in use */
    uint32_t capacity;
    uint8_t index_bits; /* 2^index_bits places; 0: nothing allocated */
    uint8_t width;      /* columns: 1 .. BINS_MAX_WIDTH */
};

struct bins_row {
    uint64_t key;
    const int64_t *columns; /* valid until the table changes */
};

static inline void bins_init(struct bins *bins, int width)
{
    *bins = (struct bins){.width = (uint8_t)width};
}
void bins_finish(struct bins *bins);

int bins_grow(struct bins *bins, uint32_t n);
static inline int bins_room(struct bins *bins, uint32_t n)
{
    return bins->capacity - bins->n >= n ? 0 : bins_grow(bins, n);
}

/* The columns of `key`, new ones all 0. There must be room. Valid until the table changes. */
int64_t *bins_at(struct bins *bins, uint64_t key);
/* NULL when there are none. */
const int64_t *bins_find(const struct bins *bins, uint64_t key);

/* `from` added column by column; needs room for from->n more. Same width. */
void bins_merge(struct bins *into, const struct bins *from);

/* Gives every row a new key (and columns) in place; rows that meet are added. Never allocates. */
typedef void bins_map(void *context, uint64_t *key, int64_t *columns);
void bins_rekey(struct bins *bins, bins_map *map, void *context);

/* The rows present, by ascending key, in memory for free(); *out is NULL when there are none. */
int bins_sorted(const struct bins *bins, struct bins_row **out, size_t *n);

/* varint n, then by ascending key: varint(key - the one before), columns. Small columns share one
 * byte. */
void bins_save(const struct bins *bins, struct buf *out);
int bins_load(struct bins *bins, int width, struct reader *in, struct err *err);
/* The same of rows as bins_sorted gives them, with the first `n_columns` alone; the others are 0
 * when they are loaded. Rows stand by ascending key after a load. */
void bins_save_rows(const struct bins_row *rows, size_t n, int n_columns, struct buf *out);
int bins_load_columns(struct bins *bins, int width, int n_columns, struct reader *in,
                      struct err *err);
