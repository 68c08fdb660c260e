/*
 * Models with many classes: the confusion matrix, one-versus-rest areas, probability scores.
 *
 * Shape    classes by ascending id, each with its counts and score bins; the matrix sparse. A
 *          state keeps up to 256 classes, those of the lowest ids; all others are one class,
 *          MULTICLASS_OTHER, without areas of its own
 * Rules    predicted = the event's own prediction, else the class of the highest score (of equal
 *          ones the lowest id). Scores are divided by their sum where it is further than 1e-6
 *          from 1. Failed requests do not count
 * Source   sklearn.metrics; the classes of averages are those seen as label or prediction, as
 *          there by default. top_k_accuracy_score counts ties against the class: of equal scores
 *          the higher id is taken to stand first
 */
#pragma once

#include "stats/bins.h"
#include "stats/calibration.h"
#include "stats/exact_sum.h"
#include "stats/metric_result.h"
#include "stats/score_bins.h"

#define MULTICLASS_OTHER UINT64_C(0) /* class ids are never 0 */

struct class_counts {
    uint64_t id;
    int64_t truth, predicted, hit; /* labels of it, predictions of it, both */
    struct score_bins scores;
};

struct multiclass_state {
    struct fixed_sum confidence, confidence_squares;
    struct fixed_sum loss, loss_squares, brier, brier_squares;
    struct fixed_sum gap_squares; /* (highest score - right)^2 */
    /* of all predictions */
    int64_t scored;
    struct histogram confidences;
    /* of labelled predictions */
    int64_t judged, judged_scored, top_3;
    struct calibration calibration; /* of the highest score: was the prediction right? */

    struct class_counts *classes; /* the first is MULTICLASS_OTHER, once it is needed */
    uint32_t n, capacity;
    uint64_t cutoff;   /* ids from here on are counted as other; 0: none */
    struct bins cells; /* multiclass_cell(label, predicted) → n */
};

extern const struct state_kind multiclass_kind;

uint64_t multiclass_cell(uint64_t label, uint64_t predicted);
/* NULL: not in it. */
const struct class_counts *multiclass_class(const struct multiclass_state *state, uint64_t id);
/* Labelled predictions with this label and this predicted class. */
int64_t multiclass_count(const struct multiclass_state *state, uint64_t label, uint64_t predicted);

metric_result_fn multiclass_accuracy, multiclass_balanced_accuracy, multiclass_mcc,
    multiclass_kappa, multiclass_log_loss, multiclass_brier, multiclass_ece, multiclass_top_3;
metric_result_fn multiclass_precision_macro, multiclass_recall_macro, multiclass_f1_macro,
    multiclass_precision_weighted, multiclass_recall_weighted, multiclass_f1_weighted;
metric_result_fn multiclass_roc_auc_macro, multiclass_roc_auc_weighted;
metric_result_fn multiclass_class_precision, multiclass_class_recall, multiclass_class_f1;
metric_result_fn multiclass_confidence_mean, multiclass_confidence_p10, multiclass_confidence_p50,
    multiclass_confidence_p90;
