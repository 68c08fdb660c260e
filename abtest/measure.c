#include "abtest/measure.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/text.h"
#include "stats/metric.h"
#include "stats/metric_ranking.h"

enum row {
    ROW_ERROR_RATE,
    ROW_LATENCY_QUANTILE,
    ROW_LATENCY_MEAN,
    ROW_ACCURACY,
    ROW_PRECISION,
    ROW_RECALL,
    ROW_SPECIFICITY,
    ROW_F1,
    ROW_LOG_LOSS,
    ROW_BRIER,
    ROW_SQUARED_ERROR,
    ROW_ABSOLUTE_ERROR,
    ROW_PERCENTAGE_ERROR,
    ROW_BIAS,
    ROW_POSITIVE_RATE,
    ROW_PREDICTION_MEAN,
    ROW_ROC_AUC,
    ROW_PR_AUC,
    ROW_CONFIDENCE_QUANTILE,
    ROW_PREDICTION_QUANTILE,
    ROW_ERROR_QUANTILE,
    ROW_OUTCOME_RATE,
    ROW_OUTCOME_MEAN,
    ROW_OUTCOME_SUM, /* of the values, by predictions */
    ROW_UNIT_RATE,   /* outcomes other than 0, by units */
    ROW_UNIT_SUM,    /* their values, by units */
    ROW_SYSTEM,
    ROW_NDCG,
    ROW_MRR,
    ROW_HIT_RATE,
    ROW_MAP,
    ROW_IOU,
    ROW_DICE,
    ROW_LABELLED_RATE,
    ROW_CONFIDENCE_MEAN,
    ROW_TOP_3,
    ROW_CLASS_PRECISION,
    ROW_CLASS_RECALL,
    ROW_CLASS_F1,
    ROW_COUNT_TP,
    ROW_COUNT_FP,
    ROW_COUNT_TN,
    ROW_COUNT_FN,
    ROW_COUNT,
    ROW_THROUGHPUT,
    ROW_WHOLE, /* its value is not made of single events */
};

#define NONE ((double)NAN)
/* clang-format off */
static const struct {
    const char *name;
    enum row row;
    enum measure_kind kind;
    enum measure_stage stage;
    bool lower, root, binary;
    double quantile;
} rows[] = {
    {"error_rate",      ROW_ERROR_RATE,       MEASURE_FAILURE, STAGE_PREDICTION, true,  false, true,  NONE},
    {"latency_p50",     ROW_LATENCY_QUANTILE, MEASURE_FAILURE, STAGE_PREDICTION, true,  false, true,  0.50},
    {"latency_p90",     ROW_LATENCY_QUANTILE, MEASURE_FAILURE, STAGE_PREDICTION, true,  false, true,  0.90},
    {"latency_p99",     ROW_LATENCY_QUANTILE, MEASURE_FAILURE, STAGE_PREDICTION, true,  false, true,  0.99},
    {"latency_mean",    ROW_LATENCY_MEAN,     MEASURE_RATIO,   STAGE_PREDICTION, true,  false, false, NONE},
    {"accuracy",        ROW_ACCURACY,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"precision",       ROW_PRECISION,        MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"recall",          ROW_RECALL,           MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"specificity",     ROW_SPECIFICITY,      MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"f1",              ROW_F1,               MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"log_loss",        ROW_LOG_LOSS,         MEASURE_RATIO,   STAGE_LABEL,      true,  false, false, NONE},
    {"brier",           ROW_BRIER,            MEASURE_RATIO,   STAGE_LABEL,      true,  false, false, NONE},
    {"mse",             ROW_SQUARED_ERROR,    MEASURE_RATIO,   STAGE_LABEL,      true,  false, false, NONE},
    {"rmse",            ROW_SQUARED_ERROR,    MEASURE_RATIO,   STAGE_LABEL,      true,  true,  false, NONE},
    {"mae",             ROW_ABSOLUTE_ERROR,   MEASURE_RATIO,   STAGE_LABEL,      true,  false, false, NONE},
    {"mape",            ROW_PERCENTAGE_ERROR, MEASURE_RATIO,   STAGE_LABEL,      true,  false, false, NONE},
    {"bias",            ROW_BIAS,             MEASURE_RATIO,   STAGE_LABEL,      true,  false, false, NONE},
    {"positive_rate",   ROW_POSITIVE_RATE,    MEASURE_RATIO,   STAGE_PREDICTION, false, false, true,  NONE},
    {"prediction_mean", ROW_PREDICTION_MEAN,  MEASURE_RATIO,   STAGE_PREDICTION, false, false, false, NONE},
    {"roc_auc",         ROW_ROC_AUC,          MEASURE_AUC,     STAGE_LABEL,      false, false, false, NONE},
    {"pr_auc",          ROW_PR_AUC,           MEASURE_AUC,     STAGE_LABEL,      false, false, false, NONE},
    {"prediction_p50",  ROW_PREDICTION_QUANTILE, MEASURE_TAIL, STAGE_PREDICTION, false, false, true,  0.50},
    {"confidence_p10",  ROW_CONFIDENCE_QUANTILE, MEASURE_TAIL, STAGE_PREDICTION, false, false, true,  0.10},
    {"confidence_p50",  ROW_CONFIDENCE_QUANTILE, MEASURE_TAIL, STAGE_PREDICTION, false, false, true,  0.50},
    {"confidence_p90",  ROW_CONFIDENCE_QUANTILE, MEASURE_TAIL, STAGE_PREDICTION, false, false, true,  0.90},
    {"median_absolute_error", ROW_ERROR_QUANTILE, MEASURE_TAIL, STAGE_LABEL,     true,  false, true,  0.50},
    {"max_error",       ROW_ERROR_QUANTILE,   MEASURE_TAIL,    STAGE_LABEL,      true,  false, true,  1.00},
    {"gpu_utilization", ROW_SYSTEM,           MEASURE_RATIO,   STAGE_SYSTEM,     true,  false, false, NONE},
    {"cpu_utilization", ROW_SYSTEM,           MEASURE_RATIO,   STAGE_SYSTEM,     true,  false, false, NONE},
    {"memory_bytes",    ROW_SYSTEM,           MEASURE_RATIO,   STAGE_SYSTEM,     true,  false, false, NONE},
    {"ndcg_k",          ROW_NDCG,             MEASURE_RATIO,   STAGE_LABEL,      false, false, false, NONE},
    {"mrr",             ROW_MRR,              MEASURE_RATIO,   STAGE_LABEL,      false, false, false, NONE},
    {"hit_rate_k",      ROW_HIT_RATE,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"map_k",           ROW_MAP,              MEASURE_RATIO,   STAGE_LABEL,      false, false, false, NONE},
    {"labelled_rate",   ROW_LABELLED_RATE,    MEASURE_RATIO,   STAGE_OUTCOME,    false, false, true,  NONE},
    {"confidence_mean", ROW_CONFIDENCE_MEAN,  MEASURE_RATIO,   STAGE_PREDICTION, false, false, false, NONE},
    {"top_3_accuracy",  ROW_TOP_3,            MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"precision_micro", ROW_ACCURACY,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"recall_micro",    ROW_ACCURACY,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"f1_micro",        ROW_ACCURACY,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"recall_weighted", ROW_ACCURACY,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"tp",              ROW_COUNT_TP,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"fp",              ROW_COUNT_FP,         MEASURE_RATIO,   STAGE_LABEL,      true,  false, true,  NONE},
    {"tn",              ROW_COUNT_TN,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"fn",              ROW_COUNT_FN,         MEASURE_RATIO,   STAGE_LABEL,      true,  false, true,  NONE},
    {"count",           ROW_COUNT,            MEASURE_FLOW,    STAGE_PREDICTION, false, false, false, NONE},
    {"throughput",      ROW_THROUGHPUT,       MEASURE_FLOW,    STAGE_PREDICTION, false, false, false, NONE},
    {"artifact_bytes",  ROW_WHOLE,            MEASURE_FACT,    STAGE_SYSTEM,     true,  false, false, NONE},
};
/* clang-format on */
enum {
    N_ROWS = sizeof(rows) / sizeof(rows[0]),
    MAX_WORDS = 100
};

/* A function of several sums. */
static const struct {
    const char *name;
    enum compound_kind compound;
    enum measure_kind kind;
    bool lower;
} tallies[] = {
    {"precision_macro", COMPOUND_PRECISION_MACRO, MEASURE_TALLY, false},
    {"precision_weighted", COMPOUND_PRECISION_WEIGHTED, MEASURE_TALLY, false},
    {"recall_macro", COMPOUND_RECALL_MACRO, MEASURE_TALLY, false},
    {"f1_macro", COMPOUND_F1_MACRO, MEASURE_TALLY, false},
    {"f1_weighted", COMPOUND_F1_WEIGHTED, MEASURE_TALLY, false},
    {"balanced_accuracy", COMPOUND_BALANCED_ACCURACY, MEASURE_TALLY, false},
    {"cohen_kappa", COMPOUND_KAPPA, MEASURE_TALLY, false},
    {"mcc", COMPOUND_MCC, MEASURE_TALLY, false},
    {"r2", COMPOUND_R2, MEASURE_TALLY, false},
    {"mean_iou", COMPOUND_MEAN_IOU, MEASURE_TALLY, false},
    {"dice", COMPOUND_DICE, MEASURE_TALLY, false},
    {"ece", COMPOUND_ECE, MEASURE_TALLY, true},
    {"roc_auc_ovr_macro", COMPOUND_AREA_MACRO, MEASURE_AREAS, false},
    {"roc_auc_ovr_weighted", COMPOUND_AREA_WEIGHTED, MEASURE_AREAS, false},
};

/* What the collector knows and no experiment can be decided by. */
static const struct {
    const char *name, *why;
} undecidable[] = {
    {"reconstruction_error", "it is of the inputs, which both arms draw from the same units"},
};

/* `name` as a row has it; ndcg_k stands for any k up to what a ranking keeps. */
static bool row_is(int i, const char *name, uint32_t *k)
{
    const char *row = rows[i].name;
    size_t n = strlen(row);
    int64_t number;
    *k = 0;
    if (n < 3 || strcmp(row + n - 2, "_k") != 0)
        return strcmp(row, name) == 0;
    if (strncmp(row, name, n - 1) != 0 || name[n - 1] < '1' || name[n - 1] > '9' ||
        int_parse(&number, name + n - 1, strlen(name + n - 1)) || number > RANKING_MAX_K)
        return false;
    *k = (uint32_t)number;
    return true;
}

/* `precision{class="x"}`: what stands between the quotes decides. */
static const struct {
    const char *head;
    enum row row;
    enum measure_stage stage;
    bool lower, binary;
} families[] = {
    {"outcome_rate{name=\"", ROW_OUTCOME_RATE, STAGE_OUTCOME, false, true},
    {"outcome_mean{name=\"", ROW_OUTCOME_MEAN, STAGE_OUTCOME, false, false},
    {"outcome_sum{name=\"", ROW_OUTCOME_SUM, STAGE_OUTCOME, false, false},
    {"outcome_rate_per_unit{name=\"", ROW_UNIT_RATE, STAGE_OUTCOME, false, false},
    {"outcome_sum_per_unit{name=\"", ROW_UNIT_SUM, STAGE_OUTCOME, false, false},
    {"iou{class=\"", ROW_IOU, STAGE_LABEL, false, false},
    {"dice{class=\"", ROW_DICE, STAGE_LABEL, false, false},
    {"precision{class=\"", ROW_CLASS_PRECISION, STAGE_LABEL, false, true},
    {"recall{class=\"", ROW_CLASS_RECALL, STAGE_LABEL, false, true},
    {"f1{class=\"", ROW_CLASS_F1, STAGE_LABEL, false, true},
    {"system{name=\"", ROW_SYSTEM, STAGE_SYSTEM, true, false},
};

static bool resolve_family(struct measure *out, const char *name)
{
    size_t n = strlen(name);
    for (size_t i = 0; i < sizeof(families) / sizeof(families[0]); i++) {
        size_t head = strlen(families[i].head);
        if (n < head + 3 || strncmp(name, families[i].head, head) != 0 ||
            strcmp(name + n - 2, "\"}") != 0)
            continue;
        *out = (struct measure){.kind = MEASURE_RATIO,
                                .stage = families[i].stage,
                                .lower_is_better = families[i].lower,
                                .binary = families[i].binary,
                                .quantile = NONE,
                                .row = (int)families[i].row,
                                .per_unit = families[i].row == ROW_UNIT_RATE ||
                                            families[i].row == ROW_UNIT_SUM,
                                .outcome = name + head,
                                .outcome_bytes = (int)(n - head - 2)};
        return true;
    }
    return false;
}

/* `estimated_accuracy` and what else the collector estimates without labels. */
static bool resolve_estimate(struct measure *out, const char *name)
{
    struct metric_ref ref;
    if (!metric_estimated(name))
        return false;
    for (int task = 0; task < N_TASKS; task++)
        if (metric_find(&ref, name, (enum task)task, NULL) == 0) {
            *out = (struct measure){.kind = MEASURE_ESTIMATE,
                                    .stage = STAGE_SYSTEM,
                                    .lower_is_better = ref.def->better == BETTER_LOWER,
                                    .quantile = NONE,
                                    .row = ROW_WHOLE};
            return true;
        }
    return false;
}

static bool resolve_tally(struct measure *out, const char *name)
{
    for (size_t i = 0; i < sizeof(tallies) / sizeof(tallies[0]); i++)
        if (strcmp(tallies[i].name, name) == 0) {
            *out = measure_of_formula();
            out->compound = tallies[i].compound;
            out->kind = tallies[i].kind;
            out->lower_is_better = tallies[i].lower;
            return true;
        }
    return false;
}

static int refuse(const char *name, struct err *err)
{
    const char *words[MAX_WORDS];
    size_t n_words = 0;
    for (size_t i = 0; i < sizeof(undecidable) / sizeof(undecidable[0]); i++)
        if (strcmp(undecidable[i].name, name) == 0)
            return err_set(err, ERR_DATA, "metric %s cannot decide an experiment: %s", name,
                           undecidable[i].why);
    for (int i = 0; i < N_ROWS; i++)
        words[n_words++] = rows[i].name;
    for (size_t i = 0; i < sizeof(tallies) / sizeof(tallies[0]); i++)
        words[n_words++] = tallies[i].name;
    const char *near = text_near(name, words, n_words);
    return err_set(err, ERR_DATA, "metric %s cannot decide an experiment%s%s%s", name,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
}

int measure_resolve(struct measure *out, const char *name, struct err *err)
{
    for (int i = 0; i < N_ROWS; i++) {
        uint32_t k;
        if (!row_is(i, name, &k))
            continue;
        *out = (struct measure){.kind = rows[i].kind,
                                .stage = rows[i].stage,
                                .lower_is_better = rows[i].lower,
                                .square_root = rows[i].root,
                                .binary = rows[i].binary,
                                .quantile = rows[i].quantile,
                                .row = (int)rows[i].row,
                                .outcome = name,
                                .outcome_bytes = (int)strlen(name),
                                .k = k,
                                .average_precision = rows[i].row == ROW_PR_AUC,
                                .per_second = rows[i].row == ROW_THROUGHPUT};
        return 0;
    }
    bool found =
        resolve_tally(out, name) || resolve_family(out, name) || resolve_estimate(out, name);
    return found ? 0 : refuse(name, err);
}

int measure_resolve_operand(struct measure *out, const char *name, struct err *err)
{
    int rc = measure_resolve(out, name, err);
    if (rc)
        return rc;
    bool ratio = out->kind == MEASURE_RATIO || out->row == ROW_ERROR_RATE;
    return ratio ? 0
                 : err_set(err, ERR_DATA,
                           "metric %s cannot stand in a formula of an experiment: it is no ratio "
                           "of sums",
                           name);
}

struct measure measure_of_formula(void)
{
    return (struct measure){.kind = MEASURE_TALLY,
                            .stage = STAGE_LABEL,
                            .quantile = NONE,
                            .compound = COMPOUND_FORMULA,
                            .row = ROW_WHOLE};
}

static bool named(const struct measure *measure, const struct observation *o)
{
    return o->name && strlen(o->name) == (size_t)measure->outcome_bytes &&
           memcmp(o->name, measure->outcome, (size_t)measure->outcome_bytes) == 0;
}

static bool give(double numerator, double denominator, double *out_n, double *out_d)
{
    if (!isfinite(numerator) || denominator == 0)
        return false;
    *out_n = numerator;
    *out_d = denominator;
    return true;
}

static bool confusion_ratio(enum row row, const struct observation *o, double *n, double *d)
{
    bool said = o->predicted, is = o->positive;
    if (!o->has_predicted)
        return false;
    switch (row) {
    case ROW_PRECISION:
        return give(said && is, said, n, d);
    case ROW_RECALL:
        return give(said && is, is, n, d);
    case ROW_SPECIFICITY:
        return give(!said && !is, !is, n, d);
    case ROW_F1:
        return give(2 * (said && is), said + is, n, d);
    case ROW_COUNT_TP:
        return give(said && is, 1, n, d);
    case ROW_COUNT_FP:
        return give(said && !is, 1, n, d);
    case ROW_COUNT_TN:
        return give(!said && !is, 1, n, d);
    case ROW_COUNT_FN:
        return give(!said && is, 1, n, d);
    default:
        return give(o->correct, 1, n, d);
    }
}

/* One class against the rest. */
static bool class_ratio(const struct measure *measure, const struct observation *o, double *n,
                        double *d)
{
    const uint64_t class = class_id(measure->outcome, (size_t)measure->outcome_bytes);
    bool said = o->predicted_class == class, is = o->label_class == class;
    if (!o->predicted_class || !o->label_class)
        return false;
    switch ((enum row)measure->row) {
    case ROW_CLASS_PRECISION:
        return give(said && is, said, n, d);
    case ROW_CLASS_RECALL:
        return give(said && is, is, n, d);
    default:
        return give(2 * (said && is), said + is, n, d);
    }
}

/* A prediction is a chance of a label, a label its coming. */
static bool labelled_ratio(const struct observation *o, double *n, double *d)
{
    *n = o->stage == STAGE_LABEL;
    *d = o->stage == STAGE_PREDICTION;
    return o->stage == STAGE_LABEL || o->stage == STAGE_PREDICTION;
}

static bool outcome_ratio(const struct measure *measure, const struct observation *o, double *n,
                          double *d)
{
    if (measure->row == ROW_LABELLED_RATE)
        return labelled_ratio(o, n, d);
    /* a prediction, or its unit, is a chance of the outcome; an outcome event is its value */
    if (o->stage == STAGE_PREDICTION) {
        *n = 0;
        *d = 1;
        return measure->per_unit ? o->new_unit : measure->row != ROW_OUTCOME_MEAN;
    }
    if (o->stage != STAGE_OUTCOME || !named(measure, o) || !isfinite(o->named_value))
        return false;
    bool rate = measure->row == ROW_OUTCOME_RATE || measure->row == ROW_UNIT_RATE;
    *n = rate ? o->named_value != 0 : o->named_value;
    *d = measure->row == ROW_OUTCOME_MEAN ? 1 : 0;
    return true;
}

static bool ranking_ratio(const struct measure *measure, const struct observation *o,
                          enum ranking_value value, double *n, double *d)
{
    return o->content && give(ranking_of_list(o->content, value, measure->k), 1, n, d);
}

/* Pixels of one class: an event is a share of the class's pixels, not one. IoU counts pixels that
   were found once, Dice twice. */
static bool overlap_ratio(const struct measure *measure, const struct observation *o, double *n,
                          double *d)
{
    const double found = measure->row == ROW_DICE ? 2 : 1;
    const uint64_t class = class_id(measure->outcome, (size_t)measure->outcome_bytes);
    double tp = 0, all = 0;
    for (uint32_t i = 0; o->content && i < o->content->n_pixels; i++) {
        const struct class_pixels *pixels = &o->content->pixels[i];
        if (pixels->class_id != class)
            continue;
        tp += found * pixels->tp;
        all += found * pixels->tp + pixels->fp + pixels->fn;
    }
    return give(tp, all, n, d);
}

static double prediction_of(const struct observation *o)
{
    return isfinite(o->score) ? o->score : o->value;
}

bool measure_ratio(const struct measure *measure, const struct observation *o, double *n, double *d)
{
    if (measure->stage == STAGE_OUTCOME)
        return outcome_ratio(measure, o, n, d);
    if (o->stage != measure->stage || (o->failed && measure->row != ROW_ERROR_RATE))
        return false;
    double error = o->value - o->label_value;
    switch ((enum row)measure->row) {
    case ROW_ERROR_RATE:
        return give(o->failed, 1, n, d);
    case ROW_LATENCY_MEAN:
    case ROW_LATENCY_QUANTILE:
        return give(o->latency_ms, 1, n, d);
    case ROW_ACCURACY:
    case ROW_PRECISION:
    case ROW_RECALL:
    case ROW_SPECIFICITY:
    case ROW_F1:
    case ROW_COUNT_TP:
    case ROW_COUNT_FP:
    case ROW_COUNT_TN:
    case ROW_COUNT_FN:
        return confusion_ratio((enum row)measure->row, o, n, d);
    case ROW_LOG_LOSS:
        return give(o->log_loss, 1, n, d);
    case ROW_BRIER:
        return give(o->brier, 1, n, d);
    case ROW_SQUARED_ERROR:
        return give(error * error, 1, n, d);
    case ROW_ABSOLUTE_ERROR:
        return give(fabs(error), 1, n, d);
    case ROW_PERCENTAGE_ERROR:
        return o->label_value != 0 && give(fabs(error / o->label_value), 1, n, d);
    case ROW_BIAS:
        return give(error, 1, n, d);
    case ROW_POSITIVE_RATE:
        return o->has_predicted && give(o->predicted, 1, n, d);
    case ROW_PREDICTION_MEAN:
        return give(prediction_of(o), 1, n, d);
    case ROW_SYSTEM:
        return named(measure, o) && give(o->named_value, 1, n, d);
    case ROW_NDCG:
        return ranking_ratio(measure, o, RANKING_NDCG, n, d);
    case ROW_MRR:
        return ranking_ratio(measure, o, RANKING_MRR, n, d);
    case ROW_HIT_RATE:
        return ranking_ratio(measure, o, RANKING_HIT_RATE, n, d);
    case ROW_MAP:
        return ranking_ratio(measure, o, RANKING_MAP, n, d);
    case ROW_IOU:
    case ROW_DICE:
        return overlap_ratio(measure, o, n, d);
    case ROW_CONFIDENCE_MEAN:
        return give(o->confidence, 1, n, d);
    case ROW_TOP_3:
        return !isnan(o->brier) && give(o->in_top_3, 1, n, d); /* known with the scores */
    case ROW_CLASS_PRECISION:
    case ROW_CLASS_RECALL:
    case ROW_CLASS_F1:
        return class_ratio(measure, o, n, d);
    case ROW_COUNT: /* its arm's share is the denominator */
    case ROW_THROUGHPUT:
    case ROW_ROC_AUC:
    case ROW_PR_AUC:
    case ROW_CONFIDENCE_QUANTILE:
    case ROW_PREDICTION_QUANTILE:
    case ROW_ERROR_QUANTILE:
    case ROW_OUTCOME_RATE:
    case ROW_OUTCOME_MEAN:
    case ROW_OUTCOME_SUM:
    case ROW_UNIT_RATE:
    case ROW_UNIT_SUM:
    case ROW_LABELLED_RATE:
    case ROW_WHOLE:
        break;
    }
    return false;
}

double measure_value(const struct measure *measure, const struct observation *o)
{
    if (o->stage != measure->stage || o->failed) /* a failed request's latency says nothing */
        return NONE;
    switch ((enum row)measure->row) {
    case ROW_LATENCY_QUANTILE:
        return o->latency_ms;
    case ROW_CONFIDENCE_QUANTILE:
        return o->confidence;
    case ROW_PREDICTION_QUANTILE:
        return prediction_of(o);
    case ROW_ERROR_QUANTILE:
        return fabs(o->value - o->label_value);
    default:
        return NONE;
    }
}

bool measure_failure(const struct measure *measure, const struct observation *o, double threshold,
                     bool *failed)
{
    if (o->stage != STAGE_PREDICTION)
        return false;
    if (measure->row == ROW_ERROR_RATE) {
        *failed = o->failed;
        return true;
    }
    double value = measure_value(measure, o);
    if (isnan(value) || isnan(threshold)) /* without a threshold nothing is known yet */
        return false;
    *failed = value > threshold;
    return true;
}
