#include "stats/drift_domain.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "stats/distribution.h"
#include "stats/eigen.h"
#include "stats/gamma_law.h"

enum {
    UNITS = 4096,     /* of one standard deviation */
    ROWS_A_TERM = 20, /* fewer, and the covariance says little */
    N_DRAWN = 4000,   /* windows, for the third moment */
    DRAWN_EVENTS = 64
};

#define FARTHEST 3.0 /* standard deviations: whole ones */
#define FLAT 1e-3    /* an eigenvalue of the terms' correlations: below, it hardly varies */

/* The rest of the promise is kept back: T²'s tail was measured to be up to a third heavier than its
   law says (docs/statistics.md, "How often the two are wrong"), of few events more. */
#define KEPT 0.65
#define KEPT_BACK_EVENTS 10

/* What stands for a category is its count in the reference, and the covariance is of the same rows:
   measured, the reference's own part of T² is up to so many times what independent rows make it. */
#define REFERENCE_NOISE 1.25

void domain_free(struct domain *domain)
{
    if (!domain)
        return;
    free(domain->axes);
    free(domain);
}

/* To the nearest: what is cut off is positive. NaN counts as far below. No calls into libm, which
   would cost more than all products. */
static inline int32_t units_of(double z)
{
    const double within = z > -FARTHEST ? (z < FARTHEST ? z : FARTHEST) : -FARTHEST;
    return (int32_t)((within + FARTHEST) * UNITS + 0.5) - (int32_t)FARTHEST * UNITS;
}

void domain_terms(const struct domain *domain, const double *coordinates,
                  int32_t terms[DOMAIN_TERMS])
{
    const uint32_t k = domain->n_coordinates;
    for (uint32_t i = 0; i < k; i++)
        terms[i] = units_of((coordinates[i] - domain->mean[i]) * domain->per_std[i]);
    int32_t *term = terms + k;
    for (uint32_t i = 0; i < k && domain->n_terms > k; i++)
        for (uint32_t j = i; j < k; j++)
            *term++ = terms[i] * terms[j];
}

/* Four events at once. Units are whole numbers of at most 12,288 (FARTHEST × UNITS): as doubles their
   products and the sums of those are exact. */
typedef double lanes __attribute__((vector_size(4 * sizeof(double))));
typedef int64_t mask __attribute__((vector_size(4 * sizeof(int64_t))));
typedef int32_t whole __attribute__((vector_size(4 * sizeof(int32_t))));

union units {
    double of[DOMAIN_MANY];
    lanes lanes[DOMAIN_MANY / 4];
};

static inline void choose(lanes *z, const mask *where, double otherwise)
{
    const lanes other = otherwise + (lanes){0};
    *z = (lanes)(((mask)*z & *where) | ((mask)other & ~*where));
}

/* Standardised values become their units: as units_of does. */
static inline void to_units(lanes *z)
{
    const mask above = *z > -FARTHEST, below = *z < FARTHEST; /* of NaN neither */
    choose(z, &below, FARTHEST);
    choose(z, &above, -FARTHEST);
    const whole up = __builtin_convertvector((*z + FARTHEST) * UNITS + 0.5, whole);
    *z = __builtin_convertvector(up, lanes) - FARTHEST * UNITS;
}

static int64_t sum_of(const lanes *sum)
{
    return (int64_t)((*sum)[0] + (*sum)[1] + (*sum)[2] + (*sum)[3]);
}

/* The units of coordinate i of n events, zeros behind them; returns their sum. */
static int64_t units_of_many(const struct domain *domain, uint32_t i, const double *values,
                             size_t n, union units *units)
{
    lanes sum = {0};
    units->lanes[(n - 1) / 4] = (lanes){0};
    memcpy(units->of, values, n * sizeof(double));
    for (size_t e = 0; e < n; e += 4) {
        lanes *z = &units->lanes[e / 4];
        *z = (*z - domain->mean[i]) * domain->per_std[i];
        to_units(z);
    }
    for (size_t e = n; e % 4 != 0; e++)
        units->of[e] = 0;
    for (size_t e = 0; e < n; e += 4)
        sum += units->lanes[e / 4];
    return sum_of(&sum);
}

static int64_t sum_of_products(const union units *a, const union units *b, size_t n_lanes)
{
    lanes sum = {0};
    for (size_t i = 0; i < n_lanes; i++)
        sum += a->lanes[i] * b->lanes[i];
    return sum_of(&sum);
}

void domain_add(const struct domain *domain, const double *columns, size_t stride, size_t n,
                int64_t *sums)
{
    const uint32_t k = domain->n_coordinates;
    const size_t n_lanes = (n + 3) / 4;
    union units units[DOMAIN_COORDINATES];
    int64_t *term = sums + k;
    for (uint32_t i = 0; i < k && n; i++)
        sums[i] += units_of_many(domain, i, columns + i * stride, n, &units[i]);
    for (uint32_t i = 0; i < k && domain->n_terms > k; i++)
        for (uint32_t j = i; j < k; j++)
            *term++ += sum_of_products(&units[i], &units[j], n_lanes);
}

/* --- fit --- */

/* Every second row, or all. */
struct part {
    const int32_t *terms;
    size_t from, to, step;
};

static size_t part_rows(const struct part *part)
{
    return (part->to - part->from + part->step - 1) / part->step;
}

static void standardise(struct domain *domain, const double *coordinates, size_t n)
{
    const uint32_t k = domain->n_coordinates;
    for (uint32_t i = 0; i < k; i++) {
        double sum = 0, square = 0;
        for (size_t row = 0; row < n; row++)
            sum += coordinates[row * k + i];
        domain->mean[i] = sum / (double)n;
        for (size_t row = 0; row < n; row++) {
            const double off = coordinates[row * k + i] - domain->mean[i];
            square += off * off;
        }
        const double per_std = 1 / sqrt(square / (double)n);
        domain->per_std[i] = isfinite(per_std) && isfinite(domain->mean[i]) ? per_std : 0;
    }
}

/* Means, and the correlations of the terms into a; their 1 / standard deviation. */
static void correlate(struct domain *domain, const struct part *part, double *a, double *per_std)
{
    const uint32_t t = domain->n_terms;
    const double n = (double)part_rows(part);
    double off[DOMAIN_TERMS];
    memset(domain->term_mean, 0, sizeof(domain->term_mean));
    for (size_t row = part->from; row < part->to; row += part->step)
        for (uint32_t i = 0; i < t; i++)
            domain->term_mean[i] += part->terms[row * t + i];
    for (uint32_t i = 0; i < t; i++)
        domain->term_mean[i] /= n;
    for (size_t row = part->from; row < part->to; row += part->step) {
        for (uint32_t i = 0; i < t; i++)
            off[i] = part->terms[row * t + i] - domain->term_mean[i];
        for (uint32_t i = 0; i < t; i++)
            for (uint32_t j = i; j < t; j++)
                a[i * t + j] += off[i] * off[j] / n;
    }
    for (uint32_t i = 0; i < t; i++) /* a term is a whole number: less than one is nothing */
        per_std[i] = a[i * t + i] >= 1 ? 1 / sqrt(a[i * t + i]) : 0;
    for (uint32_t i = 0; i < t; i++)
        for (uint32_t j = i; j < t; j++)
            a[i * t + j] = a[j * t + i] = a[i * t + j] * per_std[i] * per_std[j];
}

/* What makes the terms of a part uncorrelated, each of variance 1. */
static int fit_axes(struct domain *domain, const struct part *part)
{
    const uint32_t t = domain->n_terms;
    double per_std[DOMAIN_TERMS];
    AUTO_FREE double *a = calloc((size_t)t * t, sizeof(double));
    AUTO_FREE double *v = calloc((size_t)t * t, sizeof(double));
    domain->axes = calloc((size_t)t * t, sizeof(double));
    if (!a || !v || !domain->axes)
        return -ENOMEM;
    correlate(domain, part, a, per_std);
    eigen_symmetric(a, v, t);
    uint32_t axes[DOMAIN_TERMS];
    for (uint32_t i = 0; i < t; i++)
        if (a[i * t + i] > FLAT)
            axes[domain->n_axes++] = i;
    for (uint32_t i = 0; i < t; i++)
        for (uint32_t c = 0; c < domain->n_axes; c++)
            domain->axes[i * domain->n_axes + c] =
                v[i * t + axes[c]] * per_std[i] / sqrt(a[axes[c] * t + axes[c]]);
    return 0;
}

/* The squared distance of terms' means (sums of n events) from the reference's. */
static double distance(const struct domain *domain, const double *means)
{
    const uint32_t p = domain->n_axes;
    double along[DOMAIN_TERMS] = {0}, square = 0;
    for (uint32_t i = 0; i < domain->n_terms; i++)
        for (uint32_t c = 0; c < p; c++)
            along[c] += (means[i] - domain->term_mean[i]) * domain->axes[i * p + c];
    for (uint32_t c = 0; c < p; c++)
        square += along[c] * along[c];
    return square;
}

/* The moments of single rows' squared distances. */
struct distances {
    double mean, square;
};

static struct distances distances_of(const struct domain *domain, const struct part *part)
{
    struct distances all = {0};
    double means[DOMAIN_TERMS];
    for (size_t row = part->from; row < part->to; row += part->step) {
        for (uint32_t i = 0; i < domain->n_terms; i++)
            means[i] = part->terms[row * domain->n_terms + i];
        const double square = distance(domain, means);
        all.mean += square;
        all.square += square * square;
    }
    all.mean /= (double)part_rows(part);
    all.square /= (double)part_rows(part);
    return all;
}

/* Other events lie farther out than the rows that the covariance is of. How much farther: by
   halves, each measured by the other's; a fit on all rows has half of that left. */
static int fit_inflation(struct domain *domain, const struct part *all)
{
    double own = 0, other = 0;
    for (size_t h = 0; h < 2; h++) {
        const struct part mine = {all->terms, h, all->to, 2},
                          theirs = {all->terms, 1 - h, all->to, 2};
        AUTO(domain) struct domain *half = calloc(1, sizeof(*half));
        if (!half)
            return -ENOMEM;
        half->n_terms = domain->n_terms;
        if (fit_axes(half, &mine))
            return -ENOMEM;
        own += distances_of(half, &mine).mean;
        other += distances_of(half, &theirs).mean;
    }
    domain->inflation = own > 0 ? 1 + fmax(other / own - 1, 0) / 2 : 1;
    return 0;
}

static double drawn_distance(const struct domain *domain, const struct part *all, struct rng *rng)
{
    const uint32_t t = domain->n_terms;
    int64_t sums[DOMAIN_TERMS] = {0};
    double means[DOMAIN_TERMS];
    for (int event = 0; event < DRAWN_EVENTS; event++) {
        const int32_t *row = all->terms + rng_below(rng, all->to) * t;
        for (uint32_t i = 0; i < t; i++)
            sums[i] += row[i];
    }
    for (uint32_t i = 0; i < t; i++)
        means[i] = (double)sums[i] / DRAWN_EVENTS;
    return DRAWN_EVENTS * distance(domain, means);
}

/* What T² of a small window has beyond χ²: in the variance and in the third moment. */
static int fit_law(struct domain *domain, const struct part *all)
{
    const double p = domain->n_axes;
    AUTO_FREE double *drawn = malloc(N_DRAWN * sizeof(*drawn));
    if (!drawn)
        return -ENOMEM;
    struct rng rng = rng_of(1);
    double mean = 0, third = 0;
    for (int i = 0; i < N_DRAWN; i++)
        mean += (drawn[i] = drawn_distance(domain, all, &rng)) / N_DRAWN;
    for (int i = 0; i < N_DRAWN; i++)
        third += pow(drawn[i] - mean, 3) / N_DRAWN;
    domain->third = (third - 8 * p) * DRAWN_EVENTS;
    domain->fourth = distances_of(domain, all).square - p * p - 2 * p;
    return 0;
}

static int fit_all(struct domain *domain, const double *coordinates, size_t n, struct err *err)
{
    AUTO_FREE int32_t *terms = malloc(n * domain->n_terms * sizeof(*terms));
    int32_t row[DOMAIN_TERMS];
    if (!terms)
        return err_set(err, -ENOMEM, "domain classifier: no memory");
    standardise(domain, coordinates, n);
    for (size_t i = 0; i < n; i++) {
        domain_terms(domain, coordinates + i * domain->n_coordinates, row);
        memcpy(terms + i * domain->n_terms, row, domain->n_terms * sizeof(*terms));
    }
    const struct part all = {terms, 0, n, 1};
    int rc = fit_axes(domain, &all);
    if (!rc && domain->n_axes == 0)
        return err_set(err, ERR_DATA, "domain classifier: nothing varies in %zu rows", n);
    if (!rc)
        rc = fit_inflation(domain, &all);
    if (!rc)
        rc = fit_law(domain, &all);
    return rc ? err_set(err, rc, "domain classifier: no memory") : 0;
}

int domain_fit(struct domain **out, const double *coordinates, size_t n, uint32_t k,
               struct err *err)
{
    const uint32_t with_products = k * (k + 3) / 2;
    if (k == 0 || k > DOMAIN_COORDINATES || n < (size_t)ROWS_A_TERM * k)
        return err_set(err, ERR_DATA, "domain classifier: %zu rows are too few, %u are needed", n,
                       ROWS_A_TERM * k);
    AUTO(domain) struct domain *domain = calloc(1, sizeof(*domain));
    if (!domain)
        return err_set(err, -ENOMEM, "domain classifier: no memory");
    domain->n_coordinates = k;
    domain->n_terms = n < (size_t)ROWS_A_TERM * with_products ? k : with_products;
    domain->n_reference = (double)n;
    int rc = fit_all(domain, coordinates, n, err);
    if (rc)
        return rc;
    *out = domain;
    domain = NULL; /* the caller owns it now */
    return 0;
}

/* --- a window --- */

static struct gamma_law law_of(const struct domain *domain, double n)
{
    const double p = domain->n_axes, m = domain->n_reference, by = domain->inflation;
    const double both = 1 / (1 / n + 1 / m);
    const double single = (pow(n, -3) + pow(m, -3)) * both * both; /* 1 / n, and the rows' part */
    const double variance = fmax(2 * p + domain->fourth * single, p) * by * by;
    const double third = fmax(8 * p + domain->third * single, p) * by * by * by;
    return (struct gamma_law){p * by, sqrt(variance), third / pow(variance, 1.5)};
}

static double area_of(const struct domain *domain, double t2, double per_event)
{
    const double square = (t2 / domain->inflation - domain->n_axes) * per_event;
    return normal_cdf(sqrt(fmax(square, 0) / 2));
}

struct domain_drift domain_result(const struct domain *domain, const int64_t *sums, int64_t n,
                                  double false_alarm_rate)
{
    const double none = (double)NAN;
    const double rate =
        false_alarm_rate * (KEPT - KEPT_BACK_EVENTS / fmax((double)n, DOMAIN_FEWEST));
    double means[DOMAIN_TERMS];
    if (n < DOMAIN_FEWEST)
        return (struct domain_drift){none, none, none, false,
                                     n > 0 ? "fewer than 30 events were looked at" : "no event"};
    for (uint32_t i = 0; i < domain->n_terms; i++)
        means[i] = (double)sums[i] / (double)n;
    const double per_event = 1 / (double)n + REFERENCE_NOISE / domain->n_reference;
    const double t2 = distance(domain, means) / per_event;
    const struct gamma_law law = law_of(domain, (double)n);
    const double limit = gamma_law_quantile(&law, 1 - rate), p = gamma_law_sf(&law, t2);
    return (struct domain_drift){area_of(domain, t2, per_event), area_of(domain, limit, per_event),
                                 p, p <= rate, NULL};
}

/* --- bytes --- */

void domain_save(const struct domain *domain, struct buf *out)
{
    buf_varint(out, domain->n_coordinates);
    buf_varint(out, domain->n_terms);
    buf_varint(out, domain->n_axes);
    for (uint32_t i = 0; i < domain->n_coordinates; i++) {
        buf_double(out, domain->mean[i]);
        buf_double(out, domain->per_std[i]);
    }
    for (uint32_t i = 0; i < domain->n_terms; i++)
        buf_double(out, domain->term_mean[i]);
    for (uint32_t i = 0; i < domain->n_terms * domain->n_axes; i++)
        buf_double(out, domain->axes[i]);
    buf_double(out, domain->n_reference);
    buf_double(out, domain->inflation);
    buf_double(out, domain->fourth);
    buf_double(out, domain->third);
}

int domain_load(struct domain **out, struct reader *in, struct err *err)
{
    AUTO(domain) struct domain *domain = calloc(1, sizeof(*domain));
    const uint64_t k = reader_varint(in), t = reader_varint(in), p = reader_varint(in);
    if (k == 0 || k > DOMAIN_COORDINATES || (t != k && t != k * (k + 3) / 2) || p == 0 || p > t)
        return err_set(err, ERR_CORRUPT, "domain classifier: its sizes do not fit");
    if (!domain || !(domain->axes = calloc(t * p, sizeof(double))))
        return err_set(err, -ENOMEM, "domain classifier: no memory");
    domain->n_coordinates = (uint32_t)k;
    domain->n_terms = (uint32_t)t;
    domain->n_axes = (uint32_t)p;
    for (uint64_t i = 0; i < k; i++) {
        domain->mean[i] = reader_double(in);
        domain->per_std[i] = reader_double(in);
    }
    for (uint64_t i = 0; i < t; i++)
        domain->term_mean[i] = reader_double(in);
    for (uint64_t i = 0; i < t * p; i++)
        domain->axes[i] = reader_double(in);
    domain->n_reference = reader_double(in);
    domain->inflation = reader_double(in);
    domain->fourth = reader_double(in);
    domain->third = reader_double(in);
    if (reader_failed(in))
        return err_set(err, ERR_CORRUPT, "domain classifier: the bytes end early");
    *out = domain;
    domain = NULL; /* the caller owns it now */
    return 0;
}
