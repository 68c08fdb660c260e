/*
 * store_verify: a list of checks, each of which names its first fault. A new kind of stored thing
 * adds its check here.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "storage/audit.h"
#include "storage/migrate.h"
#include "storage/pane_key.h"
#include "storage/pane_row.h"
#include "storage/profiles.h"
#include "storage/reference_slices.h"
#include "storage/restore.h"
#include "storage/rows.h"

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
    if (strcmp(text, "ok") == 0)
        return 0;
    /* A page that could not be read for another reason is no proof of damage. */
    const char *code = strstr(text, "error code=");
    int reason = code ? (int)strtol(code + strlen("error code="), NULL, 10) : SQLITE_CORRUPT;
    if ((reason & 0xff) == SQLITE_NOMEM || reason == SQLITE_IOERR_NOMEM)
        return store_fail(store, SQLITE_NOMEM, err, "pages");
    return fault(store, err, text);
}

/* The text of the schema decides what columns mean: it is to be that of our own steps. */
static int compare_schema(struct store *store, sqlite3 *model, struct err *err)
{
    static const char sql[] = "SELECT name, sql FROM sqlite_schema WHERE sql IS NOT NULL AND name "
                              "NOT LIKE 'sqlite_stat%' ORDER BY name";
    AUTO_RESET sqlite3_stmt *ours = NULL;
    sqlite3_stmt *expected = NULL;
    int rc = statement_get(store, sql, &ours, err);
    if (rc)
        return rc;
    rc = sqlite3_prepare_v2(model, sql, -1, &expected, NULL);
    if (rc != SQLITE_OK)
        return err_set(err, -ENOMEM, "%s: no memory to compare the schema", store->path);
    for (;;) {
        int more = sqlite3_step(ours);
        int more_expected = sqlite3_step(expected);
        const char *name = more == SQLITE_ROW ? (const char *)sqlite3_column_text(ours, 0) : "";
        const char *text = more == SQLITE_ROW ? (const char *)sqlite3_column_text(ours, 1) : "";
        const char *wanted =
            more_expected == SQLITE_ROW ? (const char *)sqlite3_column_text(expected, 1) : "";
        if (more != SQLITE_ROW && more != SQLITE_DONE)
            rc = store_fail(store, more, err, "schema");
        else if (!name || !text || !wanted || (more_expected & 0xff) == SQLITE_NOMEM)
            rc = store_fail(store, SQLITE_NOMEM, err, "schema");
        else if (strcmp(text, wanted) != 0)
            rc = err_set(err, ERR_CORRUPT, "%s: the definition of %.60s is not ours", store->path,
                         name[0] ? name : "a missing table");
        if (rc || more != SQLITE_ROW)
            break;
    }
    sqlite3_finalize(expected);
    return rc;
}

static int verify_schema(struct store *store, struct err *err)
{
    sqlite3 *model = NULL;
    int rc = sqlite3_open(":memory:", &model);
    for (int i = 0; rc == SQLITE_OK && i < n_migrations; i++)
        rc = sqlite3_exec(model, migrations[i].sql, NULL, NULL, NULL);
    rc = rc == SQLITE_OK
             ? compare_schema(store, model, err)
             : err_set(err, -ENOMEM, "%s: no memory to compare the schema", store->path);
    sqlite3_close(model);
    return rc;
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
    while (row_next(store, statement, "panes", &rc, err))
        rc = verify_pane(store, statement, err);
    return rc;
}

static int seen_offset(void *context, const struct restored_offset *row, struct err *err)
{
    const struct partition_counts *c = &row->counts;
    int64_t told = c->folded + c->duplicate + c->dead_lettered + c->late + c->orphaned + c->waiting;
    if (told == c->consumed)
        return 0;
    return err_set(
        err, ERR_CORRUPT,
        "%s: %s[%" PRId32 "]: %" PRId64 " messages consumed, but %" PRId64 " accounted for",
        store_path((struct store *)context), row->topic, row->partition, c->consumed, told);
}

static int verify_offsets(struct store *store, struct err *err)
{
    return restore_offsets(store, seen_offset, store, err);
}

static int seen_pending(void *context, uint32_t segment, const void *bytes, size_t n,
                        struct err *err)
{
    (void)context;
    (void)segment;
    (void)bytes;
    (void)n;
    (void)err;
    return 0;
}

static int verify_pending(struct store *store, struct err *err)
{
    return restore_pending(store, seen_pending, NULL, err);
}

/* The id of a name is made from its text. */
static int verify_names(struct store *store, struct err *err)
{
    static const char sql[] = "SELECT model, kind, id, text FROM names";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "names", &rc, err)) {
        const char *text = (const char *)sqlite3_column_text(statement, 3);
        size_t n = (size_t)sqlite3_column_bytes(statement, 3);
        if (!text)
            return store_fail(store, SQLITE_NOMEM, err, "names");
        if (class_id(text, n) != (uint64_t)sqlite3_column_int64(statement, 2))
            return err_set(err, ERR_CORRUPT, "%s: the name \"%.60s\" has another id than its own",
                           store->path, text);
    }
    return rc;
}

int store_verify(const char *path, struct err *err)
{
    static int (*const checks[])(struct store * store, struct err * err) = {
        verify_pages,    verify_schema, verify_panes,      verify_offsets,
        verify_pending,  verify_names,  references_verify, reference_slices_verify,
        profiles_verify, audit_verify,
    };
    AUTO(store) struct store *store = NULL;
    int rc = store_open(&store, path, STORE_READ, err);
    for (size_t i = 0; !rc && i < sizeof(checks) / sizeof(checks[0]); i++)
        rc = checks[i](store, err);
    return rc;
}
