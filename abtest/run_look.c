/* Looks: what is known now goes into a situation, ab_decide judges, ramp_step moves, and what
   changed is written. */
#include <errno.h>
#include <math.h>
#include <string.h>

#include "abtest/run_item.h"
#include "storage/commit.h"

enum {
    LOOK_MS = 1000,
    MINUTE_MS = 60000,
    BEFORE_MS = 3600000,    /* control's quantile is read over so long before the step */
    QUANTILE_FAILURES = 10, /* expected beyond the quantile, before it is taken for known … */
    MAXIMUM_OF = 100,       /* … and for a maximum so many values each */
    SHOW_MS = 1000,         /* a verdict for people is written at most so often */
};

/* --- the quantile that values are measured against --- */

static int control_quantile(struct run *run, const struct item *item, int metric,
                            const struct measure *measure, int64_t until_ms, double *out,
                            struct err *err)
{
    const struct experiment *experiment = item->experiment;
    int64_t to_ms = until_ms - until_ms % MINUTE_MS;
    struct metric_value before;
    double rarer = fmin(measure->quantile, 1 - measure->quantile);
    int rc = run_value(run, experiment->model, experiment->control,
                       experiment->metrics[metric].metric, to_ms - BEFORE_MS, to_ms, &before, err);
    double n = (double)(measure->stage == STAGE_LABEL ? before.labelled : before.n);
    double beyond = rarer > 0 ? n * rarer : n / MAXIMUM_OF;
    *out = !rc && beyond >= QUANTILE_FAILURES ? before.value : (double)NAN;
    return rc;
}

/* Known before the events that it judges: from the minutes before the step, else, when there were
   too few, from those before this look; earlier events of the step then stay uncounted. */
static int set_thresholds(struct run *run, struct item *item, int64_t look_ms, struct err *err)
{
    const struct experiment *experiment = item->experiment;
    int rc = 0;
    for (int i = 0; !rc && i < experiment->n_metrics; i++) {
        struct measure measure;
        struct err why;
        double q = experiment->metrics[i].hard_limit;
        int step = item->ramp.step;
        if (measure_of(&measure, &experiment->metrics[i], &why) || isnan(measure.quantile) ||
            !isnan(evidence_threshold(item->evidence, step, i)))
            continue;
        if (isnan(q))
            rc = control_quantile(run, item, i, &measure, look_ms, &q, err);
        if (!rc && !isnan(q)) {
            evidence_set_threshold(item->evidence, step, i, q, look_ms);
            item->dirty = true;
        }
    }
    return rc;
}

/* --- deciding --- */

static const char *news_of(const struct ramp_state *from, const struct ramp_state *to, bool held)
{
    if (to->phase == RAMP_PROMOTED)
        return "experiment.promoted";
    if (to->phase == RAMP_ROLLED_BACK)
        return "experiment.rolled_back";
    if (to->step != from->step)
        return "experiment.step";
    return held ? "experiment.held" : NULL;
}

/* A hold that a person asked for is no news to people. */
static bool is_news(const struct item *item)
{
    const struct verdict *verdict = &item->verdict;
    return verdict->kind == VERDICT_HOLD && verdict->cause != CAUSE_PAUSED &&
           verdict->cause != item->held && (verdict->cause != CAUSE_RECONCILE || item->troubled);
}

/* Holds that the world outside causes, which a replay of the events does not know. */
static bool is_worldly(enum hold_cause cause)
{
    return cause == CAUSE_INPUT || cause == CAUSE_RECONCILE;
}

static int show(struct run *run, struct item *item, const struct run_now *now, struct err *err)
{
    if (now->real_ms - item->shown_ms < SHOW_MS)
        return 0;
    item->shown_ms = now->real_ms;
    struct store *store = run->options.store;
    int rc = item_show(item, now->look_ms, err);
    if (!rc)
        rc = commit_begin(store, err);
    if (rc)
        return rc;
    rc = item_save(item, store, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    else
        item->dirty = item->unshown = false;
    return rc;
}

static int decide(struct run *run, struct item *item, const struct run_now *now, bool stale,
                  struct err *err)
{
    struct situation situation = {
        .ramp = item->ramp,
        .now = {now->look_ms, now->wall_ms},
        .last_control_ms = item->last_ms[ARM_CONTROL],
        .last_treatment_ms = item->last_ms[ARM_TREATMENT],
        .input_stale = stale || now->behind_ms > item->experiment->stale_after_ms,
        .behind = now->behind_ms > RUN_BEHIND_MS,
        .data_lost = now->lost > item->lost,
        .reconcile_failed = item->applying || item->troubled,
    };
    memcpy(situation.actuator, item->actuator, sizeof(situation.actuator));
    ab_decide(item->experiment, item->evidence, &situation, &item->verdict);
    item->looked = item->unshown = true;
    const struct verdict *verdict = &item->verdict;
    struct ramp_state after =
        ramp_step(item->ramp, item->experiment, verdict->kind, verdict->no_data, situation.now);
    bool held = is_news(item),
         freed = item->held != CAUSE_NONE && verdict->kind == VERDICT_CONTINUE;
    bool moved = after.phase != item->ramp.phase || after.step != item->ramp.step;
    bool wall = verdict->wall_clock || stale || is_worldly(freed ? item->held : verdict->cause) ||
                (moved && item->waited);
    item->waited = verdict->waits || (verdict->kind == VERDICT_HOLD && situation.input_stale);
    if (verdict->kind != VERDICT_HOLD)
        item->held = CAUSE_NONE;
    else if (held)
        item->held = verdict->cause;
    if (!moved && !held && !freed) {
        item->dirty |= after.silent_since_ms != item->ramp.silent_since_ms;
        item->ramp = after;
        int rc = show(run, item, now, err);
        if (!rc && !stale && record_due(item, now->look_ms))
            rc = record_apart(item, run->options.store, now->look_ms, err);
        return rc;
    }
    char reason[VERDICT_REASON_BYTES];
    memcpy(reason, verdict->reason, sizeof(reason));
    struct change change = {
        .verdict = verdict_name(verdict->kind),
        .clock = wall ? "wall" : "event",
        .who = "engine",
        .command = "",
        .reason = reason,
        .type = news_of(&item->ramp, &after, held),
        .at_ms = now->look_ms,
        .situation = &situation,
        .after = after,
        .lost = moved ? now->lost : item->lost,
        .wall_ms = now->real_ms,
    };
    int rc = item_change(run, item, &change, err);
    item->unshown = rc != 0;
    return rc == RUN_CONFLICT || rc == ERR_FULL ? 0 : rc;
}

static int look_at(struct run *run, struct item *item, const struct run_now *now, struct err *err)
{
    if (item->unclocked) { /* the second that holds the first event is where time begins */
        item->unclocked = false;
        item->ramp.started_ms = item->ramp.since_ms = now->look_ms - LOOK_MS;
        item->dirty = true;
    }
    if (now->look_ms <= item->ramp.since_ms)
        return 0; /* of before its step */
    item->ticked = false;
    int rc = young_release(item, now->look_ms, err);
    if (!rc)
        rc = item_confirm(run, item, now->look_ms, err);
    if (!rc)
        rc = set_thresholds(run, item, now->look_ms, err);
    if (!rc)
        rc = item_tell(run, item, now->look_ms, err);
    return rc ? rc : decide(run, item, now, false, err);
}

/* Only a silence that was watched counts against max_hold: events may well come while the daemon is
   down, and it will read them. Whether another minute of it should be stored. */
static bool watch_silence(struct item *item, int64_t wall_ms)
{
    struct ramp_state *ramp = &item->ramp;
    if (ramp->silent_since_ms == 0) {
        item->restored = false;
        return false;
    }
    if (item->silence_seen_ms < ramp->silent_since_ms)
        item->silence_seen_ms = ramp->silent_since_ms;
    if (item->restored)
        ramp->silent_since_ms += wall_ms - item->silence_seen_ms;
    else if (wall_ms - item->silence_seen_ms < MINUTE_MS)
        return false;
    item->restored = false;
    item->silence_seen_ms = wall_ms;
    return true;
}

int run_look(struct run *run, const struct run_now *now, struct err *err)
{
    int rc = 0;
    run->look_ms = now->look_ms;
    for (size_t i = 0; !rc && i < run->n_items; i++) {
        if (!item_active(run->items[i]))
            continue;
        (void)watch_silence(run->items[i], now->wall_ms); /* what is shown is stored */
        rc = look_at(run, run->items[i], now, err);
    }
    return rc;
}

/* Nothing is news while nothing comes, but that it has not come for too long. */
static bool is_due(const struct item *item, const struct run_now *now)
{
    int64_t since_ms = item->ramp.silent_since_ms;
    return !item->ticked ||
           (since_ms != 0 && now->wall_ms - since_ms > item->experiment->max_hold_ms);
}

int run_tick(struct run *run, const struct run_now *now, int64_t silent_ms, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < run->n_items; i++) {
        struct item *item = run->items[i];
        if (!item_active(item))
            continue;
        item->unshown |= watch_silence(item, now->wall_ms);
        if (!item->unclocked && is_due(item, now) && now->look_ms > item->ramp.since_ms &&
            silent_ms > item->experiment->stale_after_ms) {
            item->ticked = true;
            rc = item_confirm(run, item, now->look_ms, err);
            if (!rc)
                rc = decide(run, item, now, true, err);
        }
        if (!rc && item_active(item) && item->unshown) /* the last look before the silence */
            rc = show(run, item, now, err);
    }
    return rc;
}

void run_clock_set(struct run *run, int64_t by_ms)
{
    for (size_t i = 0; i < run->n_items; i++) {
        struct item *item = run->items[i];
        if (!item_active(item) || item->ramp.silent_since_ms == 0)
            continue;
        item->ramp.silent_since_ms += by_ms;
        item->silence_seen_ms += by_ms;
        item->dirty = true;
    }
}

int run_flush(struct run *run, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < run->n_items; i++) {
        struct item *item = run->items[i];
        struct run_now now = {.look_ms = run->look_ms, .real_ms = item->shown_ms + SHOW_MS};
        if (item_active(item) && item->looked)
            rc = show(run, item, &now, err);
    }
    return rc;
}
