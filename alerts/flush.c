/*
 * One flush: the groups that are due become outbox rows, in one transaction with what their
 * receivers now believe.
 *
 * Silences, mute times and inhibition hold back the telling, never the state: an alert that is
 * still firing when its silence ends is told then.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/announce.h"
#include "alerts/keeper.h"
#include "common/grow.h"
#include "storage/alert_rows.h"
#include "storage/commit.h"
#include "storage/lend.h"
#include "storage/outbox.h"

enum {
    FLUSH_AT_ONCE = 256,
    MAX_SILENCES = 1000,
    /* Alertmanager wants to hear of what fires every minute, and of what ended for five more. */
    RESEND_MS = 60 * 1000,
    LINGER_MS = 5 * 60 * 1000,
    FOLD_AFTER_MS = 60 * 60 * 1000, /* what waits for longer, and is over, becomes one summary */
};

struct hold { /* what keeps alerts from being told now */
    int64_t wall_ms;
    struct matcher *matchers[MAX_SILENCES];
    size_t first[MAX_SILENCES + 1]; /* silence s has matchers first[s] … first[s + 1] - 1 */
    size_t n_silences;
    size_t n_matchers;
};

static int take_silence(void *context, const struct silence_row *row, struct err *err)
{
    struct hold *hold = context;
    if (row->starts_ms > hold->wall_ms)
        return 0;
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
        const struct alert *other = alert_named(alerts, rule->inhibit[i]);
        if (other && other->state.phase == ALERT_FIRING)
            return true;
    }
    return false;
}

static bool held_back(const struct alerts *alerts, const struct hold *hold, const char *id,
                      int64_t wall_ms)
{
    const struct alert *alert = alert_find(alerts, id);
    if (!alert) /* its rule is gone from the configuration: tell the end of it */
        return false;
    if (rule_muted(alert->rule, wall_ms) || inhibited(alerts, alert->rule))
        return true;
    if (!hold->n_silences)
        return false;
    struct part_pair pairs[NOTICE_MAX_LABELS];
    struct label_set labels = {pairs, notice_labels(alert->rule, pairs)};
    return silenced(hold, &labels);
}

struct told_alert { /* a member of the group, as its receiver is to hear of it */
    char id[NOTICE_ID_BYTES];
    bool told, untold, acked;
    bool firing;  /* or no data under policy `alert`, which is told like it */
    bool held;    /* firing, but not to be told now */
    bool lingers; /* ended, and to be told again */
};

struct telling { /* one group's message while it is put together */
    struct alerts *alerts;
    const struct hold *hold;
    json_t *audit; /* the head of the audit log */
    const struct alert_group_row *group;
    bool every_alert; /* the receiver is a program that keeps the alerts itself: Alertmanager */
    struct notice *notice;
    int64_t wall_ms;
    struct told_alert *members;
    size_t n, capacity;
    bool news; /* something that the receiver does not know */
    size_t n_firing;
    size_t n_unacked; /* of them, nobody looks after */
    size_t n_lingering;
    size_t n_held;
};

/* Ended, told, and not yet long enough ago for a receiver that may have forgotten it. */
static int read_lingers(const struct telling *t, struct told_alert *member, struct err *err)
{
    AUTO_FREE char *text = NULL;
    int rc = alert_data_read(t->alerts->store, member->id, &text, err);
    json_t *data = text ? json_loads(text, 0, NULL) : NULL;
    const json_t *over = json_object_get(data, "over");
    member->lingers = json_is_integer(over) && t->wall_ms - json_integer_value(over) < LINGER_MS;
    json_decref(data);
    return rc;
}

static int take_member(void *context, const struct alert_member *row, struct err *err)
{
    struct telling *t = context;
    int rc = grow(&t->members, &t->capacity, t->n + 1, sizeof(*t->members), t->group->key, err);
    if (rc)
        return rc;
    struct told_alert *member = &t->members[t->n++];
    *member = (struct told_alert){
        .told = row->told,
        .untold = row->untold,
        .acked = row->acked,
        .firing = row->phase >= ALERT_FIRING,
    };
    snprintf(member->id, sizeof(member->id), "%s", row->alert);
    return 0;
}

/* Who is in the group, and what of it is to be told now. */
static int read_members(struct telling *t, struct err *err)
{
    int rc = alert_members_read(t->alerts->store, t->group->key, take_member, t, err);
    for (size_t i = 0; i < t->n && !rc; i++) {
        struct told_alert *member = &t->members[i];
        member->held = member->firing && held_back(t->alerts, t->hold, member->id, t->wall_ms);
        if (t->every_alert && !member->firing)
            rc = read_lingers(t, member, err);
        t->n_held += member->held;
        if (member->held)
            continue;
        t->n_firing += member->firing;
        t->n_unacked += member->firing && !member->acked;
        t->n_lingering += member->lingers;
        t->news = t->news || member->untold || (!member->firing && member->told);
    }
    return rc;
}

static int write_notice(struct telling *t, struct err *err)
{
    const char *type = NULL;
    AUTO_FREE char *data = notice_finish(t->notice, t->wall_ms, t->audit, &type);
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
    notice_free(t->notice);
    t->notice = notice_start(t->group->key, t->alerts->url,
                             t->every_alert ? NOTICE_WIDE_BYTES : NOTICE_BYTES);
    return t->notice ? 0 : err_set(err, -ENOMEM, "group %s: no memory", t->group->key);
}

/* 0, or NOTICE_FULL: people get no more words; a program gets another message. */
static int add_words(struct telling *t, const struct told_alert *member, struct err *err)
{
    AUTO_FREE char *data = NULL;
    int rc = alert_data_read(t->alerts->store, member->id, &data, err);
    if (rc)
        return rc;
    rc = notice_add(t->notice, data, member->firing);
    if (rc == NOTICE_FULL && t->every_alert) {
        rc = write_notice(t, err);
        if (!rc)
            rc = begin_notice(t, err);
        if (!rc)
            rc = notice_add(t->notice, data, member->firing);
    }
    return rc < 0 ? err_set(err, ERR_CORRUPT, "alert %s: its stored JSON is damaged", member->id)
                  : rc;
}

static int gather(struct telling *t, struct err *err)
{
    bool full = false;
    int rc = 0;
    for (size_t i = 0; i < t->n && rc >= 0; i++) {
        const struct told_alert *member = &t->members[i];
        bool over = !member->firing && !member->told && !member->untold; /* told already */
        if (member->held || (over && !member->lingers))
            continue;
        if (!full)
            rc = add_words(t, member, err);
        full = full || rc == NOTICE_FULL;
        if (full)
            notice_count(t->notice, member->firing);
    }
    return rc < 0 ? rc : 0;
}

/* After the message: firing ones are known, ended ones leave; held ones wait. */
static int settle(const struct telling *t, struct err *err)
{
    struct store *store = t->alerts->store;
    const char *key = t->group->key;
    if (t->n_firing == t->n) /* all of them at once, as a crowd mostly does */
        return commit_alert_members_told(store, key, err);
    int rc = 0;
    for (size_t i = 0; i < t->n && !rc; i++) {
        const struct told_alert *member = &t->members[i];
        if (member->held)
            continue;
        if (!member->firing && !member->lingers)
            rc = commit_alert_member_leave(store, key, member->id, err);
        else if (member->told != member->firing || member->untold)
            rc = commit_alert_member_told(store, key, member->id, member->firing, err);
    }
    return rc;
}

/* An alert of a message that is folded away: it is over, and the summary says so. */
static int add_missed(void *context, const char *id, struct err *err)
{
    struct telling *t = context;
    for (size_t i = 0; i < t->n; i++) {
        if (strcmp(t->members[i].id, id) == 0)
            return 0;
    }
    struct told_alert ended = {.told = true};
    snprintf(ended.id, sizeof(ended.id), "%s", id);
    int rc = add_words(t, &ended, err);
    if (rc == NOTICE_FULL)
        notice_count(t->notice, false);
    return rc < 0 && rc != ERR_NOT_FOUND ? rc : 0;
}

/*
 * Once nothing of the group fires any more, what could not be sent for an hour is news of the past:
 * this message takes the place of all of it but the head, which may be on its way. A receiver that
 * was down for days then hears two messages, and not each change of those days.
 */
static int fold_old(struct telling *t, struct err *err)
{
    struct store *store = t->alerts->store;
    struct outbox_old old = {t->group->receiver, t->group->key, t->wall_ms - FOLD_AFTER_MS};
    int64_t n = 0;
    if (t->every_alert || t->n_firing || t->n_held)
        return 0;
    int rc = outbox_old_read(store, &old, &n, add_missed, t, err);
    if (rc || !n)
        return rc;
    notice_missed(t->notice, n);
    return commit_outbox_fold(store, &old, t->wall_ms,
                              "not sent: over, and told in a newer summary of the group", err);
}

static int write_group(struct telling *t, struct err *err)
{
    int rc = begin_notice(t, err);
    if (!rc)
        rc = gather(t, err);
    if (!rc)
        rc = fold_old(t, err);
    if (!rc)
        rc = write_notice(t, err);
    return rc ? rc : settle(t, err);
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

/* `t`: what all groups of a flush share. 1: a message was written · 0: none was due after all. */
static int flush_group(struct telling t, const struct alert_group_row *group, struct err *err)
{
    const struct receiver *receiver = receiver_set_find(t.alerts->receivers, group->receiver);
    t.group = group;
    t.every_alert = receiver && receiver->type == RECEIVER_ALERTMANAGER;
    bool repeat = false;
    int rc = read_members(&t, err);
    if (!rc)
        rc = is_repeat(&t, &repeat, err);
    bool tell = !rc && (t.news || repeat);
    if (tell)
        rc = write_group(&t, err);
    struct alert_group_row next = *group;
    next.told_ms = tell ? t.wall_ms : group->told_ms;
    next.due_ms = next_time(&t, next.told_ms);
    if (!rc)
        rc = commit_alert_group(t.alerts->store, &next, err);
    notice_free(t.notice);
    free(t.members);
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
    hold->wall_ms = wall_ms;
    int rc = silences_read(alerts->store, wall_ms, take_silence, hold, err);
    if (!rc)
        rc = commit_begin(alerts->store, err);
    const struct telling all = {.alerts = alerts,
                                .hold = hold,
                                .audit = announce_audit_head(alerts->store),
                                .wall_ms = wall_ms};
    for (size_t i = 0; i < due->n && rc >= 0; i++) {
        store_pause(alerts->store);
        rc = flush_group(all, &due->rows[i], err);
        written += rc > 0;
    }
    if (rc >= 0)
        rc = commit_end(alerts->store, err);
    if (rc < 0)
        commit_rollback(alerts->store);
    json_decref(all.audit);
    hold_finish(hold);
    free(hold);
    return rc < 0 ? rc : written;
}

int alerts_flush(struct alerts *alerts, int64_t wall_ms, int64_t *next_ms, struct err *err)
{
    *next_ms = INT64_MAX;
    return store_is_lent(alerts->store) ? 0 : alerts_flush_now(alerts, wall_ms, next_ms, err);
}

int alerts_flush_now(struct alerts *alerts, int64_t wall_ms, int64_t *next_ms, struct err *err)
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
