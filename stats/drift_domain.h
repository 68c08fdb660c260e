/*
 * A domain classifier in memory that does not grow: can a window's events be told from the
 * reference's? Fisher's linear discriminant over up to ten coordinates of an event, their squares
 * and their products needs nothing of a window but sums.
 *
 * Shape    coordinates are cut off at three standard deviations. Fitted once on the reference's
 *          rows: the terms' means and covariance (directions that hardly vary are left out), and
 *          the law of the statistic. With too few rows for products the coordinates stand alone
 * Rules    terms are integers: their sums do not depend on the order, to the bit
 * Units    a coordinate is in 1/4096 of its standard deviation in the reference
 * Cost     an event: a multiplication and an addition a term, 65 at most
 * Owner    domain_fit and domain_load give, domain_free takes
 * Errors   ERR_DATA: too few rows, or nothing varies
 * Threads  read-only once fitted
 * Source   Fisher 1936; Hotelling's T² (1931) with the reference's covariance. The area is that of
 *          a discriminant between two normal laws, Φ(D / √2), where D² is without what chance alone
 *          makes of it: 0.5 is no difference, as by cross-validation (NannyML's
 *          DomainClassifierCalculator). T² is not χ² when terms are skewed and directions many: its
 *          law is a gamma law with the mean (by halves of the rows), the variance (from their
 *          fourth moments) and the third moment (from windows drawn from them) that it has
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"

enum {
    DOMAIN_COORDINATES = 10,
    DOMAIN_TERMS = DOMAIN_COORDINATES * (DOMAIN_COORDINATES + 3) / 2,
    DOMAIN_FEWEST = 30, /* events of a window that is judged */
    DOMAIN_MANY = 64    /* events that are added at once */
};

struct domain {
    uint32_t n_coordinates;
    uint32_t n_terms; /* the coordinates; then squares and products, row by row */
    uint32_t n_axes;  /* directions that vary */
    double mean[DOMAIN_COORDINATES], per_std[DOMAIN_COORDINATES];
    double term_mean[DOMAIN_TERMS];
    double *axes;         /* n_terms rows of n_axes: what a term weighs in each direction */
    double n_reference;   /* rows */
    double inflation;     /* of T², because its covariance is of finitely many rows; >= 1 */
    double fourth, third; /* by how much a single event's 4th and 6th moments differ from normal */
};

/* coordinates: n rows of k <= DOMAIN_COORDINATES. */
int domain_fit(struct domain **out, const double *coordinates, size_t n, uint32_t k,
               struct err *err);
void domain_free(struct domain *domain);
DEFINE_FREEP(domain)

void domain_terms(const struct domain *domain, const double *coordinates,
                  int32_t terms[DOMAIN_TERMS]);

/* Adds the terms of n <= DOMAIN_MANY events to sums[n_terms]; coordinate i of event e is
   columns[i × stride + e]. */
void domain_add(const struct domain *domain, const double *columns, size_t stride, size_t n,
                int64_t *sums);

struct domain_drift {
    double auc;       /* NaN: `why` */
    double threshold; /* of the area, at false_alarm_rate */
    double p_value;
    bool drifted;
    const char *why; /* NULL, or why there is no value */
};
/* sums: of the terms of n events. */
struct domain_drift domain_result(const struct domain *domain, const int64_t *sums, int64_t n,
                                  double false_alarm_rate);

void domain_save(const struct domain *domain, struct buf *out);
int domain_load(struct domain **out, struct reader *in, struct err *err);
