/*
 * What run.c and flush.c share: the states of all alerts. No other file includes it.
 */
#pragma once

#include <stdatomic.h>

#include "alerts/notice.h"
#include "alerts/run.h"

struct alert { /* a rule's alert: one a rule in this version of the state */
    const struct alert_rule *rule;
    char id[NOTICE_ID_BYTES];
    struct alert_state state;
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
    size_t n;
    struct log_limit unreadable;
    int n_backgrounds;      /* looked up in this look */
    int64_t looked_ms;      /* event time of the last look */
    atomic_int by_phase[4]; /* for other threads */
};
