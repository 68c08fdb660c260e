/*
 * One row a partition: the offset that will be read next, moved by compare-and-set, and what the
 * partition has seen.
 */
#include "storage/restore.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "storage/connection.h"

enum {
    N_REJECT_COUNTS = sizeof(((struct partition_counts *)0)->rejects) / sizeof(int64_t)
};

static void print_rejects(char *out, size_t size, const int64_t *rejects)
{
    size_t used = 0;
    int n = N_REJECT_COUNTS;
    while (n > 0 && rejects[n - 1] == 0)
        n--;
    out[used++] = '[';
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, size - used, "%s%" PRId64, i ? "," : "", rejects[i]);
    snprintf(out + used, size - used, "]");
}

static void parse_rejects(int64_t *rejects, const char *text)
{
    for (int i = 0; text && *text && *text != ']' && i < N_REJECT_COUNTS; i++) {
        char *end;
        rejects[i] = strtoll(text + 1, &end, 10); /* after '[' or ',' */
        if (end == text + 1)
            break;
        text = end;
    }
}

/* ?5 … ?20, in the order of both statements below. */
static void bind_counts(sqlite3_stmt *statement, const struct partition_counts *c,
                        const char *rejects)
{
    const int64_t columns[] = {
        c->first, c->consumed,     c->folded,      c->duplicate,         c->dead_lettered,
        c->late,  c->orphaned,     c->waiting,     c->redelivered,       c->holes,
        c->lost,  c->newest_ts_ms, c->last_offset, c->last_timestamp_ms, (int64_t)c->last_hash};
    int column = 5;
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        sqlite3_bind_int64(statement, column++, columns[i]);
    bind_text(statement, column, rejects);
}

static const char insert_sql[] =
    "INSERT INTO offsets(topic, partition, next, first, consumed, folded, duplicate, "
    "dead_lettered, late, orphaned, waiting, redelivered, holes, lost, newest_ts_ms, last_offset, "
    "last_timestamp_ms, last_hash, rejects) VALUES(?1, ?2, ?3, ?5, ?6, ?7, ?8, ?9, ?10, "
    "?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20) ON CONFLICT DO NOTHING";

static const char update_sql[] =
    "UPDATE offsets SET next = ?3, first = ?5, consumed = ?6, folded = ?7, duplicate = ?8, "
    "dead_lettered = ?9, late = ?10, orphaned = ?11, waiting = ?12, redelivered = ?13, "
    "holes = ?14, lost = ?15, newest_ts_ms = ?16, last_offset = ?17, last_timestamp_ms = ?18, "
    "last_hash = ?19, rejects = ?20 WHERE topic = ?1 AND partition = ?2 AND next = ?4";

int commit_offset(struct store *store, const char *topic, int32_t partition, int64_t lo, int64_t hi,
                  const struct partition_counts *counts, struct err *err)
{
    int rc = store_writing(store, err, "commit_offset");
    if (rc)
        return rc;
    sqlite3_stmt *statement;
    rc = statement_get(store, lo == -1 ? insert_sql : update_sql, &statement, err);
    if (rc)
        return rc;
    char rejects[N_REJECT_COUNTS * 21 + 3];
    print_rejects(rejects, sizeof(rejects), counts->rejects);
    bind_text(statement, 1, topic);
    sqlite3_bind_int(statement, 2, partition);
    sqlite3_bind_int64(statement, 3, hi);
    sqlite3_bind_int64(statement, 4, lo);
    bind_counts(statement, counts, rejects);
    rc = statement_run(store, statement, err, topic);
    if (!rc && sqlite3_changes64(store->db) != 1)
        return err_set(err, ERR_FENCED,
                       "%s[%" PRId32 "]: its offset in the database is not %" PRId64
                       ": somebody else moved it",
                       topic, partition, lo);
    return rc;
}

static void read_counts(sqlite3_stmt *statement, int column, struct partition_counts *c)
{
    int64_t *columns[] = {
        &c->first, &c->consumed,     &c->folded,      &c->duplicate,        &c->dead_lettered,
        &c->late,  &c->orphaned,     &c->waiting,     &c->redelivered,      &c->holes,
        &c->lost,  &c->newest_ts_ms, &c->last_offset, &c->last_timestamp_ms};
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++)
        *columns[i] = sqlite3_column_int64(statement, column++);
    c->last_hash = (uint64_t)sqlite3_column_int64(statement, column++);
    parse_rejects(c->rejects, (const char *)sqlite3_column_text(statement, column));
}

int restore_offsets(struct store *store,
                    int (*each)(void *context, const struct restored_offset *row, struct err *err),
                    void *context, struct err *err)
{
    static const char sql[] =
        "SELECT topic, partition, next, first, consumed, folded, duplicate, dead_lettered, late, "
        "orphaned, waiting, redelivered, holes, lost, newest_ts_ms, last_offset, "
        "last_timestamp_ms, last_hash, rejects FROM offsets ORDER BY topic, partition";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        struct restored_offset row = {.topic = (const char *)sqlite3_column_text(statement, 0),
                                      .partition = sqlite3_column_int(statement, 1),
                                      .next = sqlite3_column_int64(statement, 2)};
        if (!row.topic)
            return store_fail(store, SQLITE_NOMEM, err, "offsets");
        read_counts(statement, 3, &row.counts);
        int result = each(context, &row, err);
        if (result)
            return result;
    }
    return rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, "offsets");
}
