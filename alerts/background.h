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

/*
 * Thousands of alerts that fire at one look mostly are of one series: each is looked up once, and
 * of many series only the first ones, as the look must end.
 */
enum {
    MAX_BACKGROUNDS = 8
};
struct backgrounds {
    struct {
        const struct alert_rule *rule;
        int64_t end_ms;
        struct background background;
    } rows[MAX_BACKGROUNDS];
    size_t n; /* 0: a new look begins */
};

void background_read(struct background *out, struct backgrounds *known, struct store *store,
                     const struct config *config, const struct readings *readings,
                     const struct alert_rule *rule, const struct reading *reading);
