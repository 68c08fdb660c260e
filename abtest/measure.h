/*
 * What an experiment's metric is made of: the contributions of one event, and the kind of evidence
 * they are summed into.
 *
 * Shape    MEASURE_FAILURE  an event either fails or not (error_rate, "slower than q" for
 *                           latency_p99, a bad outcome): the conditional e-process
 *          MEASURE_RATIO    Σ numerator / Σ denominator over events, variance between units:
 *                           accuracy, f1, log_loss, latency_mean, outcome_mean, ndcg_10,
 *                           iou{class="x"} … Σ may carry a square root at the end (rmse)
 *          MEASURE_TAIL     share of the values beyond a quantile that control had before the step:
 *                           confidence_p10, median_absolute_error, max_error …
 *          MEASURE_AUC      positives and negatives in score bins: roc_auc, pr_auc
 *          MEASURE_AREAS    the same of each class: roc_auc_ovr_macro, roc_auc_ovr_weighted
 *          MEASURE_TALLY    a function of several sums (compound.h): formulas, macro F1, mean_iou, ece
 *          MEASURE_FLOW     events by the share of the traffic: count, throughput
 *          MEASURE_FACT     one number a version, compared as it is: artifact_bytes
 *          MEASURE_ESTIMATE quality estimated without labels: may hold, never decides
 * Errors   ERR_DATA: no such metric for experiments; the message says why, or has the nearest one
 * Threads  any; no state
 * Source   metric definitions: contract §4; f1 = 2tp/(2tp + fp + fn) is a ratio as well
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "stats/sample.h"

enum measure_kind {
    MEASURE_FAILURE,
    MEASURE_RATIO,
    MEASURE_TAIL,
    MEASURE_AUC,
    MEASURE_AREAS,
    MEASURE_TALLY,
    MEASURE_FLOW,
    MEASURE_FACT,
    MEASURE_ESTIMATE
};

/* Of MEASURE_TALLY, and the two areas of MEASURE_AREAS. */
enum compound_kind {
    COMPOUND_FORMULA,
    COMPOUND_R2,
    COMPOUND_PRECISION_MACRO,
    COMPOUND_PRECISION_WEIGHTED,
    COMPOUND_RECALL_MACRO,
    COMPOUND_F1_MACRO,
    COMPOUND_F1_WEIGHTED,
    COMPOUND_BALANCED_ACCURACY,
    COMPOUND_KAPPA,
    COMPOUND_MCC,
    COMPOUND_MEAN_IOU,
    COMPOUND_DICE,
    COMPOUND_ECE,
    COMPOUND_AREA_MACRO,
    COMPOUND_AREA_WEIGHTED
};

/* Which event brings the contribution. */
enum measure_stage {
    STAGE_PREDICTION,
    STAGE_LABEL, /* prediction and label together */
    STAGE_OUTCOME,
    STAGE_SYSTEM
};

struct tally_term;

/* What an event brings to one metric; no denominator and no numerator: nothing. */
struct contribution {
    double numerator, denominator;
};

/* One event as measures see it (observation.h makes it); NaN and false mean absent. */
struct observation {
    enum measure_stage stage;
    bool failed;                  /* `error` was set */
    double latency_ms;            /* NaN: absent */
    double score;                 /* binary: P(positive) */
    bool has_predicted;           /* prediction as a class is known */
    bool predicted;               /* binary: it is the positive class · multiclass: unused */
    bool positive;                /* label is the positive class */
    bool correct;                 /* label equals prediction */
    double value;                 /* regression: prediction */
    double label_value;           /* regression: label */
    double log_loss;              /* of this event, clipped as scikit-learn; NaN: absent */
    double brier;                 /* … its squared distance from the label; NaN: absent */
    double confidence;            /* probability of the predicted class; NaN: absent */
    bool in_top_3;                /* label is among the three highest scores */
    bool new_unit;                /* the prediction is the first of its unit in the step */
    uint64_t predicted_class;     /* 0: absent · binary: 1 positive, 2 negative */
    uint64_t label_class;         /* likewise */
    const struct sample *content; /* label of several classes, a ranking or a segmentation: the
                                     whole; else NULL */
    const struct contribution *contributions; /* or what it brings to each metric (evidence) */
    const struct tally_term *terms;           /* … and to their tallies, metric after metric, */
    const uint32_t *n_terms;                  /* so many each; NULL: the content says it */
    const char *name;                         /* outcome or system value: its name */
    double named_value;                       /* … and value */
    double covariate; /* the metric's covariate, fixed before assignment; NaN: absent */
};

struct measure {
    enum measure_kind kind;
    enum measure_stage stage;
    bool lower_is_better;
    bool square_root;            /* of the ratio: rmse */
    bool binary;                 /* numerator is 0 or the denominator */
    double quantile;             /* latency_p99: 0.99; max_error: 1; else NaN */
    bool average_precision;      /* of MEASURE_AUC: pr_auc */
    enum compound_kind compound; /* of MEASURE_TALLY and MEASURE_AREAS */
    int row;                     /* of the table in measure.c */
    const char *outcome; /* outcome_rate{name="x"}: borrowed from the name, to the closing quote */
    int outcome_bytes;   /* … the class of iou{class="x"} and precision{class="x"} likewise */
    uint32_t k;          /* ndcg_10: 10 */
    bool per_second;     /* of MEASURE_FLOW: throughput */
    bool per_unit;       /* its denominator is units: it needs all of them */
};

/* `name` must outlive the measure. */
int measure_resolve(struct measure *out, const char *name, struct err *err);
/* A name in a formula: a ratio of sums. */
int measure_resolve_operand(struct measure *out, const char *name, struct err *err);
/* What a formula is: its names come by measure_resolve_operand. */
struct measure measure_of_formula(void);

/* The contribution of one event; false when it brings none (another stage, not labelled …). */
bool measure_ratio(const struct measure *measure, const struct observation *observation,
                   double *numerator, double *denominator);
/* The value that a quantile is of, latency_p99's or confidence_p10's; NaN: the event has none. */
double measure_value(const struct measure *measure, const struct observation *observation);
/* MEASURE_FAILURE: does the event count, and did it fail? threshold: for latency quantiles. */
bool measure_failure(const struct measure *measure, const struct observation *observation,
                     double threshold, bool *failed);
