/*
 * The references of models, as rows: the newest of a (model, version) counts, unless withdrawn. What
 * is withdrawn keeps its row: history names it by its id.
 *
 * Ranges   one made of the panes that `reference: {from, to}` names counts while the configuration
 *          names that span, and after whatever was loaded (storage/reference_panes.h)
 * Owner    reference_row_read gives, reference_row_finish takes
 * Errors   as in storage/store.h · ERR_CORRUPT: the bytes are not those that were written
 * Threads  commit_reference: the writer's, in a commit · the others: that of the store
 */
#pragma once

#include "stats/reference.h"
#include "storage/store.h"

/* seq of the reference that counts for the model (?1) and version (?2), for those who join it. */
#define REFERENCE_THAT_COUNTS                                                    \
    "SELECT seq FROM reference_states WHERE model = ?1 AND version IN ('', ?2) " \
    "AND withdrawn_ms IS NULL ORDER BY version = '', from_ms IS NOT NULL, seq DESC LIMIT 1"

struct reference_row {
    struct reference *reference; /* NULL: there is none */
    char id[17];
    char *source;
    int64_t created_ms;
    int64_t seq; /* of the row; 0: it is of no row */
};

/* version "": every version without one of its own. */
int commit_reference(struct store *store, const char *model, const char *version,
                     const struct reference *reference, const char *source, int64_t created_ms,
                     struct err *err);
/* The same, of the model's panes in [from, to); `fitted` may be NULL. */
int commit_range_reference(struct store *store, const char *model,
                           const struct reference *reference, const struct fitted *fitted,
                           int64_t from_ms, int64_t to_ms, struct err *err);
/* The one of [from, to) counts again, every other range's no longer; to_ms 0: none does. */
int commit_ranges_turned(struct store *store, const char *model, int64_t from_ms, int64_t to_ms,
                         int64_t at_ms, struct err *err);
/* Whether there is one of exactly [from, to), withdrawn or not. */
int reference_range_known(struct store *store, const char *model, int64_t from_ms, int64_t to_ms,
                          bool *out, struct err *err);
/* What the categories of a reference just made from events are called, whether the stream knows them or not. */
int commit_reference_names(struct store *store, const char *model,
                           const struct reference *reference, struct err *err);
/* None of that version ("": of the model) counts any more; panes keep their grids. */
int commit_reference_withdrawn(struct store *store, const char *model, const char *version,
                               int64_t at_ms, struct err *err);
/* One reference, by its id (version NULL: wherever it was loaded), counts no longer: the one that was
   loaded before it does. *n: how many rows that were. */
int commit_reference_forgotten(struct store *store, const char *model, const char *version,
                               const char *id, int64_t at_ms, int64_t *n, struct err *err);
/* The one of the version, else the model's; version NULL: the model's. */
int reference_row_read(struct store *store, const char *model, const char *version,
                       struct reference_row *out, struct err *err);
void reference_row_finish(struct reference_row *row);

/* The versions that have a reference of their own, and "" for the model's. */
int reference_versions_each(struct store *store, const char *model,
                            int (*row)(void *context, const char *version, struct err *err),
                            void *context, struct err *err);

struct reference_listed {
    const char *version; /* "": the model's */
    const char *id, *source;
    int64_t n; /* events */
    int64_t created_ms;
    int64_t withdrawn_ms;   /* -1: it is not */
    int64_t from_ms, to_ms; /* of panes: their time; -1: it was made of events */
    bool counts;            /* for its version, or, as the model's, for those without one */
};
/* All that were ever loaded, newest first; version NULL: of each. */
int references_each(struct store *store, const char *model, const char *version,
                    int (*each)(void *context, const struct reference_listed *row, struct err *err),
                    void *context, struct err *err);

/* Whether a reference of that id was ever set for the model. */
int reference_known(struct store *store, const char *model, uint64_t id, bool *out,
                    struct err *err);

/* For `assay verify`: every reference's hash and shape. ERR_CORRUPT names the first fault. */
int references_verify(struct store *store, struct err *err);
