/*
 * A window of a model judged against its reference, once, whoever asks: REST, rules of alerts, what
 * explains them and what is made ready before anybody asks.
 *
 * Shape    the verdicts are kept by the window's panes, the reference and the rule
 *          (storage/drift_cache.h). Who asks for a window that another thread is judging waits for
 *          it; `background` waits for no window and nobody waits for it, but while there are questions
 *          (drift_cache_question_begin) it stands aside, at each feature
 * Owner    the question's parts are borrowed
 * Errors   -ENOMEM; -ECANCELED: `stopping` said so
 * Threads  any
 */
#pragma once

#include "stats/drift_window.h"
#include "storage/drift_cache.h"
#include "storage/profiles.h"

struct drift_judging {
    struct drift_cache *cache;
    const struct drift_rule *rule;
    const struct profile_model *model; /* as it is when the window is judged */
    bool background;
    bool (*stopping)(void *context); /* asked at each feature; NULL: never */
    void *context;
};

/* For profile_query's `known`: copies what is kept of panes of this fingerprint. */
bool drift_judged_find(const struct drift_judging *judging, uint64_t fingerprint,
                       struct drift_feature *out, struct drift_summary *summary);
/* point->profile is there. */
int drift_judged_make(const struct drift_judging *judging, const struct profile_point *point,
                      struct drift_feature *out, struct drift_summary *summary, struct err *err);
