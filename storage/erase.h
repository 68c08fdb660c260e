/*
 * Erasure of a model: everything that was made of its events.
 *
 * Shape    gone are its windows, profiles, references, versions, counts, the names of its classes,
 *          segments and features, changes, what its experiments know of units and arms, and dead
 *          letters that hold its name. What remains: transitions of finished experiments and the
 *          history of alerts (aggregates), the audit log, and pending records, which hold no ids
 *          and are read as dead from then on; numbers of its series are never given again
 * Errors   after any failure call commit_rollback. ERASE_BUSY: an experiment of the model runs or
 *          is paused; nothing was changed, `err` names it
 * Threads  the writer's, in a commit; what the collector remembers must be loaded again after it
 */
#pragma once

#include "storage/store.h"

enum {
    ERASE_BUSY = 1
};

struct erased {
    int64_t series, windows, dead_letters;
};

int erase_model(struct store *store, const char *model, struct erased *out, struct err *err);
