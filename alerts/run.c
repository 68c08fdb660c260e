/*
 * One look: every rule is read and stepped; what changed goes into one transaction: the alert's
 * row, its history, and the groups whose receivers are to be told (alerts/flush.c tells them).
 */
#include "alerts/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/keeper.h"
#include "alerts/payload.h"
#include "common/template.h"
#include "stats/custom_config.h"
#include "storage/alert_rows.h"
#include "storage/commit.h"
#include "storage/lend.h"

static const char *const fields[] = {"name",   "severity", "model",     "version", "segment",
                                     "metric", "value",    "lower",     "upper",   "level",
                                     "n",      "labelled", "since",     "summary", "url",
                                     "cause",  "action",   "confidence"};

static int check_annotations(const struct config *config, const struct rule_set *rules,
                             struct err *err)
{
    for (size_t i = 0; i < rule_set_count(rules); i++) {
        const struct alert_rule *rule = rule_set_at(rules, i);
        for (size_t a = 0; a < rule->n_annotations; a++) {
            struct err why = {0};
            if (template_check(rule->annotations[a].value, fields,
                               sizeof(fields) / sizeof(fields[0]), &why))
                return err_set(err, ERR_DATA, "%s:%d: alerts[%zu].annotations.%s: %s", config->path,
                               config->alerts.item_lines[i], i, rule->annotations[a].key, why.text);
        }
    }
    return 0;
}

static int parse(struct alerts *alerts, struct err *err)
{
    int rc = customs_check(alerts->config, err); /* rules may be on them */
    if (!rc)
        rc = rule_set_parse(&alerts->rules, alerts->config, err);
    if (!rc)
        rc = check_annotations(alerts->config, alerts->rules, err);
    if (!rc)
        rc = receiver_set_parse(&alerts->receivers, alerts->config, err);
    if (rc || strcmp(alerts->config->route.json, "{}") == 0)
        return rc;
    return route_parse(&alerts->route, alerts->config, receiver_set_names(alerts->receivers),
                       receiver_set_count(alerts->receivers), err);
}

int alerts_check(const struct config *config, struct err *err)
{
    AUTO(alerts) struct alerts *alerts = calloc(1, sizeof(*alerts));
    if (!alerts)
        return err_set(err, -ENOMEM, "alerts: no memory");
    alerts->config = config;
    return parse(alerts, err);
}

static int by_id(const void *a, const void *b)
{
    return strcmp((*(struct alert *const *)a)->id, (*(struct alert *const *)b)->id);
}

struct alert *alert_find(const struct alerts *alerts, const char *id)
{
    struct alert wanted;
    const struct alert *key = &wanted;
    snprintf(wanted.id, sizeof(wanted.id), "%s", id);
    struct alert **found =
        alerts->n ? bsearch(&key, alerts->by_id, alerts->n, sizeof(*alerts->by_id), by_id) : NULL;
    return found ? *found : NULL;
}

const struct alert *alert_named(const struct alerts *alerts, const char *name)
{
    const struct alert_rule *rule = rule_set_find(alerts->rules, name);
    return rule ? &alerts->alerts[rule - rule_set_at(alerts->rules, 0)] : NULL;
}

static int take_row(void *context, const struct alert_row *row, struct err *err)
{
    (void)err;
    struct alert *alert = alert_find(context, row->id);
    if (alert)
        alert->state = (struct alert_state){
            .phase = (enum alert_phase)row->phase,
            .since_ms = row->since_ms,
            .bad_since_ms = row->bad_since_ms,
            .clear_since_ms = row->clear_since_ms,
            .last_change_ms = row->last_change_ms,
            .flap_score = row->flap_score,
            .flapping = row->flapping,
            .no_data = row->no_data,
        };
    return 0;
}

void alerts_count(struct alerts *alerts)
{
    int counts[4] = {0};
    for (size_t i = 0; i < alerts->n; i++)
        counts[alerts->alerts[i].state.phase]++;
    for (int phase = 0; phase < 4; phase++)
        atomic_store(&alerts->by_phase[phase], counts[phase]);
}

int alerts_new(struct alerts **out, const struct config *config, struct store *store,
               const struct log *log, const char *url, struct err *err)
{
    AUTO(alerts) struct alerts *alerts = calloc(1, sizeof(*alerts));
    if (!alerts)
        return err_set(err, -ENOMEM, "alerts: no memory");
    alerts->config = config;
    alerts->store = store;
    alerts->log = log;
    snprintf(alerts->url, sizeof(alerts->url), "%s", url ? url : "");
    alerts->unreadable.every_ms = 60000;
    int rc = parse(alerts, err);
    if (!url) {
        route_free(alerts->route);
        alerts->route = NULL;
    }
    if (!rc)
        rc = readings_new(&alerts->readings, config, store, err);
    if (rc)
        return rc;
    alerts->n = rule_set_count(alerts->rules);
    alerts->alerts = calloc(alerts->n + 1, sizeof(*alerts->alerts));
    alerts->by_id = calloc(alerts->n + 1, sizeof(struct alert *));
    if (!alerts->alerts || !alerts->by_id)
        return err_set(err, -ENOMEM, "alerts: no memory for %zu rules", alerts->n);
    for (size_t i = 0; i < alerts->n; i++) {
        alerts->alerts[i].rule = rule_set_at(alerts->rules, i);
        alerts->alerts[i].state = alert_start(0);
        notice_id(alerts->alerts[i].id, alerts->alerts[i].rule);
        alerts->by_id[i] = &alerts->alerts[i];
    }
    qsort(alerts->by_id, alerts->n, sizeof(struct alert *), by_id);
    rc = alerts_read(store, false, take_row, alerts, err);
    if (rc)
        return rc;
    alerts_count(alerts);
    *out = alerts; /* the caller owns it now */
    alerts = NULL;
    return 0;
}

void alerts_free(struct alerts *alerts)
{
    if (!alerts)
        return;
    if (alerts->store)
        store_recall(alerts->store);
    look_changes_drop(&alerts->changes);
    look_changes_drop(&alerts->crowd);
    readings_free(alerts->readings);
    route_free(alerts->route);
    receiver_set_free(alerts->receivers);
    rule_set_free(alerts->rules);
    free(alerts->alerts);
    free(alerts->by_id);
    free(alerts);
}

void alerts_set_url(struct alerts *alerts, const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/')
        n--;
    snprintf(alerts->url, sizeof(alerts->url), "%.*s", (int)n, url);
}

bool alerts_wanted(const struct alerts *alerts)
{
    return alerts->n > 0;
}

struct receiver_set *alerts_receivers(const struct alerts *alerts)
{
    return alerts->receivers;
}

static int look_at(struct alerts *alerts, struct alert *alert, struct reading *reading,
                   int64_t wall_ms)
{
    struct err why = {0};
    int rc = readings_read(alerts->readings, alert->rule, reading, &why);
    if (rc == ERR_CORRUPT || rc == ERR_IO)
        return rc;
    uint64_t suppressed;
    if (rc && log_allowed(&alerts->unreadable, wall_ms, &suppressed))
        log_write(alerts->log, LEVEL_WARNING, "alerts", "rule %s cannot be read: %s",
                  alert->rule->name, why.text);
    return 0;
}

/* `wall`: only what may be judged without events, by the wall clock. Else at multiples of `every`,
   which need no memory: a crash changes nothing. */
static bool is_due(const struct alerts *alerts, const struct alert_rule *rule, int64_t now_ms,
                   bool wall)
{
    if (wall && rule->kind == RULE_AUDIT)
        return now_ms / rule->every_ms != alerts->ticked_ms / rule->every_ms;
    if (wall)
        return rule->kind == RULE_ABSENT || rule->kind == RULE_LAG ||
               rule->kind == RULE_EXPERIMENT || rule->kind == RULE_CERTIFICATE;
    return now_ms % rule->every_ms == 0;
}

static void remember(struct alerts *alerts)
{
    for (size_t i = 0; i < alerts->n; i++)
        alerts->alerts[i].state = alert_start(0);
    alerts_read(alerts->store, false, take_row, alerts, NULL);
}

/* Before the first look of a shared transaction: what a rollback leads back to. */
static void keep_settled(struct alerts *alerts)
{
    if (alerts->unsettled || !commit_is_shared(alerts->store))
        return;
    for (size_t i = 0; i < alerts->n; i++)
        alerts->alerts[i].settled = alerts->alerts[i].state;
    alerts->settled_looked_ms = alerts->looked_ms;
    alerts->settled_ticked_ms = alerts->ticked_ms;
    alerts->unsettled = true;
}

bool alerts_settle(struct alerts *alerts)
{
    bool letters = alerts->crowd.n_letters > 0;
    alerts->crowd.n_letters = 0;
    alerts->unsettled = false;
    return letters;
}

void alerts_restore(struct alerts *alerts)
{
    alerts->crowd.n_letters = 0;
    if (!alerts->unsettled)
        return;
    for (size_t i = 0; i < alerts->n; i++)
        alerts->alerts[i].state = alerts->alerts[i].settled;
    alerts->looked_ms = alerts->settled_looked_ms;
    alerts->ticked_ms = alerts->settled_ticked_ms;
    alerts->unsettled = false;
    alerts_count(alerts);
}

/* One alert at one look; what that changes is kept. */
static int step(struct alerts *alerts, struct alert *alert, const struct outside *outside,
                struct err *err)
{
    struct look_change change; /* all of it is set before it is kept */
    int rc = look_at(alerts, alert, &change.reading, outside->wall_ms);
    if (rc)
        return rc;
    const int64_t clear_since_ms = alert->state.clear_since_ms;
    change.event =
        alert_step(&alert->state, &alert->rule->timing, change.reading.sight, outside->now_ms);
    if (change.event == ALERT_NOTHING && alert->state.clear_since_ms == clear_since_ms)
        return 0;
    change.alert = alert;
    change.state = alert->state;
    return look_changes_keep(alerts, &change, err);
}

static int look(struct alerts *alerts, const struct outside *outside, bool wall, struct err *err)
{
    int rc = 0;
    look_changes_start(alerts, outside, wall);
    readings_start(alerts->readings, outside);
    for (size_t i = 0; i < alerts->n && !rc; i++) {
        struct alert *alert = &alerts->alerts[i];
        if (is_due(alerts, alert->rule, outside->now_ms, wall))
            rc = step(alerts, alert, outside, err);
    }
    const bool changed = alerts->changes.any;
    if (changed)
        alerts_count(alerts); /* before another thread has them */
    rc = look_changes_write(alerts, rc, err);
    if (changed && rc) { /* memory must not be ahead of the database */
        remember(alerts);
        alerts_count(alerts);
    }
    return rc;
}

int alerts_look(struct alerts *alerts, const struct outside *outside, struct err *err)
{
    keep_settled(alerts);
    int rc = look(alerts, outside, false, err);
    if (!rc) /* else it is taken again */
        alerts->looked_ms = alerts->ticked_ms = outside->now_ms;
    return rc;
}

int alerts_tick(struct alerts *alerts, const struct outside *outside, struct err *err)
{
    int rc = look(alerts, outside, true, err);
    if (!rc)
        alerts->ticked_ms = outside->now_ms;
    return rc;
}

/* Beyond this time after the last event a rule says what it said before: whatever it looks back at
   is empty, and what it waits for is over. */
static int64_t reach_ms(const struct alert_rule *rule)
{
    return rule->window_ms * (rule->points + 2) + rule->relative_ms + rule->absent_ms +
           rule->mature_ms + rule->timing.for_ms + rule->timing.keep_firing_for_ms +
           rule->every_ms + ALERT_FLAP_WINDOW_MS;
}

int64_t alerts_next_look(const struct alerts *alerts, int64_t now_ms, int64_t news_ms)
{
    int64_t next_ms = 0;
    for (size_t i = 0; i < alerts->n; i++) {
        const struct alert_rule *rule = alerts->alerts[i].rule;
        int64_t due_ms = (now_ms / rule->every_ms + 1) * rule->every_ms;
        if (now_ms <= news_ms + reach_ms(rule) && (next_ms == 0 || due_ms < next_ms))
            next_ms = due_ms;
    }
    return next_ms;
}

void alerts_own_metrics(const struct alerts *alerts, struct buf *out)
{
    buf_printf(out, "# TYPE assay_alerts gauge\n# HELP assay_alerts Alerts by state.\n");
    for (int phase = 0; phase < 4; phase++)
        buf_printf(out, "assay_alerts{state=\"%s\"} %d\n",
                   alert_phase_name((enum alert_phase)phase),
                   atomic_load(&alerts->by_phase[phase]));
}
