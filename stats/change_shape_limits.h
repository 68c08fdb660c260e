/*
 * Distances at which a detector of changed distributions runs so long between two false alarms.
 *
 * Shape    entry i is for an expected run of 1000 × 10^(i / 2) events
 * Source   build/bench/bench_changes --limits: mean of 4,000 simulated runs of even ranks (600 from
 *          31,623 events on, 100 for 316,228), both windows or the short one alone; the last, and
 *          what lies beyond, by the tail of the distance's law
 */
#pragma once

enum {
    LIMITS_FIRST = 1000,
    LIMITS_PER_DECADE = 2,
    N_LIMITS = 7
};

static const double limits_both[N_LIMITS] = {0.4135, 0.6758, 0.9422, 1.1926,
                                             1.4346, 1.6659, 1.8995};
static const double limits_short[N_LIMITS] = {0.7274, 0.9801, 1.2261, 1.4580,
                                              1.6852, 1.9206, 2.1542};
