/*
 * The wishes of actuators: which weight each is to carry elsewhere, written in the transaction of
 * the transition that wants it, before it is a request on a wire; so a crash loses none.
 *
 * Shape    one row an actuator: the newest wish replaces an older one that was not carried out yet
 *          (a weight of yesterday is never applied after today's). What an attempt came to is taken
 *          only while the wish it was made for still stands
 * Units    wall-clock ms · weight: percent
 * Owner    texts handed to callbacks live until they return
 * Errors   ACTUATION_STALE below
 * Threads  commit_*: the writer's, inside a commit · the others: that of the store
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

enum {
    ACTUATION_STALE = 1 /* a newer wish stands there */
};

struct actuation_row {
    const char *actuator;
    const char *experiment;
    int64_t seq;
    double weight;
    bool confirmed;
    int64_t wanted_ms;
    int64_t next_ms;
    int64_t attempts;
    int64_t confirmed_ms;
    int64_t corrections;
    int status;
    const char *problem;
};

/* A wish of the same weight for the same experiment changes nothing. */
int commit_actuation_wanted(struct store *store, const char *actuator, const char *experiment,
                            int64_t seq, double weight, int64_t now_ms, struct err *err);

/* An actuator that is not configured any more carries nothing, and nobody waits for it. */
int commit_actuation_gone(struct store *store, const char *actuator, struct err *err);

/* What an attempt, or a look at reality, came to: `seq` names the wish; confirmed, next_ms,
   attempts, confirmed_ms, corrections, status and problem replace the row's. Then sets the
   experiment's `applying`. 0 or ACTUATION_STALE. */
int commit_actuation_outcome(struct store *store, const struct actuation_row *outcome,
                             struct err *err);

/* `applying` of the experiment: is one of its wishes not confirmed? */
int commit_applying(struct store *store, const char *experiment, struct err *err);

/* By actuator, experiment or (both NULL) all, in the order of their names. */
int actuations_read(struct store *store, const char *actuator, const char *experiment,
                    int (*row)(void *context, const struct actuation_row *row, struct err *err),
                    void *context, struct err *err);
