/*
 * One look: every rule is read and stepped; what changed goes into one transaction: the alert's
 * row, its history, and the groups whose receivers are to be told. One flush: the groups that are
 * due become outbox rows, in one transaction with what their receivers now believe.
 *
 * Silences, mute times and inhibition hold back the telling, never the state: an alert that is
 * still firing when its silence ends is told then.
 */
#include "alerts/run.h"

#include <errno.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/notice.h"
#include "alerts/payload.h"
#include "alerts/template.h"
#include "storage/alert_rows.h"
#include "storage/commit.h"
#include "storage/outbox.h"

enum {
    FLUSH_AT_ONCE = 256,
    MAX_SILENCES = 1000
};

struct alert { /* a rule's alert: one a rule in this version of the state */
    const struct alert_rule *rule;
    char id[NOTICE_ID_BYTES];
    struct alert_state state;
};

struct alerts {
    const struct config *config;
    struct store *store;
    const struct log *log;
    const char *url;
    struct rule_set *rules;
    struct receiver_set *receivers;
    struct route *route; /* NULL: nobody is told */
    struct readings *readings;
    struct alert *alerts;
    size_t n;
    struct log_limit unreadable;
    atomic_int by_phase[4]; /* for other threads */
};

static const char *const fields[] = {"name",   "severity", "model", "version", "segment",
                                     "metric", "value",    "lower", "upper",   "level",
                                     "n",      "labelled", "since", "summary", "url"};

static int check_annotations(const struct config *config, const struct rule_set *rules,
                             struct err *err)
{
    for (size_t i = 0; i < rule_set_count(rules); i++) {
        const struct alert_rule *rule = rule_set_at(rules, i);
        for (size_t a = 0; a < rule->n_annotations; a++) {
            struct err why = {0};
            if (template_check(rule->annotations[a].value, fields,
                               sizeof(fields) / sizeof(fields[0]), &why))
                return err_set(err, ERR_USAGE, "%s:%d: alerts[%zu].annotations.%s: %s",
                               config->path, config->alerts.line, i, rule->annotations[a].key,
                               why.text);
        }
    }
    return 0;
}

static int parse(struct alerts *alerts, struct err *err)
{
    int rc = rule_set_parse(&alerts->rules, alerts->config, err);
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

static int take_row(void *context, const struct alert_row *row, struct err *err)
{
    (void)err;
    struct alerts *alerts = context;
    for (size_t i = 0; i < alerts->n; i++) {
        struct alert *alert = &alerts->alerts[i];
        if (strcmp(alert->id, row->id) != 0)
            continue;
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
    }
    return 0;
}

static void count_phases(struct alerts *alerts)
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
    alerts->url = url;
    alerts->unreadable.every_ms = 60000;
    int rc = parse(alerts, err);
    if (!rc)
        rc = readings_new(&alerts->readings, config, store, err);
    if (rc)
        return rc;
    alerts->n = rule_set_count(alerts->rules);
    alerts->alerts = calloc(alerts->n + 1, sizeof(*alerts->alerts));
    if (!alerts->alerts)
        return err_set(err, -ENOMEM, "alerts: no memory for %zu rules", alerts->n);
    for (size_t i = 0; i < alerts->n; i++) {
        alerts->alerts[i].rule = rule_set_at(alerts->rules, i);
        alerts->alerts[i].state = alert_start(0);
        notice_id(alerts->alerts[i].id, alerts->alerts[i].rule);
    }
    rc = alerts_read(store, false, take_row, alerts, err);
    if (rc)
        return rc;
    count_phases(alerts);
    *out = alerts; /* the caller owns it now */
    alerts = NULL;
    return 0;
}

void alerts_free(struct alerts *alerts)
{
    if (!alerts)
        return;
    readings_free(alerts->readings);
    route_free(alerts->route);
    receiver_set_free(alerts->receivers);
    rule_set_free(alerts->rules);
    free(alerts->alerts);
    free(alerts);
}

bool alerts_wanted(const struct alerts *alerts)
{
    return alerts->n > 0;
}

const struct receiver_set *alerts_receivers(const struct alerts *alerts)
{
    return alerts->receivers;
}

/* ── one look ─────────────────────────────────────────────────────────────────────────────── */

struct look {
    struct alerts *alerts;
    struct alert *alert;
    int64_t wall_ms;
    bool fired;
    struct err *err;
};

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
static int join_group(void *context, const struct route_target *target, const char *group_key)
{
    struct look *look = context;
    struct store *store = look->alerts->store;
    struct alert_group_row group = {.due_ms = -1, .told_ms = -1};
    int rc = alert_group_read(store, group_key, &group, look->err);
    if (rc < 0)
        return rc;
    group.key = group_key;
    group.receiver = target->receiver;
    group.interval_ms = target->timing.group_interval_ms;
    group.repeat_ms = target->timing.repeat_interval_ms;
    group.due_ms = group_due(&group, look->wall_ms, target->timing.group_wait_ms);
    rc = commit_alert_group(store, &group, look->err);
    if (!rc)
        rc = commit_alert_member_fired(store, group_key, look->alert->id, look->err);
    return rc;
}

static int wake_group(void *context, const struct alert_group_row *row, struct err *err)
{
    struct look *look = context;
    struct alert_group_row group = *row;
    group.due_ms = group_due(row, look->wall_ms, 0);
    return commit_alert_group(look->alerts->store, &group, err);
}

static int tell_receivers(struct look *look, enum alert_event event)
{
    struct alerts *alerts = look->alerts;
    if (!alerts->route)
        return 0;
    if (event == ALERT_FIRED || event == ALERT_WENT_SILENT) {
        struct part_pair pairs[NOTICE_MAX_LABELS];
        struct label_set labels = {pairs, notice_labels(look->alert->rule, pairs)};
        return route_match(alerts->route, &labels, join_group, look);
    }
    if (event == ALERT_RESOLVED || event == ALERT_CAME_BACK)
        return alert_groups_of(alerts->store, look->alert->id, wake_group, look, look->err);
    return 0;
}

static int write_change(struct look *look, enum alert_event event, const struct reading *reading,
                        int64_t at_ms, const char *clock)
{
    static const char *const events[] = {"",        "pending",   "firing",   "resolved",
                                         "no_data", "data_back", "withdrawn"};
    struct alert *alert = look->alert;
    const struct alert_rule *rule = alert->rule;
    struct store *store = look->alerts->store;
    AUTO_FREE char *data = notice_alert(rule, &alert->state, reading, look->alerts->url);
    if (!data)
        return err_set(look->err, -ENOMEM, "alert %s: no memory", rule->name);
    const struct alert_state *s = &alert->state;
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
    struct alert_event_row history = {
        .alert = alert->id, .event = events[event], .at_ms = at_ms, .clock = clock, .data = data};
    int rc = commit_alert(store, &row, look->err);
    if (!rc)
        rc = commit_alert_event(store, &history, look->err);
    return rc ? rc : tell_receivers(look, event);
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

int alerts_look(struct alerts *alerts, const struct outside *outside, int64_t wall_ms,
                const char *clock, struct err *err)
{
    bool begun = false;
    int rc = 0;
    readings_start(alerts->readings, outside);
    for (size_t i = 0; i < alerts->n && !rc; i++) {
        struct alert *alert = &alerts->alerts[i];
        struct reading reading;
        rc = look_at(alerts, alert, &reading, wall_ms);
        if (rc)
            break;
        enum alert_event event =
            alert_step(&alert->state, &alert->rule->timing, reading.sight, outside->now_ms);
        if (event == ALERT_NOTHING)
            continue;
        if (!begun) {
            rc = commit_begin(alerts->store, err);
            begun = rc == 0;
        }
        struct look look = {alerts, alert, wall_ms, false, err};
        if (!rc)
            rc = write_change(&look, event, &reading, outside->now_ms, clock);
    }
    if (begun && !rc)
        rc = commit_end(alerts->store, err);
    if (begun && rc) { /* memory must not be ahead of the database */
        commit_rollback(alerts->store);
        for (size_t i = 0; i < alerts->n; i++)
            alerts->alerts[i].state = alert_start(0);
        alerts_read(alerts->store, false, take_row, alerts, NULL);
    }
    if (begun)
        count_phases(alerts);
    return rc;
}

/* ── one flush ────────────────────────────────────────────────────────────────────────────── */

struct hold { /* what keeps alerts from being told now */
    struct matcher *matchers[MAX_SILENCES];
    size_t first[MAX_SILENCES + 1]; /* silence s has matchers first[s] … first[s + 1] - 1 */
    size_t n_silences;
    size_t n_matchers;
};

static int take_silence(void *context, const struct silence_row *row, struct err *err)
{
    struct hold *hold = context;
    json_t *texts = json_loads(row->matchers, 0, NULL);
    size_t n = json_array_size(texts);
    int rc = 0;
    if (hold->n_silences < MAX_SILENCES && hold->n_matchers + n <= MAX_SILENCES) {
        for (size_t i = 0; i < n && !rc; i++) {
            const char *text = json_string_value(json_array_get(texts, i));
            rc = text ? matcher_parse(&hold->matchers[hold->n_matchers], text, err) : 0;
            hold->n_matchers += text && !rc;
        }
        hold->first[++hold->n_silences] = hold->n_matchers;
    }
    json_decref(texts);
    return rc;
}

static void hold_finish(struct hold *hold)
{
    for (size_t i = 0; i < hold->n_matchers; i++)
        matcher_free(hold->matchers[i]);
}

static bool silenced(const struct hold *hold, const struct label_set *labels)
{
    for (size_t s = 0; s < hold->n_silences; s++) {
        bool all = hold->first[s + 1] > hold->first[s];
        for (size_t m = hold->first[s]; m < hold->first[s + 1] && all; m++)
            all = matcher_matches(hold->matchers[m], labels);
        if (all)
            return true;
    }
    return false;
}

static bool inhibited(const struct alerts *alerts, const struct alert_rule *rule)
{
    for (size_t i = 0; i < rule->n_inhibit; i++) {
        for (size_t a = 0; a < alerts->n; a++) {
            const struct alert *other = &alerts->alerts[a];
            if (other->state.phase == ALERT_FIRING &&
                strcmp(other->rule->name, rule->inhibit[i]) == 0)
                return true;
        }
    }
    return false;
}

static bool held_back(const struct alerts *alerts, const struct hold *hold, const char *id,
                      int64_t wall_ms)
{
    for (size_t i = 0; i < alerts->n; i++) {
        const struct alert_rule *rule = alerts->alerts[i].rule;
        if (strcmp(alerts->alerts[i].id, id) != 0)
            continue;
        struct part_pair pairs[NOTICE_MAX_LABELS];
        struct label_set labels = {pairs, notice_labels(rule, pairs)};
        return rule_muted(rule, wall_ms) || inhibited(alerts, rule) || silenced(hold, &labels);
    }
    return false; /* its rule is gone from the configuration: tell the end of it */
}

struct telling { /* one group's message while it is put together */
    struct alerts *alerts;
    const struct hold *hold;
    const struct alert_group_row *group;
    struct notice *notice;
    int64_t wall_ms;
    bool news; /* something that the receiver does not know */
    size_t n_firing;
    size_t n_held; /* firing, but not to be told now */
    int rc;
};

static bool is_told_now(const struct telling *t, const struct alert_member *member, bool firing)
{
    return !firing || !held_back(t->alerts, t->hold, member->alert, t->wall_ms);
}

static int gather(void *context, const struct alert_member *member, struct err *err)
{
    struct telling *t = context;
    bool firing = member->phase >= ALERT_FIRING; /* no data under policy `alert` is told like it */
    if (!is_told_now(t, member, firing)) {
        t->n_held++;
        return 0;
    }
    if (!firing && !member->told && !member->untold)
        return 0;
    t->news = t->news || member->untold || !firing;
    t->n_firing += firing;
    return notice_add(t->notice, member->data, firing)
               ? err_set(err, ERR_CORRUPT, "alert %s: its stored JSON is damaged", member->alert)
               : 0;
}

/* After the message: firing ones are known, resolved ones leave; held ones wait. */
static int settle(void *context, const struct alert_member *member, struct err *err)
{
    struct telling *t = context;
    bool firing = member->phase >= ALERT_FIRING;
    if (!is_told_now(t, member, firing))
        return 0;
    const char *key = t->group->key;
    return firing ? commit_alert_member(t->alerts->store, key, member->alert, true, false, err)
                  : commit_alert_member_leave(t->alerts->store, key, member->alert, err);
}

static int write_notice(struct telling *t, struct err *err)
{
    const char *type = NULL;
    AUTO_FREE char *data = notice_finish(t->notice, t->wall_ms, &type);
    t->notice = NULL;
    if (!data)
        return err_set(err, -ENOMEM, "group %s: no memory", t->group->key);
    struct outbox_row row = {.receiver = t->group->receiver,
                             .group_key = t->group->key,
                             .type = type,
                             .data = data,
                             .created_ms = t->wall_ms,
                             .next_ms = t->wall_ms};
    int rc = commit_outbox(t->alerts->store, &row, err);
    return rc ? rc : alert_members_read(t->alerts->store, t->group->key, settle, t, err);
}

/* 1: a message was written · 0: none was due after all. */
static int flush_group(struct alerts *alerts, const struct hold *hold,
                       const struct alert_group_row *group, int64_t wall_ms, struct err *err)
{
    struct telling t = {.alerts = alerts,
                        .hold = hold,
                        .group = group,
                        .wall_ms = wall_ms,
                        .notice = notice_start(group->key, alerts->url)};
    if (!t.notice)
        return err_set(err, -ENOMEM, "group %s: no memory", group->key);
    int rc = alert_members_read(alerts->store, group->key, gather, &t, err);
    bool repeat = group->told_ms >= 0 && t.n_firing && wall_ms - group->told_ms >= group->repeat_ms;
    bool tell = !rc && (t.news || repeat);
    if (tell) {
        rc = write_notice(&t, err);
    } else {
        const char *type;
        free(notice_finish(t.notice, wall_ms, &type));
    }
    struct alert_group_row next = *group;
    next.told_ms = tell ? wall_ms : group->told_ms;
    next.due_ms = -1;
    if (t.n_firing)
        next.due_ms = next.told_ms + group->repeat_ms;
    if (t.n_held && (next.due_ms < 0 || next.due_ms > wall_ms + group->interval_ms))
        next.due_ms = wall_ms + (group->interval_ms > 1000 ? group->interval_ms : 1000);
    if (!rc)
        rc = commit_alert_group(alerts->store, &next, err);
    return rc ? rc : tell;
}

struct due_groups { /* copied: the flush changes the table that is read */
    struct alert_group_row rows[FLUSH_AT_ONCE];
    size_t n;
};

static int copy_group(void *context, const struct alert_group_row *row, struct err *err)
{
    struct due_groups *due = context;
    struct alert_group_row *copy = &due->rows[due->n];
    *copy = *row;
    copy->key = strdup(row->key);
    copy->receiver = strdup(row->receiver);
    due->n++;
    return copy->key && copy->receiver ? 0 : err_set(err, -ENOMEM, "alert groups: no memory");
}

static int next_due(struct alerts *alerts, int64_t *next_ms, struct err *err)
{
    struct due_groups *first = calloc(1, sizeof(*first));
    if (!first)
        return err_set(err, -ENOMEM, "alert groups: no memory");
    int rc = alert_groups_due(alerts->store, INT64_MAX - 1, 1, copy_group, first, err);
    *next_ms = first->n ? first->rows[0].due_ms : INT64_MAX;
    for (size_t i = 0; i < first->n; i++) {
        free((void *)(uintptr_t)first->rows[i].key);
        free((void *)(uintptr_t)first->rows[i].receiver);
    }
    free(first);
    return rc;
}

static int flush_due(struct alerts *alerts, const struct due_groups *due, int64_t wall_ms,
                     struct err *err)
{
    struct hold *hold = calloc(1, sizeof(*hold));
    if (!hold)
        return err_set(err, -ENOMEM, "silences: no memory");
    int written = 0;
    int rc = silences_read(alerts->store, wall_ms, take_silence, hold, err);
    if (!rc)
        rc = commit_begin(alerts->store, err);
    for (size_t i = 0; i < due->n && rc >= 0; i++) {
        rc = flush_group(alerts, hold, &due->rows[i], wall_ms, err);
        written += rc > 0;
    }
    if (rc >= 0)
        rc = commit_end(alerts->store, err);
    if (rc < 0)
        commit_rollback(alerts->store);
    hold_finish(hold);
    free(hold);
    return rc < 0 ? rc : written;
}

int alerts_flush(struct alerts *alerts, int64_t wall_ms, int64_t *next_ms, struct err *err)
{
    *next_ms = INT64_MAX;
    if (!alerts->route)
        return 0;
    struct due_groups *due = calloc(1, sizeof(*due));
    if (!due)
        return err_set(err, -ENOMEM, "alert groups: no memory");
    int rc = alert_groups_due(alerts->store, wall_ms, FLUSH_AT_ONCE, copy_group, due, err);
    int written = 0;
    if (!rc && due->n)
        written = flush_due(alerts, due, wall_ms, err);
    if (written < 0)
        rc = written;
    for (size_t i = 0; i < due->n; i++) {
        free((void *)(uintptr_t)due->rows[i].key);
        free((void *)(uintptr_t)due->rows[i].receiver);
    }
    free(due);
    if (!rc)
        rc = next_due(alerts, next_ms, err);
    return rc ? rc : written;
}

void alerts_own_metrics(const struct alerts *alerts, struct buf *out)
{
    buf_printf(out, "# TYPE assay_alerts gauge\n# HELP assay_alerts Alerts by state.\n");
    for (int phase = 0; phase < 4; phase++)
        buf_printf(out, "assay_alerts{state=\"%s\"} %d\n",
                   alert_phase_name((enum alert_phase)phase),
                   atomic_load(&alerts->by_phase[phase]));
}
