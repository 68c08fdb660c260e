#include "storage/outbox.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "storage/rows.h"

#define COLUMNS                                                                               \
    "id, webhook_id, receiver, group_key, type, data, created_ms, next_ms, attempts, state, " \
    "status, problem, done_ms"

const char *outbox_state_name(enum outbox_state state)
{
    static const char *const names[] = {"waiting", "sent", "failed"};
    return names[state];
}

static int new_id(char out[40], struct err *err)
{
    unsigned char bytes[16];
    if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
        return err_set(err, ERR_IO, "outbox: the system gives no random bytes");
    int n = snprintf(out, 40, "msg_");
    for (size_t i = 0; i < sizeof(bytes); i++)
        n += snprintf(out + n, 40 - (size_t)n, "%02x", bytes[i]);
    return 0;
}

int commit_outbox(struct store *store, const struct outbox_row *row, struct err *err)
{
    static const char sql[] =
        "INSERT INTO outbox(webhook_id, receiver, group_key, type, data, created_ms, next_ms, "
        "attempts, state, status, problem, done_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, 0, 0, "
        "'', 0)";
    char id[40] = "";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_outbox");
    if (!rc && !row->webhook_id)
        rc = new_id(id, err);
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, row->webhook_id ? row->webhook_id : id);
    bind_text(statement, 2, row->receiver);
    bind_text(statement, 3, row->group_key);
    bind_text(statement, 4, row->type);
    bind_text(statement, 5, row->data);
    sqlite3_bind_int64(statement, 6, row->created_ms);
    sqlite3_bind_int64(statement, 7, row->next_ms);
    return statement_run(store, statement, err, "outbox");
}

int commit_outbox_attempt(struct store *store, const struct outbox_attempt *attempt,
                          struct err *err)
{
    static const char sql[] =
        "UPDATE outbox SET attempts = attempts + 1, state = ?2, next_ms = ?3, status = ?4, "
        "problem = ?5, done_ms = CASE ?2 WHEN 0 THEN 0 ELSE ?6 END WHERE id = ?1 AND state = 0";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_outbox_attempt");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, attempt->id);
    sqlite3_bind_int(statement, 2, attempt->state);
    sqlite3_bind_int64(statement, 3, attempt->next_ms);
    sqlite3_bind_int(statement, 4, attempt->status);
    bind_text(statement, 5, attempt->problem ? attempt->problem : "");
    sqlite3_bind_int64(statement, 6, attempt->at_ms);
    return statement_run(store, statement, err, "outbox");
}

int commit_outbox_again(struct store *store, int64_t id, int64_t now_ms, struct err *err)
{
    static const char sql[] =
        "UPDATE outbox SET state = 0, next_ms = ?2, attempts = 0 WHERE id = ?1 AND state = 2";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_outbox_again");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, now_ms);
    rc = statement_run(store, statement, err, "outbox");
    if (!rc && sqlite3_changes(store->db) == 0)
        rc = err_set(err, ERR_NOT_FOUND, "no failed notification has the id %lld", (long long)id);
    return rc;
}

#define OLD_ROWS                                                                        \
    "state = 0 AND receiver = ?1 AND group_key = ?2 AND created_ms < ?3 AND "           \
    "type IN ('alert.firing', 'alert.resolved') AND json_valid(data) AND id > (SELECT " \
    "min(id) FROM outbox WHERE state = 0 AND receiver = ?1 AND group_key = ?2)"

static int old_statement(struct store *store, const char *sql, const struct outbox_old *old,
                         sqlite3_stmt **statement, struct err *err)
{
    int rc = statement_get(store, sql, statement, err);
    if (rc)
        return rc;
    bind_text(*statement, 1, old->receiver);
    bind_text(*statement, 2, old->group_key);
    sqlite3_bind_int64(*statement, 3, old->before_ms);
    return 0;
}

int outbox_old_read(struct store *store, const struct outbox_old *old, int64_t *n,
                    int (*alert)(void *context, const char *key, struct err *err), void *context,
                    struct err *err)
{
    static const char count[] = "SELECT count(*) + coalesce(sum(data ->> '$.missed'), 0) "
                                "FROM outbox WHERE " OLD_ROWS;
    static const char alerts[] =
        "SELECT DISTINCT a.value ->> '$.key' FROM outbox, json_each(data, '$.alerts') AS a "
        "WHERE a.value ->> '$.key' IS NOT NULL AND outbox.id IN (SELECT id FROM outbox "
        "WHERE " OLD_ROWS ") ORDER BY 1";
    AUTO_RESET sqlite3_stmt *counting = NULL, *naming = NULL;
    int rc = old_statement(store, count, old, &counting, err);
    if (rc)
        return rc;
    *n = row_next(store, counting, "outbox", &rc, err) ? sqlite3_column_int64(counting, 0) : 0;
    if (!rc)
        rc = old_statement(store, alerts, old, &naming, err);
    while (!rc && row_next(store, naming, "outbox", &rc, err))
        rc = alert(context, row_text(naming, 0), err);
    return rc;
}

int commit_outbox_fold(struct store *store, const struct outbox_old *old, int64_t now_ms,
                       const char *problem, struct err *err)
{
    static const char sql[] =
        "UPDATE outbox SET state = 2, problem = ?4, done_ms = ?5 WHERE " OLD_ROWS;
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_outbox_fold");
    if (!rc)
        rc = old_statement(store, sql, old, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 4, problem);
    sqlite3_bind_int64(statement, 5, now_ms);
    return statement_run(store, statement, err, "outbox");
}

int commit_outbox_expire(struct store *store, int64_t before_ms, int limit, struct err *err)
{
    static const char sql[] =
        "DELETE FROM outbox WHERE id IN (SELECT id FROM (SELECT id, done_ms FROM outbox WHERE "
        "state > 0 ORDER BY id LIMIT ?2) WHERE done_ms < ?1)";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_outbox_expire");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, before_ms);
    sqlite3_bind_int(statement, 2, limit);
    return statement_run(store, statement, err, "outbox");
}

static int each_row(struct store *store, sqlite3_stmt *statement,
                    int (*row)(void *context, const struct outbox_row *row, struct err *err),
                    void *context, struct err *err)
{
    int rc = 0;
    while (row_next(store, statement, "outbox", &rc, err)) {
        struct outbox_row out = {
            .id = sqlite3_column_int64(statement, 0),
            .webhook_id = row_text(statement, 1),
            .receiver = row_text(statement, 2),
            .group_key = row_text(statement, 3),
            .type = row_text(statement, 4),
            .data = row_text(statement, 5),
            .created_ms = sqlite3_column_int64(statement, 6),
            .next_ms = sqlite3_column_int64(statement, 7),
            .attempts = sqlite3_column_int64(statement, 8),
            .state = (enum outbox_state)sqlite3_column_int(statement, 9),
            .status = sqlite3_column_int(statement, 10),
            .problem = row_text(statement, 11),
            .done_ms = sqlite3_column_int64(statement, 12),
        };
        rc = row(context, &out, err);
    }
    return rc;
}

int outbox_due(struct store *store, int64_t now_ms, int limit,
               int (*row)(void *context, const struct outbox_row *row, struct err *err),
               void *context, struct err *err)
{
    static const char sql[] =
        "SELECT min(id), receiver, group_key, created_ms, next_ms, attempts FROM outbox "
        "WHERE state = 0 GROUP BY receiver, group_key HAVING next_ms <= ?1 ORDER BY 1 LIMIT ?2";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, now_ms);
    sqlite3_bind_int(statement, 2, limit);
    while (row_next(store, statement, "outbox", &rc, err)) {
        const struct outbox_row out = {
            .id = sqlite3_column_int64(statement, 0),
            .receiver = row_text(statement, 1),
            .group_key = row_text(statement, 2),
            .created_ms = sqlite3_column_int64(statement, 3),
            .next_ms = sqlite3_column_int64(statement, 4),
            .attempts = sqlite3_column_int64(statement, 5),
        };
        rc = row(context, &out, err);
    }
    return rc;
}

int outbox_letter(struct store *store, int64_t id, char **webhook_id, char **data, struct err *err)
{
    static const char sql[] = "SELECT webhook_id, data FROM outbox WHERE id = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    *webhook_id = *data = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, id);
    if (!row_next(store, statement, "outbox", &rc, err))
        return rc ? rc
                  : err_set(err, ERR_NOT_FOUND, "no notification has the id %lld", (long long)id);
    *webhook_id = strdup(row_text(statement, 0));
    *data = strdup(row_text(statement, 1));
    return *webhook_id && *data ? 0 : err_set(err, -ENOMEM, "outbox: no memory");
}

int outbox_group_waits(struct store *store, const char *receiver, const char *group_key,
                       bool *waits, struct err *err)
{
    static const char sql[] = "SELECT 1 FROM outbox WHERE state = 0 AND receiver = ?1 AND "
                              "group_key = ?2 LIMIT 1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    *waits = false;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, receiver);
    bind_text(statement, 2, group_key);
    *waits = row_next(store, statement, "outbox", &rc, err);
    return rc;
}

int outbox_next(struct store *store, int64_t *next_ms, struct err *err)
{
    static const char sql[] = "SELECT min(next_ms) FROM (SELECT min(id), next_ms FROM outbox "
                              "WHERE state = 0 GROUP BY receiver, group_key)";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    *next_ms = INT64_MAX;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    if (row_next(store, statement, "outbox", &rc, err) &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL)
        *next_ms = sqlite3_column_int64(statement, 0);
    return rc;
}

int outbox_read(struct store *store, int64_t before, int limit,
                int (*row)(void *context, const struct outbox_row *row, struct err *err),
                void *context, struct err *err)
{
    static const char sql[] =
        "SELECT " COLUMNS " FROM outbox WHERE id < ?1 ORDER BY id DESC LIMIT ?2";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, before);
    sqlite3_bind_int(statement, 2, limit);
    return each_row(store, statement, row, context, err);
}

int outbox_backlog(struct store *store,
                   int (*row)(void *context, const struct outbox_backlog *row, struct err *err),
                   void *context, struct err *err)
{
    static const char sql[] = "SELECT receiver, count(*), min(created_ms) FROM outbox "
                              "WHERE state = 0 GROUP BY receiver ORDER BY receiver";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "outbox", &rc, err)) {
        struct outbox_backlog found = {
            .receiver = (const char *)sqlite3_column_text(statement, 0),
            .n = sqlite3_column_int64(statement, 1),
            .oldest_ms = sqlite3_column_int64(statement, 2),
        };
        rc =
            found.receiver ? row(context, &found, err) : err_set(err, -ENOMEM, "outbox: no memory");
    }
    return rc;
}
