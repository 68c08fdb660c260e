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

static __int128 fixed(double value)
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

void sums_add(struct sums *sums, uint64_t unit, const struct term *term, int sign)
{
    struct bucket *bucket = &sums->buckets[bucket_of_unit(unit)];
    bucket->numerator += sign * fixed(term->numerator);
    bucket->denominator += sign * fixed(term->denominator);
    bucket->covariate += sign * fixed(term->covariate);
    sums->n += term->denominator != 0 ? sign : 0;
    sums->nonzero += term->numerator != 0 ? sign : 0;
}

void sums_merge(struct sums *into, const struct sums *from)
{
    into->n += from->n;
    into->nonzero += from->nonzero;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        into->buckets[i].numerator += from->buckets[i].numerator;
        into->buckets[i].denominator += from->buckets[i].denominator;
        into->buckets[i].covariate += from->buckets[i].covariate;
    }
}

static bool bucket_empty(const struct bucket *bucket)
{
    return bucket->numerator == 0 && bucket->denominator == 0 && bucket->covariate == 0;
}

void sums_save(const struct sums *sums, struct buf *out)
{
    uint64_t used = 0;
    for (int i = 0; i < SUMS_BUCKETS; i++)
        used += !bucket_empty(&sums->buckets[i]);
    buf_zigzag(out, sums->n);
    buf_zigzag(out, sums->nonzero);
    buf_varint(out, used);
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
        struct bucket *bucket = &sums->buckets[i];
        bucket->numerator = reader_int128(in);
        bucket->denominator = reader_int128(in);
        bucket->covariate = reader_int128(in);
    }
    return reader_failed(in) ? err_set(err, ERR_CORRUPT, "evidence: sums end too early") : 0;
}

/* The sums over all buckets, turned into doubles once. */
struct totals {
    long double numerator, denominator, covariate;
    int buckets;
};

static struct totals totals_of(const struct sums *sums)
{
    struct bucket all = {0};
    int buckets = 0;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        const struct bucket *bucket = &sums->buckets[i];
        all.numerator += bucket->numerator;
        all.denominator += bucket->denominator;
        all.covariate += bucket->covariate;
        buckets += !bucket_empty(bucket);
    }
    return (struct totals){(long double)all.numerator, (long double)all.denominator,
                           (long double)all.covariate, buckets};
}

struct ratio_estimate sums_estimate(const struct sums *sums, double theta)
{
    struct ratio_estimate estimate = {(double)NAN, (double)NAN, (double)sums->n,
                                      (double)sums->nonzero, 0};
    struct totals all = totals_of(sums);
    estimate.buckets = all.buckets;
    if (!(all.denominator > 0))
        return estimate;
    long double ratio = (all.numerator - theta * all.covariate) / all.denominator;
    estimate.value = (double)ratio;
    if (all.buckets < 2)
        return estimate;
    long double squares = 0;
    for (int i = 0; i < SUMS_BUCKETS; i++) {
        const struct bucket *bucket = &sums->buckets[i];
        long double residual = (long double)bucket->numerator -
                               theta * (long double)bucket->covariate -
                               ratio * (long double)bucket->denominator;
        squares += residual * residual;
    }
    squares *= (long double)all.buckets / (all.buckets - 1);
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
        long double d = (long double)bucket->denominator;
        long double y = ((long double)bucket->numerator - ratio * d) / (long double)SCALE;
        long double x = ((long double)bucket->covariate - level * d) / (long double)SCALE;
        *cross += (double)(y * x);
        *squares += (double)(x * x);
    }
}
