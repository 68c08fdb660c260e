/*
 * What a rule sees when it looks: the value of its metric in its window, and whether that is bad.
 *
 * Shape    the window is the last window_ms of whole minutes up to now: its newest minute may still
 *          be filling
 * Units    now_ms: event time
 * Owner    struct readings borrows config and store; a reading is plain
 * Errors   as series_read; no data is not an error but SIGHT_NO_DATA with `why`
 * Threads  that of the store
 */
#pragma once

#include "alerts/rule.h"
#include "stats/custom.h"
#include "storage/store.h"

/* What the world outside the panes says, handed in. */
struct outside {
    int64_t now_ms; /* event time of the look */
    int64_t lag;    /* messages not yet read; -1 unknown */
    int64_t wall_ms;
    int64_t certificate_end_ms; /* wall clock; 0: none is served */
};

/* Which reference; source "": none. */
struct reading_reference {
    char id[17]; /* "": stored windows, or what a detector of changes learned; not loaded events */
    char source[16];
    bool of_slice;          /* of the rule's segment alone */
    int64_t n;              /* its events */
    int64_t from_ms, to_ms; /* learned: of the first and the last; INT64_MIN: not known */
};

struct reading {
    enum alert_sight sight;
    double value; /* NaN: none */
    double lower, upper;
    double compared;                   /* relative_to: the value compared with; NaN else */
    double change;                     /* relative_to: (value - compared) / |compared|; NaN else */
    double change_lower, change_upper; /* its 95% interval; NaN: none is known */
    int64_t compared_end_ms;           /* of the earlier window compared with; 0: with none */
    struct reading_reference
        reference; /* what drift, change and relative_to: reference compare with */
    int64_t n, labelled;
    int64_t start_ms, end_ms; /* the window */
    char why[320];            /* one sentence: what was compared with what */
    char confidence[128];     /* how sure it is; "" when there is nothing to say */
    char cause[320];          /* what moved, where the reading itself knows */
    char experiment[160];     /* the one that it is about; "": none */
    bool untold;              /* `why` is written by reading_tell, for the few that are told */
};

struct readings;

int readings_new(struct readings **out, const struct config *config, struct store *store,
                 struct err *err);
void readings_free(struct readings *readings);
DEFINE_FREEP(readings)
/* How often a metric was read from the store, since they are new. */
uint64_t readings_computed(const struct readings *readings);

/* A new look begins: what was read for the last one is forgotten. */
void readings_start(struct readings *readings, const struct outside *outside);

int readings_read(struct readings *readings, const struct alert_rule *rule, struct reading *out,
                  struct err *err);

/* Fills `why` where that was left for later. */
void reading_tell(const struct alert_rule *rule, struct reading *reading);

/* The own metrics of a configured model; NULL: none. */
const struct custom_set *readings_customs(const struct readings *readings, const char *model);

/* --- pure (reading_judge.c) --- */

/* Is `value` (with its interval) beyond the rule's level? */
enum alert_sight reading_judge(const struct alert_rule *rule, double value, double lower,
                               double upper);
/* Is the relative change from `compared` to `now`, with both intervals, beyond it? */
void reading_judge_change(const struct alert_rule *rule, const struct metric_value *now,
                          const struct metric_value *compared, struct reading *out);
/* Did each of the rule's `points` values lie below (above) the last? `value` is the newest. */
void reading_judge_declines(const struct alert_rule *rule, bool each_time, struct reading *out);
/* Mann–Kendall's test, one-sided, with Sen's slope, over the rule's `points` values, NaN where a
   window has none: n_known have. Too few of them for the rule's p: SIGHT_NO_DATA as it was. */
int reading_judge_trend(const struct alert_rule *rule, const double *values, size_t n_known,
                        struct reading *out, struct err *err);
