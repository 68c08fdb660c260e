/*
 * What a labelled reference teaches about a model, so that its quality can be told before the
 * labels come: for classes how their scores are calibrated, for values how far errors scatter.
 *
 * Shape    binary: one class, the positive one · multiclass: one-versus-rest, each class with a
 *          calibration of its own, up to ESTIMATOR_CLASSES · regression: the scatter alone; the
 *          expected errors themselves are folded (stats/estimate_dle.h). It is made for any
 *          reference: `state` says why it teaches nothing, if so
 * Units    errors in those of the label
 * Owner    estimator_fit and estimator_load give, estimator_free takes
 * Errors   -ENOMEM; ERR_CORRUPT
 * Threads  read-only once made
 * Source   NannyML 0.13: CBPE, and its sampling errors (a variance over n × the share of events
 *          that the metric looks at). Ties count half in the variance of the area, where NannyML
 *          lets the sort decide. It divides multiclass probabilities by their sum after calibrating
 *          them; ours stay as calibrated, which is what one-versus-rest calibration promises
 */
#pragma once

#include "stats/estimate_cbpe.h"
#include "stats/metric.h"

enum {
    ESTIMATOR_CLASSES = 256,
    ESTIMATOR_MIN_LABELLED = 30
};

enum estimator_state {
    ESTIMATOR_READY,
    ESTIMATOR_NO_LABELS,
    ESTIMATOR_FEW_LABELS, /* fewer than ESTIMATOR_MIN_LABELLED */
    ESTIMATOR_ONE_CLASS,
    ESTIMATOR_NO_SCORES,
    ESTIMATOR_TASK,    /* no estimate for this task */
    ESTIMATOR_DAMAGED, /* its stored bytes are not those that were written */
    ESTIMATOR_ROWS,    /* of stored panes, which keep no rows to learn errors from */
    N_ESTIMATOR_STATES
};
/* In words, for `why`. */
const char *estimator_why(enum estimator_state state);

/* The sampling variance of a metric over n events is variance / (n × share); NaN: not known. */
struct spread {
    double variance, share;
};

enum estimator_spread {
    SPREAD_ROC_AUC,
    SPREAD_ACCURACY,
    SPREAD_F1,
    SPREAD_PRECISION,
    SPREAD_RECALL,
    SPREAD_SPECIFICITY,
    N_ESTIMATOR_SPREADS
};

struct estimator_class {
    uint64_t id;
    bool usable; /* false: the reference has no label of it, or no other */
    struct cbpe cbpe;
    struct spread spreads[N_ESTIMATOR_SPREADS];
};

struct estimator {
    enum task task;
    enum estimator_state state;
    uint64_t reference; /* its id */
    int64_t labelled;   /* pairs it was fitted on */
    uint32_t n_classes; /* ascending by id */
    struct estimator_class *classes;
    struct spread accuracy;         /* multiclass: of all classes together */
    struct spread absolute, square; /* regression: of |error| and of error² */
};

/* The labelled predictions of a reference. */
struct estimator_pairs {
    enum task task;
    uint64_t reference;
    size_t n;
    uint32_t n_classes;
    const uint64_t *classes;   /* ascending; binary: the positive one */
    const double *scores;      /* n × n_classes, 0..1; NaN: none */
    const uint64_t *predicted; /* n */
    const uint64_t *labels;    /* n */
    const double *errors;      /* regression: n of prediction - label */
};

int estimator_fit(struct estimator **out, const struct estimator_pairs *pairs, struct err *err);
void estimator_free(struct estimator *estimator);
DEFINE_FREEP(estimator)

/* Of labelled predictions of one class. */
struct estimator_confusion {
    double tp, fp, fn, tn;
};
/* One class of it; sorts `samples`. ERR_DATA as cbpe_fit: it is not usable. */
int estimator_fit_class(struct estimator_class *out, struct cbpe_sample *samples, size_t n,
                        const struct estimator_confusion *confusion, struct err *err);
/* The variance of a share. */
struct spread spread_of_share(double hits, double of, double n);

/*
 * From the states of stored panes: how scores are calibrated comes from the score bins, which know
 * the labels of each, so a score within a bin counts as its middle. Regression: ESTIMATOR_ROWS.
 * Beyond ESTIMATOR_PANE_SAMPLES labels, as many in the same shares.
 */
enum {
    ESTIMATOR_PANE_SAMPLES = 20000
};
int estimator_of_states(struct estimator **out, const struct states *states, uint64_t reference,
                        struct err *err);

/* NULL: not a class of the reference, or not a usable one. */
const struct estimator_class *estimator_class(const struct estimator *estimator, uint64_t id);

void estimator_save(const struct estimator *estimator, struct buf *out);
int estimator_load(struct estimator **out, const void *bytes, size_t n, struct err *err);
