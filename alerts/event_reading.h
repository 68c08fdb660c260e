/*
 * What rules see that are about events of Assay itself: an experiment's transitions, and the audit
 * log's chain.
 *
 * Errors   as in common/err.h; a broken chain is no error but SIGHT_BAD
 * Threads  that of the store
 */
#pragma once

#include "alerts/reading.h"

int experiment_reading(struct store *store, const struct alert_rule *rule, int64_t now_ms,
                       struct reading *out, struct err *err);
/* Changes by the event that were found within the last `window`. */
int change_reading(struct store *store, const struct alert_rule *rule, int64_t now_ms,
                   struct reading *out, struct err *err);
int audit_reading(struct store *store, struct reading *out, struct err *err);
