#include "stats/drift_crossed.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"

void crossed_deal(size_t n, uint32_t parts, uint32_t *part)
{
    struct rng rng = rng_of(7);
    for (size_t i = 0; i < n; i++)
        part[i] = (uint32_t)(i % parts);
    for (size_t i = n; i-- > 1;) {
        const size_t j = rng_below(&rng, i + 1);
        const uint32_t keep = part[i];
        part[i] = part[j];
        part[j] = keep;
    }
}

struct crossing {
    const struct multivariate *whole;
    const struct row_value *rows;
    size_t n;
    uint32_t *part; /* of each row */
    struct row_value *others;
    double *room;
};

struct moments_of {
    double n, sum, square;
};

static void count(struct moments_of *moments, double error)
{
    moments->n++;
    moments->sum += error;
    moments->square += error * error;
}

static double mean_of(const struct moments_of *moments)
{
    return moments->sum / moments->n;
}

static double variance_of(const struct moments_of *moments)
{
    const double mean = mean_of(moments);
    return fmax(moments->square / moments->n - mean * mean, 0);
}

static void adopt_numbers(struct multivariate *model, const struct multivariate *whole)
{
    for (uint32_t f = 0; f < model->n_features; f++) {
        struct multivariate_feature *feature = &model->features[f];
        if (feature->categorical)
            continue;
        feature->fill = whole->features[f].fill;
        feature->mean = whole->features[f].mean;
        feature->std = whole->features[f].std;
        feature->per_std = whole->features[f].per_std;
    }
}

/* The rows of one part and all others, by a model of the others. */
static int cross_part(const struct crossing *crossing, uint32_t which, double *errors,
                      struct moments_of *own, struct moments_of *left, struct err *err)
{
    AUTO(multivariate) struct multivariate *model = NULL;
    const uint32_t k = crossing->whole->n_features;
    size_t n = 0;
    for (size_t i = 0; i < crossing->n; i++)
        if (crossing->part[i] != which)
            memcpy(crossing->others + n++ * k, crossing->rows + i * k, k * sizeof(*crossing->rows));
    const int rc = multivariate_fit_rows(&model, crossing->whole->features, k,
                                         crossing->whole->n_components, crossing->others, n, err);
    if (rc)
        return rc;
    adopt_numbers(model, crossing->whole);
    for (size_t i = 0; i < crossing->n; i++) {
        const bool is_left = crossing->part[i] == which;
        const struct row_value *row = crossing->rows + i * k;
        errors[i] = is_left ? multivariate_error(model, row, crossing->room) : errors[i];
        count(is_left ? left : own,
              is_left ? errors[i] : multivariate_own_error(model, row, crossing->room));
    }
    return 0;
}

static int cross(const struct crossing *crossing, uint32_t parts, double *errors,
                 struct crossed *out, struct err *err)
{
    struct moments_of own = {0}, left = {0};
    crossed_deal(crossing->n, parts, crossing->part);
    int rc = 0;
    for (uint32_t which = 0; !rc && which < parts; which++)
        rc = cross_part(crossing, which, errors, &own, &left, err);
    if (rc)
        return rc;
    const double wider = variance_of(&left) / variance_of(&own);
    out->worse = mean_of(&left) - mean_of(&own);
    out->wider = isfinite(wider) ? fmax(wider, 1) : 1;
    return 0;
}

/* What is worse by models of half and of three quarters of the rows, by one of all: as 1 / rows where directions stand
   apart, as 1 / √rows where they are alike, the same where rows are too few for any. */
static double of_all_rows(double halves, double quarters)
{
    const double power = log(halves / quarters) / log(1.5);
    if (!(quarters > 0))
        return 0;
    return quarters * pow(0.75, isnan(power) ? 1 : fmin(fmax(power, 0), 1));
}

int crossed_errors(const struct multivariate *whole, const struct row_value *rows, size_t n,
                   double *errors, struct crossed *out, struct err *err)
{
    const uint32_t k = whole->n_features;
    AUTO_FREE struct row_value *others = malloc(n * k * sizeof(*others));
    AUTO_FREE uint32_t *part = malloc(n * sizeof(*part));
    AUTO_FREE double *room = malloc((size_t)k * sizeof(*room));
    struct crossed halves;
    if (!others || !part || !room)
        return err_set(err, -ENOMEM, "multivariate drift: no memory");
    const struct crossing crossing = {whole, rows, n, part, others, room};
    int rc = cross(&crossing, 2, errors, &halves, err);
    if (!rc)
        rc = cross(&crossing, CROSSED_PARTS, errors, out, err);
    if (rc)
        return rc;
    out->worse = of_all_rows(halves.worse, out->worse);
    return 0;
}
