#include "storage/pane_row.h"

#include <errno.h>
#include <string.h>

#include "storage/pane_key.h"
#include "storage/row_hash.h"

int setup_of(const char *model, const char *task, const char *positive, double threshold,
             struct metric_setup *out, struct err *err)
{
    int parsed = task_parse(task);
    if (parsed < 0)
        return err_set(err, ERR_CORRUPT, "model \"%s\": unknown task \"%s\" in the database", model,
                       task);
    *out = (struct metric_setup){.task = (enum task)parsed,
                                 .positive = class_id(positive, strlen(positive)),
                                 .threshold = threshold};
    return 0;
}

int setup_of_series(struct store *store, int64_t series_id, struct metric_setup *out,
                    struct err *err)
{
    static const char sql[] = "SELECT m.name, m.task, m.positive, m.threshold FROM series AS s "
                              "JOIN models AS m ON m.name = s.model WHERE s.id = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, series_id);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE)
        return SETUP_NONE;
    const char *texts[3];
    for (int i = 0; rc == SQLITE_ROW && i < 3; i++) {
        texts[i] = (const char *)sqlite3_column_text(statement, i);
        if (!texts[i])
            rc = SQLITE_NOMEM;
    }
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, "series");
    return setup_of(texts[0], texts[1], texts[2], sqlite3_column_double(statement, 3), out, err);
}

int pane_load(sqlite3_stmt *row, const struct metric_setup *setup, struct states **out,
              struct err *err)
{
    int64_t key = sqlite3_column_int64(row, 0);
    const void *bytes = sqlite3_column_blob(row, 2);
    int n = sqlite3_column_bytes(row, 2);
    if (!bytes && sqlite3_errcode(sqlite3_db_handle(row)) == SQLITE_NOMEM)
        return err_set(err, -ENOMEM, "pane: no memory for its bytes");
    if (row_hash(key, bytes ? bytes : "", n) != sqlite3_column_int64(row, 1))
        return PANE_DAMAGED;
    int rc = states_load(out, setup, bytes ? bytes : "", (size_t)n, err);
    return rc == 0 || rc == -ENOMEM || rc == ERR_NEWER ? rc : PANE_DAMAGED;
}
