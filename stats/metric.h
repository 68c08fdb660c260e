/*
 * The metric protocol: mergeable states, and metrics that read them.
 *
 * It is Keras's (update, result, reset, merge) split in two, because many metrics read the same
 * counts: a *state kind* folds events, a *metric* is one row of a table that names its state kind
 * and a result function. A new metric is one small file and one row (docs/adding-a-metric.md).
 *
 * Shape    struct states holds one state of every kind that its task keeps
 * Rules    a state must not depend on the order of events, nor on how they were split over
 *          merged parts: the saved bytes are the same (canonical form). What label() and
 *          outcome() put in with sign +1 they take out again, exactly, with sign -1.
 * Owner    states_new gives, states_free takes
 * Errors   update and merge fail only for want of memory (-ENOMEM): the states are then unchanged
 * Threads  one at a time
 * Source   keras.metrics.Metric (protocol); each metric names its own in its file
 */
#pragma once

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "stats/sample.h"

enum {
    TASK_ANY = (1 << N_TASKS) - 1
};

struct estimator;
struct looked;

/* What a state must know of its model; fixed for the life of a series, but for the estimator. */
struct metric_setup {
    enum task task;
    uint64_t positive; /* binary: class id of the positive class */
    double threshold;  /* binary: predicted = positive when score >= threshold, if not given */
    const struct estimator *estimator; /* borrowed; of estimated metrics (stats/estimator.h) */
};

enum fold {
    FOLD_PREDICTION,
    FOLD_LABEL
};

struct state_kind {
    const char *name;
    uint8_t tag;    /* identifies it in saved bytes; never reused for another layout */
    unsigned tasks; /* bit set: 1 << TASK_…, or TASK_ANY */
    size_t size;    /* bytes of the fixed part */
    void (*init)(void *state, const struct metric_setup *setup);
    void (*finish)(void *state);
    /* Sees to it that the predict or label, or the merge, that comes next cannot fail: all states
       of an event change, or none. NULL: never needs memory. */
    int (*room)(void *state, const struct sample *sample, enum fold fold);
    int (*room_merge)(void *into, const void *from);
    /* NULL where it does not care; sign is +1 or -1 */
    void (*predict)(void *state, const struct metric_setup *setup, const struct sample *sample);
    void (*label)(void *state, const struct metric_setup *setup, const struct sample *sample,
                  int sign);
    int (*outcome)(void *state, const struct metric_setup *setup, const struct outcome *outcome,
                   int sign);
    /* A value that a host tells of itself, by its name. */
    int (*system)(void *state, const struct metric_setup *setup, const struct outcome *value,
                  int sign);
    /* What a reference's models made of events that predict() was or will be told of. */
    int (*room_looked)(void *state, const struct looked *looked);
    void (*looked)(void *state, const struct looked *looked);
    void (*merge)(void *into, const void *from);
    /* An empty state writes nothing: states grow new kinds without touching what is stored. */
    void (*save)(const void *state, struct buf *out);
    int (*load)(void *state, struct reader *in, struct err *err);
    /* Makes a state that ages from minutes to hours smaller (coarser sketches); NULL: stays. */
    void (*coarsen)(void *state);
};

struct states;

int states_new(struct states **out, const struct metric_setup *setup, struct err *err);
void states_free(struct states *states);
DEFINE_FREEP(states)

int states_predict(struct states *states, const struct sample *sample);
int states_label(struct states *states, const struct sample *sample, int sign);
int states_outcome(struct states *states, const struct outcome *outcome, int sign);
int states_system(struct states *states, const struct outcome *value, int sign);
int states_looked(struct states *states, const struct looked *looked);
int states_merge(struct states *into, const struct states *from); /* same setup; else -EINVAL */
int states_coarsen(struct states *states);                        /* 0; never fails */

/* Canonical bytes: equal contents, equal bytes. States of unknown tags are refused on load. */
void states_save(const struct states *states, struct buf *out);
int states_load(struct states **out, const struct metric_setup *setup, const void *bytes, size_t n,
                struct err *err);

/* The state of one kind inside `states`, NULL when its task does not keep it. */
const void *states_get(const struct states *states, const struct state_kind *kind);
const struct metric_setup *states_setup(const struct states *states);

/* Predictions in it, and how many of them have a label: what every point carries. */
int64_t states_count(const struct states *states);
int64_t states_labelled(const struct states *states);
/* … and how many have none, not counting those that failed: no label comes for them. */
int64_t states_unlabelled(const struct states *states);

enum better {
    BETTER_NONE,
    BETTER_HIGHER,
    BETTER_LOWER
};

struct metric_value {
    double value;       /* NaN: not defined (JSON null); `why` says why */
    double lower;       /* 95% confidence interval; NaN where none is defined */
    double upper;       /* … */
    double error_bound; /* |value - exact| <= this; 0 = exact */
    int64_t n;          /* predictions in the window */
    int64_t labelled;   /* of them with a label */
    const char *why;    /* static text, or NULL when the value is defined */
};

struct metric_input {
    const void *state; /* of the row's kind */
    const struct metric_setup *setup;
    uint64_t
        argument; /* class id of the family's label (or outcome name id), k of ndcg_k, else 0 */
    int64_t window_ms; /* the length that the states cover, for rates per second */
};

struct metric_def {
    const char *name;   /* as in the contract; families end in '{', '=' and so on as in
                           `precision{class=` , or in '_k' where any number may stand for k */
    const char *unit;   /* fraction, ms, count, 1/s, … (Prometheus base units are web's affair) */
    const char *help;   /* one sentence; docs/metrics.md and the API are made from it */
    unsigned tasks;     /* bit set */
    enum better better; /* which direction is good */
    const struct state_kind *state;
    /* Gets n and labelled filled in, all else NaN (stats/metric_result.h). */
    void (*result)(const struct metric_input *in, struct metric_value *out);
};

/* A metric as asked for: `roc_auc`, `precision{class="x"}`, `outcome_rate{name="click"}`, ndcg_10
 */
struct metric_ref {
    const struct metric_def *def;
    uint64_t argument;
    char text[320]; /* the name as asked, for answers */
};

/*
 * Looks a name up. -EINVAL and a message with near matches when there is none, or when the task
 * does not have it. Custom metrics (expr, outcome rules) are resolved by their own names one
 * layer up, in stats/custom.h.
 */
int metric_find(struct metric_ref *out, const char *name, enum task task, struct err *err);
/* Of what it is an estimate without labels (`accuracy` of `estimated_accuracy`); NULL: of nothing. A
   custom metric may only look like one. */
const char *metric_estimated(const char *name);

void metric_result(const struct states *states, const struct metric_ref *metric, int64_t window_ms,
                   struct metric_value *out);

/* All rows, in the order of the contract; *n of them. A name may have a row for each task. */
const struct metric_def *metric_table(size_t *n);
/* What a value can be at all: an interval is cut to it. */
void metric_range(const struct metric_def *def, double *least, double *most);
/* All kinds of states; the first counts predictions and labels for everyone. */
const struct state_kind *const *metric_kinds(size_t *n);
