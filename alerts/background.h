/*
 * What stands behind an alert, in a sentence each: what moved, and what Assay already did about it.
 *
 * Shape    cause: the feature or slice that moved and its share, "" when nothing stands out ·
 *          action: rolled back or not, by which experiment; "" for rules without a model
 * Errors   none: what cannot be read stays ""; an alert is told without it
 * Threads  that of the store
 */
#pragma once

#include "alerts/reading.h"

struct background {
    char cause[320];
    char action[320];
};

void background_read(struct background *out, struct store *store, const struct config *config,
                     const struct readings *readings, const struct alert_rule *rule,
                     const struct reading *reading);
