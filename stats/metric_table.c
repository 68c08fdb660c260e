/*
 * Every metric by name, in the order of the contract, and every kind of state. A new metric is a
 * file and a row here (docs/adding-a-metric.md). Names, help texts and units of the API, of
 * OpenMetrics and of docs/metrics.md come from these rows.
 */
#include <math.h>
#include <string.h>

#include "stats/metric_binary.h"
#include "stats/metric_common.h"
#include "stats/metric_domain.h"
#include "stats/metric_estimated.h"
#include "stats/metric_multiclass.h"
#include "stats/metric_outcome.h"
#include "stats/metric_ranking.h"
#include "stats/metric_regression.h"
#include "stats/metric_segmentation.h"
#include "stats/metric_system.h"

enum {
    ANY = TASK_ANY,
    BINARY = 1 << TASK_BINARY,
    MULTICLASS = 1 << TASK_MULTICLASS,
    REGRESSION = 1 << TASK_REGRESSION,
    RANKING = 1 << TASK_RANKING,
    SEGMENTATION = 1 << TASK_SEGMENTATION,
    NO_NUMBER = ANY & ~(BINARY | REGRESSION),
    NO_POSITIVE = ANY & ~BINARY,
    NO_CONFIDENCE = ANY & ~(BINARY | MULTICLASS),
};

/* By ascending tag; the first counts predictions and labels for everyone. */
static const struct state_kind *const kinds[] = {
    &common_kind,  &binary_kind,       &multiclass_kind, &regression_kind, &outcome_kind,
    &ranking_kind, &segmentation_kind, &system_kind,     &expected_kind,   &domain_kind,
};

/* clang-format off */
static const struct metric_def table[] = {
    {"accuracy", "fraction", "Share of labelled predictions whose class is the label.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_accuracy},
    {"accuracy", "fraction", "Share of labelled predictions whose class is the label.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_accuracy},
    {"balanced_accuracy", "fraction", "Mean of the recalls of the classes that have labels.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_balanced_accuracy},
    {"balanced_accuracy", "fraction", "Mean of the recalls of the classes that have labels.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_balanced_accuracy},
    {"precision", "fraction", "tp / (tp + fp): share of the predicted positives that are positive.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_precision},
    {"recall", "fraction", "tp / (tp + fn): share of the positives that were predicted positive.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_recall},
    {"specificity", "fraction", "tn / (tn + fp): share of the negatives that were predicted negative.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_specificity},
    {"f1", "fraction", "2 tp / (2 tp + fp + fn): harmonic mean of precision and recall.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_f1},
    {"mcc", "coefficient", "Matthews' correlation of predicted and true classes, -1 to 1.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_mcc},
    {"mcc", "coefficient", "Matthews' correlation of predicted and true classes, -1 to 1.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_mcc},
    {"cohen_kappa", "coefficient", "Agreement of predicted and true classes beyond chance, -1 to 1.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_kappa},
    {"cohen_kappa", "coefficient", "Agreement of predicted and true classes beyond chance, -1 to 1.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_kappa},
    {"roc_auc", "fraction", "Probability that a positive scores above a negative, ties half.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_roc_auc},
    {"pr_auc", "fraction", "Average precision: mean precision over the positives' scores.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_pr_auc},
    {"log_loss", "nats", "Mean of -ln(probability given to the true class), clipped at 2.2e-16.",
     BINARY, BETTER_LOWER, &binary_kind, binary_log_loss},
    {"log_loss", "nats", "Mean of -ln(probability given to the true class), clipped at 2.2e-16.",
     MULTICLASS, BETTER_LOWER, &multiclass_kind, multiclass_log_loss},
    {"brier", "fraction", "Mean of (score - label)^2.",
     BINARY, BETTER_LOWER, &binary_kind, binary_brier},
    {"brier", "fraction", "Mean over events of the sum over classes of (score - is it the label)^2.",
     MULTICLASS, BETTER_LOWER, &multiclass_kind, multiclass_brier},
    {"ece", "fraction", "Expected calibration error over ten bins of equal width.",
     BINARY, BETTER_LOWER, &binary_kind, binary_ece},
    {"ece", "fraction", "Expected calibration error of the highest score over ten bins of equal width.",
     MULTICLASS, BETTER_LOWER, &multiclass_kind, multiclass_ece},
    {"tp", "count", "Labelled predictions that are rightly positive.",
     BINARY, BETTER_NONE, &binary_kind, binary_tp},
    {"fp", "count", "Labelled predictions that are wrongly positive.",
     BINARY, BETTER_NONE, &binary_kind, binary_fp},
    {"tn", "count", "Labelled predictions that are rightly negative.",
     BINARY, BETTER_NONE, &binary_kind, binary_tn},
    {"fn", "count", "Labelled predictions that are wrongly negative.",
     BINARY, BETTER_NONE, &binary_kind, binary_fn},

    {"precision_macro", "fraction", "Mean of the classes' precisions, each class alike; 0 for one without denominator.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_precision_macro},
    {"recall_macro", "fraction", "Mean of the classes' recalls, each class alike; 0 for one without denominator.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_recall_macro},
    {"f1_macro", "fraction", "Mean of the classes' F1 scores, each class alike; 0 for one without denominator.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_f1_macro},
    {"precision_micro", "fraction", "Over all decisions together: the same as accuracy.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_accuracy},
    {"recall_micro", "fraction", "Over all decisions together: the same as accuracy.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_accuracy},
    {"f1_micro", "fraction", "Over all decisions together: the same as accuracy.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_accuracy},
    {"precision_weighted", "fraction", "Mean of the classes' precisions, weighted by their labels.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_precision_weighted},
    {"recall_weighted", "fraction", "Mean of the classes' recalls, weighted by their labels.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_recall_weighted},
    {"f1_weighted", "fraction", "Mean of the classes' F1 scores, weighted by their labels.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_f1_weighted},
    {"top_3_accuracy", "fraction", "Share of labelled predictions whose label is among the three highest scores.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_top_3},
    {"roc_auc_ovr_macro", "fraction", "Mean of the classes' one-versus-rest ROC-AUC, each class alike.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_roc_auc_macro},
    {"roc_auc_ovr_weighted", "fraction", "Mean of the classes' one-versus-rest ROC-AUC, weighted by their labels.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_roc_auc_weighted},
    {"precision{class=", "fraction", "Precision of one class against the rest.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_class_precision},
    {"recall{class=", "fraction", "Recall of one class against the rest.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_class_recall},
    {"f1{class=", "fraction", "F1 of one class against the rest.",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, multiclass_class_f1},

    {"mae", "value", "Mean absolute error.",
     REGRESSION, BETTER_LOWER, &regression_kind, regression_mae},
    {"mse", "value^2", "Mean squared error.",
     REGRESSION, BETTER_LOWER, &regression_kind, regression_mse},
    {"rmse", "value", "Root of the mean squared error.",
     REGRESSION, BETTER_LOWER, &regression_kind, regression_rmse},
    {"mape", "fraction", "Mean of |error| / |label|, a fraction; the label floored at 2.2e-16.",
     REGRESSION, BETTER_LOWER, &regression_kind, regression_mape},
    {"r2", "coefficient", "1 - squared errors / squared distances of the labels from their mean.",
     REGRESSION, BETTER_HIGHER, &regression_kind, regression_r2},
    {"bias", "value", "Mean of prediction - label.",
     REGRESSION, BETTER_NONE, &regression_kind, regression_bias},
    {"median_absolute_error", "value", "Median of |prediction - label|.",
     REGRESSION, BETTER_LOWER, &regression_kind, regression_median_absolute_error},
    {"max_error", "value", "Largest |prediction - label|.",
     REGRESSION, BETTER_LOWER, &regression_kind, regression_max_error},

    {"ndcg_k", "fraction", "Mean of the lists' normalised discounted cumulative gain up to place k.",
     RANKING, BETTER_HIGHER, &ranking_kind, ranking_ndcg},
    {"mrr", "fraction", "Mean of 1 / place of the first relevant item, 0 where none is shown.",
     RANKING, BETTER_HIGHER, &ranking_kind, ranking_mrr},
    {"hit_rate_k", "fraction", "Share of lists with a relevant item up to place k.",
     RANKING, BETTER_HIGHER, &ranking_kind, ranking_hit_rate},
    {"map_k", "fraction", "Mean of the lists' average precision up to place k.",
     RANKING, BETTER_HIGHER, &ranking_kind, ranking_map},

    {"mean_iou", "fraction", "Mean over classes of tp / (tp + fp + fn), in pixels.",
     SEGMENTATION, BETTER_HIGHER, &segmentation_kind, segmentation_mean_iou},
    {"dice", "fraction", "Mean over classes of 2 tp / (2 tp + fp + fn), in pixels.",
     SEGMENTATION, BETTER_HIGHER, &segmentation_kind, segmentation_dice},
    {"iou{class=", "fraction", "tp / (tp + fp + fn) of one class, in pixels.",
     SEGMENTATION, BETTER_HIGHER, &segmentation_kind, segmentation_class_iou},
    {"dice{class=", "fraction", "2 tp / (2 tp + fp + fn) of one class, in pixels.",
     SEGMENTATION, BETTER_HIGHER, &segmentation_kind, segmentation_class_dice},

    {"count", "count", "Predictions, failed ones included.",
     ANY, BETTER_NONE, &common_kind, common_count},
    {"labelled_rate", "fraction", "Share of predictions whose label has come.",
     ANY, BETTER_NONE, &common_kind, common_labelled_rate},
    {"prediction_mean", "fraction", "Mean score.",
     BINARY, BETTER_NONE, &binary_kind, binary_prediction_mean},
    {"prediction_mean", "value", "Not defined for this task.",
     NO_NUMBER, BETTER_NONE, &common_kind, common_no_value},
    {"prediction_mean", "value", "Mean predicted value.",
     REGRESSION, BETTER_NONE, &regression_kind, regression_prediction_mean},
    {"prediction_p50", "fraction", "Median score.",
     BINARY, BETTER_NONE, &binary_kind, binary_prediction_p50},
    {"prediction_p50", "value", "Not defined for this task.",
     NO_NUMBER, BETTER_NONE, &common_kind, common_no_value},
    {"prediction_p50", "value", "Median predicted value.",
     REGRESSION, BETTER_NONE, &regression_kind, regression_prediction_p50},
    {"positive_rate", "fraction", "Share of predictions that are of the positive class.",
     BINARY, BETTER_NONE, &binary_kind, binary_positive_rate},
    {"positive_rate", "fraction", "Not defined for this task.",
     NO_POSITIVE, BETTER_NONE, &common_kind, common_no_classes},
    {"confidence_mean", "fraction", "Mean of max(score, 1 - score).",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_mean},
    {"confidence_mean", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_mean", "fraction", "Mean of the highest score.",
     MULTICLASS, BETTER_NONE, &multiclass_kind, multiclass_confidence_mean},
    {"confidence_p10", "fraction", "10% of predictions are less confident.",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_p10},
    {"confidence_p10", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_p10", "fraction", "10% of predictions are less confident.",
     MULTICLASS, BETTER_NONE, &multiclass_kind, multiclass_confidence_p10},
    {"confidence_p50", "fraction", "Median confidence.",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_p50},
    {"confidence_p50", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_p50", "fraction", "Median of the highest score.",
     MULTICLASS, BETTER_NONE, &multiclass_kind, multiclass_confidence_p50},
    {"confidence_p90", "fraction", "90% of predictions are less confident.",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_p90},
    {"confidence_p90", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_p90", "fraction", "90% of predictions are less confident.",
     MULTICLASS, BETTER_NONE, &multiclass_kind, multiclass_confidence_p90},
    {"latency_p50", "ms", "Median latency.",
     ANY, BETTER_LOWER, &common_kind, common_latency_p50},
    {"latency_p90", "ms", "90% of predictions were faster.",
     ANY, BETTER_LOWER, &common_kind, common_latency_p90},
    {"latency_p99", "ms", "99% of predictions were faster.",
     ANY, BETTER_LOWER, &common_kind, common_latency_p99},
    {"latency_mean", "ms", "Mean latency.",
     ANY, BETTER_LOWER, &common_kind, common_latency_mean},
    {"error_rate", "fraction", "Share of predictions that failed.",
     ANY, BETTER_LOWER, &common_kind, common_error_rate},
    {"throughput", "1/s", "Predictions a second.",
     ANY, BETTER_NONE, &common_kind, common_throughput},

    {"estimated_roc_auc", "fraction", "Expected ROC-AUC, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_roc_auc},
    {"estimated_pr_auc", "fraction", "Expected average precision, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_pr_auc},
    {"estimated_accuracy", "fraction", "Expected accuracy, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_accuracy},
    {"estimated_accuracy", "fraction", "Expected accuracy, before the labels come (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_accuracy},
    {"estimated_precision", "fraction", "Expected precision, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_precision},
    {"estimated_recall", "fraction", "Expected recall, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_recall},
    {"estimated_specificity", "fraction", "Expected specificity, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_specificity},
    {"estimated_f1", "fraction", "Expected F1, before the labels come (CBPE).",
     BINARY, BETTER_HIGHER, &binary_kind, estimated_binary_f1},
    {"estimated_tp", "count", "Expected number of true positives (CBPE).",
     BINARY, BETTER_NONE, &binary_kind, estimated_binary_tp},
    {"estimated_fp", "count", "Expected number of false positives (CBPE).",
     BINARY, BETTER_NONE, &binary_kind, estimated_binary_fp},
    {"estimated_tn", "count", "Expected number of true negatives (CBPE).",
     BINARY, BETTER_NONE, &binary_kind, estimated_binary_tn},
    {"estimated_fn", "count", "Expected number of false negatives (CBPE).",
     BINARY, BETTER_NONE, &binary_kind, estimated_binary_fn},
    {"estimated_precision_macro", "fraction", "Expected mean of the classes' precisions (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_precision_macro},
    {"estimated_recall_macro", "fraction", "Expected mean of the classes' recalls (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_recall_macro},
    {"estimated_f1_macro", "fraction", "Expected mean of the classes' F1 scores (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_f1_macro},
    {"estimated_roc_auc_ovr_macro", "fraction", "Expected mean of the classes' one-versus-rest ROC-AUC (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_roc_auc_macro},
    {"estimated_roc_auc_ovr_weighted", "fraction", "The same, weighted by the expected labels of each class (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_roc_auc_weighted},
    {"estimated_precision{class=", "fraction", "Expected precision of one class against the rest (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_class_precision},
    {"estimated_recall{class=", "fraction", "Expected recall of one class against the rest (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_class_recall},
    {"estimated_f1{class=", "fraction", "Expected F1 of one class against the rest (CBPE).",
     MULTICLASS, BETTER_HIGHER, &multiclass_kind, estimated_multiclass_class_f1},
    {"estimated_mae", "value", "Expected mean absolute error, before the labels come (DLE).",
     REGRESSION, BETTER_LOWER, &expected_kind, estimated_mae},
    {"estimated_mse", "value^2", "Expected mean squared error, before the labels come (DLE).",
     REGRESSION, BETTER_LOWER, &expected_kind, estimated_mse},
    {"estimated_rmse", "value", "Expected root of the mean squared error, before the labels come (DLE).",
     REGRESSION, BETTER_LOWER, &expected_kind, estimated_rmse},
    {"reconstruction_error", "value", "How badly the reference's principal components rebuild the features.",
     ANY, BETTER_LOWER, &expected_kind, expected_reconstruction_error},

    {"outcome_rate{name=", "fraction", "Share of predictions with an outcome of that name that is not 0.",
     ANY, BETTER_NONE, &outcome_kind, outcome_rate},
    {"outcome_mean{name=", "value", "Mean of the outcomes of that name.",
     ANY, BETTER_NONE, &outcome_kind, outcome_mean},

    {"gpu_utilization", "fraction", "Mean utilisation of the GPUs that serve it.",
     ANY, BETTER_NONE, &system_kind, system_gpu_utilization},
    {"cpu_utilization", "fraction", "Mean utilisation of the CPUs that serve it.",
     ANY, BETTER_NONE, &system_kind, system_cpu_utilization},
    {"memory_bytes", "bytes", "Mean memory in use.",
     ANY, BETTER_NONE, &system_kind, system_memory_bytes},
    {"system{name=", "value", "Mean of a system value of any name.",
     ANY, BETTER_NONE, &system_kind, system_value},
};
/* clang-format on */

/* A fraction that may exceed 1 has a row of its own; so have coefficients. */
static double most_of(const struct metric_def *def)
{
    if (def->result == multiclass_brier)
        return 2;
    if (def->result == regression_mape)
        return INFINITY;
    return strcmp(def->unit, "fraction") == 0 || strcmp(def->unit, "coefficient") == 0 ? 1
                                                                                       : INFINITY;
}

static double least_of(const struct metric_def *def)
{
    if (def->result == regression_r2)
        return -INFINITY;
    if (strcmp(def->unit, "coefficient") == 0)
        return -1;
    return strcmp(def->unit, "value") == 0 && def->better != BETTER_LOWER ? -INFINITY : 0;
}

void metric_range(const struct metric_def *def, double *least, double *most)
{
    *least = least_of(def);
    *most = most_of(def);
}

const struct metric_def *metric_table(size_t *n)
{
    *n = sizeof(table) / sizeof(table[0]);
    return table;
}

const struct state_kind *const *metric_kinds(size_t *n)
{
    *n = sizeof(kinds) / sizeof(kinds[0]);
    return kinds;
}
