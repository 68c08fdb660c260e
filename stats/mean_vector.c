/*
 * Saved bytes: varint n · [varint shortest · varint longest · int128 sums[32] · int128 squares ·
 *              varint groups · [int128 terms[528] where groups]]
 */
#include "stats/mean_vector.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "stats/eigen.h"

enum {
    SUM_SCALE = 60,   /* 2^24 × 2^36 vectors fit */
    SQUARE_SCALE = 44 /* 2^53 a vector, 2^23 × 2^24 of them */
};
#define FARTHEST 16777216.0 /* 2^24 */

void mean_vector_finish(struct mean_vector *state)
{
    free(state->scatter);
    *state = (struct mean_vector){0};
}

static void scatter_group(struct scatter *scatter, const double *sum, double n, int sign)
{
    uint32_t at = 0;
    for (uint32_t i = 0; i < PROJECTION_BUCKETS; i++) {
        for (uint32_t j = i; j < PROJECTION_BUCKETS; j++)
            fixed_add(&scatter->terms[at++], sum[i] * sum[j] / n, SQUARE_SCALE, sign);
    }
    scatter->groups += (uint64_t)(int64_t)sign;
}

static void bucket_sums(const struct mean_vector *state, double out[PROJECTION_BUCKETS])
{
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        out[b] = fixed_result(&state->sums[b], SUM_SCALE);
}

static void see_dimensions(struct mean_vector *state, uint32_t shortest, uint32_t longest)
{
    if (state->longest == 0 || shortest < state->shortest)
        state->shortest = shortest;
    if (longest > state->longest)
        state->longest = longest;
}

void mean_vector_update(struct mean_vector *state, const double *projected, uint32_t dimensions,
                        int sign)
{
    double square = 0;
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++) {
        if (!(fabs(projected[b]) <= FARTHEST))
            return;
        square += projected[b] * projected[b];
    }
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        fixed_add(&state->sums[b], projected[b], SUM_SCALE, sign);
    fixed_add(&state->squares, square, SQUARE_SCALE, sign);
    state->n += (uint64_t)(int64_t)sign;
    see_dimensions(state, dimensions, dimensions);
    if (state->scatter)
        scatter_group(state->scatter, projected, 1, sign);
}

static void scatter_whole(struct scatter *scatter, const struct mean_vector *state)
{
    double sums[PROJECTION_BUCKETS];
    bucket_sums(state, sums);
    if (state->n)
        scatter_group(scatter, sums, (double)state->n, 1);
}

int mean_vector_scatter(struct mean_vector *state)
{
    if (state->scatter)
        return 0;
    /* aligned for 128-bit numbers, as calloc's memory is */
    state->scatter = calloc(1, sizeof(*state->scatter));
    if (!state->scatter)
        return -ENOMEM;
    scatter_whole(state->scatter, state);
    return 0;
}

void mean_vector_merge(struct mean_vector *into, const struct mean_vector *from)
{
    if (from->n == 0)
        return;
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        fixed_merge(&into->sums[b], &from->sums[b]);
    fixed_merge(&into->squares, &from->squares);
    into->n += from->n;
    see_dimensions(into, from->shortest, from->longest);
    if (into->scatter && from->scatter) {
        for (uint32_t i = 0; i < SCATTER_TERMS; i++)
            fixed_merge(&into->scatter->terms[i], &from->scatter->terms[i]);
        into->scatter->groups += from->scatter->groups;
    } else if (into->scatter) {
        scatter_whole(into->scatter, from);
    }
}

bool mean_vector_mean(const struct mean_vector *state, double mean[PROJECTION_BUCKETS])
{
    bucket_sums(state, mean);
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        mean[b] = state->n ? mean[b] / (double)state->n : 0;
    return state->n > 0;
}

static int larger_first(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x > y ? -1 : x < y;
}

/* The eigenvalues of the scatter round the mean, as shares of their sum; false: no shape. */
static bool shape_of(const struct mean_vector *state, const double *mean, double *shares)
{
    enum {
        K = PROJECTION_BUCKETS
    };
    double a[K * K], v[K * K], trace = 0, total = 0;
    uint32_t at = 0;
    for (uint32_t i = 0; i < K; i++) {
        for (uint32_t j = i; j < K; j++) {
            double term = fixed_result(&state->scatter->terms[at++], SQUARE_SCALE);
            a[i * K + j] = a[j * K + i] = term - (double)state->n * mean[i] * mean[j];
        }
        trace += a[i * K + i];
    }
    if (!(trace > 0) || !isfinite(trace))
        return false;
    for (uint32_t i = 0; i < K * K; i++)
        a[i] /= trace;
    eigen_symmetric(a, v, K);
    for (uint32_t i = 0; i < K; i++) {
        shares[i] = a[i * K + i] > 1e-12 ? a[i * K + i] : 0; /* rounding may give less than 0 */
        total += shares[i];
    }
    for (uint32_t i = 0; i < K; i++)
        shares[i] /= total;
    qsort(shares, K, sizeof(*shares), larger_first);
    return true;
}

uint32_t mean_vector_variances(const struct mean_vector *state,
                               double variances[PROJECTION_BUCKETS])
{
    double mean[PROJECTION_BUCKETS], n = (double)state->n;
    if (!mean_vector_mean(state, mean))
        return 0;
    double second = fixed_result(&state->squares, SQUARE_SCALE) / n, first = 0;
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        first += mean[b] * mean[b];
    double all = second - first;
    if (!(all > 1e-14 * second)) /* what rounding leaves of equal vectors */
        return 0;
    bool shaped = state->scatter && state->scatter->groups >= SCATTER_MIN_GROUPS &&
                  shape_of(state, mean, variances);
    if (!shaped)
        variances[0] = 1;
    uint32_t used = 0;
    for (uint32_t i = 0; i < (shaped ? PROJECTION_BUCKETS : 1) && variances[i] > 0; i++)
        variances[used++] *= all;
    return used;
}

void mean_vector_save(const struct mean_vector *state, struct buf *out)
{
    buf_varint(out, state->n);
    if (state->n == 0)
        return;
    buf_varint(out, state->shortest);
    buf_varint(out, state->longest);
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        fixed_save(&state->sums[b], out);
    fixed_save(&state->squares, out);
    buf_varint(out, state->scatter ? state->scatter->groups : 0);
    for (uint32_t i = 0; state->scatter && state->scatter->groups && i < SCATTER_TERMS; i++)
        fixed_save(&state->scatter->terms[i], out);
}

int mean_vector_load(struct mean_vector *state, struct reader *in, struct err *err)
{
    state->n = reader_varint(in);
    if (state->n == 0)
        return 0;
    state->shortest = (uint32_t)reader_varint(in);
    state->longest = (uint32_t)reader_varint(in);
    for (uint32_t b = 0; b < PROJECTION_BUCKETS; b++)
        fixed_load(&state->sums[b], in);
    fixed_load(&state->squares, in);
    uint64_t groups = reader_varint(in);
    if (groups == 0)
        return 0;
    state->scatter = calloc(1, sizeof(*state->scatter));
    if (!state->scatter)
        return err_set(err, -ENOMEM, "profile: no memory for a mean vector");
    state->scatter->groups = groups;
    for (uint32_t i = 0; i < SCATTER_TERMS; i++)
        fixed_load(&state->scatter->terms[i], in);
    return 0;
}

size_t mean_vector_bytes(const struct mean_vector *state)
{
    return sizeof(*state) + (state->scatter ? sizeof(*state->scatter) : 0);
}
