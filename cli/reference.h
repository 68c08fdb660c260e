/*
 * References from files into the database: `assay reference load`, what the configuration names,
 * and PUT /models/M/reference.
 *
 * Shape    reference_make reads the events, which takes a while, and needs the store only to learn
 *          the task of a model that is not configured; reference_keep writes the row. A daemon
 *          makes on the asker's thread and keeps on the writer's
 * Owner    reference_make gives `out->reference`, reference_free takes
 * Errors   ERR_NOT_FOUND: the model is neither configured nor known
 * Threads  reference_make: any, with a store of its own or a known task; the others: the writer's
 */
#pragma once

#include "collector/reference_file.h"
#include "storage/store.h"

/* One reference to be set: from a file or from text. */
struct reference_load {
    const struct config *config;
    const char *model;
    const char *version; /* NULL: for all */
    const char *path;    /* or */
    const char *text;    /* JSONL, gzipped or not */
    size_t n;
    const char *source;
    const char *who; /* whoever asked for it: goes into the audit log; NULL: nobody did */
    bool of_config;  /* the file that the configuration names: not when that very one was the last
                       it gave; somebody may have set another since */
};

struct reference_loaded {
    struct reference *reference;
    char id[17];
    struct reference_counts counts;
    bool stored;
};

/* The task of the model, from the configuration or else from the database. */
int reference_task(struct store *store, const struct reference_load *load, char *out, size_t n,
                   struct err *err);
int reference_make(const struct reference_load *load, const char *task,
                   struct reference_loaded *out, struct err *err);
/* In a transaction of its own. */
int reference_keep(struct store *store, const struct reference_load *load,
                   struct reference_loaded *loaded, struct err *err);

/* For `assay check`: whether the files can be read. */
int references_check(const struct config *config, struct err *err);
/* Within a commit. The configuration names stored windows now: the file that it named before counts
   no longer. One that somebody loaded since does. */
int reference_leave_file(struct store *store, const struct config_model *model, struct err *err);
/* Is that what the file that the configuration names held when it was read last? */
int reference_of_file(struct store *store, const struct config_model *model, const char *id,
                      bool *out, struct err *err);
/* `reference:` of every model: files are loaded; where stored windows are named now, the file that
   the configuration named before is withdrawn. */
int references_of_config(struct store *store, const struct config *config, struct err *err);

/* The answer of `reference load` and of PUT. */
void reference_told(const struct reference_load *load, const struct reference_loaded *loaded,
                    struct buf *out);
