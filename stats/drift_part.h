/*
 * One bin's part of a drift statistic, for each count of a window's events that the bin may get.
 *
 * Shape    counts with their probabilities (stats/drift_counts.h), what each adds to the scaled
 *          statistic, and the moments of that
 * Units    stats/drift_law.h
 * Owner    plain
 * Threads  any
 * Source   stats/drift.h
 */
#pragma once

#include "stats/drift_counts.h"
#include "stats/drift_law.h"

struct drift_part {
    struct counts counts;
    double values[COUNTS_MOST]; /* of the scaled statistic */
    double mean, variance, third;
    double linear, quadratic; /* in (w - mean) / sd */
};

/* What a statistic is scaled by; l_infinity and wasserstein: by its root. */
double drift_part_scale(const struct law_question *q);

/* Of a bin that has r of the reference's events. */
void drift_part_of_bin(struct drift_part *part, const struct law_question *q, double r,
                       const struct count_law *law);
/* Of two bins alone: the events of the one tell those of the other. */
void drift_part_of_pair(struct drift_part *part, const struct law_question *q,
                        const struct count_law *law);
