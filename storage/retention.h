/*
 * Panes that age: minutes are merged into hours, hours into days, days go.
 *
 * Shape    in bounded steps, each one commit, between two commits of the collector. What is rolled
 *          up equals, bit for bit, what folding into the longer pane at once would have given:
 *          states are canonical, and coarsened where minutes become hours.
 * Units    now_ms: event time (the watermark) · keep_ms: how long panes of a minute, an hour, a day
 *          are kept, not falling
 * Rules    `retention_boundary` moves at the beginning, before the panes do: from then on a late
 *          label belongs into the level that retention_level names. Panes that the collector
 *          keeps in memory and that lie before the boundary are to be written before
 *          retention_step, and read again (series_pane) after it. A state that is made new at an
 *          hour or a day is coarsened first (states_coarsen).
 * Errors   as in storage/commit.h; after a failure everything is as before the step
 * Threads  the writer's
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "storage/store.h"

struct retention_done {
    int64_t n_merged;  /* panes that went up into a longer one */
    int64_t n_deleted; /* days that went for good (and what was damaged and as old) */
    int64_t n_damaged; /* panes left where they are because their bytes are damaged */
    bool more;         /* call again: the budget was used up */
};

/* At most about `budget` panes; outside a commit. */
int retention_step(struct store *store, const int64_t keep_ms[3], int64_t now_ms, int budget,
                   struct retention_done *done, struct err *err);

/* Panes of the level that start before it are in a longer level now (level a day: are gone). */
int64_t retention_boundary(const struct store *store, int64_t level_ms);

/* The level (ms) of the pane that an event of that time belongs to; 0: older than what is kept. */
int64_t retention_level(const struct store *store, int64_t ts_ms);
