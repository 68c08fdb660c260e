/*
 * How good a classifier is, before its labels come: confidence-based performance estimation.
 *
 * Shape    cbpe is fitted once on a labelled reference: score → P(positive) by isotonic
 *          regression, if that is better calibrated than the scores are. A window keeps its
 *          scores, apart for predicted positives and negatives (struct cbpe_window: mergeable,
 *          order-free); the calibration is applied when it is read, so a new one holds for old
 *          windows too. Expected confusion: a predicted positive of probability p is p of a true
 *          and 1 - p of a false positive
 * Classes  multiclass: one cbpe and one window a class (its score; predicted = it or not), then
 *          cbpe_macro
 * Limits   right as long as the relation of score to label holds; silent when it does not. An
 *          estimate may hold a rollout, never promote it
 * Errors   what is not defined (no positives expected, an empty window) is NaN
 * Threads  a cbpe is read-only once fitted
 * Source   NannyML 0.13 CBPE: isotonic only when it lowers the calibration error (10 equal-mass
 *          bins, 10 shuffles of 10%; never when AUC > 0.999); AUC by the raw score's order
 */
#pragma once

#include <stdbool.h>

#include "stats/cells.h"
#include "stats/isotonic.h"

struct cbpe {
    bool calibrated; /* false: the scores are taken as they are */
    struct isotonic map;
};

struct cbpe_sample {
    double score;
    bool label; /* positive */
};

/* ERR_DATA when one of the classes never comes. */
int cbpe_fit(struct cbpe *out, const struct cbpe_sample *samples, size_t n, struct err *err);
void cbpe_finish(struct cbpe *cbpe);
double cbpe_probability(const struct cbpe *cbpe, double score);
void cbpe_save(const struct cbpe *cbpe, struct buf *out);
int cbpe_load(struct cbpe *out, struct reader *in, struct err *err);

/* The scores of a window by what was predicted. Limits: 48 and 48 values a minute, 650 an hour. */
struct cbpe_window {
    struct cells positive, negative;
};
void cbpe_window_init(struct cbpe_window *window, uint32_t limit);
void cbpe_window_finish(struct cbpe_window *window);
int cbpe_window_update(struct cbpe_window *window, double score, bool predicted);
int cbpe_window_merge(struct cbpe_window *into, const struct cbpe_window *from);
void cbpe_window_save(const struct cbpe_window *window, struct buf *out);
int cbpe_window_load(struct cbpe_window *window, struct reader *in, struct err *err);

struct cbpe_estimate {
    double n;
    double tp, fp, fn, tn;
    double roc_auc, accuracy, f1, precision, recall, specificity, pr_auc;
    double roc_auc_bound;  /* from scores that share a cell; 0: every score for itself */
    double sampling_error; /* of accuracy: sqrt(Σ p (1 - p)) / n */
};

int cbpe_estimate(const struct cbpe *cbpe, const struct cbpe_window *window,
                  struct cbpe_estimate *out);
/* Macro averages of one-against-rest estimates; accuracy is Σ tp / n. */
struct cbpe_estimate cbpe_macro(const struct cbpe_estimate *classes, size_t n_classes);
