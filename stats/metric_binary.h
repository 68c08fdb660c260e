/*
 * Binary models: confusion counts, areas under curves, probability scores, calibration.
 *
 * Shape    confusion counts use the event's own prediction, score >= threshold only where it is
 *          absent; areas, log loss, Brier score and ECE use scores of labelled predictions;
 *          prediction_* and confidence_* those of all predictions
 * Rules    any label that is not the positive class is a negative. Failed requests do not count
 * Source   sklearn.metrics (log_loss clips at DBL_EPSILON) · ece: 10 bins, min(floor(10 p), 9)
 */
#pragma once

#include "stats/calibration.h"
#include "stats/exact_sum.h"
#include "stats/metric_result.h"
#include "stats/score_bins.h"

struct binary_state {
    /* of all predictions */
    struct fixed_sum score, score_squares, confidence, confidence_squares;
    int64_t scored;              /* with a score */
    int64_t classified, flagged; /* with a class; of them the positive one */
    /* of labelled predictions */
    int64_t tp, fp, tn, fn;
    struct fixed_sum loss, loss_squares, brier, brier_squares;
    struct calibration calibration;
    struct score_bins scores; /* of both */
};

extern const struct state_kind binary_kind;

metric_result_fn binary_accuracy, binary_balanced_accuracy, binary_precision, binary_recall,
    binary_specificity, binary_f1, binary_mcc, binary_kappa, binary_tp, binary_fp, binary_tn,
    binary_fn;
metric_result_fn binary_roc_auc, binary_pr_auc, binary_log_loss, binary_brier, binary_ece;
metric_result_fn binary_prediction_mean, binary_prediction_p50, binary_positive_rate,
    binary_confidence_mean, binary_confidence_p10, binary_confidence_p50, binary_confidence_p90;
