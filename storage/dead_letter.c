#include "storage/dead_letter.h"

#include "storage/rows.h"

enum {
    MAX_ROWS = 10000,
    MAX_PAYLOAD_BYTES = 4096
};

static int drop_up_to(struct store *store, int64_t id, struct err *err)
{
    static const char sql[] = "DELETE FROM dead_letter WHERE id <= ?1";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, id);
    return statement_run(store, statement, err, "dead letter");
}

int commit_dead_letter(struct store *store, const struct dead_letter_row *row, struct err *err)
{
    static const char sql[] = "INSERT INTO dead_letter(topic, partition, offset, at_ms, reason, "
                              "detail, payload) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_dead_letter");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    uint32_t size = row->payload.size < MAX_PAYLOAD_BYTES ? row->payload.size : MAX_PAYLOAD_BYTES;
    bind_text(statement, 1, row->topic);
    sqlite3_bind_int(statement, 2, row->partition);
    sqlite3_bind_int64(statement, 3, row->offset);
    sqlite3_bind_int64(statement, 4, row->at_ms);
    bind_text(statement, 5, row->reason);
    bind_text(statement, 6, row->detail);
    sqlite3_bind_blob(statement, 7, row->payload.data && size ? row->payload.data : "", (int)size,
                      SQLITE_STATIC);
    rc = statement_run(store, statement, err, "dead letter");
    return rc ? rc : drop_up_to(store, sqlite3_last_insert_rowid(store->db) - MAX_ROWS, err);
}

static int each_letter(struct store *store, sqlite3_stmt *statement,
                       int (*row)(void *context, const struct dead_letter *letter, struct err *err),
                       void *context, struct err *err)
{
    int rc = 0;
    while (row_next(store, statement, "dead letters", &rc, err)) {
        struct dead_letter letter = {
            .id = sqlite3_column_int64(statement, 0),
            .sent = sqlite3_column_int(statement, 8) != 0,
            .row = {.topic = (const char *)sqlite3_column_text(statement, 1),
                    .partition = sqlite3_column_int(statement, 2),
                    .offset = sqlite3_column_int64(statement, 3),
                    .at_ms = sqlite3_column_int64(statement, 4),
                    .reason = (const char *)sqlite3_column_text(statement, 5),
                    .detail = (const char *)sqlite3_column_text(statement, 6)}};
        const char *payload = (const char *)sqlite3_column_blob(statement, 7);
        uint32_t size = (uint32_t)sqlite3_column_bytes(statement, 7);
        letter.row.payload = (struct view){payload ? payload : "", payload ? size : 0};
        if (!letter.row.topic || !letter.row.reason)
            return store_fail(store, SQLITE_NOMEM, err, "dead letters");
        rc = row(context, &letter, err);
    }
    return rc;
}

int dead_letters_read(struct store *store, int64_t before, int limit,
                      int (*row)(void *context, const struct dead_letter *letter, struct err *err),
                      void *context, struct err *err)
{
    static const char sql[] = "SELECT id, topic, partition, offset, at_ms, reason, detail, "
                              "payload, sent FROM dead_letter WHERE id < ?1 ORDER BY id DESC "
                              "LIMIT ?2";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, before);
    sqlite3_bind_int(statement, 2, limit);
    return each_letter(store, statement, row, context, err);
}

int dead_letters_unsent(struct store *store, int limit,
                        int (*row)(void *context, const struct dead_letter *letter,
                                   struct err *err),
                        void *context, struct err *err)
{
    static const char sql[] = "SELECT id, topic, partition, offset, at_ms, reason, detail, "
                              "payload, sent FROM dead_letter WHERE sent = 0 ORDER BY id LIMIT ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int(statement, 1, limit);
    return each_letter(store, statement, row, context, err);
}

int commit_dead_letter_sent(struct store *store, int64_t id, struct err *err)
{
    static const char sql[] = "UPDATE dead_letter SET sent = 1 WHERE id = ?1";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_dead_letter_sent");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, id);
    return statement_run(store, statement, err, "dead letter");
}

int commit_dead_letter_expire(struct store *store, int64_t before_ms, struct err *err)
{
    static const char sql[] = "DELETE FROM dead_letter WHERE at_ms < ?1";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_dead_letter_expire");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, before_ms);
    return statement_run(store, statement, err, "dead letters");
}
