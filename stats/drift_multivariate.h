/*
 * Drift of all features together: how badly the reference's principal components rebuild an event.
 *
 * Shape    fitted once on the reference's rows: missing values by the mean or the most frequent
 *          category, categories by how often the reference has them (unseen: 0), standardised
 *          (ddof 0), components up to 65% of the variance. An event's error is the Euclidean norm
 *          of what the components leave; a window keeps only count, Σ error and Σ error²
 * Rules    the window's state does not depend on the order; sums are in fixed point (2^-40)
 * Cost     features × components multiplications an event; fitting is outside the hot path
 * Owner    multivariate_fit and multivariate_load give, multivariate_free takes
 * Errors   ERR_DATA: fewer than 2 rows or no feature that varies
 * Threads  read-only once fitted
 * Source   NannyML 0.13 DataReconstructionDriftCalculator (its value, window by window). Its
 *          threshold, mean ± 3 std of reference chunks, is replaced by the law of a mean of n:
 *          gamma with (1/n + 1/m) × variance of the reference's errors and what a mean keeps of
 *          their skewness (stats/gamma_law.h). The errors that the law is of are those of rows that
 *          the components were not made of (stats/drift_crossed.h): their own are rebuilt better
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "common/cleanup.h"
#include "stats/categories.h"
#include "stats/drift_domain.h"
#include "stats/exact_sum.h"
#include "stats/row.h"

struct multivariate_feature {
    uint64_t name_id;
    bool categorical;
    double fill; /* for a missing value, already encoded */
    double mean, std;
    double per_std;          /* 1 / std; 0: the feature says nothing */
    struct category *counts; /* sorted by id */
    uint32_t n_counts;
    double
        own; /* while it is fitted: what a row adds to what stands for its category, on average */
};

struct multivariate {
    uint32_t n_features, n_components;
    struct multivariate_feature *features;
    double *components; /* n_features rows of n_components */
    /* made from them: */
    uint32_t n_blocks; /* of MULTIVARIATE_BLOCK components each */
    double *blocks;    /* n_features rows of whole blocks; zeros fill the last one */
    double *unknown;   /* an event of which nothing is known, as multivariate_start gives it */
    double n_reference, reference_mean, reference_variance; /* of the errors */
    double reference_skewness; /* of the errors; 0: fitted before it was kept */
    struct domain *domain;     /* NULL: too few rows, or fitted before there was one */
    /* Beyond DOMAIN_COORDINATES features the classifier looks along directions of their own, which its law's rows had no
       part in: n_features rows of n_directions. NULL: along the first components, as before there were any. */
    uint32_t n_directions;
    double *directions;
};

/* rows: n × n_features values; `features` gives name_id and categorical of each. */
int multivariate_fit(struct multivariate **out, const struct multivariate_feature *features,
                     uint32_t n_features, const struct row_value *rows, size_t n, struct err *err);
/* Of that only columns and components, so many (0: as the variance asks): no law, no classifier. */
int multivariate_fit_rows(struct multivariate **out, const struct multivariate_feature *features,
                          uint32_t n_features, uint32_t n_components, const struct row_value *rows,
                          size_t n, struct err *err);
void multivariate_free(struct multivariate *model);
DEFINE_FREEP(multivariate)

/* An event far beyond all numbers counts as this far. */
#define MULTIVARIATE_FARTHEST 1e9

enum {
    MULTIVARIATE_BLOCK = 4,
    MULTIVARIATE_MOST_FEATURES = 1024
};

/* What is left of a squared length; what rounding leaves where all is rebuilt is nothing. */
static inline double multivariate_rest(double square, double whole)
{
    return square <= 1e-12 * whole ? 0 : square;
}

/* The error of one event. `room` has n_features doubles: its features, standardised. */
double multivariate_error(const struct multivariate *model, const struct row_value *values,
                          double *room);
/* That of a row that the model was made of, as if what stands for its category did not count it. */
double multivariate_own_error(const struct multivariate *model, const struct row_value *values,
                              double *room);
/* The same in steps, for who has the values one by one: start, put what is there as it came, then
   standardise each feature of many events at once, and ask. */
void multivariate_start(const struct multivariate *model, double *room);
static inline void multivariate_put(const struct multivariate *model, uint32_t feature,
                                    struct row_value value, double *room)
{
    if (model->features[feature].categorical)
        memcpy(&room[feature], &value.category, sizeof(*room)); /* its bits */
    else
        room[feature] = value.number;
}
void multivariate_standardise(const struct multivariate *model, uint32_t feature, double *column,
                              size_t n);
double multivariate_left(const struct multivariate *model, const double *room);

/* What a domain classifier looks along: n columns of rows of `stride`. */
struct multivariate_directions {
    const double *of;
    uint32_t n, stride;
};
static inline struct multivariate_directions
multivariate_directions(const struct multivariate *model)
{
    const uint32_t m = model->n_components;
    return model->directions
               ? (struct multivariate_directions){model->directions, model->n_directions,
                                                  model->n_directions}
               : (struct multivariate_directions){
                     model->components, m < DOMAIN_COORDINATES ? m : DOMAIN_COORDINATES - 1, m};
}

/* What a domain classifier's sums of a window go by: those along other directions are no part of them. */
static inline uint64_t multivariate_domain_id(const struct multivariate *model, uint64_t reference)
{
    return model->directions ? reference ^ 1 : reference;
}

/* What the domain classifier looks at: the features where there are at most DOMAIN_COORDINATES,
   else the scores along its directions, and the error. Returns how many. */
uint32_t multivariate_coordinates(const struct multivariate *model, const double *room,
                                  double error, double coordinates[DOMAIN_COORDINATES]);

enum {
    MULTIVARIATE_SCALE = 40 /* sums are in units of 2^-40 */
};

struct multivariate_window {
    int64_t n;
    struct fixed_sum sum, square;
};
void multivariate_update(struct multivariate_window *window, double error, int sign);
void multivariate_merge(struct multivariate_window *into, const struct multivariate_window *from);
void multivariate_window_save(const struct multivariate_window *window, struct buf *out);
void multivariate_window_load(struct multivariate_window *window, struct reader *in);

struct multivariate_drift {
    double reconstruction_error; /* NaN: no events */
    double lower, threshold;     /* the band at false_alarm_rate */
    double p_value;              /* two-sided */
    bool drifted;
};
struct multivariate_drift multivariate_result(const struct multivariate *model,
                                              const struct multivariate_window *window,
                                              double false_alarm_rate);

void multivariate_save(const struct multivariate *model, struct buf *out);
int multivariate_load(struct multivariate **out, struct reader *in, struct err *err);
