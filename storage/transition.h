/*
 * An experiment's state, and the one transaction that changes it: new state, the evidence it was
 * decided on, the audit row and the outbox rows, or nothing.
 *
 * Shape    moved by compare-and-set on `seq`: of two that race, one wins and the other is told so
 * Units    weight: percent · *_ms: ms since the epoch
 * Owner    texts of callbacks live until they return
 * Errors   outcomes > 0 below
 * Threads  commit_*: the writer's, inside a commit · the others: that of the store
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

enum {
    TRANSITION_RACED = 1,   /* seq is no longer the one given: read again */
    TRANSITION_REPEATED = 2 /* a command of this id was carried out before */
};

struct experiment_row {
    const char *name;
    const char *model;
    const char *object; /* JSON */
    const char *state;
    int step;
    double weight;
    int64_t since_ms;
    int64_t seq;
    bool applying;
    int64_t created_ms;
    const char *ramp;    /* JSON */
    const char *verdict; /* JSON */
};

struct transition_row {
    int64_t id;
    const char *experiment;
    int64_t seq; /* of the experiment after it */
    int64_t at_ms;
    const char *clock;
    const char *who;
    const char *command; /* "" or the idempotency key of a person's command */
    const char *verdict;
    const char *from_state, *to_state;
    int from_step, to_step;
    double from_weight, to_weight;
    const char *reason;
    const char *evidence; /* JSON */
};

/* A new experiment (seq 0). -EEXIST: the name is taken. */
int commit_experiment_new(struct store *store, const struct experiment_row *row, struct err *err);

/*
 * Moves the experiment: `row` is its state afterwards with seq = the former seq + 1; writes the
 * transition and its audit row. 0, TRANSITION_RACED or TRANSITION_REPEATED (nothing written).
 */
int commit_transition(struct store *store, const struct experiment_row *row,
                      const struct transition_row *transition, struct err *err);

/* What changes without being a transition: the last verdict, the ramp's clock. (`applying` is set
   by storage/actuation.h.) */
int commit_experiment_look(struct store *store, const char *name, const char *ramp,
                           const char *verdict, struct err *err);
int commit_experiment_evidence(struct store *store, const char *name, const void *bytes, size_t n,
                               struct err *err);

/* Segment n of the units of an experiment; `whole`: it takes the place of all before it. */
int commit_experiment_units(struct store *store, const char *name, int64_t n, bool whole,
                            const void *bytes, size_t size, struct err *err);
/* The number of the last one; 0: none. */
int experiment_units_last(struct store *store, const char *name, int64_t *n, struct err *err);
/* In the order of writing; bytes live until the callback returns. */
int experiment_units_read(struct store *store, const char *name,
                          int (*segment)(void *context, int64_t n, const void *bytes, size_t size,
                                         struct err *err),
                          void *context, struct err *err);

int experiments_read(struct store *store, const char *name,
                     int (*row)(void *context, const struct experiment_row *row, struct err *err),
                     void *context, struct err *err);
/* The bytes are malloc'd, the caller's; *bytes NULL: none yet. */
int experiment_evidence_read(struct store *store, const char *name, void **bytes, size_t *n,
                             struct err *err);
/* Oldest first. */
int transitions_read(struct store *store, const char *experiment,
                     int (*row)(void *context, const struct transition_row *row, struct err *err),
                     void *context, struct err *err);
