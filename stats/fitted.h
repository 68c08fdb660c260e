/*
 * What is fitted on the rows of a reference, outside the stream: how scores are calibrated, how
 * large errors are to be expected, the principal components of the features; and its metrics.
 *
 * Shape    the estimator is always there; what could not be fitted is NULL, and `no_*` says why.
 *          Metrics: one state for each slice that has events, "" for all of them. Slices: what each
 *          value of the model's segment keys had of the reference's events (reference_build_part);
 *          together at most FITTED_SLICE_BYTES as saved, of most events first
 * Owner    fitted_free takes it with its parts
 * Threads  read-only once made
 */
#pragma once

#include "stats/drift_multivariate.h"
#include "stats/estimate_dle.h"
#include "stats/estimator.h"
#include "stats/metric.h"
#include "stats/reference.h"

#define FITTED_SLICE_BYTES (INT64_C(256) << 20)

struct slice_states {
    char *slice; /* "country=de", or "" */
    struct states *states;
};

struct slice_reference {
    char *slice;
    struct reference *reference; /* NULL: no room was left for it */
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
    struct slice_reference *slices; /* of the same */
    uint32_t n_slices;
    char **slice_keys; /* the segment keys that slices were kept of */
    uint32_t n_slice_keys;
    struct category_name *names; /* what its categories are called; of the same */
    uint32_t n_names;
    struct category_name *features; /* and its features */
    uint32_t n_features;
};

/* Slices by their events, and of those that are too much together, saved, nothing but the name. */
int fitted_bound_slices(struct fitted *fitted, int64_t most, struct err *err);

/* What storage has now. */
static inline void fitted_forget_slices(struct fitted *fitted)
{
    for (uint32_t i = 0; i < fitted->n_slices; i++) {
        free(fitted->slices[i].slice);
        reference_free(fitted->slices[i].reference);
    }
    for (uint32_t i = 0; i < fitted->n_slice_keys; i++)
        free(fitted->slice_keys[i]);
    free(fitted->slices);
    free(fitted->slice_keys);
    fitted->slices = NULL;
    fitted->slice_keys = NULL;
    fitted->n_slices = fitted->n_slice_keys = 0;
}

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
    fitted_forget_slices(fitted);
    for (uint32_t i = 0; i < fitted->n_names; i++)
        free(fitted->names[i].text);
    free(fitted->names);
    for (uint32_t i = 0; i < fitted->n_features; i++)
        free(fitted->features[i].text);
    free(fitted->features);
    free(fitted);
}
DEFINE_FREEP(fitted)
