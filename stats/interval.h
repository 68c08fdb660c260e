/*
 * 95% confidence intervals, events taken as independent.
 *
 * Errors   where none can be given (too few events, no variance known) both ends are NaN
 * Source   shares: Wilson 1927 · means: Student's t · areas: normal, from DeLong's variance, cut
 *          to 0..1; where that variance is 0, Wilson's on the smaller class · average precision:
 *          logit interval of Boyd, Eng & Page 2013 · delta method: Bishop, Fienberg & Holland
 *          1975, 14.6 · relative changes: Fieller 1954, each half of an interval by itself
 */
#pragma once

#include <stdint.h>

struct interval {
    double lower, upper;
};

struct estimate {
    double value;
    struct interval interval; /* NaN: as if it were known exactly */
};

extern const struct interval interval_none;

/* value = successes / n; for an average of shares n may be a fraction. */
struct interval interval_wilson(double successes, double n);
/* The mean of n values with this (n - 1) variance. */
struct interval interval_mean(double mean, double variance, int64_t n);
/* Variance (n - 1) of n values from their sums; below 0 by rounding counts as 0. */
double variance_of(double sum, double sum_of_squares, int64_t n);
/* An estimate with a known variance of its own; the ends are cut to low..high. */
struct interval interval_normal(double value, double variance, double low, double high);
struct interval interval_roc(double area, double variance, int64_t positives, int64_t negatives);
struct interval interval_average_precision(double area, int64_t positives);
/*
 * (now - before) / |before| of two independent estimates. None where neither has an interval;
 * unbounded where `before` may well be 0.
 */
struct interval interval_change(struct estimate now, struct estimate before);
