/*
 * What the collector knows of models: their versions, slices and classes as small numbers, and
 * their counters.
 *
 * Shape    model → versions → series, one for each slice; slice 0 is overall. A version has a
 *          handle for the life of the process; on disk stand the series numbers of storage.
 * Limits   models, values of a segment key, versions and classes of a model are bounded; what
 *          comes beyond is refused (models) or becomes `__other__`
 * Owner    models_new gives, models_free takes; the config is borrowed
 * Errors   -ENOMEM; what storage gives
 * Threads  one
 */
#pragma once

#include "collector/event.h"
#include "collector/expect.h"
#include "collector/id_set.h"
#include "collector/open_minutes.h"
#include "collector/profiling.h"
#include "collector/validate.h"
#include "common/config.h"
#include "stats/metric.h"
#include "storage/store.h"

enum {
    MAX_SEGMENT_KEYS = 32, /* of a model; further ones are an error of the configuration */
    MAX_VERSIONS = 1000,   /* of a model */
};

/* Counters of a model, as they stand in the API; by enum model_count. */
enum model_count {
    COUNT_PREDICTIONS,
    COUNT_LABELS,
    COUNT_JOINED,
    COUNT_PENDING,
    COUNT_EXPIRED,
    COUNT_DUPLICATES,
    COUNT_REJECTED,
    COUNT_CORRECTIONS,
    COUNT_OUTCOMES,
    COUNT_ERRORS,
    COUNT_LATE,
    COUNT_ORPHANED,
    COUNT_SYSTEM,
    COUNT_UNKNOWN_FIELDS,
    COUNT_INVALID_VALUES,
    COUNT_LAST_EVENT, /* ms: newest event time */
    N_MODEL_COUNTS
};
const char *model_count_name(enum model_count count);

struct pane;
struct series {
    struct version *version;
    int64_t id; /* of storage; 0: not written yet */
    uint32_t slice;
    uint32_t number;     /* in the process, for hashing */
    struct pane *latest; /* pane of the newest minute: most events go there */
};

struct version {
    struct model *model;
    char *name;
    uint32_t handle;
    struct series **series;      /* by slice; NULL until the first event */
    uint32_t n_series;           /* allocated */
    struct expecting *expecting; /* as found in the model's of that generation */
    uint32_t generation;
};

struct segment_key {
    char *name;
    struct id_set values; /* class_id of the value → slice */
    uint32_t none, other; /* slices; 0: not made yet */
};

struct model {
    char *name;
    uint64_t hash; /* class_id of the name */
    struct metric_setup setup;
    char *positive;
    int64_t label_horizon_ms;
    const struct config_model *config; /* NULL: admitted by auto_models, or no longer configured */
    bool admitted;                     /* takes predictions */
    struct feature_schema *schema;
    struct segment_key keys[MAX_SEGMENT_KEYS];
    uint32_t n_keys;
    char **slices; /* texts by number; slices[0] = "" */
    uint32_t n_slices;
    size_t slices_capacity;
    struct version **versions;
    uint32_t n_versions;
    size_t versions_capacity;
    struct id_set version_names;  /* → index in versions */
    struct version *last_version; /* of the last event: most events repeat it */
    struct id_set classes, outcome_names, system_names;
    struct id_set feature_names, category_names;
    struct profiling profiling;
    struct expectations expectations;
    int64_t counts[N_MODEL_COUNTS];
    struct open_minutes open;
    int64_t labels_complete_ms, next_labels_complete_ms; /* as written, as being written */
    bool counts_dirty, dirty;
};

/* A class, outcome, feature or category name that is to be written with the next commit. */
struct new_name {
    struct model *model;
    const char *kind; /* "class", "outcome", "system", "feature", "category" */
    uint64_t id;
    char *text;
    uint32_t size;
};

struct models {
    const struct config *config;
    struct model **models;
    size_t n_models, models_capacity;
    size_t n_auto; /* admitted beside the configured ones */
    struct id_set by_name;
    struct model *last;        /* of the last event */
    struct version **versions; /* by handle */
    size_t n_versions, versions_capacity;
    struct new_name *names;
    size_t n_names, names_capacity;
    struct id_set by_series_id; /* → index in series */
    struct series **series;
    size_t n_series, series_capacity;
    size_t n_written; /* series before this index have their row */
};

int models_new(struct models **out, const struct config *config, struct err *err);
void models_free(struct models *models);
DEFINE_FREEP(models)

/* Fills in all that storage knows; once, right after models_new. */
int models_restore(struct models *models, struct store *store, struct err *err);
/* Another configuration; what is known stays known. */
int models_configure(struct models *models, const struct config *config, struct err *err);

/* The model of that name, or NULL. */
struct model *models_find(struct models *models, struct view name);
/* The same, admitted when auto_models has room: 0, or REJECT_UNKNOWN_MODEL, REJECT_TOO_MANY_MODELS;
   < 0: -ENOMEM. */
int models_admit(struct models *models, struct view name, struct model **out, struct err *err);

/* Made when new; `__other__` beyond MAX_VERSIONS, `__none__` when it is absent. */
int model_version(struct models *models, struct model *model, struct view name,
                  struct version **out, struct err *err);
/* Slice numbers of an event, overall left out; room for MAX_SEGMENT_KEYS. */
int model_slices(struct models *models, struct model *model, const struct event *event,
                 uint16_t *slices, uint32_t *n, struct err *err);
int version_series(struct models *models, struct version *version, uint32_t slice,
                   struct series **out, struct err *err);

/* The id of a class, outcome's or system value's name; its text is recorded once, and beyond
   limits.categories it is
   `__other__`. */
int model_class(struct models *models, struct model *model, struct view text, uint64_t *id,
                struct err *err);
int model_outcome_name(struct models *models, struct model *model, struct view text, uint64_t *id,
                       struct err *err);
int model_system_name(struct models *models, struct model *model, struct view text, uint64_t *id,
                      struct err *err);

/* Records the names of @score, @prediction and @label; once, before the first profile. */
int model_own_features(struct models *models, struct model *model, struct err *err);
/* The slot of an event's feature in the model's profiles; its name is recorded once. */
int model_profile_slot(struct models *models, struct model *model, uint32_t feature, uint32_t *slot,
                       struct err *err);
/* Records the text of a category with its class_id, up to limits.categories of them; it is counted
   either way. */
int model_category(struct models *models, struct model *model, struct view text, uint64_t id,
                   struct err *err);
/* What windows are compared with from now on, as storage has it. */
int models_read_references(struct models *models, struct store *store, struct err *err);

/* A prediction waits for its label (+1), or has it now (-1). */
int model_open(struct model *model, int64_t ts_ms, int delta, struct err *err);
/* Counts those as expired whose label can no longer come. */
void model_expire(struct model *model, int64_t watermark_ms);
/* Up to when all labels are in (matched or expired); INT64_MIN: nothing known. */
int64_t model_labels_complete(struct model *model, int64_t watermark_ms);

/* Writes what is new into the open transaction: models, series, names, counts. */
int models_write(struct models *models, struct store *store, int64_t watermark_ms, struct err *err);
/* The transaction is durable. */
int models_written(struct models *models, struct err *err);

/* Parts of models_restore: what storage has is taken as it is, whatever the limits say now. */
int models_restore_model(struct models *models, const char *name, const char *task,
                         const char *positive, double threshold, int64_t label_horizon_ms,
                         struct err *err);
int model_restore_version(struct models *models, struct model *model, struct view name,
                          struct version **out, struct err *err);
int model_restore_slice(struct model *model, const char *text, uint32_t *slice, struct err *err);

/* Numbers of series as they stand on disk, and back; non-zero when there is none. */
int64_t models_series_id(const struct models *models, uint32_t version, uint32_t slice);
int models_series_of(const struct models *models, int64_t series_id, uint32_t *version,
                     uint32_t *slice);
