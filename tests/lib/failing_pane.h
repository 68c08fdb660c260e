/*
 * A minute's pane of a binary model of whose predictions some failed: what rules on error_rate and
 * latency look at.
 */
#pragma once

#include "storage/store.h"

struct failing_pane {
    int64_t series_id;
    int64_t start_ms;
    int n, n_failed;
    double latency_ms;
};

/* In a commit. */
void failing_pane_write(struct store *store, const struct failing_pane *pane);
