/*
 * Counts of numbers on a grid that no order can change: single values while they are few, cells
 * of the float's own bits when they are many.
 *
 * Shape    a value's key is its 64 bits, reordered so that keys sort as values do; a cell is all
 *          keys with equal key >> shift. shift 0: every value for itself, nothing lost. The state
 *          is always the finest grid on which at most `limit` cells were ever touched, so it is a
 *          function of what was added, whatever the order and however it was split and merged.
 *          shift 45 is a log-linear histogram of relative width 2^-7 = 0.8%
 * Rules    cells_update(…, -1) takes a value out exactly, but its cell stays touched (count 0):
 *          otherwise the grid would depend on whether the wrong value was there before
 * Units    12 bytes a slot; counts stop at 4,294,967,295 a cell
 * Owner    cells_init gives nothing away, cells_finish takes what grew
 * Errors   -ENOMEM: nothing was changed
 * Threads  one at a time
 * Source   our own; the collapse of UDDSketch (Epicoco et al. 2020) taken to powers of two, which
 *          nest, so that merging loses nothing more
 */
#pragma once

#include <float.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    CELLS_COARSEST = 63 /* the largest shift: one cell a sign */
};

struct cells {
    uint64_t *keys;   /* (key >> shift) + 1; 0: free */
    uint32_t *counts; /* behind the keys, in the same block */
    uint32_t n_slots;
    uint32_t n_cells; /* touched cells */
    uint32_t limit;
    uint32_t shift;
};

/* One cell as read: all values lay in [low, high]; low == high: exactly there. */
struct cell {
    double low, high;
    uint64_t count;
};

static inline double cell_middle(const struct cell *cell)
{
    return cell->low == cell->high ? cell->low : cell->low / 2 + cell->high / 2;
}

static inline uint64_t cells_key(double value)
{
    uint64_t bits;
    value += 0.0; /* -0 and 0 are one value */
    memcpy(&bits, &value, sizeof(bits));
    return bits ^ ((uint64_t)((int64_t)bits >> 63) | UINT64_C(1) << 63);
}
/* The value of a key; keys beyond the finite numbers give ±DBL_MAX. */
static inline double cells_value(uint64_t key)
{
    const uint64_t bits = key ^ ((uint64_t)((int64_t)~key >> 63) | UINT64_C(1) << 63);
    double value;
    memcpy(&value, &bits, sizeof(value));
    if (value >= -DBL_MAX && value <= DBL_MAX)
        return value;
    return key >> 63 ? DBL_MAX : -DBL_MAX;
}

void cells_init(struct cells *cells, uint32_t limit);
void cells_finish(struct cells *cells);

/* Where the key is, or the free slot where it belongs. There is always a free slot. */
static inline uint32_t cells_slot(const uint64_t *keys, uint32_t n_slots, uint64_t key)
{
    uint64_t hash = (key * UINT64_C(0x9e3779b97f4a7c15)) >> 32;
    uint32_t slot = (uint32_t)((hash * n_slots) >> 32);
    while (keys[slot] != key && keys[slot] != 0)
        slot = slot + 1 == n_slots ? 0 : slot + 1;
    return slot;
}

int cells_update_slow(struct cells *cells, double value, int sign);
/* value is finite; sign is 1 or -1. */
static inline int cells_update(struct cells *cells, double value, int sign)
{
    if (sign > 0 && cells->n_slots) { /* a cell that is there: nearly all are, after a while */
        uint64_t key = (cells_key(value) >> cells->shift) + 1;
        uint32_t slot = cells_slot(cells->keys, cells->n_slots, key);
        if (cells->keys[slot] && cells->counts[slot] != UINT32_MAX) {
            cells->counts[slot]++;
            return 0;
        }
    }
    return cells_update_slow(cells, value, sign);
}
int cells_add(struct cells *cells, double value, uint64_t count); /* many times the same */
int cells_merge(struct cells *into, const struct cells *from);
/* Whether the next value that has no cell yet would cost single values (shift 0 would end). */
bool cells_full_for(const struct cells *cells, double value);
/* Touched cells of both together, as long as both hold single values. */
uint32_t cells_union(const struct cells *a, const struct cells *b);
/* A new limit; a smaller one coarsens at once, and gives back what memory it can. */
int cells_limit(struct cells *cells, uint32_t limit);

/* Touched cells with a count, sorted; `out` has room for n_cells. Returns how many. */
uint32_t cells_read(const struct cells *cells, struct cell *out);

void cells_save(const struct cells *cells, struct buf *out);
int cells_load(struct cells *cells, struct reader *in, struct err *err);
uint32_t cells_saved(struct reader in); /* how many are saved there; 0: they are damaged */
void cells_skip(struct reader *in);     /* past saved cells */
/* The same for those cells alone that do not lie in [from, to) whole. */
int cells_load_outside(struct cells *cells, double from, double to, struct reader *in,
                       struct err *err);

/* Bytes of memory in use beyond the struct. */
static inline size_t cells_bytes(const struct cells *cells)
{
    return cells->n_slots * (sizeof(uint64_t) + sizeof(uint32_t));
}
