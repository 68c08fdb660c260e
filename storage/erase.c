/* Windows are found by ranges of their keys, series by series (storage/pane_key.h). */
#include "storage/erase.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "storage/commit.h"
#include "storage/rows.h"

/* ?1: the model. In this order: the series name the windows. */
static const char windows_sql[] =
    "DELETE FROM panes WHERE key IN (SELECT p.key FROM series AS s CROSS JOIN panes AS p "
    "ON p.key >= s.id << 35 AND p.key < (s.id + 1) << 35 WHERE s.model = ?1)";
static const char series_sql[] = "DELETE FROM series WHERE model = ?1";
static const char letters_sql[] = /* ?1: the name as it stands in JSON */
    "DELETE FROM dead_letter WHERE instr(CAST(payload AS TEXT), ?1) > 0";

static const char *const before_series[] = {
    "DELETE FROM pane_values WHERE key IN (SELECT p.key FROM series AS s CROSS JOIN pane_values "
    "AS p ON p.key >= s.id << 35 AND p.key < (s.id + 1) << 35 WHERE s.model = ?1)",
    "DELETE FROM profiles WHERE rowid IN (SELECT p.rowid FROM series AS s CROSS JOIN profiles AS p "
    "ON p.key >= s.id << 35 AND p.key < (s.id + 1) << 35 WHERE s.model = ?1)",
    /* pending records name series by number: none is given twice */
    "INSERT INTO facts(key, value) SELECT '" COMMIT_ERASED_SERIES "', max(id) FROM series "
    "WHERE model = ?1 HAVING max(id) IS NOT NULL "
    "ON CONFLICT(key) DO UPDATE SET value = max(value, excluded.value)",
};
static const char *const after_series[] = {
    "DELETE FROM names WHERE model = ?1",
    "DELETE FROM versions WHERE model = ?1",
    "DELETE FROM model_counts WHERE model = ?1",
    "DELETE FROM models WHERE name = ?1",
    "DELETE FROM model_settings WHERE model = ?1",
    "DELETE FROM reference_models WHERE reference IN "
    "(SELECT seq FROM reference_states WHERE model = ?1)",
    "DELETE FROM reference_states WHERE model = ?1",
    "DELETE FROM change_detectors WHERE model = ?1",
    "DELETE FROM change_points WHERE model = ?1",
    "DELETE FROM facts WHERE key IN ('labels_complete_ms/' || ?1, 'reference_file/' || ?1)",
    "DELETE FROM experiment_evidence WHERE name IN (SELECT name FROM experiments WHERE model = ?1)",
    "DELETE FROM experiment_units WHERE experiment IN "
    "(SELECT name FROM experiments WHERE model = ?1)",
    "DELETE FROM experiment_looks WHERE experiment IN "
    "(SELECT name FROM experiments WHERE model = ?1)",
};

static int check_experiments(struct store *store, const char *model, struct err *err)
{
    static const char sql[] =
        "SELECT name, state FROM experiments WHERE model = ?1 AND state IN ('running', 'paused')";
    AUTO_RESET sqlite3_stmt *row = NULL;
    int rc = statement_get(store, sql, &row, err);
    if (rc)
        return rc;
    bind_text(row, 1, model);
    if (!row_next(store, row, "experiments", &rc, err))
        return rc;
    err_set(err, ERR_USAGE, "model %s: experiment %s is %s: roll it back or promote it first",
            model, row_text(row, 0), row_text(row, 1));
    return ERASE_BUSY;
}

static int run(struct store *store, const char *sql, const char *text, int64_t *n, struct err *err)
{
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, text);
    rc = statement_run(store, statement, err, "erasure");
    if (!rc && n)
        *n = sqlite3_changes64(store->db);
    return rc;
}

static int run_all(struct store *store, const char *const *sql, size_t n, const char *model,
                   struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = run(store, sql[i], model, NULL, err);
    return rc;
}

static int erase_letters(struct store *store, const char *model, int64_t *n, struct err *err)
{
    struct buf name;
    buf_init(&name, 64 * 1024);
    json_text(&name, model, strlen(model));
    buf_u8(&name, 0);
    int rc = buf_failed(&name) ? err_set(err, -ENOMEM, "model %s: no memory to erase it", model)
                               : run(store, letters_sql, (const char *)name.data, n, err);
    buf_finish(&name);
    return rc;
}

int erase_model(struct store *store, const char *model, struct erased *out, struct err *err)
{
    *out = (struct erased){0};
    int rc = store_writing(store, err, "erase_model");
    if (!rc)
        rc = check_experiments(store, model, err);
    if (!rc)
        rc = run_all(store, before_series, sizeof(before_series) / sizeof(before_series[0]), model,
                     err);
    if (!rc)
        rc = run(store, windows_sql, model, &out->windows, err);
    if (!rc)
        rc = run(store, series_sql, model, &out->series, err);
    if (!rc)
        rc = run_all(store, after_series, sizeof(after_series) / sizeof(after_series[0]), model,
                     err);
    return rc ? rc : erase_letters(store, model, &out->dead_letters, err);
}
