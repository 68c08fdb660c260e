/*
 * The values of a trend rule's windows, kept between looks: a rule looks at dozens of windows each second of event time,
 * and nearly all of them have ended and stay as they are.
 *
 * Shape    a row for each rule (two where `mature_after` judges an older stretch), with as many windows side by side as
 *          the rule has points. At window_values_start what was written since the last look (storage/written.h) drops
 *          those windows that it lies in: late events and labels, panes rolled up or gone. What cannot be told apart
 *          drops all. Values of estimates hang on the reference as well, which may be a stretch of stored windows: any of
 *          them that changes, or another stretch to look at, drops all of the row
 * Units    end_ms: event time; a multiple of the rule's window
 * Owner    window_values_new gives, window_values_free takes; the store and the rules' names are borrowed. At most
 *          WINDOW_ROWS rows of at most 1,000 windows of 64 bytes (16 MiB; six rules of 30 points: 12 KiB): what is beyond
 *          has no row, and is read anew at each look
 * Errors   none: what cannot be kept is only not kept
 * Threads  that of the store
 */
#pragma once

#include "alerts/rule.h"
#include "stats/metric.h"
#include "storage/store.h"

enum {
    WINDOW_ROWS = 256
};

struct window_values;

int window_values_new(struct window_values **out, const struct config *config, struct store *store,
                      struct err *err);
void window_values_free(struct window_values *values);
DEFINE_FREEP(window_values)

/* A look begins. */
void window_values_start(struct window_values *values);

/* Another number when a window of the rule's was dropped; 0: nothing is known of them. */
uint64_t window_values_drops(const struct window_values *values, const struct alert_rule *rule);

/* The rule's row, for its windows up to the one that ends at end_ms; NULL: nothing can be kept. */
struct window_row;
struct window_row *window_values_row(struct window_values *values, const struct alert_rule *rule,
                                     int64_t end_ms);

/* NULL: not kept. Valid until the next call that is not this one. */
const struct metric_value *window_row_get(const struct window_row *row, int64_t end_ms);
/* `value` is what the store says now of one of the windows that the row was asked for. */
void window_row_keep(struct window_row *row, int64_t end_ms, const struct metric_value *value);
