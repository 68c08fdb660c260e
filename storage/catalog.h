/*
 * What is known: models, their versions, slices and names, for the API and for `assay query`.
 * Counts and facts: storage/restore.h.
 *
 * Owner    rows and their texts are borrowed until `row` returns; what *_read gives by pointer is
 *          malloc'd and the caller's
 * Errors   ERR_NOT_FOUND: no such model; the message has near matches
 */
#pragma once

#include "stats/metric.h"
#include "storage/commit.h"

/* Calls `row` for each model by name; it returns 0 to go on, else that value is returned. */
int models_each(struct store *store,
                int (*row)(void *context, const struct model_row *model, struct err *err),
                void *context, struct err *err);

/* One model. Its texts live as long as `out`, which model_finish takes. */
struct model_known {
    struct model_row row;
    struct metric_setup setup;
    char *texts[3];
};
int model_read(struct store *store, const char *name, struct model_known *out, struct err *err);
void model_finish(struct model_known *model);

/* Which versions and slices a model has, with the first and last pane of each. */
struct series_known {
    int64_t id;
    const char *version;
    const char *slice; /* "": overall */
    int64_t first_ms;  /* start of its oldest pane; -1: no pane yet (or no more) */
    int64_t last_ms;   /* end of its newest pane */
};
/* version, slice: NULL for all. Ordered by slice, then version. */
int series_list(struct store *store, const char *model, const char *version, const char *slice,
                int (*row)(void *context, const struct series_known *series, struct err *err),
                void *context, struct err *err);

/* Versions seen or registered; facts_json is NULL where none was registered. */
int versions_each(struct store *store, const char *model,
                  int (*row)(void *context, const char *version, const char *facts_json,
                             struct err *err),
                  void *context, struct err *err);

/* The text behind an id, NULL when it has none. */
int name_read(struct store *store, const char *model, const char *kind, uint64_t id, char **text,
              struct err *err);
/* All names of one kind of a model, by text. */
int names_each(struct store *store, const char *model, const char *kind,
               int (*row)(void *context, uint64_t id, const char *text, struct err *err),
               void *context, struct err *err);
