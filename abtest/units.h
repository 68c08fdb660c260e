/*
 * The set of units an experiment has seen, with what must be known of each: in which steps it came,
 * and which metrics it has already failed.
 *
 * Shape    the units that were touched since units_settle are known by name, so that what is new
 * can be saved alone; open addressing over 64-bit hashes; beyond `limit` units every second one
 * goes, by its hash, and the sampling says which hashes are still kept (hash < 2^(64 - level))
 * Owner    units_init takes the caller's memory, units_finish gives its own back
 * Errors   -ENOMEM: nothing changed
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct unit {
    uint64_t hash;   /* 0: empty place */
    uint32_t steps;  /* bit: came in this step; above them UNIT_TOUCHED and the owner's */
    uint32_t failed; /* bit: metric * 2 + side has failed, ever */
};

/* In unit.steps while the unit is among the touched; never saved. */
#define UNIT_TOUCHED (UINT32_C(1) << 29)

struct units {
    struct unit *places;
    size_t n_places; /* a power of two, or 0 */
    size_t n;
    size_t limit;
    int level; /* one in 2^level is kept */
    uint64_t *touched;
    size_t n_touched, touched_capacity;
    bool all_touched; /* the list says nothing: take all */
};

void units_init(struct units *units, size_t limit);
void units_finish(struct units *units);

/* Is a unit of this hash inside the sample? */
bool units_sampled(const struct units *units, uint64_t hash);

/* The unit, made when new; valid until the next units_take. NULL only without memory, or when the
   sample shrank under it (units_sampled is then false). */
struct unit *units_take(struct units *units, uint64_t hash);

/* NULL: not seen, or outside the sample. */
const struct unit *units_find(const struct units *units, uint64_t hash);

/* The caller has changed it. */
void units_touch(struct units *units, struct unit *unit);
/* Nothing is touched from here on. */
void units_settle(struct units *units);

/* A copy of all units in ascending order of their hash, malloc'd; NULL when empty or no memory. */
struct unit *units_sorted(const struct units *units);
