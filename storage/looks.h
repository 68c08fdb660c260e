/*
 * Looks at an experiment that are kept: how its intervals narrowed, for people to see. Decisions
 * never read them.
 *
 * Shape    one row a (experiment, event time); written again it is replaced
 * Units    at_ms: event time, ms since the epoch · weight: percent
 * Owner    texts of callbacks live until they return
 * Errors   as in storage/store.h
 * Threads  commit_look: the writer's, inside a commit · the others: that of the store
 */
#pragma once

#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

struct look_row {
    const char *experiment;
    int64_t at_ms;
    int step;
    double weight;
    const char *detail; /* JSON */
};

int commit_look(struct store *store, const struct look_row *row, struct err *err);

/* at_ms > after_ms, oldest first. */
int looks_read(struct store *store, const char *experiment, int64_t after_ms, int limit,
               int (*row)(void *context, const struct look_row *row, struct err *err),
               void *context, struct err *err);

/* The newest one's time; INT64_MIN: none. */
int looks_last(struct store *store, const char *experiment, int64_t *at_ms, struct err *err);
