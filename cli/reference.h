/*
 * References from files into the database: `assay reference load`, what the configuration names,
 * and PUT /models/M/reference.
 *
 * Errors   ERR_NOT_FOUND: the model is neither configured nor known
 * Threads  the writer's
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
    const char *text;
    size_t n;
    const char *source;
    bool once; /* not when it was set before: a later one may have replaced it */
};

struct reference_loaded {
    char id[17];
    struct reference_counts counts;
    bool stored;
};

/* In a transaction of its own. */
int reference_set(struct store *store, const struct reference_load *load,
                  struct reference_loaded *out, struct err *err);
/* `reference: {file: …}` of every model. */
int references_of_config(struct store *store, const struct config *config, struct err *err);
