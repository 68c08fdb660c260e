/*
 * One window of a model against its reference: every feature's statistics and the verdicts over all
 * of them. What REST shows and what alerts judge is this one answer.
 *
 * Shape    out[i] belongs to feature i of the window's layout. A feature that the reference lacks,
 *          or a window without the feature, has no values and says why. Beyond 50 features single
 *          values are put on the grid first: ten times as fast, with the grid's error_bound. An
 *          embedding has two tests, its norm's and its mean vector's, which share its level: the
 *          one with the smaller p speaks, or the only one that reaches min_effect
 * Errors   -ENOMEM; -ECANCELED: `stopping` said so
 * Threads  any; features are shared out to the crew
 */
#pragma once

#include "common/crew.h"
#include "stats/drift_embedding.h"
#include "stats/drift_threshold.h"

struct drift_feature {
    struct profile_quality quality;
    bool is_numeric; /* numbers, and norms of embeddings: `numeric`; else `categorical` */
    struct drift_numeric numeric;
    struct drift_embedding embedding; /* where kind is that */
    struct drift_categorical categorical;
    struct drift_verdict verdict;
    const char *why; /* nothing could be compared; NULL when it was */
};

struct drift_summary {
    size_t n_judged, n_drifted;
    double share;    /* of the judged ones; NaN without any */
    uint64_t events; /* of the window */
};

struct drift_question {
    struct drift_nulls *nulls;
    struct crew *crew; /* NULL: the caller alone */
    const struct drift_rule *rule;
    const struct reference *reference; /* NULL: nothing can be compared, and says so */
    const struct profile *window;
    uint64_t label_id;               /* name_id of @label */
    bool (*stopping)(void *context); /* asked at each feature; NULL: never */
    void *context;
};

/* `out` has room for the window's features. */
int drift_window(const struct drift_question *question, struct drift_feature *out,
                 struct drift_summary *summary);
