/*
 * One row a partition: the offset that will be read next, moved by compare-and-set, and what the
 * partition has seen. A hash over the row stands beside it: a bit that flips here would make us
 * read events twice, or never.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/connection.h"
#include "storage/restore.h"
#include "storage/row_hash.h"
#include "storage/rows.h"

enum {
    N_REJECT_COUNTS = sizeof(((struct partition_counts *)0)->rejects) / sizeof(int64_t),
    REJECTS_BYTES = N_REJECT_COUNTS * 21 + 3,
    N_NUMBERS = 16
};

#define COLUMNS                                                                          \
    "next, first, consumed, folded, duplicate, dead_lettered, late, orphaned, waiting, " \
    "redelivered, holes, lost, newest_ts_ms, last_offset, last_timestamp_ms, last_hash"

/* A row without its key, in the order of COLUMNS. */
struct offset_values {
    int64_t numbers[N_NUMBERS];
    char rejects[REJECTS_BYTES];
};

static void print_rejects(char out[REJECTS_BYTES], const int64_t *rejects)
{
    size_t used = 0;
    int n = N_REJECT_COUNTS;
    while (n > 0 && rejects[n - 1] == 0)
        n--;
    out[used++] = '[';
    for (int i = 0; i < n; i++)
        used += (size_t)snprintf(out + used, REJECTS_BYTES - used, "%s%" PRId64, i ? "," : "",
                                 rejects[i]);
    snprintf(out + used, REJECTS_BYTES - used, "]");
}

static void parse_rejects(int64_t *rejects, const char *text)
{
    for (int i = 0; *text && *text != ']' && i < N_REJECT_COUNTS; i++) {
        char *end;
        rejects[i] = strtoll(text + 1, &end, 10); /* after '[' or ',' */
        if (end == text + 1)
            break;
        text = end;
    }
}

static void pack(struct offset_values *out, int64_t next, const struct partition_counts *c)
{
    const int64_t numbers[N_NUMBERS] = {next,
                                        c->first,
                                        c->consumed,
                                        c->folded,
                                        c->duplicate,
                                        c->dead_lettered,
                                        c->late,
                                        c->orphaned,
                                        c->waiting,
                                        c->redelivered,
                                        c->holes,
                                        c->lost,
                                        c->newest_ts_ms,
                                        c->last_offset,
                                        c->last_timestamp_ms,
                                        (int64_t)c->last_hash};
    memcpy(out->numbers, numbers, sizeof(numbers));
    print_rejects(out->rejects, c->rejects);
}

static void unpack(const struct offset_values *values, struct restored_offset *out)
{
    const int64_t *n = values->numbers;
    out->next = n[0];
    out->counts = (struct partition_counts){.first = n[1],
                                            .consumed = n[2],
                                            .folded = n[3],
                                            .duplicate = n[4],
                                            .dead_lettered = n[5],
                                            .late = n[6],
                                            .orphaned = n[7],
                                            .waiting = n[8],
                                            .redelivered = n[9],
                                            .holes = n[10],
                                            .lost = n[11],
                                            .newest_ts_ms = n[12],
                                            .last_offset = n[13],
                                            .last_timestamp_ms = n[14],
                                            .last_hash = (uint64_t)n[15]};
    parse_rejects(out->counts.rejects, values->rejects);
}

static int64_t hash_of(const char *topic, int32_t partition, const struct offset_values *values)
{
    int64_t hash = row_hash(partition, topic, (int64_t)strlen(topic));
    hash = row_hash(hash, values->numbers, sizeof(values->numbers));
    return row_hash(hash, values->rejects, (int64_t)strlen(values->rejects));
}

/* ?1 topic, ?2 partition, ?3 lo, ?4 hash, ?5 rejects, ?6 … the numbers */
static const char insert_sql[] =
    "INSERT INTO offsets(topic, partition, hash, rejects, " COLUMNS ") VALUES(?1, ?2, ?4, ?5, ?6, "
    "?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) "
    "ON CONFLICT DO NOTHING";

static const char update_sql[] =
    "UPDATE offsets SET hash = ?4, rejects = ?5, (" COLUMNS ") = (?6, ?7, ?8, ?9, ?10, ?11, ?12, "
    "?13, ?14, ?15, ?16, ?17, ?18, ?19, ?20, ?21) "
    "WHERE topic = ?1 AND partition = ?2 AND next = ?3";

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
    struct offset_values values;
    pack(&values, hi, counts);
    bind_text(statement, 1, topic);
    sqlite3_bind_int(statement, 2, partition);
    sqlite3_bind_int64(statement, 3, lo);
    sqlite3_bind_int64(statement, 4, hash_of(topic, partition, &values));
    bind_text(statement, 5, values.rejects);
    for (int i = 0; i < N_NUMBERS; i++)
        sqlite3_bind_int64(statement, 6 + i, values.numbers[i]);
    rc = statement_run(store, statement, err, topic);
    if (!rc && sqlite3_changes64(store->db) != 1)
        return err_set(err, ERR_FENCED,
                       "%s[%" PRId32 "]: its offset in the database is not %" PRId64
                       ": somebody else moved it",
                       topic, partition, lo);
    return rc;
}

/* The row that the statement stands on; its topic is borrowed from there. */
static int read_row(struct store *store, sqlite3_stmt *statement, struct restored_offset *out,
                    struct err *err)
{
    struct offset_values values;
    const char *topic = (const char *)sqlite3_column_text(statement, 0);
    const char *rejects = (const char *)sqlite3_column_text(statement, 3);
    if (!topic || !rejects)
        return store_fail(store, SQLITE_NOMEM, err, "offsets");
    out->topic = topic;
    out->partition = sqlite3_column_int(statement, 1);
    for (int i = 0; i < N_NUMBERS; i++)
        values.numbers[i] = sqlite3_column_int64(statement, 4 + i);
    int n = snprintf(values.rejects, sizeof(values.rejects), "%s", rejects);
    if (n < 0 || (size_t)n >= sizeof(values.rejects) ||
        hash_of(topic, out->partition, &values) != sqlite3_column_int64(statement, 2))
        return store_damaged(store, err,
                             "offsets of %s[%" PRId32 "] are not those that were written", topic,
                             out->partition);
    unpack(&values, out);
    return 0;
}

int restore_offsets(struct store *store,
                    int (*each)(void *context, const struct restored_offset *row, struct err *err),
                    void *context, struct err *err)
{
    static const char sql[] = "SELECT topic, partition, hash, rejects, " COLUMNS
                              " FROM offsets ORDER BY topic, partition";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "offsets", &rc, err)) {
        struct restored_offset row = {0};
        rc = read_row(store, statement, &row, err);
        if (!rc)
            rc = each(context, &row, err);
    }
    return rc;
}
