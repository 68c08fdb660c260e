#include "abtest/measure.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "common/text.h"
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
    ROW_OUTCOME_RATE,
    ROW_OUTCOME_MEAN,
    ROW_SYSTEM,
    ROW_NDCG,
    ROW_MRR,
    ROW_HIT_RATE,
    ROW_MAP,
    ROW_IOU,
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
    {"gpu_utilization", ROW_SYSTEM,           MEASURE_RATIO,   STAGE_SYSTEM,     true,  false, false, NONE},
    {"cpu_utilization", ROW_SYSTEM,           MEASURE_RATIO,   STAGE_SYSTEM,     true,  false, false, NONE},
    {"memory_bytes",    ROW_SYSTEM,           MEASURE_RATIO,   STAGE_SYSTEM,     true,  false, false, NONE},
    {"ndcg_k",          ROW_NDCG,             MEASURE_RATIO,   STAGE_LABEL,      false, false, false, NONE},
    {"mrr",             ROW_MRR,              MEASURE_RATIO,   STAGE_LABEL,      false, false, false, NONE},
    {"hit_rate_k",      ROW_HIT_RATE,         MEASURE_RATIO,   STAGE_LABEL,      false, false, true,  NONE},
    {"map_k",           ROW_MAP,              MEASURE_RATIO,   STAGE_LABEL,      false, false, false, NONE},
};
/* clang-format on */
enum {
    N_ROWS = sizeof(rows) / sizeof(rows[0])
};

static const char OUTCOME_RATE[] = "outcome_rate{name=\"", OUTCOME_MEAN[] = "outcome_mean{name=\"";
static const char IOU[] = "iou{class=\"";

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

/* What stands between `family` and the closing quote. */
static bool resolve_family(struct measure *out, const char *name, const char *family,
                           struct measure wanted)
{
    size_t head = strlen(family), n = strlen(name);
    if (n < head + 3 || strncmp(name, family, head) != 0 || strcmp(name + n - 2, "\"}") != 0)
        return false;
    *out = wanted;
    out->kind = MEASURE_RATIO;
    out->quantile = NONE;
    out->outcome = name + head;
    out->outcome_bytes = (int)(n - head - 2);
    return true;
}

static bool resolve_any_family(struct measure *out, const char *name)
{
    const struct measure rate = {.stage = STAGE_OUTCOME, .binary = true, .row = ROW_OUTCOME_RATE};
    const struct measure mean = {.stage = STAGE_OUTCOME, .row = ROW_OUTCOME_MEAN};
    const struct measure iou = {.stage = STAGE_LABEL, .row = ROW_IOU};
    return resolve_family(out, name, OUTCOME_RATE, rate) ||
           resolve_family(out, name, OUTCOME_MEAN, mean) || resolve_family(out, name, IOU, iou);
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
                                .k = k};
        return 0;
    }
    if (resolve_any_family(out, name))
        return 0;
    const char *words[N_ROWS];
    for (int i = 0; i < N_ROWS; i++)
        words[i] = rows[i].name;
    const char *near = text_near(name, words, N_ROWS);
    return err_set(err, ERR_DATA, "metric %s cannot decide an experiment%s%s%s", name,
                   near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
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
    default:
        return give(o->correct, 1, n, d);
    }
}

static bool outcome_ratio(const struct measure *measure, const struct observation *o, double *n,
                          double *d)
{
    /* a prediction is a chance of the outcome, an outcome event is its value */
    if (o->stage == STAGE_PREDICTION) {
        *n = 0;
        *d = 1;
        return measure->row == ROW_OUTCOME_RATE;
    }
    if (o->stage != STAGE_OUTCOME || !named(measure, o) || !isfinite(o->named_value))
        return false;
    bool rate = measure->row == ROW_OUTCOME_RATE;
    *n = rate ? o->named_value != 0 : o->named_value;
    *d = rate ? 0 : 1;
    return true;
}

static bool ranking_ratio(const struct measure *measure, const struct observation *o,
                          enum ranking_value value, double *n, double *d)
{
    return o->content && give(ranking_of_list(o->content, value, measure->k), 1, n, d);
}

/* Pixels of one class: an event is a share of the class's pixels, not one. */
static bool iou_ratio(const struct measure *measure, const struct observation *o, double *n,
                      double *d)
{
    const uint64_t class = class_id(measure->outcome, (size_t)measure->outcome_bytes);
    double tp = 0, all = 0;
    for (uint32_t i = 0; o->content && i < o->content->n_pixels; i++) {
        const struct class_pixels *pixels = &o->content->pixels[i];
        if (pixels->class_id != class)
            continue;
        tp += pixels->tp;
        all += pixels->tp + pixels->fp + pixels->fn;
    }
    return give(tp, all, n, d);
}

bool measure_ratio(const struct measure *measure, const struct observation *o, double *n, double *d)
{
    if (measure->stage == STAGE_OUTCOME)
        return outcome_ratio(measure, o, n, d);
    if (o->stage != measure->stage || (o->failed && measure->row != ROW_ERROR_RATE))
        return false;
    double error = o->value - o->label_value, target = o->positive ? 1 : 0;
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
        return confusion_ratio((enum row)measure->row, o, n, d);
    case ROW_LOG_LOSS:
        return give(o->log_loss, 1, n, d);
    case ROW_BRIER:
        return give((o->score - target) * (o->score - target), 1, n, d);
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
        return give(isfinite(o->score) ? o->score : o->value, 1, n, d);
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
        return iou_ratio(measure, o, n, d);
    case ROW_ROC_AUC:
    case ROW_OUTCOME_RATE:
    case ROW_OUTCOME_MEAN:
        break;
    }
    return false;
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
    /* a failed request's latency says nothing; without a threshold nothing is known yet */
    if (o->failed || isnan(o->latency_ms) || isnan(threshold))
        return false;
    *failed = o->latency_ms > threshold;
    return true;
}
