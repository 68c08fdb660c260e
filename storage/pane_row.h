/*
 * From a row of `panes` to its states: the setup of its model, and the check of its bytes. For the
 * files of this room.
 */
#pragma once

#include "stats/metric.h"
#include "storage/connection.h"

enum {
    PANE_DAMAGED = 1, /* not the bytes that were written */
    SETUP_NONE = 1    /* no such series, or a series without its model */
};

/* Setup of the model that a series belongs to. */
int setup_of_series(struct store *store, int64_t series_id, struct metric_setup *out,
                    struct err *err);

/* Setup from the columns of `models`; ERR_CORRUPT for a task that nobody knows. */
int setup_of(const char *model, const char *task, const char *positive, double threshold,
             struct metric_setup *out, struct err *err);

/* The states in a row whose first three columns are key, hash, state. 0, PANE_DAMAGED or < 0. */
int pane_load(sqlite3_stmt *row, const struct metric_setup *setup, struct states **out,
              struct err *err);
