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

static const double mean_limits_up[N_MEAN_LIMITS] = {226.0, 282.5, 338.0, 398.0,
                                                     458.4, 521.1, 580.5};
static const double mean_limits_down[N_MEAN_LIMITS] = {159.2, 199.3, 228.2, 264.1,
                                                       305.9, 350.6, 385.9};
