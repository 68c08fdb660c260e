/*
 * SIGHUP: the new configuration is read into an alerts object of its own, and takes the place of
 * the old one's insides when all of it is right; the object itself stays where others point to.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/keeper.h"
#include "common/json_print.h"
#include "storage/commit.h"

struct removed { /* rows of alerts that no rule stands for any more; copied, as they change */
    const struct alerts *alerts;
    struct alert_row *rows;
    size_t n;
};

static const char *copy(const char *text)
{
    return text ? strdup(text) : NULL;
}

static int take_removed(void *context, const struct alert_row *row, struct err *err)
{
    struct removed *removed = context;
    if (alert_find(removed->alerts, row->id))
        return 0;
    struct alert_row *more = realloc(removed->rows, (removed->n + 1) * sizeof(*more));
    if (!more)
        return err_set(err, -ENOMEM, "alerts: no memory");
    removed->rows = more;
    struct alert_row *out = &more[removed->n++];
    *out = *row;
    out->id = copy(row->id);
    out->rule = copy(row->rule);
    out->model = copy(row->model);
    out->version = copy(row->version);
    out->slice = copy(row->slice);
    out->severity = copy(row->severity);
    out->data = copy(row->data);
    out->acked_by = NULL;
    return out->id && out->rule && out->model && out->version && out->slice && out->severity &&
                   out->data
               ? 0
               : err_set(err, -ENOMEM, "alerts: no memory");
}

static void removed_finish(struct removed *removed)
{
    for (size_t i = 0; i < removed->n; i++) {
        struct alert_row *row = &removed->rows[i];
        const char *texts[] = {row->id,    row->rule,     row->model, row->version,
                               row->slice, row->severity, row->data};
        for (size_t t = 0; t < sizeof(texts) / sizeof(texts[0]); t++)
            free((void *)(uintptr_t)texts[t]);
    }
    free(removed->rows);
}

/* Its last words, and why it says no more. */
static char *closing_words(const struct alert_row *row, int64_t wall_ms)
{
    json_t *data = json_loads(row->data, 0, NULL);
    if (!data)
        return NULL;
    const char *summary = json_string_value(json_object_get(data, "summary"));
    json_object_set_new(data, "summary",
                        json_sprintf("its rule was removed from the configuration; last: %s",
                                     summary ? summary : ""));
    json_object_set_new(data, "over", json_integer((json_int_t)wall_ms));
    char *text = json_print(data);
    json_decref(data);
    return text;
}

static int close_one(struct alerts *alerts, struct alert_row *row, int64_t wall_ms, struct err *err)
{
    int64_t at_ms = alerts->looked_ms > row->since_ms ? alerts->looked_ms : row->since_ms;
    AUTO_FREE char *data = closing_words(row, wall_ms);
    if (!data)
        return err_set(err, ERR_CORRUPT, "alert %s: its stored JSON is damaged", row->id);
    struct alert_row closed = *row;
    closed.phase = ALERT_INACTIVE;
    closed.since_ms = at_ms;
    closed.clear_since_ms = -1;
    closed.data = data;
    struct alert_event_row history = {
        .alert = row->id, .event = "withdrawn", .at_ms = at_ms, .clock = "wall", .data = data};
    struct glance glance = {alerts, NULL, wall_ms, err};
    int rc = commit_alert_event(alerts->store, &history, &closed.event, err);
    if (!rc)
        rc = commit_alert(alerts->store, &closed, err);
    return rc ? rc : alert_groups_of(alerts->store, row->id, glance_wake_group, &glance, err);
}

static int end_commit(struct store *store, int rc, struct err *err)
{
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

int alerts_close_removed(struct alerts *alerts, int64_t wall_ms, struct err *err)
{
    struct removed removed = {.alerts = alerts};
    int rc = alerts_read(alerts->store, true, take_removed, &removed, err);
    if (!rc && removed.n) {
        rc = commit_begin(alerts->store, err);
        for (size_t i = 0; i < removed.n && !rc; i++)
            rc = close_one(alerts, &removed.rows[i], wall_ms, err);
        rc = end_commit(alerts->store, rc, err);
    }
    removed_finish(&removed);
    return rc;
}

struct membership {
    const char *group_key;
    bool is_member;
};

static int check_member(void *context, const struct alert_group_row *row, struct err *err)
{
    (void)err;
    struct membership *membership = context;
    membership->is_member = membership->is_member || strcmp(row->key, membership->group_key) == 0;
    return 0;
}

static int join_new_group(void *context, const struct route_target *target, const char *group_key)
{
    struct glance *glance = context;
    struct membership membership = {group_key, false};
    int rc = alert_groups_of(glance->alerts->store, glance->alert->id, check_member, &membership,
                             glance->err);
    return rc || membership.is_member ? rc : glance_join_group(context, target, group_key);
}

/* What fires already is news to a receiver that only the new route names. */
static int route_again(struct alerts *alerts, int64_t wall_ms, struct err *err)
{
    int rc = 0;
    bool begun = false;
    for (size_t i = 0; i < alerts->n && !rc && alerts->route; i++) {
        struct alert *alert = &alerts->alerts[i];
        if (alert->state.phase < ALERT_FIRING)
            continue;
        if (!begun)
            rc = commit_begin(alerts->store, err);
        begun = true;
        struct glance glance = {alerts, alert, wall_ms, err};
        struct part_pair pairs[NOTICE_MAX_LABELS];
        struct label_set labels = {pairs, notice_labels(alert->rule, pairs)};
        if (!rc)
            rc = route_match(alerts->route, &labels, join_new_group, &glance);
    }
    return begun ? end_commit(alerts->store, rc, err) : rc;
}

static void exchange(struct alerts *alerts, struct alerts *next)
{
    struct alerts old = *alerts;
    alerts->config = next->config;
    alerts->rules = next->rules;
    alerts->receivers = next->receivers;
    alerts->route = next->route;
    alerts->readings = next->readings;
    alerts->alerts = next->alerts;
    alerts->by_id = next->by_id;
    alerts->n = next->n;
    next->rules = old.rules;
    next->receivers = old.receivers;
    next->route = old.route;
    next->readings = old.readings;
    next->alerts = old.alerts;
    next->by_id = old.by_id;
    next->n = old.n;
}

int alerts_reload(struct alerts *alerts, const struct config *config, int64_t wall_ms,
                  struct err *err)
{
    AUTO(alerts) struct alerts *next = NULL;
    int rc = alerts_new(&next, config, alerts->store, alerts->log, alerts->url, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < next->n; i++) { /* memory knows more than the rows: clear since when */
        const struct alert *old = alert_find(alerts, next->alerts[i].id);
        if (old)
            next->alerts[i].state = old->state;
    }
    exchange(alerts, next);
    struct err why = {
        0}; /* the new rules are in force: what could not be told is tried at a restart */
    if (alerts_close_removed(alerts, wall_ms, &why) || route_again(alerts, wall_ms, &why))
        log_write(alerts->log, LEVEL_ERROR, "alerts", "after the reload: %s", why.text);
    alerts_count(alerts);
    return 0;
}
