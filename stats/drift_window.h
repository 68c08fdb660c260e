/*
 * One window of a model against its reference: every feature's statistics and the verdicts over all
 * of them. What REST shows and what alerts judge is this one answer.
 *
 * Shape    out[i] belongs to feature i of the window's layout. A feature that the reference lacks,
 *          or a window without the feature, has no values and says why. Beyond 50 features single
 *          values are put on the grid first: ten times as fast, with the grid's error_bound. An
 *          embedding has two tests, its norm's and its mean vector's, which share its level: the
 *          one with the smaller p speaks, or the only one that reaches min_effect
 * Errors   -ENOMEM
 * Threads  one at a time (the cache of null distributions)
 */
#pragma once

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
    double share; /* of the judged ones; NaN without any */
};

/* `out` has room for the window's features; label_id: name_id of @label. */
int drift_window(struct drift_nulls *nulls, const struct drift_rule *rule,
                 const struct reference *reference, const struct profile *window, uint64_t label_id,
                 struct drift_feature *out, struct drift_summary *summary);
