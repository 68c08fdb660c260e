/*
 * Is a series of windows going down? Mann–Kendall's test, Sen's slope, and consecutive declines.
 *
 * Shape    values in the order of time, NaN where a window has none (left out)
 * Units    slope: units of the value a step of `times` (the caller's unit)
 * Errors   fewer than 3 values: p NaN, slope NaN · -ENOMEM
 * Threads  any
 * Source   Mann 1945, Kendall 1975 (variance with ties, continuity correction); Sen 1968 with
 *          Gilbert's 1987 interval, its ranks rounded outwards. Values as pymannkendall's original_test and
 *          scipy.stats' theilslopes give them, but that scipy rounds the interval's ranks to the
 *          nearest
 */
#pragma once

#include <stddef.h>

struct trend {
    size_t n;
    double s;            /* pairs that rise less pairs that fall */
    double z, p_value;   /* two-sided */
    double slope;        /* median of all pairs' slopes */
    double lower, upper; /* 95% of the slope */
    size_t declines;     /* values at the end, each below the one before */
};

/* The least one-sided p that n values can have: of a rise, or a fall, each time. */
double trend_least_p(size_t n);

int trend_of(const double *times, const double *values, size_t n, struct trend *out);
