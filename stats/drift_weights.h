/*
 * What a law is told of a reference: its counts by the statistic's bins, and what each of them weighs.
 *
 * Shape    psi of numbers: deciles · js_distance, hellinger: Doane's bins, weighed by the gaps between
 *          the reference's values · wasserstein: the reference's groups (stats/area_groups.h) ·
 *          categories: theirs, half an event more each
 * Units    counts and weights in events
 * Owner    the null's arrays are those of `memory` and of the reference
 * Threads  any
 * Source   Good 1953; Wilks 1962, ch. 7.7; the constants: docs/false-alarms.md
 */
#pragma once

#include "stats/drift_null.h"
#include "stats/reference.h"

enum {
    DRIFT_MOST_BINS = 160
};

struct drift_weights {
    double counts[DRIFT_MOST_BINS], weights[DRIFT_MOST_BINS], prior_shares[DRIFT_MOST_BINS],
        sparse[DRIFT_MOST_BINS];
};

struct drift_null drift_weights_of(struct drift_weights *memory, enum drift_statistic statistic,
                                   const struct reference_feature *ref, uint64_t reference_id,
                                   bool categorical);
