/*
 * Computed values of panes for readers that cannot read states: any SQLite client, through the
 * view metric_values (docs/sql.md).
 *
 * Shape    a commit marks the panes that it changes as stale; in idle time the writer computes
 *          their values anew, so the view runs a little behind the REST answers. All metrics of the
 *          model's task, families (`precision{class="x"}`) for its first 32 names, ndcg_k
 *          and its like for k = 10.
 * Owner    nothing
 * Errors   as in storage/commit.h; a pane whose bytes are damaged loses its values and is marked
 *          (panes.stale = 2), the rest goes on
 * Threads  the writer's, outside a commit
 */
#pragma once

#include <stdbool.h>

#include "storage/store.h"

/* Up to budget_rows panes in one transaction, which does not count as a change.
 *more: stale panes may be left; may be NULL. */
int values_refresh(struct store *store, int budget_rows, bool *more, struct err *err);
