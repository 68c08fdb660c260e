/*
 * Rates of missing, invalid and unseen values, and how they changed, with an interval.
 *
 * Shape    difference = now - before; lower, upper: 95% by Newcombe's hybrid of two Wilson
 *          intervals, which keeps its coverage at rates near 0
 * Errors   n 0 on a side: NaN
 * Source   Newcombe 1998, "Interval estimation for the difference between independent
 *          proportions", method 10
 */
#pragma once

#include <stdint.h>

struct rate_change {
    double before, now, difference;
    double lower, upper;
};

struct rate_change rate_change(uint64_t before_hits, uint64_t before_n, uint64_t now_hits,
                               uint64_t now_n);
