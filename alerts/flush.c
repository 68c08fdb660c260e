/*
 * One flush: the groups that are due become outbox rows, in one transaction with what their
 * receivers now believe.
 *
 * Silences, mute times and inhibition hold back the telling, never the state: an alert that is
 * still firing when its silence ends is told then.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/keeper.h"
#include "storage/alert_rows.h"
#include "storage/commit.h"
#include "storage/outbox.h"

enum {
    FLUSH_AT_ONCE = 256,
    MAX_SILENCES = 1000,
    /* Alertmanager wants to hear of what fires every minute, and of what ended for five more. */
    RESEND_MS = 60 * 1000,
    LINGER_MS = 5 * 60 * 1000,
};

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
    const struct alert *alert = alert_find(alerts, id);
    if (!alert) /* its rule is gone from the configuration: tell the end of it */
        return false;
    struct part_pair pairs[NOTICE_MAX_LABELS];
    struct label_set labels = {pairs, notice_labels(alert->rule, pairs)};
    return rule_muted(alert->rule, wall_ms) || inhibited(alerts, alert->rule) ||
           silenced(hold, &labels);
}

struct telling { /* one group's message while it is put together */
    struct alerts *alerts;
    const struct hold *hold;
    const struct alert_group_row *group;
    bool every_alert; /* the receiver is a program that keeps the alerts itself: Alertmanager */
    struct notice *notice;
    int64_t wall_ms;
    bool news; /* something that the receiver does not know */
    size_t n_firing;
    size_t n_unacked;   /* of them, nobody looks after */
    size_t n_lingering; /* ended, and to be told again */
    size_t n_held;      /* firing, but not to be told now */
};

static bool is_firing(const struct alert_member *member)
{
    return member->phase >= ALERT_FIRING; /* no data under policy `alert` is told like it */
}

static bool is_told_now(const struct telling *t, const struct alert_member *member)
{
    return !is_firing(member) || !held_back(t->alerts, t->hold, member->alert, t->wall_ms);
}

/* Ended, told, and not yet long enough ago for a receiver that may have forgotten it. */
static bool lingers(const struct telling *t, const struct alert_member *member)
{
    if (!t->every_alert || is_firing(member))
        return false;
    json_t *data = json_loads(member->data, 0, NULL);
    const json_t *over = json_object_get(data, "over");
    bool recent = json_is_integer(over) && t->wall_ms - json_integer_value(over) < LINGER_MS;
    json_decref(data);
    return recent;
}

static int count(void *context, const struct alert_member *member, struct err *err)
{
    (void)err;
    struct telling *t = context;
    if (!is_told_now(t, member)) {
        t->n_held++;
        return 0;
    }
    bool firing = is_firing(member);
    t->n_firing += firing;
    t->n_unacked += firing && !member->acked;
    t->n_lingering += lingers(t, member);
    t->news = t->news || member->untold || (!firing && member->told);
    return 0;
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
    return commit_outbox(t->alerts->store, &row, err);
}

static int begin_notice(struct telling *t, struct err *err)
{
    t->notice = notice_start(t->group->key, t->alerts->url,
                             t->every_alert ? NOTICE_WIDE_BYTES : NOTICE_BYTES);
    return t->notice ? 0 : err_set(err, -ENOMEM, "group %s: no memory", t->group->key);
}

static int gather(void *context, const struct alert_member *member, struct err *err)
{
    struct telling *t = context;
    bool firing = is_firing(member);
    bool over = !firing && !member->told && !member->untold; /* its end was told already */
    if (!is_told_now(t, member) || (over && !lingers(t, member)))
        return 0;
    int rc = notice_add(t->notice, member->data, firing);
    if (rc == NOTICE_FULL && t->every_alert) { /* nothing is left out: another message */
        rc = write_notice(t, err);
        if (!rc)
            rc = begin_notice(t, err);
        if (!rc)
            rc = notice_add(t->notice, member->data, firing);
    } else if (rc == NOTICE_FULL) {
        notice_count(t->notice, firing);
        rc = 0;
    }
    return rc < 0 ? err_set(err, ERR_CORRUPT, "alert %s: its stored JSON is damaged", member->alert)
                  : 0;
}

/* After the message: firing ones are known, ended ones leave; held ones wait. */
static int settle(void *context, const struct alert_member *member, struct err *err)
{
    struct telling *t = context;
    if (!is_told_now(t, member))
        return 0;
    const char *key = t->group->key;
    if (!is_firing(member) && !lingers(t, member))
        return commit_alert_member_leave(t->alerts->store, key, member->alert, err);
    return commit_alert_member(t->alerts->store, key, member->alert, is_firing(member), false, err);
}

static int write_group(struct telling *t, struct err *err)
{
    struct store *store = t->alerts->store;
    int rc = begin_notice(t, err);
    if (!rc)
        rc = alert_members_read(store, t->group->key, gather, t, err);
    if (!rc)
        rc = write_notice(t, err);
    if (t->notice) {
        const char *type;
        free(notice_finish(t->notice, t->wall_ms, &type));
    }
    return rc ? rc : alert_members_read(store, t->group->key, settle, t, err);
}

/* Is it time to say the same again? Not while the last message still waits: it says the same. */
static int is_repeat(const struct telling *t, bool *repeat, struct err *err)
{
    const struct alert_group_row *group = t->group;
    int64_t every_ms = t->every_alert ? RESEND_MS : group->repeat_ms;
    size_t n = t->every_alert ? t->n_firing + t->n_lingering : t->n_unacked;
    bool waits = false;
    *repeat = group->told_ms >= 0 && n && t->wall_ms - group->told_ms >= every_ms;
    int rc = *repeat && t->every_alert
                 ? outbox_group_waits(t->alerts->store, group->receiver, group->key, &waits, err)
                 : 0;
    *repeat = *repeat && !waits;
    return rc;
}

static int64_t next_time(const struct telling *t, int64_t told_ms)
{
    const struct alert_group_row *group = t->group;
    int64_t due_ms = -1;
    if (t->every_alert && (t->n_firing || t->n_lingering)) {
        due_ms = told_ms + RESEND_MS;
        if (due_ms <= t->wall_ms)
            due_ms = t->wall_ms + RESEND_MS;
    } else if (t->n_unacked) {
        due_ms = told_ms + group->repeat_ms;
    }
    if (t->n_held && (due_ms < 0 || due_ms > t->wall_ms + group->interval_ms))
        due_ms = t->wall_ms + (group->interval_ms > 1000 ? group->interval_ms : 1000);
    return due_ms;
}

/* 1: a message was written · 0: none was due after all. */
static int flush_group(struct alerts *alerts, const struct hold *hold,
                       const struct alert_group_row *group, int64_t wall_ms, struct err *err)
{
    const struct receiver *receiver = receiver_set_find(alerts->receivers, group->receiver);
    struct telling t = {.alerts = alerts,
                        .hold = hold,
                        .group = group,
                        .every_alert = receiver && receiver->type == RECEIVER_ALERTMANAGER,
                        .wall_ms = wall_ms};
    bool repeat = false;
    int rc = alert_members_read(alerts->store, group->key, count, &t, err);
    if (!rc)
        rc = is_repeat(&t, &repeat, err);
    bool tell = !rc && (t.news || repeat);
    if (tell)
        rc = write_group(&t, err);
    struct alert_group_row next = *group;
    next.told_ms = tell ? wall_ms : group->told_ms;
    next.due_ms = next_time(&t, next.told_ms);
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
