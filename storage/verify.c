/*
 * store_verify: a list of checks, each of which names its first fault. A new kind of stored thing
 * adds its check here.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/text.h"
#include "storage/audit.h"
#include "storage/pane_key.h"
#include "storage/pane_row.h"

static int fault(struct store *store, struct err *err, const char *what)
{
    return err_set(err, ERR_CORRUPT, "%s: %s; restore a backup, or go on without it", store->path,
                   what);
}

static int verify_pages(struct store *store, struct err *err)
{
    static const char sql[] = "PRAGMA integrity_check(1)";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, "pages");
    const char *text = (const char *)sqlite3_column_text(statement, 0);
    if (!text)
        return store_fail(store, SQLITE_NOMEM, err, "pages");
    return strcmp(text, "ok") == 0 ? 0 : fault(store, err, text);
}

/* Row: key, hash, state, series_id, level_ms, start_ms, model, version, slice. */
static int pane_fault(struct store *store, sqlite3_stmt *row, struct err *err, const char *what)
{
    char start[TEXT_TIME_BYTES];
    const char *names[3];
    for (int i = 0; i < 3; i++) {
        const char *text = (const char *)sqlite3_column_text(row, 6 + i);
        names[i] = text ? text : "(unknown)";
    }
    return err_set(err, ERR_CORRUPT,
                   "%s: pane of model %s, version %s, slice \"%s\", level %" PRId64
                   " ms, start %s: %s; restore a backup, or go on without it",
                   store->path, names[0], names[1], names[2], (int64_t)sqlite3_column_int64(row, 4),
                   time_print(start, sqlite3_column_int64(row, 5)), what);
}

static int verify_pane(struct store *store, sqlite3_stmt *row, struct err *err)
{
    int64_t key = sqlite3_column_int64(row, 0);
    int64_t series_id = sqlite3_column_int64(row, 3);
    int64_t level_ms = sqlite3_column_int64(row, 4);
    int64_t start_ms = sqlite3_column_int64(row, 5);
    if (!pane_valid(series_id, level_ms, start_ms) ||
        pane_key(series_id, level_of(level_ms), start_ms / level_ms) != key)
        return pane_fault(store, row, err, "it is not where its key says");

    struct metric_setup setup;
    AUTO(states) struct states *states = NULL;
    int rc = setup_of_series(store, series_id, &setup, err);
    if (rc == SETUP_NONE)
        return pane_fault(store, row, err, "its series or model is missing");
    if (!rc)
        rc = pane_load(row, &setup, &states, err);
    if (rc == PANE_DAMAGED)
        return pane_fault(store, row, err, "its bytes are not those that were written");
    return rc;
}

static int verify_panes(struct store *store, struct err *err)
{
    static const char sql[] = "SELECT p.key, p.hash, p.state, p.series_id, p.level_ms, p.start_ms, "
                              "s.model, s.version, s.slice FROM panes AS p "
                              "LEFT JOIN series AS s ON s.id = p.series_id ORDER BY p.key";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        int result = verify_pane(store, statement, err);
        if (result)
            return result;
    }
    return rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, "panes");
}

int store_verify(const char *path, struct err *err)
{
    static int (*const checks[])(struct store * store, struct err * err) = {
        verify_pages,
        verify_panes,
        audit_verify,
    };
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, path, STORE_READ, err);
    for (size_t i = 0; !rc && i < sizeof(checks) / sizeof(checks[0]); i++)
        rc = checks[i](store, err);
    return rc;
}
