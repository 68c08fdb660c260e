#include "stats/looked.h"

#include <math.h>
#include <string.h>

enum {
    LANES = 4,
    BLOCK = DOMAIN_MANY /* events whose coordinates are worked out at once */
};

typedef double lanes __attribute__((vector_size(LANES * sizeof(double))));

/* With a number of events that is known where they are called: then no loop is left. */
#define INLINED static inline __attribute__((always_inline))

/* n <= LANES values; zeros behind them. */
INLINED void load(lanes *out, const double *from, size_t n)
{
    *out = (lanes){0};
    memcpy(out, from, n * sizeof(double));
}

/* What the features of n events come to along a direction, whose parts lie so far from each other. */
INLINED void scores(uint32_t n_features, const double *columns, size_t stride, size_t n,
                    const double *direction, uint32_t apart, lanes *out)
{
    lanes x, sum = {0};
    for (uint32_t f = 0; f < n_features; f++) {
        load(&x, columns + f * stride, n);
        sum += x * direction[(size_t)f * apart];
    }
    *out = sum;
}

/* What the components leave of n <= LANES events, in the order of multivariate_left. */
INLINED void errors_of(const struct multivariate *model, const double *columns, size_t stride,
                       size_t n, double *errors)
{
    lanes x, dots, square = {0};
    for (uint32_t f = 0; f < model->n_features; f++) {
        load(&x, columns + f * stride, n);
        square += x * x;
    }
    const lanes whole = square;
    for (uint32_t c = 0; c < model->n_components; c++) {
        scores(model->n_features, columns, stride, n, model->components + c, model->n_components,
               &dots);
        square -= dots * dots;
    }
    for (size_t i = 0; i < n; i++)
        errors[i] = isfinite(square[i])
                        ? fmin(sqrt(multivariate_rest(square[i], whole[i])), MULTIVARIATE_FARTHEST)
                        : MULTIVARIATE_FARTHEST;
}

/* Where the classifier does not look at the features themselves: multivariate_coordinates of n
   events, a column of BLOCK for each. */
static void coordinates_of(const struct multivariate *model, const double *columns, size_t stride,
                           size_t n, const double *errors, double *out)
{
    const uint32_t last = model->domain->n_coordinates - 1; /* the error */
    const struct multivariate_directions along = multivariate_directions(model);
    for (uint32_t c = 0; c < last; c++) {
        for (size_t i = 0; i < n; i += LANES) {
            const size_t some = n - i < LANES ? n - i : LANES;
            lanes sum;
            scores(model->n_features, columns + i, stride, some, along.of + c, along.stride, &sum);
            memcpy(out + c * BLOCK + i, &sum, some * sizeof(double));
        }
    }
    memcpy(out + last * BLOCK, errors, n * sizeof(double));
}

static void add_block(struct looked *looked, const struct multivariate *model,
                      const double *columns, size_t stride, size_t n)
{
    double errors[BLOCK], coordinates[DOMAIN_COORDINATES * BLOCK];
    size_t i = 0;
    for (; i + LANES <= n; i += LANES)
        errors_of(model, columns + i, stride, LANES, errors + i);
    if (i < n)
        errors_of(model, columns + i, stride, n - i, errors + i);
    for (i = 0; i < n; i++)
        multivariate_update(&looked->errors, errors[i], 1);
    if (!model->domain)
        return;
    looked->n_terms = model->domain->n_terms;
    looked->domain = multivariate_domain_id(model, looked->reference);
    if (model->n_features <= DOMAIN_COORDINATES) {
        domain_add(model->domain, columns, stride, n, looked->terms);
        return;
    }
    coordinates_of(model, columns, stride, n, errors, coordinates);
    domain_add(model->domain, coordinates, BLOCK, n, looked->terms);
}

void looked_add(struct looked *looked, const struct multivariate *model, const double *columns,
                size_t stride, size_t n)
{
    for (size_t from = 0; from < n; from += BLOCK)
        add_block(looked, model, columns + from, stride, n - from < BLOCK ? n - from : BLOCK);
}
