/*
 * Where does a change come from? The slices, versions and features that contribute most to what a
 * window of a model shows, ranked, and the one sentence that an alert can carry.
 *
 * Shape    two windows are read: [from, to) and the one it is compared with. Slices: the values of
 *          each segment key split the model's predictions, as do its versions where all are merged;
 *          each gets its part of the metric's change. Features: those of [from, to) against the
 *          reference, as `drift` shows them, and how their missing and invalid rates changed; those of a
 *          slice against the same slice of it (storage/drift_model.h).
 *          Changes: what detectors found by the event within [from, to), the first mover first
 * Split    of a mean or a share: exact, within + between (stats/explain.h); of a count or a sum:
 *          the slice's own change; of any other metric (AUC, f1): by how much the value would
 *          differ if the slice were as before and all others as now. `split` says which
 * Units    ms since the epoch, whole minutes; contributions: the metric's own
 * Owner    explain_read gives, explanation_finish takes
 * Errors   as in storage/series.h and storage/profiles.h; -EINVAL: the metric is unknown
 * Threads  that of the store
 */
#pragma once

#include "stats/custom.h"
#include "stats/drift_quality.h"
#include "stats/drift_window.h"
#include "storage/drift_model.h"
#include "storage/explain_changes.h"

struct explain_query {
    const char *model;
    const char *version; /* NULL: all versions merged, which are then split, too */
    const char *slice;   /* NULL or "": overall */
    int64_t from_ms, to_ms;
    int64_t before_from_ms, before_to_ms; /* both 0: as long, and just before */
    const char *metric;                   /* NULL: the task's first one that has a value */
    const struct custom_set *customs;     /* the model's own metrics; NULL: none */
};

enum explain_split {
    SPLIT_MEAN,   /* within + between */
    SPLIT_SUM,    /* the slice's own change */
    SPLIT_REPLACE /* the value with the slice as before */
};
const char *explain_split_name(enum explain_split split); /* "mean", "sum", "replace" */

struct explained_slice {
    char *version; /* of a version's row, else NULL */
    char *slice;   /* "country=de"; NULL for a version's row */
    struct metric_value before, now;
    enum explain_split split;
    double within, between; /* SPLIT_MEAN; else NaN */
    double contribution;
    double share; /* of the whole change; NaN where nothing changed */
};

enum explain_by {
    BY_DRIFT,   /* its distribution */
    BY_MISSING, /* its missing rate */
    BY_INVALID  /* its invalid rate */
};
const char *explain_by_name(enum explain_by by);

struct explained_feature {
    const char *name;                      /* borrowed from the explanation's model */
    const struct reference_feature *known; /* the same; NULL: not in the reference */
    struct drift_feature drift;
    struct rate_change missing, invalid;
    enum explain_by by; /* what of it is strongest */
    double effect;      /* 1: just an alarm. statistic / threshold, or the rate's change / 0.05 */
    double share;       /* of all effects */
};

struct explanation {
    struct profile_model model; /* names, reference */
    char metric[320];
    struct metric_value before, now;
    int64_t from_ms, to_ms, before_from_ms, before_to_ms;
    double change;  /* now - before; NaN where a side has no value: then there are no slices */
    bool of_labels; /* the metric is of the predictions that have their label */
    struct explained_slice *slices; /* largest |contribution| first */
    size_t n_slices;
    struct explained_feature *features; /* largest effect first */
    size_t n_features, n_drifted;
    struct explained_changes
        changes;  /* found by the event within [from, to); the slice's, or all */
    bool partial; /* older panes are longer than the windows */
    size_t n_damaged;
    char cause[320]; /* one sentence; "" when nothing stands out */
};

/* `config` may be NULL. */
int explain_read(struct store *store, const struct config *config,
                 const struct explain_query *asked, struct explanation *out, struct err *err);
void explanation_finish(struct explanation *explanation);

/*
 * The sentence alone, for an alert: `metric` NULL when it was drift that raised it. "" when nothing
 * stands out or nothing can be read; at most n bytes with the NUL.
 */
int explain_cause(struct store *store, const struct config *config,
                  const struct explain_query *query, char *out, size_t n, struct err *err);
