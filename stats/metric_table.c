/*
 * Every metric by name, in the order of the contract, and every kind of state. A new metric is a
 * file and a row here (docs/adding-a-metric.md). Names, help texts and units of the API, of
 * OpenMetrics and of docs/metrics.md come from these rows.
 */
#include "stats/metric_binary.h"
#include "stats/metric_common.h"

enum {
    ANY = TASK_ANY,
    BINARY = 1 << TASK_BINARY,
    MULTICLASS = 1 << TASK_MULTICLASS,
    REGRESSION = 1 << TASK_REGRESSION,
    RANKING = 1 << TASK_RANKING,
    SEGMENTATION = 1 << TASK_SEGMENTATION,
    NO_NUMBER = ANY & ~(BINARY | REGRESSION),
    NO_POSITIVE = ANY & ~BINARY,
    NO_CONFIDENCE = ANY & ~(BINARY),
};

/* By ascending tag; the first counts predictions and labels for everyone. */
static const struct state_kind *const kinds[] = {
    &common_kind,
    &binary_kind,
};

/* clang-format off */
static const struct metric_def table[] = {
    {"accuracy", "fraction", "Share of labelled predictions whose class is the label.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_accuracy},
    {"balanced_accuracy", "fraction", "Mean of the recalls of the classes that have labels.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_balanced_accuracy},
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
    {"cohen_kappa", "coefficient", "Agreement of predicted and true classes beyond chance, -1 to 1.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_kappa},
    {"roc_auc", "fraction", "Probability that a positive scores above a negative, ties half.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_roc_auc},
    {"pr_auc", "fraction", "Average precision: mean precision over the positives' scores.",
     BINARY, BETTER_HIGHER, &binary_kind, binary_pr_auc},
    {"log_loss", "nats", "Mean of -ln(probability given to the true class), clipped at 2.2e-16.",
     BINARY, BETTER_LOWER, &binary_kind, binary_log_loss},
    {"brier", "fraction", "Mean of (score - label)^2.",
     BINARY, BETTER_LOWER, &binary_kind, binary_brier},
    {"ece", "fraction", "Expected calibration error over ten bins of equal width.",
     BINARY, BETTER_LOWER, &binary_kind, binary_ece},
    {"tp", "count", "Labelled predictions that are rightly positive.",
     BINARY, BETTER_NONE, &binary_kind, binary_tp},
    {"fp", "count", "Labelled predictions that are wrongly positive.",
     BINARY, BETTER_NONE, &binary_kind, binary_fp},
    {"tn", "count", "Labelled predictions that are rightly negative.",
     BINARY, BETTER_NONE, &binary_kind, binary_tn},
    {"fn", "count", "Labelled predictions that are wrongly negative.",
     BINARY, BETTER_NONE, &binary_kind, binary_fn},

    {"count", "count", "Predictions, failed ones included.",
     ANY, BETTER_NONE, &common_kind, common_count},
    {"labelled_rate", "fraction", "Share of predictions whose label has come.",
     ANY, BETTER_NONE, &common_kind, common_labelled_rate},
    {"prediction_mean", "fraction", "Mean score.",
     BINARY, BETTER_NONE, &binary_kind, binary_prediction_mean},
    {"prediction_mean", "value", "Not defined for this task.",
     NO_NUMBER, BETTER_NONE, &common_kind, common_no_value},
    {"prediction_p50", "fraction", "Median score.",
     BINARY, BETTER_NONE, &binary_kind, binary_prediction_p50},
    {"prediction_p50", "value", "Not defined for this task.",
     NO_NUMBER, BETTER_NONE, &common_kind, common_no_value},
    {"positive_rate", "fraction", "Share of predictions that are of the positive class.",
     BINARY, BETTER_NONE, &binary_kind, binary_positive_rate},
    {"positive_rate", "fraction", "Not defined for this task.",
     NO_POSITIVE, BETTER_NONE, &common_kind, common_no_classes},
    {"confidence_mean", "fraction", "Mean of max(score, 1 - score).",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_mean},
    {"confidence_mean", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_p10", "fraction", "10% of predictions are less confident.",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_p10},
    {"confidence_p10", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_p50", "fraction", "Median confidence.",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_p50},
    {"confidence_p50", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
    {"confidence_p90", "fraction", "90% of predictions are less confident.",
     BINARY, BETTER_NONE, &binary_kind, binary_confidence_p90},
    {"confidence_p90", "fraction", "Not defined for this task.",
     NO_CONFIDENCE, BETTER_NONE, &common_kind, common_no_confidence},
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
};
/* clang-format on */

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
