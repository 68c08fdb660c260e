#include "storage/alert_rows.h"

#include <errno.h>
#include <string.h>

#include "storage/rows.h"

static int start(struct store *store, const char *sql, sqlite3_stmt **statement, struct err *err)
{
    int rc = store_writing(store, err, "alerts");
    return rc ? rc : statement_get(store, sql, statement, err);
}

int commit_alert(struct store *store, const struct alert_row *row, struct err *err)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO alerts(id, rule, model, version, slice, severity, phase, since_ms, "
        "bad_since_ms, clear_since_ms, last_change_ms, flap_score, flapping, no_data, acked_by, "
        "acked_ms, event, data) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18)";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    const char *texts[] = {row->id, row->rule, row->model, row->version, row->slice, row->severity};
    for (int i = 0; i < 6; i++)
        bind_text(statement, i + 1, texts[i]);
    const int64_t numbers[] = {row->phase,          row->since_ms,       row->bad_since_ms,
                               row->clear_since_ms, row->last_change_ms, row->flap_score,
                               row->flapping,       row->no_data};
    for (int i = 0; i < 8; i++)
        sqlite3_bind_int64(statement, i + 7, numbers[i]);
    bind_text(statement, 15, row->acked_by);
    sqlite3_bind_int64(statement, 16, row->acked_ms);
    if (row->event)
        sqlite3_bind_int64(statement, 17, row->event);
    bind_text(statement, 18, row->event ? "" : row->data);
    return statement_run(store, statement, err, "alert");
}

int commit_alert_clear(struct store *store, const char *id, int64_t clear_since_ms, struct err *err)
{
    static const char sql[] = "UPDATE alerts SET clear_since_ms = ?2 WHERE id = ?1";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, id);
    sqlite3_bind_int64(statement, 2, clear_since_ms);
    return statement_run(store, statement, err, "alert");
}

int commit_alert_ack(struct store *store, const char *id, const char *who, int64_t at_ms,
                     struct err *err)
{
    static const char sql[] =
        "UPDATE alerts SET acked_by = ?2, acked_ms = ?3 WHERE id = ?1 AND phase >= 2";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, id);
    bind_text(statement, 2, who);
    sqlite3_bind_int64(statement, 3, at_ms);
    rc = statement_run(store, statement, err, "alert");
    if (!rc && sqlite3_changes(store->db) == 0)
        rc = err_set(err, ERR_NOT_FOUND, "no firing alert has the id \"%s\"", id);
    return rc;
}

static int each_alert(struct store *store, sqlite3_stmt *s,
                      int (*row)(void *context, const struct alert_row *row, struct err *err),
                      void *context, struct err *err)
{
    int rc = 0;
    while (row_next(store, s, "alerts", &rc, err)) {
        struct alert_row out = {
            .id = row_text(s, 0),
            .rule = row_text(s, 1),
            .model = row_text(s, 2),
            .version = row_text(s, 3),
            .slice = row_text(s, 4),
            .severity = row_text(s, 5),
            .phase = sqlite3_column_int(s, 6),
            .since_ms = sqlite3_column_int64(s, 7),
            .bad_since_ms = sqlite3_column_int64(s, 8),
            .clear_since_ms = sqlite3_column_int64(s, 9),
            .last_change_ms = sqlite3_column_int64(s, 10),
            .flap_score = sqlite3_column_int64(s, 11),
            .flapping = sqlite3_column_int(s, 12) != 0,
            .no_data = sqlite3_column_int(s, 13) != 0,
            .acked_by = (const char *)sqlite3_column_text(s, 14),
            .acked_ms = sqlite3_column_int64(s, 15),
            .event = sqlite3_column_int64(s, 16),
            .data = row_text(s, 17),
        };
        rc = row(context, &out, err);
    }
    return rc;
}

#define ALERT_COLUMNS                                                                              \
    "a.id, rule, model, version, slice, severity, phase, since_ms, bad_since_ms, clear_since_ms, " \
    "last_change_ms, flap_score, flapping, no_data, acked_by, acked_ms, a.event"

int alerts_read(struct store *store, bool only_active,
                int (*row)(void *context, const struct alert_row *row, struct err *err),
                void *context, struct err *err)
{
    static const char sql[] =
        "SELECT " ALERT_COLUMNS ", coalesce(h.data, a.data) FROM alerts AS a "
        "LEFT JOIN alert_history AS h ON h.id = a.event WHERE phase > 0 OR NOT ?1 "
        "ORDER BY phase = 2 DESC, since_ms DESC, a.id";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int(s, 1, only_active);
    return each_alert(store, s, row, context, err);
}

struct marking { /* what a caller of alerts_changed gets, and how far it has come */
    struct alerts_mark *mark;
    int (*row)(void *context, const struct alert_row *row, struct err *err);
    void *context;
};

static int pass_on(void *context, const struct alert_row *row, struct err *err)
{
    struct marking *marking = context;
    struct alerts_mark *mark = marking->mark;
    mark->event = row->event > mark->event ? row->event : mark->event;
    mark->acked_ms = row->acked_ms > mark->acked_ms ? row->acked_ms : mark->acked_ms;
    return marking->row(marking->context, row, err);
}

int alerts_changed(struct store *store, struct alerts_mark *mark,
                   int (*row)(void *context, const struct alert_row *row, struct err *err),
                   void *context, struct err *err)
{
    static const char sql[] = "SELECT " ALERT_COLUMNS ", '' FROM alerts AS a "
                              "WHERE a.event > ?1 OR acked_ms > ?2 ORDER BY a.event DESC";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    struct marking marking = {mark, row, context};
    sqlite3_bind_int64(s, 1, mark->event);
    sqlite3_bind_int64(s, 2, mark->acked_ms);
    return each_alert(store, s, pass_on, &marking, err);
}

int alerts_count_firing(struct store *store, int64_t *n, struct err *err)
{
    return store_integer(store, "SELECT count(*) FROM alerts WHERE phase = 2", 0, n, err);
}

int alert_data_read(struct store *store, const char *id, char **data, struct err *err)
{
    static const char sql[] = "SELECT coalesce(h.data, a.data) FROM alerts AS a "
                              "LEFT JOIN alert_history AS h ON h.id = a.event WHERE a.id = ?1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, id);
    if (!row_next(store, s, "alerts", &rc, err))
        return rc ? rc : err_set(err, ERR_NOT_FOUND, "no alert has the id \"%s\"", id);
    *data = strdup(row_text(s, 0));
    return *data ? 0 : err_set(err, -ENOMEM, "alert %s: no memory", id);
}

int alerts_stamp(struct store *store, uint64_t *stamp, struct err *err)
{
    int64_t event = 0, audited = 0;
    int rc = store_integer(store, "SELECT max(id) FROM alert_history", 0, &event, err);
    if (!rc)
        rc = store_integer(store, "SELECT max(seq) FROM audit", 0, &audited, err);
    *stamp = ((uint64_t)event << 32) + (uint64_t)audited + 1;
    return rc;
}

int commit_alert_event(struct store *store, const struct alert_event_row *row, int64_t *id,
                       struct err *err)
{
    static const char sql[] = "INSERT INTO alert_history(alert, event, at_ms, clock, data) "
                              "VALUES(?1, ?2, ?3, ?4, ?5)";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, row->alert);
    bind_text(statement, 2, row->event);
    sqlite3_bind_int64(statement, 3, row->at_ms);
    bind_text(statement, 4, row->clock);
    bind_text(statement, 5, row->data);
    rc = statement_run(store, statement, err, "alert history");
    if (!rc && id)
        *id = sqlite3_last_insert_rowid(store->db);
    return rc;
}

int commit_alert_history_expire(struct store *store, int64_t before_ms, int limit, struct err *err)
{
    static const char sql[] =
        "DELETE FROM alert_history WHERE id IN (SELECT id FROM (SELECT id, at_ms FROM "
        "alert_history WHERE id NOT IN (SELECT event FROM alerts WHERE event IS NOT NULL) "
        "ORDER BY id LIMIT ?2) WHERE at_ms < ?1)";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, before_ms);
    sqlite3_bind_int(statement, 2, limit);
    return statement_run(store, statement, err, "alert history");
}

int alert_history_read(struct store *store, const char *alert, int64_t before, int limit,
                       int (*row)(void *context, const struct alert_event_row *row,
                                  struct err *err),
                       void *context, struct err *err)
{
    static const char sql[] =
        "SELECT id, alert, event, at_ms, clock, data FROM alert_history WHERE id < ?2 AND (?1 IS "
        "NULL OR alert = ?1) ORDER BY id DESC LIMIT ?3";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, alert);
    sqlite3_bind_int64(s, 2, before);
    sqlite3_bind_int(s, 3, limit);
    while (row_next(store, s, "alerts", &rc, err)) {
        struct alert_event_row out = {sqlite3_column_int64(s, 0), row_text(s, 1), row_text(s, 2),
                                      sqlite3_column_int64(s, 3), row_text(s, 4), row_text(s, 5)};
        rc = row(context, &out, err);
    }
    return rc;
}

int commit_silence(struct store *store, const struct silence_row *row, int64_t *id, struct err *err)
{
    static const char sql[] = "INSERT INTO silences(matchers, starts_ms, ends_ms, created_by, "
                              "comment) VALUES(?1, ?2, ?3, ?4, ?5)";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, row->matchers);
    sqlite3_bind_int64(statement, 2, row->starts_ms);
    sqlite3_bind_int64(statement, 3, row->ends_ms);
    bind_text(statement, 4, row->created_by);
    bind_text(statement, 5, row->comment);
    rc = statement_run(store, statement, err, "silence");
    if (!rc)
        *id = sqlite3_last_insert_rowid(store->db);
    return rc;
}

int commit_silence_end(struct store *store, int64_t id, int64_t now_ms, struct err *err)
{
    static const char sql[] = "UPDATE silences SET ends_ms = ?2 WHERE id = ?1 AND ends_ms > ?2";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, id);
    sqlite3_bind_int64(statement, 2, now_ms);
    rc = statement_run(store, statement, err, "silence");
    if (!rc && sqlite3_changes(store->db) == 0)
        rc = err_set(err, ERR_NOT_FOUND, "no silence with the id %lld is running", (long long)id);
    return rc;
}

int silences_read(struct store *store, int64_t now_ms,
                  int (*row)(void *context, const struct silence_row *row, struct err *err),
                  void *context, struct err *err)
{
    static const char sql[] = "SELECT id, matchers, starts_ms, ends_ms, created_by, comment FROM "
                              "silences WHERE ends_ms > ?1 ORDER BY id DESC";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 1, now_ms);
    while (row_next(store, s, "alerts", &rc, err)) {
        struct silence_row out = {
            sqlite3_column_int64(s, 0), row_text(s, 1), sqlite3_column_int64(s, 2),
            sqlite3_column_int64(s, 3), row_text(s, 4), row_text(s, 5)};
        rc = row(context, &out, err);
    }
    return rc;
}

int commit_alert_group(struct store *store, const struct alert_group_row *row, struct err *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO alert_groups(key, receiver, due_ms, told_ms, "
                              "interval_ms, repeat_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6)";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, row->key);
    bind_text(statement, 2, row->receiver);
    sqlite3_bind_int64(statement, 3, row->due_ms);
    sqlite3_bind_int64(statement, 4, row->told_ms);
    sqlite3_bind_int64(statement, 5, row->interval_ms);
    sqlite3_bind_int64(statement, 6, row->repeat_ms);
    return statement_run(store, statement, err, "alert group");
}

static struct alert_group_row group_at(sqlite3_stmt *s)
{
    return (struct alert_group_row){row_text(s, 0),
                                    row_text(s, 1),
                                    sqlite3_column_int64(s, 2),
                                    sqlite3_column_int64(s, 3),
                                    sqlite3_column_int64(s, 4),
                                    sqlite3_column_int64(s, 5)};
}

static int each_group(struct store *store, sqlite3_stmt *s,
                      int (*row)(void *context, const struct alert_group_row *row, struct err *err),
                      void *context, struct err *err)
{
    int rc = 0;
    while (row_next(store, s, "alerts", &rc, err)) {
        struct alert_group_row out = group_at(s);
        rc = row(context, &out, err);
    }
    return rc;
}

int alert_group_read(struct store *store, const char *key, struct alert_group_row *row,
                     struct err *err)
{
    static const char sql[] = "SELECT key, receiver, due_ms, told_ms, interval_ms, repeat_ms FROM "
                              "alert_groups WHERE key = ?1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, key);
    if (!row_next(store, s, "alert group", &rc, err))
        return rc ? rc : ALERT_NO_GROUP;
    *row = group_at(s);
    row->key = key; /* the caller's; the statement's texts end with this scope */
    row->receiver = NULL;
    return 0;
}

int alert_groups_due(struct store *store, int64_t now_ms, int limit,
                     int (*row)(void *context, const struct alert_group_row *row, struct err *err),
                     void *context, struct err *err)
{
    static const char sql[] =
        "SELECT key, receiver, due_ms, told_ms, interval_ms, repeat_ms FROM alert_groups WHERE "
        "due_ms >= 0 AND due_ms <= ?1 ORDER BY due_ms LIMIT ?2";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 1, now_ms);
    sqlite3_bind_int(s, 2, limit);
    return each_group(store, s, row, context, err);
}

int alert_groups_of(struct store *store, const char *alert,
                    int (*row)(void *context, const struct alert_group_row *row, struct err *err),
                    void *context, struct err *err)
{
    static const char sql[] =
        "SELECT g.key, g.receiver, g.due_ms, g.told_ms, g.interval_ms, g.repeat_ms FROM "
        "alert_members AS m JOIN alert_groups AS g ON g.key = m.group_key WHERE m.alert = ?1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, alert);
    return each_group(store, s, row, context, err);
}

static int write_member(struct store *store, const char *sql, const char *group_key,
                        const char *alert, struct err *err)
{
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, group_key);
    bind_text(statement, 2, alert);
    return statement_run(store, statement, err, "alert group");
}

int commit_alert_member_told(struct store *store, const char *group_key, const char *alert,
                             bool firing, struct err *err)
{
    static const char fires[] = "UPDATE alert_members SET told = 1, untold = 0 "
                                "WHERE group_key = ?1 AND alert = ?2";
    static const char ended[] = "UPDATE alert_members SET told = 0, untold = 0 "
                                "WHERE group_key = ?1 AND alert = ?2";
    return write_member(store, firing ? fires : ended, group_key, alert, err);
}

int commit_alert_members_told(struct store *store, const char *group_key, struct err *err)
{
    static const char sql[] = "UPDATE alert_members SET told = 1, untold = 0 "
                              "WHERE group_key = ?1 AND (told = 0 OR untold = 1)";
    sqlite3_stmt *statement;
    int rc = start(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, group_key);
    return statement_run(store, statement, err, "alert group");
}

int commit_alert_member_leave(struct store *store, const char *group_key, const char *alert,
                              struct err *err)
{
    static const char sql[] = "DELETE FROM alert_members WHERE group_key = ?1 AND alert = ?2";
    return write_member(store, sql, group_key, alert, err);
}

int commit_alert_member_fired(struct store *store, const char *group_key, const char *alert,
                              struct err *err)
{
    static const char sql[] =
        "INSERT INTO alert_members(group_key, alert, told, untold) VALUES(?1, ?2, 0, 1) ON "
        "CONFLICT(group_key, alert) DO UPDATE SET untold = 1";
    return write_member(store, sql, group_key, alert, err);
}

int alert_members_read(struct store *store, const char *group_key,
                       int (*row)(void *context, const struct alert_member *member,
                                  struct err *err),
                       void *context, struct err *err)
{
    static const char sql[] =
        "SELECT m.alert, m.told, m.untold, a.acked_by IS NOT NULL, a.phase FROM alert_members AS m "
        "JOIN alerts AS a ON a.id = m.alert WHERE m.group_key = ?1 "
        "ORDER BY a.phase = 2 DESC, a.since_ms, a.id";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, group_key);
    while (row_next(store, s, "alerts", &rc, err)) {
        struct alert_member out = {row_text(s, 0), sqlite3_column_int(s, 1) != 0,
                                   sqlite3_column_int(s, 2) != 0, sqlite3_column_int(s, 3) != 0,
                                   sqlite3_column_int(s, 4)};
        rc = row(context, &out, err);
    }
    return rc;
}
