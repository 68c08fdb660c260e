#include "alerts/command.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/notice.h"
#include "alerts/route.h"
#include "alerts/silence_body.h"
#include "common/json_print.h"
#include "common/text.h"
#include "storage/alert_rows.h"
#include "storage/audit.h"
#include "storage/commit.h"
#include "storage/outbox.h"

enum {
    MAX_MATCHERS = 32,
    MAX_COMMENT_BYTES = 1000,
    AUTHOR_BYTES = 300,
};

static int finish(struct store *store, int rc, struct err *err)
{
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

static int write_audit(struct store *store, const struct actor *actor, const char *action,
                       const char *subject, const char *detail, struct err *err)
{
    struct audit_row row = {.at_ms = actor->now_ms,
                            .clock = "wall",
                            .who = actor->who,
                            .action = action,
                            .subject = subject,
                            .detail = detail};
    return commit_audit(store, &row, err);
}

static int check_matchers(const json_t *matchers, struct err *err)
{
    size_t n = json_array_size(matchers);
    if (n == 0 || n > MAX_MATCHERS)
        return err_set(err, ERR_DATA, "matchers: must be a list of 1 to %d texts", MAX_MATCHERS);
    for (size_t i = 0; i < n; i++) {
        const char *text = json_string_value(json_array_get(matchers, i));
        AUTO(matcher) struct matcher *matcher = NULL;
        struct err why = {0};
        if (!text)
            return err_set(err, ERR_DATA, "matchers[%zu]: must be a text", i);
        if (matcher_parse(&matcher, text, &why))
            return err_set(err, ERR_DATA, "matchers[%zu]: %s", i, why.text);
    }
    return 0;
}

/* `duration` from its start, or `until`, a time. */
static int read_end(const json_t *body, int64_t starts_ms, int64_t *ends_ms, struct err *err)
{
    const char *duration = json_string_value(json_object_get(body, "duration"));
    const json_t *until = json_object_get(body, "until");
    int64_t length_ms = 0;
    if (duration && !until) {
        if (duration_parse(&length_ms, duration, strlen(duration)))
            return err_set(err, ERR_DATA, "duration: \"%s\" is not like 2h", duration);
        *ends_ms = starts_ms + length_ms;
    } else if (json_is_integer(until) && !duration) {
        *ends_ms = json_integer_value(until);
    } else if (json_is_string(until) && !duration) {
        const char *text = json_string_value(until);
        if (time_parse_any(ends_ms, text, strlen(text)))
            return err_set(err, ERR_DATA, "until: \"%s\" is not a time", text);
    } else {
        return err_set(err, ERR_DATA, "needs `duration` or `until`");
    }
    return *ends_ms > starts_ms ? 0
                                : err_set(err, ERR_DATA, "the silence would already have ended");
}

/* `startsAt`, if it is given and not over. */
static int read_start(const json_t *body, int64_t now_ms, int64_t *starts_ms, struct err *err)
{
    const json_t *at = json_object_get(body, "startsAt");
    const char *text = json_string_value(at);
    *starts_ms = now_ms;
    if (json_is_integer(at))
        *starts_ms = json_integer_value(at);
    else if (at && (!text || time_parse_any(starts_ms, text, strlen(text))))
        return err_set(err, ERR_DATA, "startsAt: \"%s\" is not a time", text ? text : "");
    if (*starts_ms < now_ms)
        *starts_ms = now_ms;
    return 0;
}

/* As we wrote it: `ann via TOKEN`, of a silence that is sent again. */
static bool ends_in_who(const char *name, const char *who)
{
    char end[AUTHOR_BYTES];
    int n = snprintf(end, sizeof(end), " via %s", who);
    size_t size = strlen(name);
    return n < AUTHOR_BYTES && size > (size_t)n && strcmp(name + size - n, end) == 0;
}

/* Who asks is known by his token; whom he says he asks for stands before it. */
static int read_author(const json_t *body, const struct actor *actor, char author[AUTHOR_BYTES],
                       struct err *err)
{
    const json_t *given = json_object_get(body, "createdBy");
    const char *name = json_string_value(given);
    if (given && !name)
        return err_set(err, ERR_DATA, "createdBy: must be a text");
    if (!name || !*name || strcmp(name, actor->who) == 0)
        snprintf(author, AUTHOR_BYTES, "%s", actor->who);
    else if (ends_in_who(name, actor->who) && strlen(name) < AUTHOR_BYTES)
        snprintf(author, AUTHOR_BYTES, "%s", name);
    else if (snprintf(author, AUTHOR_BYTES, "%s via %s", name, actor->who) >= AUTHOR_BYTES)
        return err_set(err, ERR_DATA, "createdBy: is too long");
    return 0;
}

static void write_silence(struct buf *answer, const struct silence_row *row)
{
    buf_printf(answer,
               "{\"id\":%" PRId64 ",\"matchers\":%s,\"starts\":%" PRId64 ",\"ends\":%" PRId64
               ",\"created_by\":",
               row->id, row->matchers, row->starts_ms, row->ends_ms);
    json_text(answer, row->created_by, strlen(row->created_by));
    buf_printf(answer, ",\"comment\":");
    json_text(answer, row->comment, strlen(row->comment));
    buf_printf(answer, "}");
}

static int make_silence(struct store *store, const json_t *body, const struct actor *actor,
                        struct buf *answer, struct err *err)
{
    const char *comment = json_string_value(json_object_get(body, "comment"));
    const json_t *matchers = json_object_get(body, "matchers");
    char author[AUTHOR_BYTES] = "";
    struct silence_row row = {.created_by = author, .comment = comment ? comment : ""};
    int rc = check_matchers(matchers, err);
    if (!rc)
        rc = read_start(body, actor->now_ms, &row.starts_ms, err);
    if (!rc)
        rc = read_author(body, actor, author, err);
    if (!rc)
        rc = read_end(body, row.starts_ms, &row.ends_ms, err);
    if (!rc && (!comment || !*comment || strlen(comment) > MAX_COMMENT_BYTES))
        rc = err_set(err, ERR_DATA, "comment: say why, in at most %d bytes", MAX_COMMENT_BYTES);
    if (rc)
        return rc;
    AUTO_FREE char *texts = json_print(matchers);
    AUTO_FREE char *detail = json_print(body);
    if (!texts || !detail)
        return err_set(err, -ENOMEM, "silence: no memory");
    row.matchers = texts;
    rc = commit_begin(store, err);
    if (!rc)
        rc = commit_silence(store, &row, &row.id, err);
    char subject[32];
    snprintf(subject, sizeof(subject), "%" PRId64, row.id);
    if (!rc)
        rc = write_audit(store, actor, "silence.create", subject, detail, err);
    rc = finish(store, rc, err);
    if (!rc)
        write_silence(answer, &row);
    return rc;
}

int alerts_silence(struct store *store, const char *text, const struct actor *actor,
                   struct buf *answer, struct err *err)
{
    static const char *const keys[] = {"matchers", "duration",  "until",
                                       "comment",  "createdBy", "startsAt"};
    const size_t n_keys = sizeof(keys) / sizeof(keys[0]);
    json_error_t why;
    json_t *body = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    if (!json_is_object(body)) {
        json_decref(body);
        return err_set(err, ERR_DATA, "silence: must be a JSON object");
    }
    const char *key;
    json_t *value;
    int rc = silence_body_translate(body, err);
    json_object_foreach(body, key, value)
    {
        size_t i = 0;
        while (i < n_keys && strcmp(keys[i], key) != 0)
            i++;
        if (i == n_keys && !rc)
            rc = err_set(err, ERR_DATA, "silence: unknown key \"%.60s\"", key);
    }
    if (!rc)
        rc = make_silence(store, body, actor, answer, err);
    json_decref(body);
    return rc;
}

int alerts_silence_end(struct store *store, int64_t id, const struct actor *actor, struct err *err)
{
    char subject[32];
    snprintf(subject, sizeof(subject), "%" PRId64, id);
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_silence_end(store, id, actor->now_ms, err);
    if (!rc)
        rc = write_audit(store, actor, "silence.end", subject, "{}", err);
    return finish(store, rc, err);
}

/* What the audit row says of a command whose body is {"reason": "…"}, or empty. */
static int read_reason(const char *body, char **detail, struct err *err)
{
    json_error_t why;
    json_t *given = json_loads(body, JSON_REJECT_DUPLICATES, &why);
    json_t *reason = json_object_get(given, "reason");
    json_t *kept = json_object();
    int rc = 0;
    if (!json_is_object(given) || (reason && !json_is_string(reason)))
        rc = err_set(err, ERR_DATA, "the body must be a JSON object such as {\"reason\":\"…\"}");
    if (!rc && reason)
        json_object_set(kept, "reason", reason);
    *detail = rc ? NULL : json_print(kept);
    json_decref(given);
    json_decref(kept);
    return rc || *detail ? rc : err_set(err, -ENOMEM, "no memory for a command");
}

struct acking {
    struct store *store;
    const struct actor *actor;
    const struct receiver_set *receivers;
    size_t n_open; /* of the group: firing, told, and nobody looks after them */
};

static int count_open(void *context, const struct alert_member *member, struct err *err)
{
    (void)err;
    struct acking *acking = context;
    acking->n_open += !member->told || (member->phase >= ALERT_FIRING && !member->acked);
    return 0;
}

static int write_ack(const struct acking *acking, const struct alert_group_row *group,
                     struct err *err)
{
    char id[NOTICE_ID_BYTES];
    notice_group_id(id, group->key);
    const struct actor *actor = acking->actor;
    json_t *data = json_pack("{s:s,s:I,s:s,s:s,s:s,s:o,s:s,s:[]}", "type", "alert.acknowledged",
                             "at", (json_int_t)actor->now_ms, "group", group->key, "group_id", id,
                             "url", "", "summary", json_sprintf("acknowledged by %s", actor->who),
                             "by", actor->who, "alerts");
    AUTO_FREE char *text = data ? json_print(data) : NULL;
    json_decref(data);
    if (!text)
        return err_set(err, -ENOMEM, "group %s: no memory", group->key);
    struct outbox_row row = {.receiver = group->receiver,
                             .group_key = group->key,
                             .type = "alert.acknowledged",
                             .data = text,
                             .created_ms = actor->now_ms,
                             .next_ms = actor->now_ms};
    return commit_outbox(acking->store, &row, err);
}

/* A page is acknowledged once everything in it is. */
static int tell_ack(void *context, const struct alert_group_row *group, struct err *err)
{
    struct acking *acking = context;
    const struct receiver *receiver = receiver_set_find(acking->receivers, group->receiver);
    if (!receiver || (receiver->type != RECEIVER_PAGERDUTY && receiver->type != RECEIVER_OPSGENIE))
        return 0;
    acking->n_open = 0;
    int rc = alert_members_read(acking->store, group->key, count_open, acking, err);
    return rc || acking->n_open ? rc : write_ack(acking, group, err);
}

int alerts_ack(struct store *store, const char *alert, const char *body, const struct actor *actor,
               const struct receiver_set *receivers, struct err *err)
{
    struct acking acking = {store, actor, receivers, 0};
    AUTO_FREE char *detail = NULL;
    int rc = read_reason(body, &detail, err);
    if (rc)
        return rc;
    rc = commit_begin(store, err);
    if (!rc)
        rc = commit_alert_ack(store, alert, actor->who, actor->now_ms, err);
    if (!rc)
        rc = write_audit(store, actor, "alert.ack", alert, detail, err);
    if (!rc && receivers)
        rc = alert_groups_of(store, alert, tell_ack, &acking, err);
    return finish(store, rc, err);
}

int alerts_send_again(struct store *store, int64_t outbox_id, const char *body,
                      const struct actor *actor, struct err *err)
{
    char subject[32];
    AUTO_FREE char *detail = NULL;
    snprintf(subject, sizeof(subject), "%" PRId64, outbox_id);
    int rc = read_reason(body, &detail, err);
    if (rc)
        return rc;
    rc = commit_begin(store, err);
    if (!rc)
        rc = commit_outbox_again(store, outbox_id, actor->now_ms, err);
    if (!rc)
        rc = write_audit(store, actor, "notification.again", subject, detail, err);
    return finish(store, rc, err);
}
