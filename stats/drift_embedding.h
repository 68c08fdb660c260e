/*
 * A window's mean vector against the reference's.
 *
 * Shape    mean_distance: Euclidean, exact up to 32 dimensions. Beyond it is that of the projected
 *          means (stats/projection.h), with two standard errors as error_bound ·
 *          mean_distance_norm: divided by the reference's standard deviation of vectors, the root
 *          of the sum of the variances of all coordinates (ddof 0)
 * Law      when nothing drifted and with many vectors, distance² / (1/n + 1/m) is Σ w_i Z_i², w_i
 *          the reference's variances along its principal axes. A reference that was made of fewer
 *          than 64 panes does not know their shape: then one axis has it all, which no other shape
 *          exceeds in the tail (Székely, Bakirov 2003), and alarms are rarer than promised
 * Errors   windows and references without vectors, vectors of several or other dimensions, fewer
 *          than 30 of them, a constant reference: no value or no verdict, and why
 * Threads  any
 * Source   the distance: Evidently's of embeddings, `distance` with "euclidean" · the law: the
 *          central limit theorem and stats/chi2_sum.h · Székely, Bakirov, "Extremal probabilities
 *          for Gaussian quadratic forms", Probab. Theory Relat. Fields 126, 2003
 */
#pragma once

#include "stats/drift.h"
#include "stats/drift_threshold.h"

struct drift_embedding {
    uint64_t n; /* vectors of the window */
    uint32_t dimensions;
    struct drift_value mean_distance, mean_distance_norm;
};

void drift_embedding(const struct reference_feature *reference, const struct mean_vector *window,
                     struct drift_embedding *out);

/* As drift_begin. */
void drift_embedding_begin(const struct reference_feature *reference,
                           const struct drift_embedding *values, struct drift_verdict *out);

/* As drift_judge: one verdict of n_features; method "mean_distance_norm". */
void drift_embedding_judge(const struct drift_rule *rule, const struct reference_feature *reference,
                           const struct drift_embedding *values, size_t n_features,
                           struct drift_verdict *out);
