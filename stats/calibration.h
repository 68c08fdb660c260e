/*
 * Ten bins of equal width over a probability and what came true: the expected calibration error.
 *
 * Shape    bin = min(floor(10 p), 9). Sums of p are exact, so labels come out again exactly
 * Source   Naeini, Cooper, Hauskrecht 2015: sum n_b / n |mean p - mean y|
 */
#pragma once

#include "stats/exact_sum.h"
#include "stats/metric_result.h"

enum {
    CALIBRATION_BINS = 10
};

struct calibration_bin {
    struct fixed_sum p;
    int64_t n, positives;
};

struct calibration {
    struct calibration_bin bins[CALIBRATION_BINS];
};

/* p in 0..1. */
void calibration_add(struct calibration *c, double p, bool positive, int sign);
void calibration_merge(struct calibration *into, const struct calibration *from);
int64_t calibration_count(const struct calibration *c);
/* Mean p of a bin; NaN when it is empty. */
double calibration_mean(const struct calibration_bin *bin);
/* Which bins are in use, one bit each, then those; a 0 when none is. */
void calibration_save(const struct calibration *c, struct buf *out);
int calibration_load(struct calibration *c, struct reader *in, struct err *err);

/* `squares`: the sum of (p - y)^2 over the same events, for the interval. */
void calibration_result(const struct calibration *c, double squares, const char *why,
                        struct metric_value *out);
