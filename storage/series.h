/*
 * THE read path: (model, version, slice, from, to, window, step) → merged states. A/B, alerts,
 * REST and `assay query` all read through here, so that they cannot disagree about a number.
 *
 * Shape    points are windows [start, start + window), aligned to multiples of `step`
 * Units    ms since the epoch; durations ms
 * Owner    series_read gives points that series_points_free takes
 * Errors   ERR_NOT_FOUND: no such model (the message has near matches); an unknown version or
 *          slice is just empty windows
 * Threads  that of the store
 */
#pragma once

#include "stats/metric.h"
#include "storage/store.h"

struct series_query {
    const char *model;
    const char *version; /* NULL: all versions merged */
    const char *slice;   /* NULL or "": overall */
    int64_t from_ms, to_ms;
    int64_t window_ms, step_ms;
};

struct series_point {
    int64_t start_ms, end_ms;
    int64_t revision;      /* grows when a late label changed it */
    struct states *states; /* NULL: nothing in the window */
};

struct series_points {
    struct metric_setup setup;
    struct series_point *points;
    size_t n;
    /* Oldest pane level that had to be used (ms): a window finer than it cannot be shown. */
    int64_t coarsest_level_ms;
};

int series_read(struct store *store, const struct series_query *query, struct series_points *out,
                struct err *err);
void series_points_free(struct series_points *points);

/* One pane's bytes for the writer, which folds late labels into panes that left memory.
   0 found (*state malloc'd, the caller's) · 1 SERIES_NONE. */
enum {
    SERIES_NONE = 1
};
int series_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                void **state, size_t *n, struct err *err);

/* Up to when predictions, and labels, are in (contract §4, complete_up_to). -1: nothing yet. */
int series_complete(struct store *store, const char *model, int64_t *complete_up_to_ms,
                    int64_t *labels_complete_up_to_ms, struct err *err);
