#include "storage/change_points.h"

#include <errno.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/row_hash.h"
#include "storage/rows.h"

/* Of the parameter ?3 as in struct change_query. */
#define SLICE_MATCHES                                          \
    "(?3 IS NULL OR slice = ?3 OR (substr(?3, -2) = '=*' AND " \
    "substr(slice, 1, length(?3) - 1) = substr(?3, 1, length(?3) - 1))) "

static int start(struct store *store, const char *sql, sqlite3_stmt **s, struct err *err)
{
    int rc = store_writing(store, err, "changes");
    return rc ? rc : statement_get(store, sql, s, err);
}

static void bind_key(sqlite3_stmt *s, const struct change_key *key)
{
    bind_text(s, 1, key->model);
    bind_text(s, 2, key->version);
    bind_text(s, 3, key->slice);
    bind_text(s, 4, key->kind);
    bind_text(s, 5, key->name);
}

static void bind_any(sqlite3_stmt *s, int at, const char *text)
{
    if (text)
        bind_text(s, at, text);
    else
        sqlite3_bind_null(s, at);
}

/* Columns `at` and `at` + 1: hash and bytes. */
static int check_bytes(sqlite3_stmt *s, int at, const char *what, struct err *err)
{
    const void *bytes = sqlite3_column_blob(s, at + 1);
    int n = sqlite3_column_bytes(s, at + 1);
    return bytes && (int64_t)row_hash(0, bytes, n) == sqlite3_column_int64(s, at)
               ? 0
               : err_set(err, ERR_CORRUPT, "%s: the stored bytes are damaged", what);
}

static int take_bytes(sqlite3_stmt *s, const char *what, void **bytes, size_t *n, struct err *err)
{
    int rc = check_bytes(s, 0, what, err);
    if (rc)
        return rc;
    *n = (size_t)sqlite3_column_bytes(s, 1);
    *bytes = malloc(*n + 1);
    if (!*bytes)
        return err_set(err, -ENOMEM, "%s: no memory", what);
    memcpy(*bytes, sqlite3_column_blob(s, 1), *n);
    return 0;
}

int commit_change_detector(struct store *store, const struct change_key *key, const void *bytes,
                           size_t n, struct err *err)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO change_detectors(model, version, slice, kind, name, hash, bytes) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7)";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_key(s, key);
    sqlite3_bind_int64(s, 6, row_hash(0, bytes, (int64_t)n));
    sqlite3_bind_blob64(s, 7, bytes, n, SQLITE_STATIC);
    return statement_run(store, s, err, key->name);
}

int change_detector_read(struct store *store, const struct change_key *key, void **bytes, size_t *n,
                         struct err *err)
{
    static const char sql[] = "SELECT hash, bytes FROM change_detectors WHERE model = ?1 AND "
                              "version = ?2 AND slice = ?3 AND kind = ?4 AND name = ?5";
    AUTO_RESET sqlite3_stmt *s = NULL;
    *bytes = NULL;
    *n = 0;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_key(s, key);
    int step = sqlite3_step(s);
    if (step == SQLITE_ROW)
        return take_bytes(s, key->name, bytes, n, err);
    return step == SQLITE_DONE ? 0 : store_fail(store, step, err, key->name);
}

int change_detectors_each(struct store *store, const char *model, const char *version,
                          const char *slice,
                          int (*each)(void *context, const struct change_key *key,
                                      const void *bytes, size_t n, struct err *err),
                          void *context, struct err *err)
{
    static const char sql[] =
        "SELECT version, slice, kind, name, hash, bytes FROM change_detectors WHERE model = ?1 AND "
        "(?2 IS NULL OR version = ?2) AND " SLICE_MATCHES "ORDER BY version, slice, kind, name";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, model);
    bind_any(s, 2, version);
    bind_any(s, 3, slice);
    while (row_next(store, s, "change detectors", &rc, err)) {
        struct change_key key = {model, row_text(s, 0), row_text(s, 1), row_text(s, 2),
                                 row_text(s, 3)};
        rc = check_bytes(s, 4, key.name, err);
        if (!rc)
            rc = each(context, &key, sqlite3_column_blob(s, 5), (size_t)sqlite3_column_bytes(s, 5),
                      err);
    }
    return rc;
}

static const char waiting[] = "events that wait for a look";

int commit_change_waiting(struct store *store, const void *bytes, size_t n, struct err *err)
{
    static const char sql[] = "INSERT INTO change_waiting(hash, bytes) VALUES(?1, ?2)";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(s, 1, row_hash(0, bytes, (int64_t)n));
    sqlite3_bind_blob64(s, 2, bytes, n, SQLITE_STATIC);
    return statement_run(store, s, err, waiting);
}

int commit_change_waiting_none(struct store *store, struct err *err)
{
    static const char sql[] = "DELETE FROM change_waiting";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    return rc ? rc : statement_run(store, s, err, waiting);
}

int change_waiting_each(struct store *store,
                        int (*each)(void *context, const void *bytes, size_t n, struct err *err),
                        void *context, struct err *err)
{
    static const char sql[] = "SELECT hash, bytes FROM change_waiting ORDER BY seq";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    while (row_next(store, s, waiting, &rc, err)) {
        rc = check_bytes(s, 0, waiting, err);
        if (!rc)
            rc = each(context, sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1), err);
    }
    return rc;
}

static void bind_mean(sqlite3_stmt *s, int at, double mean)
{
    if (isnan(mean))
        sqlite3_bind_null(s, at);
    else
        sqlite3_bind_double(s, at, mean);
}

static double mean_at(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL ? (double)NAN
                                                         : sqlite3_column_double(s, column);
}

static void bind_time(sqlite3_stmt *s, int at, int64_t ms)
{
    if (ms == INT64_MIN)
        sqlite3_bind_null(s, at);
    else
        sqlite3_bind_int64(s, at, ms);
}

static int64_t time_at(sqlite3_stmt *s, int column)
{
    return sqlite3_column_type(s, column) == SQLITE_NULL ? INT64_MIN
                                                         : sqlite3_column_int64(s, column);
}

static void bind_reference(sqlite3_stmt *s, int at, const struct change_reference *reference)
{
    const bool learned = strcmp(reference->source, REFERENCE_LEARNED) == 0;
    bind_text(s, at, reference->id);
    bind_text(s, at + 1, reference->source);
    sqlite3_bind_int64(s, at + 2, reference->n);
    bind_time(s, at + 3, reference->id[0] ? reference->created_ms : INT64_MIN);
    bind_time(s, at + 4, learned ? reference->from_ms : INT64_MIN);
    bind_time(s, at + 5, learned ? reference->to_ms : INT64_MIN);
}

static struct change_reference reference_at(sqlite3_stmt *s, int column)
{
    struct change_reference reference = {
        .n = sqlite3_column_int64(s, column + 2),
        .created_ms = sqlite3_column_int64(s, column + 3),
        .from_ms = time_at(s, column + 4),
        .to_ms = time_at(s, column + 5),
    };
    snprintf(reference.id, sizeof(reference.id), "%s", row_text(s, column));
    snprintf(reference.source, sizeof(reference.source), "%s", row_text(s, column + 1));
    return reference;
}

static int drop_older(struct store *store, const char *model, int64_t keep_from_ms, struct err *err)
{
    static const char sql[] = "DELETE FROM change_points WHERE model = ?1 AND at_ms < ?2";
    sqlite3_stmt *s;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, model);
    sqlite3_bind_int64(s, 2, keep_from_ms);
    return statement_run(store, s, err, "old changes");
}

int commit_change_point(struct store *store, const struct change_row *row, int64_t keep_from_ms,
                        struct err *err)
{
    static const char sql[] =
        "INSERT INTO change_points(model, version, slice, kind, name, at_ms, began_ms, direction, "
        "mean_before, mean_after, run, n_after, expected, statistic, threshold, reference, "
        "reference_source, reference_n, reference_created_ms, reference_from_ms, reference_to_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15, ?16, ?17, ?18, "
        "?19, ?20, ?21)";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_key(s, &row->key);
    sqlite3_bind_int64(s, 6, row->at_ms);
    sqlite3_bind_int64(s, 7, row->began_ms);
    bind_text(s, 8, row->direction);
    bind_mean(s, 9, row->mean_before);
    bind_mean(s, 10, row->mean_after);
    sqlite3_bind_int64(s, 11, row->run);
    sqlite3_bind_int64(s, 12, row->n_after);
    sqlite3_bind_double(s, 13, row->expected);
    sqlite3_bind_double(s, 14, row->statistic);
    sqlite3_bind_double(s, 15, row->threshold);
    bind_reference(s, 16, &row->reference);
    rc = statement_run(store, s, err, row->key.name);
    return rc ? rc : drop_older(store, row->key.model, keep_from_ms, err);
}

static void bind_query(sqlite3_stmt *s, const struct change_query *query)
{
    bind_text(s, 1, query->model);
    bind_any(s, 2, query->version);
    bind_any(s, 3, query->slice);
    bind_any(s, 4, query->kind);
    bind_any(s, 5, query->name);
    sqlite3_bind_int64(s, 6, query->from_ms);
    sqlite3_bind_int64(s, 7, query->to_ms);
    sqlite3_bind_int64(s, 8, query->before_seq ? query->before_seq : INT64_MAX);
    sqlite3_bind_int(s, 9, query->limit);
}

int change_points_each(struct store *store, const struct change_query *query,
                       int (*each)(void *context, const struct change_row *row, struct err *err),
                       void *context, struct err *err)
{
    static const char sql[] =
        "SELECT seq, version, slice, kind, name, at_ms, began_ms, direction, mean_before, "
        "mean_after, run, n_after, expected, statistic, threshold, reference, reference_source, "
        "reference_n, reference_created_ms, reference_from_ms, reference_to_ms FROM change_points "
        "WHERE model = ?1 AND (?2 IS NULL OR version = ?2) AND " SLICE_MATCHES
        "AND (?4 IS NULL OR kind = ?4) AND (?5 IS NULL OR name = ?5) "
        "AND at_ms >= ?6 AND at_ms < ?7 AND seq < ?8 ORDER BY seq DESC LIMIT ?9";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_query(s, query);
    while (row_next(store, s, "changes", &rc, err)) {
        struct change_row row = {
            .seq = sqlite3_column_int64(s, 0),
            .key = {query->model, row_text(s, 1), row_text(s, 2), row_text(s, 3), row_text(s, 4)},
            .at_ms = sqlite3_column_int64(s, 5),
            .began_ms = sqlite3_column_int64(s, 6),
            .direction = row_text(s, 7),
            .mean_before = mean_at(s, 8),
            .mean_after = mean_at(s, 9),
            .run = sqlite3_column_int64(s, 10),
            .n_after = sqlite3_column_int64(s, 11),
            .expected = sqlite3_column_double(s, 12),
            .statistic = sqlite3_column_double(s, 13),
            .threshold = sqlite3_column_double(s, 14),
            .reference = reference_at(s, 15),
        };
        rc = each(context, &row, err);
    }
    return rc;
}
