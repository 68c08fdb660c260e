/*
 * Rows of the pending segments: bytes that only collector/pending.h understands, in the order in
 * which they were appended.
 */
#include "storage/restore.h"

#include <errno.h>
#include <inttypes.h>

#include "storage/connection.h"
#include "storage/row_hash.h"

#define SEQUENCE_BITS 31
#define LAST_SEQUENCE ((INT64_C(1) << SEQUENCE_BITS) - 1)

static int64_t first_key(uint32_t segment)
{
    return (int64_t)segment << SEQUENCE_BITS;
}

static int next_sequence(struct store *store, uint32_t segment, int64_t *sequence, struct err *err)
{
    static const char sql[] = "SELECT max(key) FROM pending WHERE key BETWEEN ?1 AND ?2";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, first_key(segment));
    sqlite3_bind_int64(statement, 2, first_key(segment) + LAST_SEQUENCE);
    rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, "pending");
    bool empty = sqlite3_column_type(statement, 0) == SQLITE_NULL;
    *sequence = empty ? 0 : sqlite3_column_int64(statement, 0) - first_key(segment) + 1;
    if (*sequence > LAST_SEQUENCE)
        return err_set(err, -EOVERFLOW, "pending segment %" PRIu32 ": too many rows", segment);
    return 0;
}

int commit_pending_append(struct store *store, uint32_t segment, const void *bytes, size_t n,
                          struct err *err)
{
    static const char sql[] =
        "INSERT INTO pending(key, segment, seq, hash, bytes) VALUES(?1, ?2, ?3, ?4, ?5)";
    sqlite3_stmt *statement;
    int64_t sequence = 0;
    int rc = store_writing(store, err, "commit_pending_append");
    if (!rc)
        rc = next_sequence(store, segment, &sequence, err);
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    int64_t key = first_key(segment) + sequence;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int64(statement, 2, segment);
    sqlite3_bind_int64(statement, 3, sequence);
    sqlite3_bind_int64(statement, 4, row_hash(key, n ? bytes : "", (int64_t)n));
    sqlite3_bind_blob64(statement, 5, n ? bytes : "", n, SQLITE_STATIC);
    return statement_run(store, statement, err, "pending");
}

int commit_pending_drop(struct store *store, uint32_t segment, struct err *err)
{
    static const char sql[] = "DELETE FROM pending WHERE key BETWEEN ?1 AND ?2";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_pending_drop");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, first_key(segment));
    sqlite3_bind_int64(statement, 2, first_key(segment) + LAST_SEQUENCE);
    return statement_run(store, statement, err, "pending");
}

int commit_pending_replace(struct store *store, uint32_t segment, const void *bytes, size_t n,
                           struct err *err)
{
    int rc = commit_pending_drop(store, segment, err);
    return rc ? rc : commit_pending_append(store, segment, bytes, n, err);
}

static int each_between(struct store *store, int64_t from, int64_t to,
                        int (*each)(void *context, uint32_t segment, const void *bytes, size_t n,
                                    struct err *err),
                        void *context, struct err *err)
{
    static const char sql[] =
        "SELECT key, hash, bytes FROM pending WHERE key BETWEEN ?1 AND ?2 ORDER BY key";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, from);
    sqlite3_bind_int64(statement, 2, to);
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int64_t key = sqlite3_column_int64(statement, 0);
        const void *bytes = sqlite3_column_blob(statement, 2);
        int n = sqlite3_column_bytes(statement, 2);
        uint32_t segment = (uint32_t)(key >> SEQUENCE_BITS);
        if (!bytes && n > 0)
            return store_fail(store, SQLITE_NOMEM, err, "pending");
        if (row_hash(key, bytes ? bytes : "", n) != sqlite3_column_int64(statement, 1))
            return store_damaged(store, err,
                                 "pending segment %" PRIu32 ": its bytes are not "
                                 "those that were written",
                                 segment);
        int result = each(context, segment, bytes, (size_t)n, err);
        if (result)
            return result;
    }
    return rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, "pending");
}

int restore_pending(struct store *store,
                    int (*each)(void *context, uint32_t segment, const void *bytes, size_t n,
                                struct err *err),
                    void *context, struct err *err)
{
    return each_between(store, 0, INT64_MAX, each, context, err);
}

int restore_pending_segment(struct store *store, uint32_t segment,
                            int (*each)(void *context, uint32_t segment, const void *bytes,
                                        size_t n, struct err *err),
                            void *context, struct err *err)
{
    return each_between(store, first_key(segment), first_key(segment) + LAST_SEQUENCE, each,
                        context, err);
}
