/*
 * The inside of the alerts: what run.c, look_changes.c, flush.c, announce.c, reload.c and rule_list.c
 * share. No other file includes it.
 */
#pragma once

#include <stdatomic.h>

#include "alerts/look_changes.h"
#include "alerts/notice.h"
#include "alerts/run.h"
#include "storage/alert_rows.h"

struct alert { /* a rule's alert: one a rule in this version of the state */
    const struct alert_rule *rule;
    char id[NOTICE_ID_BYTES];
    struct alert_state state;
    struct alert_state settled; /* while looks share a transaction: as it was before them */
};

struct alerts {
    const struct config *config;
    struct store *store;
    const struct log *log;
    char url[512]; /* of the page; "": no links */
    struct rule_set *rules;
    struct receiver_set *receivers;
    struct route *route; /* NULL: nobody is told */
    struct readings *readings;
    struct alert *alerts;
    struct alert **by_id; /* the same, sorted */
    size_t n;
    struct log_limit unreadable;
    struct look_changes changes; /* of the last look */
    struct look_changes
        crowd;         /* of the look whose changes are, or were, written beside the next ones */
    int64_t looked_ms; /* event time of the last look */
    int64_t ticked_ms; /* the same, or of the last tick after it */
    bool unsettled;    /* looks have shared a transaction that is still open … */
    int64_t settled_looked_ms, settled_ticked_ms; /* … and what it was before them */
    atomic_int by_phase[4];                       /* for other threads */
};

/* NULL: no rule has an alert of that id (any more). */
struct alert *alert_find(const struct alerts *alerts, const char *id);

/* The alert of the rule of that name; NULL: there is none. */
const struct alert *alert_named(const struct alerts *alerts, const char *name);

/* How many are in each phase, for other threads. */
void alerts_count(struct alerts *alerts);

/* flush.c: alerts_flush by whoever has the store, also lent. */
int alerts_flush_now(struct alerts *alerts, int64_t wall_ms, int64_t *next_ms, struct err *err);

/* look_changes.c, for reload.c: the alert's groups are due; a group that it is not yet in is joined. */
struct glance {
    struct alerts *alerts;
    const struct alert *alert;
    int64_t wall_ms;
    struct err *err;
};
int glance_join_group(void *context, const struct route_target *target, const char *group_key);
int glance_wake_group(void *context, const struct alert_group_row *row, struct err *err);
