/*
 * BEGIN IMMEDIATE … COMMIT with the statements that go into it. Everything that a reader can see
 * and the offsets share one SQLite transaction: after a crash either all of it is there or none.
 *
 * Commits that share one are only its parts: there are no savepoints, because what a part wrote is
 * remembered in memory too (a collector's, a rule's), and that has one way back alone: to what is
 * durable.
 */
#include "storage/commit.h"

#include <errno.h>
#include <inttypes.h>

#include "storage/connection.h"
#include "storage/pane_key.h"
#include "storage/row_hash.h"

enum {
    MANY_ROWS = 1000 /* which take the disk so long that it is worth a thread */
};

static int begin(struct store *store, struct err *err)
{
    if (store->mode != STORE_WRITE)
        return err_set(err, -EACCES, "%s: opened for reading only", store->path);
    if (store->dead)
        return err_set(err, store->dead, "%s: an earlier write failed%s%s; restart assay",
                       store->path, store->lending.rc < 0 ? ": " : "",
                       store->lending.rc < 0 ? store->lending.why.text : "");
    int rc = store_exec(store, "BEGIN IMMEDIATE", err, "commit");
    if (!rc)
        store->changes_at_begin = sqlite3_total_changes64(store->db);
    return rc;
}

int store_lost(const struct store *store, struct err *err)
{
    const struct lending *lending = &store->lending;
    if (lending->rc < 0)
        return err_set(err, -ECANCELED, "%s: the transaction that was shared is rolled back: %s",
                       store->path, lending->why.text);
    return err_set(err, -ECANCELED, "%s: the transaction that was shared is rolled back",
                   store->path);
}

int commit_begin(struct store *store, struct err *err)
{
    store_await(store);
    if (store->share == SHARE_LOST)
        return store_lost(store, err);
    if (store->in_commit)
        return err_set(err, -EINVAL, "%s: a commit is already open", store->path);
    int rc = store->share == SHARED ? 0 : begin(store, err);
    store->in_commit = rc == 0;
    return rc;
}

static int count_change(struct store *store, struct err *err)
{
    static const char sql[] = "INSERT INTO facts(key, value) VALUES('changes', ?1) "
                              "ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, (int64_t)changes_now(store->changes) + 1);
    return statement_run(store, statement, err, "commit");
}

/* COMMIT, with the change counter; the transaction stays open when it fails. */
static int end(struct store *store, struct err *err)
{
    bool changed = !store->quiet && sqlite3_total_changes64(store->db) != store->changes_at_begin;
    int rc = changed && store->changes ? count_change(store, err) : 0;
    if (!rc)
        rc = store_exec(store, "COMMIT", err, "commit");
    if (!rc && changed && store->changes)
        changes_bump(store->changes);
    return rc;
}

int commit_end(struct store *store, struct err *err)
{
    int rc = store_writing(store, err, "commit_end");
    if (!rc && store->share == UNSHARED)
        rc = end(store, err);
    if (!rc)
        store->in_commit = false;
    return rc;
}

static void undo(struct store *store)
{
    for (size_t i = 0; i < store->n_statements; i++)
        sqlite3_reset(store->statements[i].statement);
    /* After a full disk or want of memory SQLite may have rolled back by itself. */
    if (!sqlite3_get_autocommit(store->db))
        sqlite3_exec(store->db, "ROLLBACK", NULL, NULL, NULL);
    store->generation++;
    written_all(&store->written);
    store_remember(store, NULL);
}

void commit_rollback(struct store *store)
{
    store_await(store);
    if (!store->in_commit)
        return;
    store->in_commit = false;
    if (store->share == SHARED)
        store->share = SHARE_LOST;
    undo(store);
}

int commit_share(struct store *store, struct err *err)
{
    store_recall(store);
    if (store->share != UNSHARED || store->in_commit)
        return err_set(err, -EINVAL, "%s: a commit is already open", store->path);
    int rc = begin(store, err);
    if (!rc) {
        store->share = SHARED;
        store->lending.rc = 0;
    }
    return rc;
}

int commit_share_end(struct store *store, struct err *err)
{
    store_recall(store);
    if (store->share != SHARED)
        return store_lost(store, err);
    if (store->in_commit)
        return err_set(err, -EINVAL, "%s: a commit is still open", store->path);
    int rc = end(store, err);
    if (!rc)
        store->share = UNSHARED;
    return rc;
}

static int end_share(void *context, struct store *store, struct err *err)
{
    (void)context;
    return commit_share_end(store, err);
}

int commit_share_send(struct store *store, struct err *err)
{
    store_recall(store);
    if (store->share != SHARED || store->in_commit ||
        sqlite3_total_changes64(store->db) - store->changes_at_begin < MANY_ROWS)
        return commit_share_end(store, err);
    int rc = store_lend(store, end_share, NULL, err);
    return !rc && store->lending.lent ? COMMIT_SENT : rc;
}

void commit_share_undo(struct store *store)
{
    store_recall(store);
    bool open = store->share == SHARED;
    store->share = UNSHARED;
    store->in_commit = false;
    if (open)
        undo(store);
}

bool commit_is_shared(const struct store *store)
{
    return store->share != UNSHARED;
}

bool commit_share_is_lost(const struct store *store)
{
    return store->share == SHARE_LOST;
}

int commit_model(struct store *store, const struct model_row *row, struct err *err)
{
    static const char sql[] =
        "INSERT INTO models(name, task, positive, threshold, label_horizon_ms) "
        "VALUES(?1, ?2, ?3, ?4, ?5) ON CONFLICT(name) DO UPDATE SET task = excluded.task, "
        "positive = excluded.positive, threshold = excluded.threshold, "
        "label_horizon_ms = excluded.label_horizon_ms WHERE task <> excluded.task OR positive <> "
        "excluded.positive OR threshold <> excluded.threshold OR label_horizon_ms <> "
        "excluded.label_horizon_ms";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_model");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, row->name);
    bind_text(statement, 2, row->task);
    bind_text(statement, 3, row->positive ? row->positive : "1");
    sqlite3_bind_double(statement, 4, row->threshold);
    sqlite3_bind_int64(statement, 5, row->label_horizon_ms);
    rc = statement_run(store, statement, err, row->name);
    if (!rc && sqlite3_changes64(store->db) > 0) /* most commits find it as it was */
        written_all(&store->written);
    return rc;
}

static int find_series(struct store *store, const char *model, const char *version,
                       const char *slice, int64_t *series_id, struct err *err)
{
    static const char sql[] = "SELECT id FROM series WHERE model = ?1 AND slice = ?2 AND "
                              "version = ?3";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, slice);
    bind_text(statement, 3, version);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_ROW)
        *series_id = sqlite3_column_int64(statement, 0);
    int result = rc == SQLITE_ROW || rc == SQLITE_DONE ? 0 : store_fail(store, rc, err, model);
    statement_reset(&statement);
    return result;
}

int commit_series(struct store *store, const char *model, const char *version, const char *slice,
                  int64_t *series_id, struct err *err)
{
    static const char sql[] =
        "INSERT INTO series(id, model, version, slice) VALUES(1 + max(coalesce((SELECT max(id) "
        "FROM "
        "series), 0), coalesce((SELECT value FROM facts WHERE key = '" COMMIT_ERASED_SERIES
        "'), 0)), ?1, ?2, ?3)";
    *series_id = 0;
    int rc = store_writing(store, err, "commit_series");
    if (!rc)
        rc = find_series(store, model, version, slice, series_id, err);
    if (rc || *series_id)
        return rc;

    sqlite3_stmt *statement;
    rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, version);
    bind_text(statement, 3, slice);
    rc = statement_run(store, statement, err, model);
    if (!rc)
        *series_id = sqlite3_last_insert_rowid(store->db);
    return rc;
}

int commit_name(struct store *store, const char *model, const char *kind, uint64_t id,
                struct view text, struct err *err)
{
    static const char sql[] = "INSERT INTO names(model, kind, id, text) VALUES(?1, ?2, ?3, ?4) "
                              "ON CONFLICT DO NOTHING";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_name");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, kind);
    sqlite3_bind_int64(statement, 3, (int64_t)id);
    sqlite3_bind_text(statement, 4, text.data ? text.data : "", (int)text.size, SQLITE_STATIC);
    return statement_run(store, statement, err, model);
}

int pane_write(struct store *store, int64_t key, int64_t revisions, const void *state, size_t n,
               struct err *err)
{
    static const char sql[] =
        "INSERT INTO panes(key, series_id, level_ms, start_ms, revision, stale, hash, state) "
        "VALUES(?1, ?2, ?3, ?4, ?5, 1, ?6, ?7) ON CONFLICT(key) DO UPDATE SET revision = revision "
        "+ excluded.revision, stale = 1, hash = excluded.hash, state = excluded.state";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int64(statement, 2, pane_series(key));
    sqlite3_bind_int64(statement, 3, level_lengths_ms[pane_level(key)]);
    sqlite3_bind_int64(statement, 4, pane_start_ms(key));
    sqlite3_bind_int64(statement, 5, revisions);
    sqlite3_bind_int64(statement, 6, row_hash(key, n ? state : "", (int64_t)n));
    sqlite3_bind_blob64(statement, 7, n ? state : "", n, SQLITE_STATIC);
    written_panes(&store->written, key, key + 1);
    return statement_run(store, statement, err, "pane");
}

int commit_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                const void *state, size_t n, struct err *err)
{
    int rc = store_writing(store, err, "commit_pane");
    if (rc)
        return rc;
    if (!pane_valid(series_id, level_ms, start_ms))
        return err_set(err, -EINVAL,
                       "pane of series %" PRId64 ", level %" PRId64 " ms, start %" PRId64
                       " ms: there is no such place",
                       series_id, level_ms, start_ms);
    int level = level_of(level_ms);
    if (level < N_LEVELS - 1 && start_ms < store->rolled_up_to_ms[level])
        return err_set(err, -EINVAL,
                       "pane of series %" PRId64 ", level %" PRId64 " ms, start %" PRId64
                       " ms: panes before %" PRId64 " are rolled up",
                       series_id, level_ms, start_ms, store->rolled_up_to_ms[level]);
    return pane_write(store, pane_key(series_id, level, start_ms / level_ms), 1, state, n, err);
}

int commit_model_counts(struct store *store, const char *model, const char *json, struct err *err)
{
    static const char sql[] = "INSERT INTO model_counts(model, counts) VALUES(?1, ?2) "
                              "ON CONFLICT(model) DO UPDATE SET counts = excluded.counts";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_model_counts");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, json);
    return statement_run(store, statement, err, model);
}

int commit_version(struct store *store, const char *model, const char *version,
                   const char *facts_json, struct err *err)
{
    static const char sql[] = "INSERT INTO versions(model, version, facts) VALUES(?1, ?2, ?3) "
                              "ON CONFLICT(model, version) DO UPDATE SET facts = excluded.facts";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_version");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, version);
    bind_text(statement, 3, facts_json);
    return statement_run(store, statement, err, model);
}

int commit_fact(struct store *store, const char *key, int64_t value, struct err *err)
{
    static const char sql[] = "INSERT INTO facts(key, value) VALUES(?1, ?2) "
                              "ON CONFLICT(key) DO UPDATE SET value = excluded.value";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_fact");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, key);
    sqlite3_bind_int64(statement, 2, value);
    return statement_run(store, statement, err, key);
}
