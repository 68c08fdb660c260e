#include "storage/looks.h"

#include "storage/rows.h"

int commit_look(struct store *store, const struct look_row *row, struct err *err)
{
    static const char sql[] = "INSERT OR REPLACE INTO experiment_looks(experiment, at_ms, step, "
                              "weight, detail) VALUES(?1, ?2, ?3, ?4, ?5)";
    sqlite3_stmt *s;
    int rc = store_writing(store, err, "commit_look");
    if (!rc)
        rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, row->experiment);
    sqlite3_bind_int64(s, 2, row->at_ms);
    sqlite3_bind_int(s, 3, row->step);
    sqlite3_bind_double(s, 4, row->weight);
    bind_text(s, 5, row->detail);
    return statement_run(store, s, err, "look");
}

int looks_read(struct store *store, const char *experiment, int64_t after_ms, int limit,
               int (*row)(void *context, const struct look_row *row, struct err *err),
               void *context, struct err *err)
{
    static const char sql[] = "SELECT at_ms, step, weight, detail FROM experiment_looks WHERE "
                              "experiment = ?1 AND at_ms > ?2 ORDER BY at_ms LIMIT ?3";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, experiment);
    sqlite3_bind_int64(s, 2, after_ms);
    sqlite3_bind_int(s, 3, limit);
    while (row_next(store, s, "looks", &rc, err)) {
        struct look_row out = {
            .experiment = experiment,
            .at_ms = sqlite3_column_int64(s, 0),
            .step = sqlite3_column_int(s, 1),
            .weight = sqlite3_column_double(s, 2),
            .detail = row_text(s, 3),
        };
        rc = row(context, &out, err);
    }
    return rc;
}

int looks_last(struct store *store, const char *experiment, int64_t *at_ms, struct err *err)
{
    static const char sql[] = "SELECT max(at_ms) FROM experiment_looks WHERE experiment = ?1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    *at_ms = INT64_MIN;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, experiment);
    if (row_next(store, s, "looks", &rc, err) && sqlite3_column_type(s, 0) != SQLITE_NULL)
        *at_ms = sqlite3_column_int64(s, 0);
    return rc;
}
