/*
 * The mean of the vectors of one feature in one pane, and how far they scatter round it.
 *
 * Shape    sums of the projected vectors (stats/projection.h) and of their squared lengths, in
 *          fixed point. What a reference is built from also has the scatter between groups, Σ s s'
 *          / n over groups of n vectors with sum s: a vector of a file is a group of its own, and
 *          so is a stored pane
 * Units    those of the feature. A vector with a part beyond ±2^24 stays out, parts below 1e-6 are
 *          lost in the variance
 * Rules    the same bits whatever the order and the split; sign -1 takes out exactly, but for the
 *          dimensions seen. The scatter depends on the groups
 * Owner    mean_vector_finish takes what grew. All zeros is an empty one
 * Errors   -ENOMEM: nothing was changed
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "stats/exact_sum.h"
#include "stats/projection.h"

enum {
    SCATTER_TERMS = PROJECTION_BUCKETS * (PROJECTION_BUCKETS + 1) / 2,
    SCATTER_MIN_GROUPS = 2 * PROJECTION_BUCKETS /* fewer tell no shape */
};

struct scatter {
    uint64_t groups;
    struct fixed_sum terms[SCATTER_TERMS]; /* of buckets i <= j, by rows */
};

struct mean_vector {
    uint64_t n;
    uint32_t shortest, longest; /* dimensions of the vectors */
    struct fixed_sum sums[PROJECTION_BUCKETS];
    struct fixed_sum squares;
    struct scatter *scatter; /* NULL: none */
};

void mean_vector_finish(struct mean_vector *state);

/* One projected vector of that many dimensions more (or, sign -1, less). */
void mean_vector_update(struct mean_vector *state, const double *projected, uint32_t dimensions,
                        int sign);
/* From here on with its scatter; what is in it counts as one group. */
int mean_vector_scatter(struct mean_vector *state);
/* Scatter is added where both have it. */
void mean_vector_merge(struct mean_vector *into, const struct mean_vector *from);

/* The mean in each bucket; false: of no vector. */
bool mean_vector_mean(const struct mean_vector *state, double mean[PROJECTION_BUCKETS]);
/*
 * Variances of the vectors along their principal axes, largest first; their sum is the variance of
 * all. Returns how many: one, which stands for any shape, where there is no scatter or too few
 * groups; 0 without vectors or where none differ.
 */
uint32_t mean_vector_variances(const struct mean_vector *state,
                               double variances[PROJECTION_BUCKETS]);

/* Nothing but a 0 where there are no vectors. */
void mean_vector_save(const struct mean_vector *state, struct buf *out);
int mean_vector_load(struct mean_vector *state, struct reader *in, struct err *err);
size_t mean_vector_bytes(const struct mean_vector *state);
