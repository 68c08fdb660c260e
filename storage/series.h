/*
 * THE read path: (model, version, slice, from, to, window, step) → merged states. A/B, alerts,
 * REST and `assay query` all read through here, so that they cannot disagree about a number.
 *
 * Shape    points are windows [start, start + window), start aligned to multiples of `step` since
 *          the epoch, that lie inside [from, to) after from was moved down and to up to a multiple
 *          of step. Window and step are multiples of a minute; window >= step gives tumbling or
 *          rolling windows.
 *          Minute, hour and day panes mix: a pane is in a window that contains it whole. A window
 *          that cuts through a pane (older data is only kept by the hour, then by the day) is
 *          `partial` and does without it.
 *          One read transaction: all points come from the same commit.
 * Units    ms since the epoch; durations ms
 * Owner    series_read gives points that series_points_free takes
 * Errors   ERR_NOT_FOUND: no such model (the message has near matches); an unknown version or
 *          slice is just empty windows · ERR_USAGE: window or step are off, or too many points ·
 *          -ETIME: store_limit_reads. A pane whose stored bytes are damaged is left out and
 *          counted, the rest lives.
 * Threads  that of the store
 */
#pragma once

#include "stats/metric.h"
#include "storage/store.h"

enum {
    SERIES_MAX_POINTS = 20000,
    SERIES_MAX_WINDOW_STEPS = 10080 /* a week of minutes */
};

/* Why a `partial` window without any state has no value. */
#define SERIES_KEPT_LONGER "its events are only kept in longer panes; take a longer window"

struct series_query {
    const char *model;
    const char *version; /* NULL: all versions merged */
    const char *slice;   /* NULL or "": overall */
    int64_t from_ms, to_ms;
    int64_t window_ms, step_ms;
    bool estimates; /* those without labels, too, also from a reference of panes */
};

struct series_point {
    int64_t start_ms, end_ms;
    int64_t revision;      /* grows when a late label changed it */
    struct states *states; /* NULL: nothing in the window */
    bool partial;          /* a coarser pane overlaps the window, and is not in it */
    size_t n_damaged;      /* damaged panes that were met up to this window */
};

struct series_points {
    struct metric_setup setup;
    struct series_point *points;
    size_t n;
    /* Oldest pane level that had to be used (ms): a window finer than it cannot be shown. */
    int64_t coarsest_level_ms;
    size_t n_damaged; /* panes in the range whose bytes are damaged: the answer is incomplete */
    struct estimator *estimator; /* that the setup refers to */
};

int series_read(struct store *store, const struct series_query *query, struct series_points *out,
                struct err *err);
void series_points_free(struct series_points *points);

/*
 * The same without keeping more than one point: `point` is called for each window, oldest first,
 * and borrows its states until it returns (0 to go on, else series_each ends with that value).
 * about->points stays NULL, about->n counts the calls; about->setup has no estimator any more.
 */
int series_each(struct store *store, const struct series_query *query,
                int (*point)(void *context, const struct series_point *point, struct err *err),
                void *context, struct series_points *about, struct err *err);

/* A `point` of series_each: merges all of them into the states that its context, a struct states **,
   points at; the first one makes them. They have no estimator, and are the caller's, also after a
   failure. */
int series_merge(void *context, const struct series_point *point, struct err *err);

/*
 * A fingerprint of what lies in each tumbling window (step_ms = window_ms), overlapping panes
 * included, without reading any state: windows of equal fingerprints have equal points. 0: nothing.
 * *out has *n of them, oldest first, and is the caller's. Call it and series_each between one
 * store_read_begin and store_read_end (storage/store.h), so that both see the same commit.
 */
int series_marks(struct store *store, const struct series_query *query, uint64_t **out, size_t *n,
                 struct err *err);

/* The numbers of the series whose panes the query reads, rising; *out, of *n, is the caller's. */
int series_ids(struct store *store, const struct series_query *query, int64_t **out, size_t *n,
               struct err *err);

/* One pane's bytes for the writer, which folds late labels into panes that left memory.
   0 found (*state malloc'd, the caller's) · 1 SERIES_NONE · 2 SERIES_DAMAGED: the pane is there
   but its bytes are not those that were written; leave it as it is, and count the label. */
enum {
    SERIES_NONE = 1,
    SERIES_DAMAGED = 2
};
int series_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                void **state, size_t *n, struct err *err);

/* Up to when predictions, and labels, are in (contract §4, complete_up_to). -1: nothing yet. They
   are the facts "watermark_ms" and "labels_complete_ms/MODEL" (storage/commit.h). */
int series_complete(struct store *store, const char *model, int64_t *complete_up_to_ms,
                    int64_t *labels_complete_up_to_ms, struct err *err);
