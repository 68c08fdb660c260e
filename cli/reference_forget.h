/*
 * A reference that was loaded is taken away again: DELETE /models/M/references/ID and `assay
 * reference forget`.
 *
 * Shape    the one that was loaded before it counts then, else what `reference:` of the configuration
 *          names, else none. Its row stays, so that changes, alerts and panes go on naming it
 * Errors   ERR_NOT_FOUND: the model has none of that id, or it is forgotten already
 * Threads  the writer's
 */
#pragma once

#include "common/buf.h"
#include "common/config.h"
#include "storage/store.h"

struct reference_forgetting {
    const struct config *config;
    const char *model;
    const char *version; /* NULL: wherever it was loaded */
    const char *id;
    const char *who;
};

enum {
    FORGET_OF_FILE = 1 /* it is what `reference: {file}` holds: *err says what to change */
};

/* In transactions of its own. Writes the JSON answer. 0, FORGET_OF_FILE or < 0. */
int reference_forget(struct store *store, const struct reference_forgetting *wanted,
                     struct buf *answer, struct err *err);
