/*
 * News of experiments to the receivers that the route names for them: one outbox row each, written
 * in the transaction of what they tell.
 *
 * Shape    the route sees the labels alertname (the experiment), experiment, model, version and
 *          severity (critical: rolled back; warning: held; else info)
 * Owner    borrows everything for the call
 * Threads  the writer's, inside a commit; then wake the postman (deliver_wake)
 */
#pragma once

#include <jansson.h>

#include "alerts/run.h"

struct announcement {
    const char *type; /* experiment.promoted, … */
    const char *name; /* of the experiment */
    const char *model, *version;
    const char *summary;
    const char *detail; /* JSON: the verdict */
    int64_t at_ms;      /* event time */
    int64_t wall_ms;    /* when it may be sent */
};

/* The head of the audit log as of this transaction, as each message carries it: whoever keeps it can
   prove a tail cut off. Null: it cannot be read. The caller's. */
json_t *announce_audit_head(struct store *store);

/* Without a route nobody is told. */
int alerts_announce(struct alerts *alerts, const struct announcement *news, struct err *err);
