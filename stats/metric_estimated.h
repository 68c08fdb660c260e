/*
 * Quality before the labels come: what CBPE expects of classes, DLE of values, and the errors of
 * rebuilding an event from the reference's principal components.
 *
 * Shape    classes keep nothing of their own: the estimator of the setup (stats/estimator.h) is
 *          applied to the score bins that the window has anyway. Values: the sums of the expected
 *          |error| and error², which whoever folds has worked out (struct sample: expected_*).
 *          Components: for each reference the sums of its errors, up to EXPECTED_MODELS of them,
 *          those of the lowest ids
 * Rules    an estimate is right as long as the relation of inputs to label holds. It may hold a
 *          rollout, never promote it
 * Source   NannyML 0.13: CBPE, DLE, DataReconstructionDriftCalculator; 95% intervals are 1.96 of
 *          its sampling errors (its own bands are 3)
 */
#pragma once

#include "stats/drift_multivariate.h"
#include "stats/metric_result.h"

enum {
    EXPECTED_MODELS = 4
};

struct reconstruction {
    uint64_t model; /* id of the reference; 0: free */
    struct multivariate_window window;
};

struct expected_state {
    int64_t n;
    struct wide_sum absolute, square;
    struct reconstruction models[EXPECTED_MODELS]; /* ascending by model, free ones last */
    int64_t others;                                /* events of references beyond those */
};

extern const struct state_kind expected_kind;

/* The errors under a reference; NULL: there are none. */
const struct multivariate_window *expected_reconstruction(const struct expected_state *state,
                                                          uint64_t model);

metric_result_fn estimated_binary_roc_auc, estimated_binary_pr_auc, estimated_binary_accuracy,
    estimated_binary_precision, estimated_binary_recall, estimated_binary_specificity,
    estimated_binary_f1, estimated_binary_tp, estimated_binary_fp, estimated_binary_tn,
    estimated_binary_fn;
metric_result_fn estimated_multiclass_accuracy, estimated_multiclass_roc_auc_macro,
    estimated_multiclass_roc_auc_weighted, estimated_multiclass_precision_macro,
    estimated_multiclass_recall_macro, estimated_multiclass_f1_macro,
    estimated_multiclass_class_precision, estimated_multiclass_class_recall,
    estimated_multiclass_class_f1;
metric_result_fn estimated_mae, estimated_mse, estimated_rmse;
metric_result_fn expected_reconstruction_error;
