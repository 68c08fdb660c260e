/*
 * What the models fitted on a reference make of events' features, many events at once: the errors
 * of its components and the terms of its domain classifier, summed as a window's state wants them.
 *
 * Shape    events stand side by side, a column a feature, standardised (multivariate_standardise)
 * Rules    the bits are those of multivariate_left and domain_terms, event by event
 * Cost     features × components multiplications an event, and one a term; four events at once
 * Owner    plain values
 * Threads  any
 */
#pragma once

#include "stats/drift_multivariate.h"

struct looked {
    uint64_t reference;                /* its id */
    struct multivariate_window errors; /* of errors.n events */
    uint32_t n_terms;                  /* 0: the reference has no domain classifier */
    uint64_t domain;                   /* what its sums go by */
    int64_t terms[DOMAIN_TERMS];       /* their sums */
};

/* Adds n events: feature f of event i is columns[f × stride + i]. */
void looked_add(struct looked *looked, const struct multivariate *model, const double *columns,
                size_t stride, size_t n);
