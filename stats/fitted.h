/*
 * What is fitted on the rows of a reference, outside the stream: how scores are calibrated, how
 * large errors are to be expected, and the principal components of the features.
 *
 * Shape    the estimator is always there; what could not be fitted is NULL, and `no_*` says why
 * Owner    fitted_free takes it with its parts
 * Threads  read-only once made
 */
#pragma once

#include "stats/drift_multivariate.h"
#include "stats/estimate_dle.h"
#include "stats/estimator.h"

struct fitted {
    struct estimator *estimator;
    struct dle *loss;                /* regression */
    struct multivariate *components; /* of the features */
    char no_loss[160], no_components[160];
};

static inline void fitted_free(struct fitted *fitted)
{
    if (!fitted)
        return;
    estimator_free(fitted->estimator);
    dle_free(fitted->loss);
    multivariate_free(fitted->components);
    free(fitted);
}
DEFINE_FREEP(fitted)
