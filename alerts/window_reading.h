/*
 * Windows of a series as rules ask for them, and the value of a rule's metric in one. Rules of one look often ask for
 * the same windows of the same series (ten metrics of one model; a window and the one a week ago), so what was read is
 * kept until the look ends.
 *
 * Shape    windows side by side, the last of which ends at end_ms. A single one may lie anywhere on the grid of minutes,
 *          several lie on the grid of whole windows
 * Owner    window_reader_new gives, window_reader_free takes; the store is borrowed. At most WINDOW_SETS answers are
 *          kept, one of them of several windows
 * Errors   as series_read and metric_resolve
 * Threads  that of the store
 */
#pragma once

#include "alerts/rule.h"
#include "stats/custom.h"
#include "storage/series.h"

enum {
    WINDOW_SETS = 8
};

struct window_reader;

int window_reader_new(struct window_reader **out, struct store *store, struct err *err);
void window_reader_free(struct window_reader *reader);
DEFINE_FREEP(window_reader)

/* A look begins. */
void window_reader_start(struct window_reader *reader);

/* `n` windows; valid until the call after the next one. */
int windows_read(struct window_reader *reader, const struct alert_rule *rule, int64_t end_ms,
                 int64_t n, const struct series_points **out, struct err *err);
/* One on the grid of whole windows, of any length. */
int windows_read_whole(struct window_reader *reader, const struct alert_rule *rule, int64_t end_ms,
                       const struct series_points **out, struct err *err);

/* Does that window cut through an hour's or a day's pane, and lack its events (storage/series.h)? */
bool window_is_cut(const struct series_points *points, int64_t end_ms);

/* The value of the window that ends at end_ms; n 0 when nothing is in it. `customs`: the model's. */
int window_value(struct window_reader *reader, const struct alert_rule *rule,
                 const struct custom_set *customs, const struct series_points *points,
                 int64_t end_ms, struct metric_value *out, struct err *err);

/* Is the metric whose value was asked for last a number of events, or a formula of such, and are labels of that window yet to
   come? */
bool window_awaits_labels(const struct window_reader *reader, const struct series_points *points,
                          int64_t end_ms);
