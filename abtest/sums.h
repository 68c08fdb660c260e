/*
 * Sums of one metric in one arm and step, kept apart by variance bucket, so that many events of one
 * unit are not taken for independent.
 *
 * Shape    each bucket holds exact integer sums of numerator, denominator and covariate in units
 *          of 2^-48; a value beyond ±2^40 counts as that limit
 * Owner    sums_new gives, sums_free takes
 * Errors   ERR_CORRUPT on load · NULL from sums_new without memory
 * Threads  one at a time
 * Source   ratio of sums by the delta method, between-bucket residuals y_j - R d_j with the factor
 *          m/(m - 1) over the m buckets that have any: with few units nearly every bucket holds
 *          one unit, with many a bucket is a random cluster of them; both are honest
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    SUMS_BUCKETS = 1024
};

struct sums;

struct sums *sums_new(void);
void sums_free(struct sums *sums);

/* `value` in units of 2^-48, cut towards zero; what lies beyond ±2^40 is that limit. */
__int128 sums_fixed(double value);

struct term {
    double numerator, denominator, covariate;
};
void sums_add(struct sums *sums, uint64_t unit, const struct term *term, int sign);
void sums_merge(struct sums *into, const struct sums *from);
void sums_save(const struct sums *sums, struct buf *out);
int sums_load(struct sums *sums, struct reader *in, struct err *err);

struct ratio_estimate {
    double value;    /* Σ numerator / Σ denominator; NaN: no denominator */
    double variance; /* of the value, between units; NaN below two buckets */
    double n;        /* observations: contributions with a denominator */
    double nonzero;  /* contributions with a numerator */
    int buckets;     /* that have any */
};

/* With theta other than 0: of numerator - theta · covariate (CUPED). */
struct ratio_estimate sums_estimate(const struct sums *sums, double theta);

/* Σ numerator with the variance of a total over all buckets, empty ones too; n: contributions. */
struct ratio_estimate sums_total(const struct sums *sums);

/*
 * CUPED with a covariate that was told apart from the outcome: y's ratio - theta · x's ratio, whose
 * residuals are taken bucket by bucket; n and nonzero are y's.
 */
struct ratio_estimate sums_adjusted(const struct sums *y, const struct sums *x, double theta);
/* Adds its Σ e_y e_x and Σ e_x². */
void sums_covariance_apart(const struct sums *y, const struct sums *x, double *cross,
                           double *squares);

/* Adds Σ e_y e_x and Σ e_x² of the between-bucket residuals: theta = cross / squares. */
void sums_covariance(const struct sums *sums, double *cross, double *squares);
