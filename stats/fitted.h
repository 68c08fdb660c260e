/*
 * What is fitted on the rows of a reference, outside the stream: how scores are calibrated, how
 * large errors are to be expected, the principal components of the features; and its metrics.
 *
 * Shape    the estimator is always there; what could not be fitted is NULL, and `no_*` says why.
 *          Metrics: one state for each slice that has events, "" for all of them
 * Owner    fitted_free takes it with its parts
 * Threads  read-only once made
 */
#pragma once

#include "stats/drift_multivariate.h"
#include "stats/estimate_dle.h"
#include "stats/estimator.h"
#include "stats/metric.h"

struct slice_states {
    char *slice; /* "country=de", or "" */
    struct states *states;
};

struct category_name {
    uint64_t id;
    char *text;
};

struct fitted {
    struct estimator *estimator;
    struct dle *loss;                /* regression */
    struct multivariate *components; /* of the features */
    char no_loss[160], no_components[160];
    struct slice_states *metrics; /* of a reference just made from events */
    uint32_t n_metrics;
    struct category_name *names; /* what its categories are called; of the same */
    uint32_t n_names;
};

static inline void fitted_free(struct fitted *fitted)
{
    if (!fitted)
        return;
    estimator_free(fitted->estimator);
    dle_free(fitted->loss);
    multivariate_free(fitted->components);
    for (uint32_t i = 0; i < fitted->n_metrics; i++) {
        free(fitted->metrics[i].slice);
        states_free(fitted->metrics[i].states);
    }
    free(fitted->metrics);
    for (uint32_t i = 0; i < fitted->n_names; i++)
        free(fitted->names[i].text);
    free(fitted->names);
    free(fitted);
}
DEFINE_FREEP(fitted)
