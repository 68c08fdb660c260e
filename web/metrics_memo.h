/*
 * The points of a metrics answer as they were written before, by window: of a year by day only the
 * windows that have changed since are merged and measured again.
 *
 * Shape    metrics_memo_open looks all windows of one walk up; of those that metrics_memo_has, the
 *          record can be read; the others the caller computes, and hands their records over
 * Rules    only answers that the panes alone decide: no estimates (they rest on a reference), no
 *          custom metrics (a formula may change by SIGHUP), no rolling windows
 * Owner    metrics_memo_open fills, metrics_memo_finish takes
 * Errors   of metrics_memo_open those of the store; what cannot be kept is only not kept
 */
#pragma once

#include "storage/memo.h"
#include "storage/series.h"
#include "web/model_metrics.h"

struct metrics_memo {
    struct memo *memo; /* borrowed */
    uint64_t asked;    /* the hash of what is the same for all windows */
    struct series_query query;
    uint64_t *marks;
    size_t *ends; /* where what is kept of each window ends in `kept` */
    size_t n;
    struct buf kept;
};

/* Whether an answer of these metrics may be remembered. */
bool metrics_memo_fits(const struct model_metrics *metrics, const struct series_query *query);

/* Between store_read_begin and store_read_end. */
int metrics_memo_open(struct metrics_memo *out, struct memo *memo, struct store *store,
                      const struct series_query *query, const struct model_metrics *metrics,
                      struct err *err);
void metrics_memo_finish(struct metrics_memo *memo);

static inline bool metrics_memo_has(const struct metrics_memo *memo, size_t window)
{
    return memo->ends[window] > (window ? memo->ends[window - 1] : 0);
}

/* A record is a byte for `partial`, then of each metric its value and its text as a byte string. */
struct reader metrics_memo_read(const struct metrics_memo *memo, size_t window);
void metrics_memo_keep(struct metrics_memo *memo, int64_t start_ms, const struct buf *record);
