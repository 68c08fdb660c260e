/*
 * A law of values tilted to one side: sampling by importance of what a shift of the mean does.
 *
 * Shape    density × e^(tilt × deviation) / norm, where a value's deviation is in standard deviations
 *          from the mean, but at most TILTED_REACH of them
 * Units    tilt: by how many standard deviations the mean moves, to first order
 * Threads  tilted_law_init one at a time; else any, with one generator a thread
 * Source   exponential tilting: Siegmund 1976, "Importance sampling in the Monte Carlo study of
 *          sequential tests"
 */
#pragma once

#include "bench/value_law.h"

#define TILTED_REACH 8.0

struct tilted_law {
    const struct value_law *law;
    double mean, std; /* of the law, within reach */
    double tilt, log_norm;
};

void tilted_law_init(struct tilted_law *out, const struct value_law *law, double tilt);
double tilted_law_draw(const struct tilted_law *law, struct rng *rng);
double tilted_law_deviation(const struct tilted_law *law, double x);
/* ln of how much more probable a value is with the tilt than without. */
double tilted_law_log_ratio(const struct tilted_law *law, double x);
