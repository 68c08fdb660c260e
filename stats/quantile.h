/*
 * Quantiles of values that are known to lie in spans: the answer, how far it may be from the
 * exact one, and its confidence interval.
 *
 * Shape    spans ascend; each holds n values in lo..hi. lo == hi: the values are exact
 * Errors   none: no values give NaN
 * Source   interpolation between order statistics as numpy.quantile(method="linear"), Hyndman &
 *          Fan 1996 type 7; inside a span the i-th of n values (from 0) is taken to be at
 *          (i + 1/2) / n of it. Interval: order statistics, exact binomial (David & Nagaraja,
 *          "Order Statistics", 2003, 7.1); NaN where n is too small for 95%
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

struct span {
    double lo, hi;
    int64_t n;
};

struct quantile {
    double value;
    double bound; /* |value - exact| <= bound */
    double lower, upper;
};

struct quantile quantile_of(const struct span *spans, size_t n_spans, double q);
