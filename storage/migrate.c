#include "storage/migrate.h"

#include <inttypes.h>
#include <stdio.h>

#include "storage/backup.h"
#include "storage/connection.h"

static int schema_number(struct store *store, int64_t *number, struct err *err)
{
    int64_t application = 0;
    int64_t n_tables = 0;
    int rc = store_integer(store, "SELECT count(*) FROM sqlite_schema", 0, &n_tables, err);
    if (!rc)
        rc = store_integer(store, "PRAGMA application_id", 0, &application, err);
    if (!rc)
        rc = store_integer(store, "PRAGMA user_version", 0, number, err);
    if (rc)
        return rc;
    if (n_tables > 0 && application != ASSAY_APPLICATION_ID)
        return err_set(err, ERR_DATA,
                       "%s: an SQLite database of another program; give a path of its own",
                       store->path);
    return 0;
}

static int too_new(struct store *store, int64_t number, int newest, struct err *err)
{
    return err_set(err, ERR_NEWER,
                   "%s: written by a newer version of assay (schema %" PRId64
                   ", this one knows up to %d); use that version, or restore a backup",
                   store->path, number, newest);
}

static int keep_copy(struct store *store, int64_t number, struct err *err)
{
    char copy[4096];
    int n = snprintf(copy, sizeof(copy), "%s.backup-schema%" PRId64, store->path, number);
    if (n < 0 || (size_t)n >= sizeof(copy))
        return err_set(err, ERR_USAGE, "%s: the path is too long", store->path);
    int rc = backup_copy(store, copy, err);
    return rc ? err_prefix(err, rc, "backup before the migration") : 0;
}

static int take_step(struct store *store, const struct migration *step, struct err *err)
{
    char marks[128];
    snprintf(marks, sizeof(marks), "PRAGMA application_id = %d; PRAGMA user_version = %d",
             ASSAY_APPLICATION_ID, step->number);
    int rc = store_exec(store, "BEGIN IMMEDIATE", err, step->name);
    if (!rc)
        rc = store_exec(store, step->sql, err, step->name);
    if (!rc)
        rc = store_exec(store, marks, err, step->name);
    if (!rc)
        rc = store_exec(store, "COMMIT", err, step->name);
    if (rc && !sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    return rc ? err_prefix(err, rc, "migration %03d", step->number) : 0;
}

int migrate_steps(struct store *store, const struct migration *steps, int n_steps, struct err *err)
{
    int64_t number;
    int rc = schema_number(store, &number, err);
    if (rc)
        return rc;
    if (number > n_steps)
        return too_new(store, number, n_steps, err);
    if (number > 0 && number < n_steps)
        rc = keep_copy(store, number, err);
    for (int64_t i = number; !rc && i < n_steps; i++)
        rc = take_step(store, &steps[i], err);
    return rc;
}

int migrate(struct store *store, struct err *err)
{
    return migrate_steps(store, migrations, n_migrations, err);
}

int migrate_check(struct store *store, struct err *err)
{
    int64_t number;
    int rc = schema_number(store, &number, err);
    if (rc)
        return rc;
    if (number > n_migrations)
        return too_new(store, number, n_migrations, err);
    if (number < n_migrations)
        return err_set(err, ERR_DATA,
                       "%s: of an older version (schema %" PRId64
                       ", wanted %d); `assay serve` migrates it at its next start",
                       store->path, number, n_migrations);
    return 0;
}
