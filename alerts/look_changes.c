#include "alerts/look_changes.h"

#include <errno.h>
#include <stdlib.h>

#include "alerts/keeper.h"
#include "storage/commit.h"
#include "storage/lend.h"

enum {
    CROWD = 256,       /* changes that are worth a thread */
    MAX_KEPT = 1 << 14 /* 16 MB of readings; more at one look are written by and by */
};

void look_changes_start(struct alerts *alerts, const struct outside *outside, bool wall)
{
    store_await(alerts->store); /* in a turn the crowd of a look before may still be written */
    struct look_changes *changes = &alerts->changes;
    changes->n = 0;
    changes->any = changes->begun = false;
    changes->look_ms = outside->now_ms;
    changes->wall_ms = outside->wall_ms;
    changes->wall = wall;
    changes->backgrounds.n = 0;
}

void look_changes_drop(struct look_changes *changes)
{
    free(changes->kept);
    changes->kept = NULL;
    changes->n = changes->capacity = 0;
}

static int64_t group_due(const struct alert_group_row *group, int64_t wall_ms, int64_t wait_ms)
{
    int64_t due_ms = wall_ms + wait_ms;
    if (group->told_ms >= 0) {
        due_ms = group->told_ms + group->interval_ms;
        if (due_ms < wall_ms)
            due_ms = wall_ms;
    }
    return group->due_ms >= 0 && group->due_ms < due_ms ? group->due_ms : due_ms;
}

/* For each receiver that the route names: the alert joins its group, and the group is due. */
int glance_join_group(void *context, const struct route_target *target, const char *group_key)
{
    struct glance *glance = context;
    struct store *store = glance->alerts->store;
    struct alert_group_row group = {.due_ms = -1, .told_ms = -1};
    int rc = alert_group_read(store, group_key, &group, glance->err);
    if (rc < 0)
        return rc;
    bool same_timing = group.interval_ms == target->timing.group_interval_ms &&
                       group.repeat_ms == target->timing.repeat_interval_ms;
    group.key = group_key;
    group.receiver = target->receiver;
    group.interval_ms = target->timing.group_interval_ms;
    group.repeat_ms = target->timing.repeat_interval_ms;
    int64_t due_ms = group_due(&group, glance->wall_ms, target->timing.group_wait_ms);
    bool unchanged = rc == 0 && group.due_ms == due_ms && same_timing;
    group.due_ms = due_ms;
    rc = unchanged ? 0 : commit_alert_group(store, &group, glance->err);
    if (!rc)
        rc = commit_alert_member_fired(store, group_key, glance->alert->id, glance->err);
    return rc;
}

int glance_wake_group(void *context, const struct alert_group_row *row, struct err *err)
{
    struct glance *glance = context;
    struct alert_group_row group = *row;
    group.due_ms = group_due(row, glance->wall_ms, 0);
    return commit_alert_group(glance->alerts->store, &group, err);
}

static int tell_receivers(struct glance *glance, enum alert_event event)
{
    struct alerts *alerts = glance->alerts;
    if (!alerts->route)
        return 0;
    if (event == ALERT_FIRED || event == ALERT_WENT_SILENT) {
        struct part_pair pairs[NOTICE_MAX_LABELS];
        struct label_set labels = {pairs, notice_labels(glance->alert->rule, pairs)};
        return route_match(alerts->route, &labels, glance_join_group, glance);
    }
    if (event == ALERT_RESOLVED || event == ALERT_CAME_BACK)
        return alert_groups_of(alerts->store, glance->alert->id, glance_wake_group, glance,
                               glance->err);
    return 0;
}

/* Which clock caused it: what no event tells is the wall clock's also when an event made us look. */
static const char *clock_of(const struct alert_rule *rule, bool wall)
{
    bool untold = rule->kind == RULE_LAG || rule->kind == RULE_CERTIFICATE;
    return wall || untold ? "wall" : "event";
}

static bool is_over(enum alert_event event)
{
    return event == ALERT_RESOLVED || event == ALERT_CAME_BACK;
}

/* What stands behind a change that somebody is told of. */
static void read_background(struct alerts *alerts, struct look_changes *changes,
                            const struct look_change *change, struct background *out)
{
    const bool told = is_over(change->event) || change->event == ALERT_FIRED ||
                      change->event == ALERT_WENT_SILENT;
    *out = (struct background){.cause = "", .action = ""};
    if (told)
        background_read(out, &changes->backgrounds, alerts->store, alerts->config, alerts->readings,
                        change->alert->rule, &change->reading);
}

static int write_event(struct glance *glance, struct look_changes *changes,
                       struct look_change *change)
{
    static const char *const events[] = {"",        "pending",   "firing",   "resolved",
                                         "no_data", "data_back", "withdrawn"};
    const struct alert *alert = glance->alert;
    const struct alert_rule *rule = alert->rule;
    const enum alert_event event = change->event;
    struct reading *reading = &change->reading;
    struct store *store = glance->alerts->store;
    reading_tell(rule, reading);
    struct background background;
    read_background(glance->alerts, changes, change, &background);
    struct notice_facts facts = {
        .id = alert->id,
        .state = &change->state,
        .reading = reading,
        .background = &background,
        .over_ms = is_over(event) ? glance->wall_ms : -1,
        .url = glance->alerts->url,
    };
    AUTO_FREE char *data = notice_alert(rule, &facts);
    if (!data)
        return err_set(glance->err, -ENOMEM, "alert %s: no memory", rule->name);
    const struct alert_state *s = &change->state;
    struct alert_row row = {
        .id = alert->id,
        .rule = rule->name,
        .model = rule->model ? rule->model : "",
        .version = rule->version ? rule->version : "",
        .slice = rule->slice ? rule->slice : "",
        .severity = severity_name(rule->severity),
        .phase = (int)s->phase,
        .since_ms = s->since_ms,
        .bad_since_ms = s->bad_since_ms,
        .clear_since_ms = s->clear_since_ms,
        .last_change_ms = s->last_change_ms,
        .flap_score = s->flap_score,
        .flapping = s->flapping,
        .no_data = s->no_data,
        .data = data,
    };
    struct alert_event_row history = {.alert = alert->id,
                                      .event = events[event],
                                      .at_ms = changes->look_ms,
                                      .clock = clock_of(rule, changes->wall),
                                      .data = data};
    int rc = commit_alert_event(store, &history, &row.event, glance->err);
    if (!rc)
        rc = commit_alert(store, &row, glance->err);
    return rc ? rc : tell_receivers(glance, event);
}

/* What is kept so far; the commit of the look begins with the first of it. */
static int write_kept(struct alerts *alerts, struct look_changes *changes, struct err *err)
{
    int rc = changes->begun || !changes->n ? 0 : commit_begin(alerts->store, err);
    if (!rc && !changes->begun && changes->n && !changes->wall)
        rc = commit_fact(alerts->store, COMMIT_LOOK, changes->look_ms, err);
    changes->begun |= changes->n > 0;
    for (size_t i = 0; i < changes->n && !rc; i++) {
        struct look_change *change = &changes->kept[i];
        struct glance glance = {alerts, change->alert, changes->wall_ms, err};
        store_pause(alerts->store);
        rc = change->event == ALERT_NOTHING ? commit_alert_clear(alerts->store, change->alert->id,
                                                                 change->state.clear_since_ms, err)
                                            : write_event(&glance, changes, change);
    }
    changes->n = 0;
    return rc;
}

static int write_all(struct alerts *alerts, struct look_changes *changes, int rc, struct err *err)
{
    if (!rc)
        rc = write_kept(alerts, changes, err);
    if (changes->begun && !rc)
        rc = commit_end(alerts->store, err);
    if (changes->begun && rc)
        commit_rollback(alerts->store);
    if (changes->capacity > CROWD)
        look_changes_drop(changes);
    return rc;
}

/*
 * By the borrower. What stands behind the crowd is read before the next look may write what it covers. Nobody can flush
 * while the store is lent, so that is done here.
 */
static int write_crowd(void *context, struct store *store, struct err *err)
{
    (void)store;
    struct alerts *alerts = context;
    struct look_changes *crowd = &alerts->crowd;
    struct background ignored;
    for (size_t i = 0; i < crowd->n; i++)
        read_background(alerts, crowd, &crowd->kept[i], &ignored);
    int64_t next_ms;
    int rc = write_all(alerts, crowd, 0, err);
    int n = rc ? rc : alerts_flush_now(alerts, crowd->wall_ms, &next_ms, err);
    if (n > 0)
        crowd->n_letters += n;
    return n < 0 ? n : 0;
}

static int lend_crowd(struct alerts *alerts, struct err *err)
{
    const int n_letters = alerts->crowd.n_letters; /* of another one that shares the transaction */
    look_changes_drop(&alerts->crowd);
    alerts->crowd = alerts->changes;
    alerts->crowd.n_letters = n_letters;
    alerts->changes = (struct look_changes){.any = true};
    return store_lend(alerts->store, write_crowd, alerts, err);
}

int look_changes_keep(struct alerts *alerts, const struct look_change *change, struct err *err)
{
    struct look_changes *changes = &alerts->changes;
    int rc = 0;
    if (changes->n == MAX_KEPT) {
        store_recall(alerts->store);
        rc = write_kept(alerts, changes, err);
    }
    if (rc)
        return rc;
    if (changes->n == changes->capacity) {
        size_t capacity = changes->capacity ? 2 * changes->capacity : 16;
        struct look_change *more = realloc(changes->kept, capacity * sizeof(*more));
        if (!more)
            return err_set(err, -ENOMEM, "alerts: no memory for what %zu of them say", capacity);
        changes->kept = more;
        changes->capacity = capacity;
    }
    changes->kept[changes->n++] = *change;
    changes->any = true;
    return 0;
}

int look_changes_write(struct alerts *alerts, int rc, struct err *err)
{
    if (alerts->changes.n) /* rows come in the order of their looks */
        store_recall(alerts->store);
    if (!rc && alerts->changes.n >= CROWD && commit_is_shared(alerts->store))
        return lend_crowd(alerts, err);
    return write_all(alerts, &alerts->changes, rc, err);
}
