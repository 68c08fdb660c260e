/*
 * Feature profiles of panes: written with them, read back merged over windows.
 *
 * Shape    two parts a pane, each a row: PROFILE_FEATURES and PROFILE_LABEL. A reader gets both in
 *          one profile over profile_model's layout. Windows are tumbling: [start, start + window),
 *          start a multiple of window; panes of all levels that lie in it whole are merged, others
 *          make the window `partial`
 * Units    ms since the epoch
 * Owner    profile_model_read gives, profile_model_finish takes; `point` borrows its profile
 * Errors   as in storage/series.h; damaged bytes are left out and counted
 * Threads  commit_profile: the writer's, in a commit · the others: that of the store
 */
#pragma once

#include "stats/reference.h"
#include "storage/references.h"
#include "storage/store.h"

enum profile_part {
    PROFILE_FEATURES,
    PROFILE_LABEL
};

int commit_profile(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                   enum profile_part part, const void *bytes, size_t n, struct err *err);
/* As series_pane: 0 (*bytes malloc'd), SERIES_NONE or SERIES_DAMAGED. */
int profile_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                 enum profile_part part, void **bytes, size_t *n, struct err *err);

#define PROFILE_LABEL_NAME "@label"

struct profile_span {
    int64_t from_ms, to_ms;
};

/* A model's features as they are stored: their names, and the reference they are compared with. */
struct profile_model {
    struct profile_layout layout; /* sorted by name_id */
    struct profile_feature *features;
    char **names; /* of the features, in their order */
    uint32_t n_features;
    uint64_t label_id;
    struct reference_row reference; /* .reference NULL: none */
    /* Of a slice: which; the reference on whose grids its panes counted, where the slice's is a part
       of that; why it has none, "" where its model has none either. */
    char *slice; /* NULL: everything */
    struct reference *whole;
    char no_reference[160];
    /* Where the reference follows a rhythm: which, and the spans of panes that it was made of. */
    const char *rhythm; /* "day", "week"; NULL: none */
    struct profile_span *spans;
    size_t n_spans;
    /* Of panes: its time cuts through an hour or a day that is kept as one, whose events it lacks. */
    bool cut;
};
/* version NULL: the model's own reference. ERR_NOT_FOUND: no such model. */
int profile_model_read(struct store *store, const char *model, const char *version,
                       struct profile_model *out, struct err *err);
/* The reference anew: of another version, or of a slice (NULL or "": everything), which is a part of
   the loaded one. */
int profile_model_refer(struct store *store, const char *name, const char *version,
                        const char *slice, struct profile_model *model, struct err *err);
void profile_model_finish(struct profile_model *model);

struct profile_query {
    const char *model;
    const char *version; /* NULL: all versions merged */
    const char *slice;   /* NULL or "": overall */
    int64_t from_ms, to_ms;
    int64_t window_ms;
    /* In place of windows: all of these spans merged, as one window [from, to). */
    const struct profile_span *spans;
    size_t n_spans;
    enum profile_level level; /* PROFILE_HOUR, or PROFILE_REFERENCE to build one from panes */
    /* Asked before a window is read: is the answer for panes of this fingerprint known already?
       Then nothing is read, and `point` is called with .known. NULL: never. */
    bool (*known)(void *context, uint64_t fingerprint);
    bool compared;     /* with `known`: profiles are for drift_window alone, by no method of
                          Evidently's: of sketches that this does not look at nothing is read */
    struct crew *crew; /* that panes are loaded with; NULL: the caller alone */
};

struct profile_point {
    int64_t start_ms, end_ms;
    const struct profile *profile; /* NULL: nothing in the window */
    bool partial;
    bool known;           /* `known` said so; profile is NULL */
    uint64_t fingerprint; /* of the panes' keys and bytes; 0 without `known` */
};

int profiles_each(struct store *store, const struct profile_model *model,
                  const struct profile_query *query,
                  int (*point)(void *context, const struct profile_point *point, struct err *err),
                  void *context, size_t *n_damaged, struct err *err);

/* For retention: merges the rows of [from_key, to_key) into one at upper_key, and removes them.
   1: damaged bytes are among them, and nothing was done. */
int profiles_roll_up(struct store *store, int64_t from_key, int64_t to_key, int64_t upper_key,
                     struct err *err);
int profiles_delete(struct store *store, int64_t from_key, int64_t to_key, struct err *err);

/* For `assay verify`: every row's hash, place and shape. ERR_CORRUPT names the first fault. */
int profiles_verify(struct store *store, struct err *err);
