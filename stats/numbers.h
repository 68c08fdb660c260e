/*
 * The numbers of one feature in one pane.
 *
 * Shape    single values with their counts while at most 96 differ (hour: 1300): nothing is lost,
 *          any statistic is exact and needs no reference. Beyond (overflowed): exact counts on the
 *          reference's grid, tagged with the reference's id; a coarser sketch on the float's bits
 *          that needs no reference; sums in fixed point of 2^-32 of the reference's spread, so
 *          that mean and standard deviation do not depend on the order either
 * Rules    the same bits whatever the order and the split; sign -1 takes out exactly. Parts that
 *          were counted on different references' grids keep the sketch alone when merged
 * Owner    numbers_init gives nothing away, numbers_finish takes what grew
 * Errors   -ENOMEM: nothing was changed by an update
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stats/cells.h"
#include "stats/grid.h"

enum profile_level {
    PROFILE_MINUTE,
    PROFILE_HOUR,     /* and longer */
    PROFILE_REFERENCE /* what a reference is built from: 16,384 values or cells */
};

struct numbers_limits {
    uint32_t alone;       /* different values that are kept singly, and then the sketch's cells */
    uint32_t beside_grid; /* the sketch's cells once a grid counts, too; 0: no grid may */
};

struct numbers {
    uint64_t n;
    uint64_t reference; /* of `counts`; 0: no grid */
    struct cells cells;
    uint16_t *narrow; /* counts on the grid; NULL: none, or `wide` */
    uint32_t *wide;
    uint32_t n_counts;
    bool overflowed;      /* single values were given up */
    uint16_t beside_grid; /* numbers_limits */
    uint64_t n_far;       /* values too far out for the fixed-point sums */
    __int128 sum, square; /* of u = (x - origin) / unit, only when overflowed on a grid */
};

void numbers_init(struct numbers *numbers, enum profile_level level);
void numbers_finish(struct numbers *numbers);

/* The grid to count on once single values are given up (NULL: none), with its reference's id. */
struct numbers_grid {
    const struct grid *grid;
    uint64_t reference;
};

/* Tighter limits than the level's, from here on; looser ones change nothing. What goes beyond them is
   given up at once, as if they had always held. */
int numbers_limit(struct numbers *state, struct numbers_grid on, struct numbers_limits to);

int numbers_update(struct numbers *state, struct numbers_grid on, double value, int sign);
/* Many values, as one by one with sign 1. -ENOMEM: some of them are in. */
int numbers_add(struct numbers *state, struct numbers_grid on, const double *values, size_t n);

int numbers_merge(struct numbers *into, const struct numbers *from, struct numbers_grid on);
void numbers_save(const struct numbers *state, struct buf *out);
/* Into an empty one. More than its limits allow stay until numbers_limit or a new value. */
int numbers_load(struct numbers *state, struct reader *in, struct err *err);
/* As much of them as is compared with that grid's reference: of the sketch of what was counted on
   it only the cells beyond its ends. They may not be merged. */
int numbers_load_compared(struct numbers *state, struct numbers_grid with, struct reader *in,
                          struct err *err);
size_t numbers_bytes(const struct numbers *state);

/*
 * The numbers as sorted cells with their counts: single values, or the grid's cells where `grid`
 * is the one they were counted on (beyond its ends the sketch's cells), or the sketch's. `out` has
 * room for numbers_room. Returns how many.
 */
size_t numbers_room(const struct numbers *numbers);
size_t numbers_read(const struct numbers *numbers, const struct grid *grid, struct cell *out);

/*
 * The events beyond the ends of the grid they were counted on, by the sketch's cells: those below
 * come first (*n_low of them), those above after. Few, mostly none.
 */
size_t numbers_read_ends(const struct numbers *numbers, const struct grid *grid, struct cell *out,
                         size_t *n_low);

/* Single values put on a grid, as if they had overflowed there; `out` is the caller's to finish.
   -EINVAL when they are no longer single. */
int numbers_on_grid(const struct numbers *numbers, struct numbers_grid on, struct numbers *out);

/* A grid count of numbers, whatever their width. */
static inline uint32_t numbers_count(const struct numbers *numbers, uint32_t cell)
{
    return numbers->wide ? numbers->wide[cell] : numbers->narrow ? numbers->narrow[cell] : 0;
}
