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

struct ratio_estimate curve_area(const struct curve *curve)
{
    int64_t n[N_CLASSES][CURVE_BINS] = {{0}};
    int64_t total[N_CLASSES] = {0};
    int buckets = 0;
    for (int j = 0; j < CURVE_BUCKETS; j++) {
        bool any = false;
        for (int c = 0; c < N_CLASSES; c++)
            for (int k = 0; k < CURVE_BINS; k++) {
                n[c][k] += curve->count[j][c][k];
                total[c] += curve->count[j][c][k];
                any |= curve->count[j][c][k] != 0;
            }
        buckets += any;
    }
    double negatives = (double)total[NEGATIVE], positives = (double)total[POSITIVE];
    struct ratio_estimate estimate = {(double)NAN, (double)NAN, negatives + positives, positives,
                                      buckets};
    if (!(negatives > 0 && positives > 0))
        return estimate;

    struct placements places;
    double area = place(n[NEGATIVE], n[POSITIVE], negatives, positives, &places);
    estimate.value = area;
    if (buckets < 2)
        return estimate;
    double squares = 0;
    for (int j = 0; j < CURVE_BUCKETS; j++) {
        double part = 0;
        for (int k = 0; k < CURVE_BINS; k++) {
            part += curve->count[j][POSITIVE][k] * (places.positive[k] - area) / positives;
            part += curve->count[j][NEGATIVE][k] * (places.negative[k] - area) / negatives;
        }
        squares += part * part;
    }
    estimate.variance = squares * buckets / (buckets - 1);
    return estimate;
}
