/*
 * The groups of a reference's values that the law of an area is made of, and what their tails are
 * like. A law is asked about at every window; its groups are made once a reference.
 *
 * Shape    neighbouring cells of the grid that hold something, together: 32 to 64 groups where so many
 *          do. The grid is finer where values lie far apart, and that is where the distance comes
 *          from
 * Units    counts in events; steps in the reference's standard deviations
 * Threads  read-only once made
 * Source   what counts as a heavy tail: docs/false-alarms.md
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "stats/grid.h"

enum {
    AREA_GROUPS_MOST = 64
};

struct area_groups {
    size_t n;
    double counts[AREA_GROUPS_MOST];
    double steps[AREA_GROUPS_MOST]; /* from a group's mean to the next one's */
    double within;                  /* part of the values' variance that is within the groups */
    double kurtosis;                /* of the groups, above a normal law's */
    double heavy;                   /* how heavy the tails are, 0 to 1 */
    double peaked;                  /* stats/drift_path.h */
    bool fine_ends;                 /* stats/drift_law.h */
};

/* counts, areas: of the grid's cells, as struct reference_feature has them; of `valid` events. */
void area_groups_make(struct area_groups *groups, const struct grid *grid, const double *counts,
                      const double *areas, uint64_t valid, double std);
