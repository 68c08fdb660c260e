/*
 * The alerts room at work: looks at every rule, keeps each alert's state, and tells who is to be
 * told; all of it as rows, so that nothing is lost in a crash.
 *
 * Shape    alerts_look after commits (event time) writes states, history and groups; alerts_flush
 *          (wall clock) turns groups that are due into outbox rows. Delivery is deliver.h's.
 * Units    ms; event time and wall clock as each function says
 * Owner    alerts_new gives, alerts_free takes; config and store are borrowed
 * Errors   as in common/err.h; a rule that cannot be read counts as no data and is logged
 * Threads  the writer's, but for alerts_check
 */
#pragma once

#include "alerts/reading.h"
#include "alerts/receiver.h"
#include "alerts/route.h"
#include "common/buf.h"
#include "common/log.h"
#include "storage/store.h"

struct alerts;

/* Rules, receivers and the route of a configuration: what `assay check` looks at. */
int alerts_check(const struct config *config, struct err *err);

/* `url`: the page's address for links, "" for none; NULL: decide, but tell nobody (a replay). */
int alerts_new(struct alerts **out, const struct config *config, struct store *store,
               const struct log *log, const char *url, struct err *err);
void alerts_free(struct alerts *alerts);
DEFINE_FREEP(alerts)

/*
 * Another configuration (SIGHUP), whole or not at all: alerts of rules that are still there keep
 * their state; those that fire are told to receivers that only the new route names. `config` is
 * borrowed from now on instead of the former one.
 */
int alerts_reload(struct alerts *alerts, const struct config *config, int64_t wall_ms,
                  struct err *err);

/*
 * Alerts whose rule is gone are closed: their history says "withdrawn", whoever was told that they
 * fire is told that they ended. After alerts_new, and part of alerts_reload.
 */
int alerts_close_removed(struct alerts *alerts, int64_t wall_ms, struct err *err);

/* The page's address for links, once it is known. The writer's thread, or before it runs. */
void alerts_set_url(struct alerts *alerts, const char *url);

/* Are there rules at all? Without, no look is needed. */
bool alerts_wanted(const struct alerts *alerts);

/*
 * The next event time after now_ms at which some rule wants to look; 0: none does before anything
 * happens. news_ms: the last look that covered an event. Where event time jumps (an outage, a
 * replay before live traffic) no rule is judged for each second of years without events.
 */
int64_t alerts_next_look(const struct alerts *alerts, int64_t now_ms, int64_t news_ms);

/* One look at the rules that are due. The wall clock is for when receivers are due, and for rules
   on what only it knows. */
int alerts_look(struct alerts *alerts, const struct outside *outside, struct err *err);

/* Looks that shared a transaction (storage/commit.h, commit_share) are durable; true: and so are
   notifications that were written beside one (alerts/look_changes.h) … */
bool alerts_settle(struct alerts *alerts);
/* … or were rolled back: states are what they were before the first of them. */
void alerts_restore(struct alerts *alerts);

/*
 * While no event comes, event time stands still: rules about silence and lag are then looked at by
 * the wall clock, at an event time that is carried on from the last look.
 */
int alerts_tick(struct alerts *alerts, const struct outside *outside, struct err *err);

/*
 * Writes what is due to the outbox. *next_ms: when the next group is due (INT64_MAX: none).
 * Returns the number of notifications written, or < 0. While a crowd of alerts is written beside
 * the last look nothing is done: their messages are written with them.
 */
int alerts_flush(struct alerts *alerts, int64_t wall_ms, int64_t *next_ms, struct err *err);

struct receiver_set *alerts_receivers(const struct alerts *alerts);

/* Every rule with its alert's state, as a list of the API; the writer's thread. */
int alerts_list_rules(const struct alerts *alerts, struct buf *out, struct err *err);

/* OpenMetrics lines: alerts by state. */
void alerts_own_metrics(const struct alerts *alerts, struct buf *out);
