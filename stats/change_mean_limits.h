/*
 * Sums of scores at which a detector of changed means runs so long between two false alarms.
 *
 * Shape    entry i is for an expected run of 1000 × 10^(i / 2) events, learning included; each side
 *          alone would run twice as long. Beyond the last the line goes on
 * Source   build/bench/bench_changes --mean-limits: mean of 4,000 simulated runs (1,600 from
 *          316,228 events on)
 */
#pragma once

enum {
    MEAN_LIMITS_FIRST = 1000,
    MEAN_LIMITS_PER_DECADE = 2,
    N_MEAN_LIMITS = 7
};

static const double mean_limits_up[N_MEAN_LIMITS] = {225.7, 283.0, 345.8, 401.2,
                                                     465.2, 525.2, 585.3};
static const double mean_limits_down[N_MEAN_LIMITS] = {160.2, 197.8, 232.2, 265.8,
                                                       304.7, 346.4, 384.9};
