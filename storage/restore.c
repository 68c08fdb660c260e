#include "storage/restore.h"

#include <string.h>

#include "storage/rows.h"

int restore_models(struct store *store,
                   int (*each)(void *context, const struct model_row *row, struct err *err),
                   void *context, struct err *err)
{
    static const char sql[] =
        "SELECT name, task, positive, threshold, label_horizon_ms FROM models ORDER BY rowid";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "models", &rc, err)) {
        struct model_row row = {.name = (const char *)sqlite3_column_text(statement, 0),
                                .task = (const char *)sqlite3_column_text(statement, 1),
                                .positive = (const char *)sqlite3_column_text(statement, 2),
                                .threshold = sqlite3_column_double(statement, 3),
                                .label_horizon_ms = sqlite3_column_int64(statement, 4)};
        if (!row.name || !row.task || !row.positive)
            return store_fail(store, SQLITE_NOMEM, err, "models");
        rc = each(context, &row, err);
    }
    return rc;
}

int restore_series(struct store *store,
                   int (*each)(void *context, const struct restored_series *row, struct err *err),
                   void *context, struct err *err)
{
    static const char sql[] = "SELECT id, model, version, slice FROM series ORDER BY id";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "series", &rc, err)) {
        struct restored_series row = {.series_id = sqlite3_column_int64(statement, 0),
                                      .model = (const char *)sqlite3_column_text(statement, 1),
                                      .version = (const char *)sqlite3_column_text(statement, 2),
                                      .slice = (const char *)sqlite3_column_text(statement, 3)};
        if (!row.model || !row.version || !row.slice)
            return store_fail(store, SQLITE_NOMEM, err, "series");
        rc = each(context, &row, err);
    }
    return rc;
}

int restore_model_counts(struct store *store, const char *model, char **json, struct err *err)
{
    static const char sql[] = "SELECT counts FROM model_counts WHERE model = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    *json = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE)
        return RESTORE_NONE;
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, model);
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    *json = text ? strdup(text) : NULL;
    return *json ? 0 : store_fail(store, SQLITE_NOMEM, err, model);
}

int restore_fact(struct store *store, const char *key, int64_t *value, struct err *err)
{
    static const char sql[] = "SELECT value FROM facts WHERE key = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, key);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE)
        return RESTORE_NONE;
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, key);
    *value = sqlite3_column_int64(statement, 0);
    return 0;
}
