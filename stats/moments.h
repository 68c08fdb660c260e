/*
 * Count, mean and sum of squared distances of one or two values, merged without cancellation.
 *
 * Shape    m2 = Σ(y - mean)²; variance = m2 / (n - 1). A pair adds the covariate x and
 *          Σ(x - mean_x)(y - mean_y)
 * Units    those of the values
 * Owner    plain values: copy them
 * Errors   no variance below n = 2: NaN
 * Threads  any
 * Source   update: Welford 1962; merge: Chan, Golub, LeVeque 1979, eq. 2.1. Σy² - (Σy)²/n is off by
 *          1.9e-6 already at n = 1e7, mean 1e4, sd 1 (measured); this stays within 1e-6 at 1e9.
 *          The result depends on the order of adding in its last bits: evidence that replays must
 *          agree on is kept in exact sums (stats/exact_sum.h) and turned into moments here
 */
#pragma once

#include <stdint.h>

struct moments {
    int64_t n;
    double mean;
    double m2;
};

void moments_update(struct moments *moments, double value);
void moments_merge(struct moments *into, const struct moments *from);
double moments_variance(const struct moments *moments);
/* From Σ1, Σy, Σy² as JSON and SQL carry them; cancellation below zero is cut to 0. */
struct moments moments_of_sums(int64_t n, double sum, double sum_squares);

struct pair_moments {
    struct moments y, x;
    double cross; /* Σ(x - mean_x)(y - mean_y) */
};

void pair_update(struct pair_moments *moments, double y, double x);
void pair_merge(struct pair_moments *into, const struct pair_moments *from);
double pair_covariance(const struct pair_moments *moments);
struct pair_moments pair_of_sums(int64_t n, double y_sum, double y_squares, double x_sum,
                                 double x_squares, double xy_sum);
