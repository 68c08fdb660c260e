/*
 * Distances at which a detector of changed distributions runs so long between two false alarms.
 *
 * Shape    entry i is for an expected run of 1000 × 10^(i / 2) events
 * Source   build/bench/bench_changes --limits: mean of 4,000 simulated runs of even ranks (1,600 from
 *          316,228 events on), both windows or the short one alone; beyond the last by the tail of
 *          the distance's law
 */
#pragma once

enum {
    LIMITS_FIRST = 1000,
    LIMITS_PER_DECADE = 2,
    N_LIMITS = 7
};

static const double limits_both[N_LIMITS] = {0.4017, 0.6801, 0.9424, 1.1924,
                                             1.4326, 1.6841, 1.9153};
static const double limits_short[N_LIMITS] = {0.7274, 0.9816, 1.2192, 1.4576,
                                              1.6947, 1.9273, 2.1505};
