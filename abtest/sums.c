#include "abtest/sums.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>

#define SCALE 0x1p48
#define LARGEST 0x1p40

struct bucket {
    __int128 numerator, denominator, covariate;
};

struct sums {
    int64_t n, nonzero;
    int used;          /* buckets that are not empty */
    struct bucket all; /* their sum */
    struct bucket buckets[SUMS_BUCKETS];
};

struct sums *sums_new(void)
{
    return calloc(1, sizeof(struct sums));
}

void sums_free(struct sums *sums)
{
    free(sums);
}

__int128 sums_fixed(double value)
{
    if (fabs(value) < 0x1p14) /* the usual case fits a register, and gives the same number */
        return (int64_t)(value * SCALE);
    if (!(value < LARGEST))
        value = isnan(value) ? 0 : LARGEST;
    if (value < -LARGEST)
        value = -LARGEST;
    return (__int128)(value * SCALE); /* exact scaling, cut towards zero: undone exactly */
}

static int bucket_of_unit(uint64_t unit)
{
    return (int)((unit >> 32) % SUMS_BUCKETS);
}

static bool bucket_empty(const struct bucket *bucket)
{
    return bucket->numerator == 0 && bucket->denominator == 0 && bucket->covariate == 0;
}

static void bucket_add(struct bucket *into, const struct bucket *more)
{
    into->numerator += more->numerator;
    into->denominator += more->denominator;
    into->covariate += more->covariate;
}

/* The one place where a bucket changes: the totals follow, so that a look need not make them. */
static void sums_put(struct sums *sums, int i, const struct bucket *more)
{
    struct bucket *bucket = &sums->buckets[i];
    sums->used -= !bucket_empty(bucket);
    bucket_add(bucket, more);
    bucket_add(&sums->all, more);
    sums->used += !bucket_empty(bucket);
}

void sums_add(struct sums *sums, uint64_t unit, const struct term *term, int sign)
{
    const struct bucket more = {sign * sums_fixed(term->numerator),
                                sign * sums_fixed(term->denominator),
                                sign * sums_fixed(term->covariate)};
    sums_put(sums, bucket_of_unit(unit), &more);
    sums->n += term->denominator != 0 ? sign : 0;
    sums->nonzero += term->numerator != 0 ? sign : 0;
}

void sums_merge(struct sums *into, const struct sums *from)
{
    into->n += from->n;
    into->nonzero += from->nonzero;
    for (int i = 0; i < SUMS_BUCKETS; i++)
        sums_put(into, i, &from->buckets[i]);
}

void sums_save(const struct sums *sums, struct buf *out)
{
    buf_zigzag(out, sums->n);
    buf_zigzag(out, sums->nonzero);
    buf_varint(out, (uint64_t)sums->used);
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        const struct bucket *bucket = &sums->buckets[i];
        if (bucket_empty(bucket))
            continue;
        buf_varint(out, (uint64_t)i);
        buf_int128(out, bucket->numerator);
        buf_int128(out, bucket->denominator);
        buf_int128(out, bucket->covariate);
    }
}

int sums_load(struct sums *sums, struct reader *in, struct err *err)
{
    sums->n = reader_zigzag(in);
    sums->nonzero = reader_zigzag(in);
    uint64_t used = reader_varint(in);
    for (uint64_t k = 0; k < used; k++) {
        uint64_t i = reader_varint(in);
        if (reader_failed(in) || i >= SUMS_BUCKETS)
            return err_set(err, ERR_CORRUPT, "evidence: bucket %" PRIu64 " of sums is damaged", k);
        struct bucket bucket;
        bucket.numerator = reader_int128(in);
        bucket.denominator = reader_int128(in);
        bucket.covariate = reader_int128(in);
        sums_put(sums, (int)i, &bucket);
    }
    return reader_failed(in) ? err_set(err, ERR_CORRUPT, "evidence: sums end too early") : 0;
}

/* The usual number fits a register, which converts in one instruction; the value is the same. */
static long double wide(__int128 value)
{
    int64_t low = (int64_t)value;
    return low == value ? (long double)low : (long double)value;
}

/* The sums over all buckets. */
struct totals {
    long double numerator, denominator, covariate;
};

static struct totals totals_of(const struct sums *sums)
{
    return (struct totals){wide(sums->all.numerator), wide(sums->all.denominator),
                           wide(sums->all.covariate)};
}

/* Sum over the buckets of (numerator - theta covariate - ratio denominator) squared. */
static long double residual_squares(const struct sums *sums, double theta, long double ratio)
{
    long double squares = 0;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        const struct bucket *bucket = &sums->buckets[i];
        long double residual = wide(bucket->numerator);
        if (theta != 0)
            residual -= theta * wide(bucket->covariate);
        residual -= ratio * wide(bucket->denominator);
        squares += residual * residual;
    }
    return squares;
}

struct ratio_estimate sums_estimate(const struct sums *sums, double theta)
{
    struct ratio_estimate estimate = {(double)NAN, (double)NAN, (double)sums->n,
                                      (double)sums->nonzero, sums->used};
    struct totals all = totals_of(sums);
    if (!(all.denominator > 0))
        return estimate;
    long double ratio = (all.numerator - theta * all.covariate) / all.denominator;
    estimate.value = (double)ratio;
    if (sums->used < 2)
        return estimate;
    long double squares =
        residual_squares(sums, theta, ratio) * ((long double)sums->used / (sums->used - 1));
    estimate.variance = (double)(squares / (all.denominator * all.denominator));
    return estimate;
}

void sums_covariance(const struct sums *sums, double *cross, double *squares)
{
    struct totals all = totals_of(sums);
    if (!(all.denominator > 0))
        return;
    long double ratio = all.numerator / all.denominator, level = all.covariate / all.denominator;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        const struct bucket *bucket = &sums->buckets[i];
        long double d = wide(bucket->denominator);
        long double y = (wide(bucket->numerator) - ratio * d) / (long double)SCALE;
        long double x = (wide(bucket->covariate) - level * d) / (long double)SCALE;
        *cross += (double)(y * x);
        *squares += (double)(x * x);
    }
}

struct ratio_estimate sums_total(const struct sums *sums)
{
    long double total = wide(sums->all.numerator), mean = total / SUMS_BUCKETS, squares = 0;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        long double residual = wide(sums->buckets[i].numerator) - mean;
        squares += residual * residual;
    }
    squares *= (long double)SUMS_BUCKETS / (SUMS_BUCKETS - 1);
    return (struct ratio_estimate){(double)(total / SCALE), (double)(squares / (SCALE * SCALE)),
                                   (double)sums->nonzero, (double)sums->nonzero, sums->used};
}

/* What bucket i adds to the ratio of the whole, to first order. */
static long double influence(const struct sums *sums, const struct totals *all, int i)
{
    const struct bucket *bucket = &sums->buckets[i];
    long double ratio = all->numerator / all->denominator;
    return (wide(bucket->numerator) - ratio * wide(bucket->denominator)) / all->denominator;
}

struct ratio_estimate sums_adjusted(const struct sums *y, const struct sums *x, double theta)
{
    struct ratio_estimate estimate = sums_estimate(y, 0);
    struct totals all_y = totals_of(y), all_x = totals_of(x);
    if (theta == 0 || isnan(estimate.variance) || !(all_x.denominator > 0))
        return estimate;
    long double squares = 0;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        long double residual = influence(y, &all_y, i) - theta * influence(x, &all_x, i);
        squares += residual * residual;
    }
    estimate.value -= theta * (double)(all_x.numerator / all_x.denominator);
    estimate.variance = (double)(squares * y->used / (y->used - 1));
    return estimate;
}

void sums_covariance_apart(const struct sums *y, const struct sums *x, double *cross,
                           double *squares)
{
    struct totals all_y = totals_of(y), all_x = totals_of(x);
    if (!(all_y.denominator > 0) || !(all_x.denominator > 0))
        return;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        long double e_y = influence(y, &all_y, i), e_x = influence(x, &all_x, i);
        *cross += (double)(e_y * e_x);
        *squares += (double)(e_x * e_x);
    }
}
