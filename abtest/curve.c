#include "abtest/curve.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

enum {
    NEGATIVE,
    POSITIVE,
    N_CLASSES
};

struct curve {
    int32_t count[CURVE_BUCKETS][N_CLASSES][CURVE_BINS];
};

struct curve *curve_new(void)
{
    return calloc(1, sizeof(struct curve));
}

void curve_free(struct curve *curve)
{
    free(curve);
}

static int bin_of(double score)
{
    double log_odds = log(score / (1 - score)); /* ±infinity at the ends */
    double bin = floor((log_odds + 8) * (CURVE_BINS / 16.0));
    if (!(bin > 0))
        return 0;
    return bin < CURVE_BINS ? (int)bin : CURVE_BINS - 1;
}

void curve_add(struct curve *curve, uint64_t unit, double score, bool positive, int sign)
{
    int bucket = (int)((unit >> 32) % CURVE_BUCKETS);
    curve->count[bucket][positive ? POSITIVE : NEGATIVE][bin_of(score)] += sign;
}

static bool bucket_used(const struct curve *curve, int bucket)
{
    const int32_t *count = &curve->count[bucket][0][0];
    for (int i = 0; i < N_CLASSES * CURVE_BINS; i++)
        if (count[i] != 0)
            return true;
    return false;
}

bool curve_empty(const struct curve *curve)
{
    for (int j = 0; j < CURVE_BUCKETS; j++)
        if (bucket_used(curve, j))
            return false;
    return true;
}

void curve_merge(struct curve *into, const struct curve *from)
{
    int32_t *a = &into->count[0][0][0];
    const int32_t *b = &from->count[0][0][0];
    for (int i = 0; i < CURVE_BUCKETS * N_CLASSES * CURVE_BINS; i++)
        a[i] += b[i];
}

/* Pairs of (how many zeros to skip, count), closed by the zeros at the end. */
void curve_save(const struct curve *curve, struct buf *out)
{
    const int32_t *count = &curve->count[0][0][0];
    uint64_t zeros = 0, used = 0;
    for (int i = 0; i < CURVE_BUCKETS * N_CLASSES * CURVE_BINS; i++)
        used += count[i] != 0;
    buf_varint(out, used);
    for (int i = 0; i < CURVE_BUCKETS * N_CLASSES * CURVE_BINS; i++) {
        if (count[i] == 0) {
            zeros++;
            continue;
        }
        buf_varint(out, zeros);
        buf_zigzag(out, count[i]);
        zeros = 0;
    }
}

int curve_load(struct curve *curve, struct reader *in, struct err *err)
{
    int32_t *count = &curve->count[0][0][0];
    uint64_t used = reader_varint(in), at = 0;
    for (uint64_t k = 0; k < used; k++, at++) {
        uint64_t skip = reader_varint(in);
        int64_t value = reader_zigzag(in);
        if (reader_failed(in) ||
            skip >= UINT64_C(1) * CURVE_BUCKETS * N_CLASSES * CURVE_BINS - at ||
            value < INT32_MIN || value > INT32_MAX)
            return err_set(err, ERR_CORRUPT, "evidence: score bin %" PRIu64 " is damaged", k);
        at += skip;
        count[at] = (int32_t)value;
    }
    return 0;
}

struct placements {
    double positive[CURVE_BINS]; /* share of negatives below a positive of this bin */
    double negative[CURVE_BINS]; /* share of positives above a negative of this bin */
};

static double place(const int64_t *n_negative, const int64_t *n_positive, double negatives,
                    double positives, struct placements *out)
{
    double below = 0, above = positives, area = 0;
    for (int k = 0; k < CURVE_BINS; k++) {
        double minus = (double)n_negative[k], plus = (double)n_positive[k];
        above -= plus;
        out->positive[k] = (below + minus / 2) / negatives;
        out->negative[k] = (above + plus / 2) / positives;
        area += plus * out->positive[k] / positives;
        below += minus;
    }
    return area;
}

/* Over all buckets, or all but one. */
struct counts {
    int64_t n[N_CLASSES][CURVE_BINS];
    int64_t total[N_CLASSES];
};

static void counts_take(struct counts *counts, const struct curve *curve, int bucket, int sign)
{
    for (int c = 0; c < N_CLASSES; c++)
        for (int k = 0; k < CURVE_BINS; k++) {
            counts->n[c][k] += sign * curve->count[bucket][c][k];
            counts->total[c] += sign * curve->count[bucket][c][k];
        }
}

static struct counts counts_of(const struct curve *curve)
{
    struct counts counts = {0};
    for (int j = 0; j < CURVE_BUCKETS; j++)
        counts_take(&counts, curve, j, 1);
    return counts;
}

void curve_parts_of(const struct curve *curve, struct curve_parts *out)
{
    struct counts all = counts_of(curve);
    struct placements places;
    *out = (struct curve_parts){.area = (double)NAN,
                                .positives = (double)all.total[POSITIVE],
                                .negatives = (double)all.total[NEGATIVE]};
    if (out->negatives > 0 && out->positives > 0)
        out->area =
            place(all.n[NEGATIVE], all.n[POSITIVE], out->negatives, out->positives, &places);
    for (int j = 0; j < CURVE_BUCKETS; j++) {
        out->used[j] = bucket_used(curve, j);
        for (int k = 0; out->used[j] && k < CURVE_BINS; k++) {
            out->bucket_positives[j] += curve->count[j][POSITIVE][k];
            if (isnan(out->area))
                continue;
            out->influence[j] +=
                curve->count[j][POSITIVE][k] * (places.positive[k] - out->area) / out->positives;
            out->influence[j] +=
                curve->count[j][NEGATIVE][k] * (places.negative[k] - out->area) / out->negatives;
        }
    }
}

struct ratio_estimate curve_area(const struct curve *curve)
{
    struct curve_parts parts;
    double squares = 0;
    curve_parts_of(curve, &parts);
    struct ratio_estimate estimate = {parts.area, (double)NAN, parts.positives + parts.negatives,
                                      parts.positives, 0};
    for (int j = 0; j < CURVE_BUCKETS; j++) {
        estimate.buckets += parts.used[j];
        squares += parts.influence[j] * parts.influence[j];
    }
    if (!isnan(parts.area) && estimate.buckets >= 2)
        estimate.variance = squares * estimate.buckets / (estimate.buckets - 1);
    return estimate;
}

/* The positives of a bin are taken to lie evenly among its negatives: the precision at the middle
   one stands for all of them. */
static double average_precision(const struct counts *counts)
{
    double right = 0, wrong = 0, sum = 0;
    for (int k = CURVE_BINS - 1; k >= 0; k--) {
        double plus = (double)counts->n[POSITIVE][k], minus = (double)counts->n[NEGATIVE][k];
        double found = right + (plus + 1) / 2;
        if (plus > 0)
            sum += plus * found / (found + wrong + minus / 2);
        right += plus;
        wrong += minus;
    }
    return sum / (double)counts->total[POSITIVE]; /* NaN without positives */
}

struct ratio_estimate curve_precision(const struct curve *curve)
{
    struct counts counts = counts_of(curve);
    double without[CURVE_BUCKETS], mean = 0, squares = 0;
    struct ratio_estimate estimate = {(double)NAN, (double)NAN,
                                      (double)(counts.total[NEGATIVE] + counts.total[POSITIVE]),
                                      (double)counts.total[POSITIVE], 0};
    double whole = average_precision(&counts);
    for (int j = 0; j < CURVE_BUCKETS; j++) {
        if (!bucket_used(curve, j))
            continue;
        counts_take(&counts, curve, j, -1);
        without[estimate.buckets] = average_precision(&counts);
        mean += without[estimate.buckets++];
        counts_take(&counts, curve, j, 1);
    }
    int m = estimate.buckets;
    if (counts.total[NEGATIVE] == 0 || isnan(whole) || m < 2)
        return estimate;
    mean /= m;
    for (int i = 0; i < m; i++)
        squares += (without[i] - mean) * (without[i] - mean);
    estimate.value = whole - (m - 1) * (mean - whole); /* few positives flatter it: Quenouille */
    estimate.variance = squares * (m - 1) / m;
    return estimate;
}
