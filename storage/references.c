#include "storage/references.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/commit.h"
#include "storage/drift_cache.h"
#include "storage/estimates.h"
#include "storage/profiles.h"
#include "storage/reference_slices.h"
#include "storage/row_hash.h"
#include "storage/rows.h"

enum {
    MAX_REFERENCE_BYTES = 512 * 1024 * 1024
};

static void id_text(char out[17], uint64_t id)
{
    snprintf(out, 17, "%016" PRIx64, id);
}

struct row_of_reference {
    const char *model, *version, *source;
    const struct reference *reference;
    const struct fitted *fitted; /* may be NULL */
    int64_t created_ms;
    const struct profile_span *panes; /* NULL: of events */
};

static int write_row(struct store *store, const struct row_of_reference *row, struct err *err)
{
    static const char sql[] = "INSERT INTO reference_states(model, version, id, source, "
                              "created_ms, hash, bytes, from_ms, "
                              "to_ms) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)";
    char id[17];
    struct buf bytes;
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    buf_init(&bytes, MAX_REFERENCE_BYTES);
    reference_save(row->reference, &bytes);
    if (buf_failed(&bytes)) {
        buf_finish(&bytes);
        return err_set(err, -ENOMEM, "model %s: no memory for its reference", row->model);
    }
    id_text(id, row->reference->id);
    bind_text(statement, 1, row->model);
    bind_text(statement, 2, row->version ? row->version : "");
    bind_text(statement, 3, id);
    bind_text(statement, 4, row->source);
    sqlite3_bind_int64(statement, 5, row->created_ms);
    sqlite3_bind_int64(statement, 6, row_hash(0, bytes.data, (int64_t)bytes.size));
    sqlite3_bind_blob64(statement, 7, bytes.data, bytes.size, SQLITE_STATIC);
    if (row->panes) {
        sqlite3_bind_int64(statement, 8, row->panes->from_ms);
        sqlite3_bind_int64(statement, 9, row->panes->to_ms);
    }
    rc = statement_run(store, statement, err, row->model);
    buf_finish(&bytes);
    return rc;
}

static int commit_row(struct store *store, const struct row_of_reference *row, struct err *err)
{
    struct drift_cache *cache;
    int rc = write_row(store, row, err);
    const int64_t seq = sqlite3_last_insert_rowid(store->db);
    if (!rc && row->fitted)
        rc = commit_fitted(store, seq, row->fitted, err);
    if (!rc && row->fitted)
        rc = commit_reference_slices(store, seq, row->fitted, err);
    if (!rc)
        rc = store_drift_cache(store, &cache, err);
    if (!rc) /* by its contents: whether the transaction ends well or not, that is what it is */
        drift_cache_keep_reference(cache, row->reference->id, row->reference);
    return rc;
}

int commit_reference(struct store *store, const char *model, const char *version,
                     const struct reference *reference, const char *source, int64_t created_ms,
                     struct err *err)
{
    const struct row_of_reference row = {.model = model,
                                         .version = version,
                                         .source = source,
                                         .reference = reference,
                                         .fitted = reference->fitted,
                                         .created_ms = created_ms};
    const int rc = store_writing(store, err, "commit_reference");
    return rc ? rc : commit_row(store, &row, err);
}

int commit_range_reference(struct store *store, const char *model,
                           const struct reference *reference, const struct fitted *fitted,
                           int64_t from_ms, int64_t to_ms, struct err *err)
{
    const struct profile_span panes = {from_ms, to_ms};
    const struct row_of_reference row = {.model = model,
                                         .source = "range",
                                         .reference = reference,
                                         .fitted = fitted,
                                         .created_ms = to_ms, /* as while it is read from panes */
                                         .panes = &panes};
    const int rc = store_writing(store, err, "commit_range_reference");
    return rc ? rc : commit_row(store, &row, err);
}

int commit_ranges_turned(struct store *store, const char *model, int64_t from_ms, int64_t to_ms,
                         int64_t at_ms, struct err *err)
{
    static const char sql[] =
        "UPDATE reference_states SET withdrawn_ms = CASE WHEN from_ms = ?2 AND to_ms = ?3 THEN "
        "NULL "
        "ELSE ?4 END WHERE model = ?1 AND version = '' AND from_ms IS NOT NULL AND "
        "(withdrawn_ms IS NULL) <> (from_ms = ?2 AND to_ms = ?3)";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_ranges_turned");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    sqlite3_bind_int64(statement, 2, from_ms);
    sqlite3_bind_int64(statement, 3, to_ms);
    sqlite3_bind_int64(statement, 4, at_ms);
    return statement_run(store, statement, err, model);
}

int reference_range_known(struct store *store, const char *model, int64_t from_ms, int64_t to_ms,
                          bool *out, struct err *err)
{
    static const char sql[] =
        "SELECT 1 FROM reference_states WHERE model = ?1 AND from_ms = ?2 AND to_ms = ?3";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    sqlite3_bind_int64(statement, 2, from_ms);
    sqlite3_bind_int64(statement, 3, to_ms);
    *out = row_next(store, statement, "reference", &rc, err);
    return rc;
}

int commit_reference_names(struct store *store, const char *model,
                           const struct reference *reference, struct err *err)
{
    const struct fitted *fitted = reference->fitted;
    int rc = 0;
    for (uint32_t i = 0; !rc && fitted && i < fitted->n_names; i++)
        rc = commit_name(store, model, "category", fitted->names[i].id,
                         view_of(fitted->names[i].text), err);
    for (uint32_t i = 0; !rc && fitted && i < fitted->n_features; i++)
        rc = commit_name(store, model, "feature", fitted->features[i].id,
                         view_of(fitted->features[i].text), err);
    return rc;
}

int commit_reference_withdrawn(struct store *store, const char *model, const char *version,
                               int64_t at_ms, struct err *err)
{
    static const char sql[] = "UPDATE reference_states SET withdrawn_ms = ?3 WHERE model = ?1 AND "
                              "version = ?2 AND withdrawn_ms IS NULL";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_reference_withdrawn");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, version ? version : "");
    sqlite3_bind_int64(statement, 3, at_ms);
    return statement_run(store, statement, err, model);
}

int commit_reference_forgotten(struct store *store, const char *model, const char *version,
                               const char *id, int64_t at_ms, int64_t *n, struct err *err)
{
    static const char sql[] = "UPDATE reference_states SET withdrawn_ms = ?4 WHERE model = ?1 AND "
                              "(?2 IS NULL OR version = ?2) AND id = ?3 AND withdrawn_ms IS NULL";
    sqlite3_stmt *statement;
    int rc = store_writing(store, err, "commit_reference_forgotten");
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    if (version)
        bind_text(statement, 2, version);
    bind_text(statement, 3, id);
    sqlite3_bind_int64(statement, 4, at_ms);
    rc = statement_run(store, statement, err, model);
    *n = rc ? 0 : sqlite3_changes64(store->db);
    return rc;
}

int references_each(struct store *store, const char *model, const char *version,
                    int (*each)(void *context, const struct reference_listed *row, struct err *err),
                    void *context, struct err *err)
{
    static const char sql[] =
        "SELECT version, id, source, substr(bytes, 1, 16), created_ms, ifnull(withdrawn_ms, -1), "
        "seq = (SELECT seq FROM reference_states AS o WHERE o.model = ?1 AND o.version = r.version "
        "AND o.withdrawn_ms IS NULL ORDER BY o.from_ms IS NOT NULL, o.seq DESC LIMIT 1), "
        "ifnull(from_ms, -1), ifnull(to_ms, -1) FROM reference_states AS r WHERE model = ?1 AND "
        "(?2 IS NULL OR version = ?2) ORDER BY seq DESC";
    AUTO_RESET sqlite3_stmt *row = NULL;
    int rc = statement_get(store, sql, &row, err);
    if (rc)
        return rc;
    bind_text(row, 1, model);
    if (version)
        bind_text(row, 2, version);
    while (!rc && row_next(store, row, "reference", &rc, err)) {
        const struct reference_listed listed = {
            .version = row_text(row, 0),
            .id = row_text(row, 1),
            .source = row_text(row, 2),
            .n = (int64_t)reference_saved_events(sqlite3_column_blob(row, 3),
                                                 (size_t)sqlite3_column_bytes(row, 3)),
            .created_ms = sqlite3_column_int64(row, 4),
            .withdrawn_ms = sqlite3_column_int64(row, 5),
            .counts = sqlite3_column_int(row, 6) == 1,
            .from_ms = sqlite3_column_int64(row, 7),
            .to_ms = sqlite3_column_int64(row, 8),
        };
        rc = each(context, &listed, err);
    }
    return rc;
}

/* --- the bytes, some MiB: read where they are needed, and not along with their row --- */

/* Each piece is hashed while the processor has it at hand. */
static int read_and_hash(sqlite3_blob *blob, unsigned char *into, int n, int64_t *hash)
{
    enum {
        PIECE = 1 << 17
    };
    struct row_hashing hashing;
    int code = SQLITE_OK;
    row_hash_begin(&hashing, 0);
    for (int at = 0; code == SQLITE_OK && at < n; at += PIECE) {
        const int some = n - at < PIECE ? n - at : PIECE;
        code = sqlite3_blob_read(blob, into + at, some, at);
        if (code == SQLITE_OK)
            row_hash_add(&hashing, into + at, some);
    }
    *hash = row_hash_end(&hashing);
    return code;
}

/* *bytes: malloc'd, the caller's, also after a failure. */
static int read_bytes(struct store *store, int64_t seq, void **bytes, int *n, int64_t *hash,
                      struct err *err)
{
    sqlite3_blob *blob = NULL;
    int code = sqlite3_blob_open(store->db, "main", "reference_states", "bytes", seq, 0, &blob);
    if (code == SQLITE_OK) {
        *n = sqlite3_blob_bytes(blob);
        *bytes = malloc((size_t)*n + 1);
        code = *bytes ? read_and_hash(blob, *bytes, *n, hash) : SQLITE_NOMEM;
    }
    int rc = code == SQLITE_OK ? 0 : store_fail(store, code, err, "reference");
    sqlite3_blob_close(blob);
    return rc;
}

/* Columns: id, source, created_ms, hash, seq. `cache` NULL: read and check it in any case. */
static int take_row(struct store *store, sqlite3_stmt *row, const char *model,
                    struct drift_cache *cache, struct reference_row *out, struct err *err)
{
    const char *id = (const char *)sqlite3_column_text(row, 0);
    const char *source = (const char *)sqlite3_column_text(row, 1);
    if (!id || !source)
        return err_set(err, -ENOMEM, "model %s: no memory for its reference", model);
    snprintf(out->id, sizeof(out->id), "%s", id);
    out->created_ms = sqlite3_column_int64(row, 2);
    out->seq = sqlite3_column_int64(row, 4);
    out->source = strdup(source);
    if (!out->source)
        return err_set(err, -ENOMEM, "model %s: no memory for its reference", model);
    uint64_t key = strtoull(out->id, NULL, 16);
    out->reference = cache ? drift_cache_reference(cache, key) : NULL;
    if (out->reference)
        return 0;
    AUTO_FREE void *bytes = NULL;
    int64_t hash = 0;
    int n = 0, rc = read_bytes(store, out->seq, &bytes, &n, &hash, err);
    if (rc)
        return rc;
    if (hash != sqlite3_column_int64(row, 3))
        return err_set(err, ERR_CORRUPT,
                       "model %s: its reference is damaged; load it again with `assay reference "
                       "load`",
                       model);
    if (!cache)
        return reference_load(&out->reference, bytes, (size_t)n, err);
    rc = reference_load_by(drift_cache_crew(cache), &out->reference, bytes, (size_t)n, err);
    if (!rc)
        drift_cache_keep_reference(cache, key, out->reference);
    return rc;
}

/* The first row of a statement whose parameters are bound. */
static int read_row(struct store *store, sqlite3_stmt *statement, const char *model,
                    struct reference_row *out, struct err *err)
{
    struct drift_cache *cache;
    int rc = store_drift_cache(store, &cache, err);
    if (rc)
        return rc;
    if (!row_next(store, statement, "reference", &rc, err))
        return rc;
    rc = take_row(store, statement, model, cache, out, err);
    if (rc)
        reference_row_finish(out);
    return rc;
}

int reference_row_read(struct store *store, const char *model, const char *version,
                       struct reference_row *out, struct err *err)
{
    static const char sql[] =
        "SELECT id, source, created_ms, hash, seq FROM reference_states WHERE seq = "
        "(" REFERENCE_THAT_COUNTS ")";
    *out = (struct reference_row){0};
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, version ? version : "");
    return read_row(store, statement, model, out, err);
}

void reference_row_finish(struct reference_row *row)
{
    reference_free(row->reference);
    free(row->source);
    *row = (struct reference_row){0};
}

int reference_versions_each(struct store *store, const char *model,
                            int (*row)(void *context, const char *version, struct err *err),
                            void *context, struct err *err)
{
    static const char sql[] =
        "SELECT DISTINCT version FROM reference_states WHERE model = ?1 AND withdrawn_ms IS NULL "
        "ORDER BY version";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    while (row_next(store, statement, "reference", &rc, err)) {
        const char *version = (const char *)sqlite3_column_text(statement, 0);
        rc = version ? row(context, version, err)
                     : store_fail(store, SQLITE_NOMEM, err, "reference");
    }
    return rc;
}

int reference_known(struct store *store, const char *model, uint64_t id, bool *out, struct err *err)
{
    static const char sql[] = "SELECT 1 FROM reference_states WHERE model = ?1 AND id = ?2";
    char text[17];
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    id_text(text, id);
    bind_text(statement, 1, model);
    bind_text(statement, 2, text);
    *out = row_next(store, statement, "reference", &rc, err);
    return rc;
}

int references_verify(struct store *store, struct err *err)
{
    static const char sql[] = "SELECT id, source, created_ms, hash, seq, model, version FROM "
                              "reference_states ORDER BY seq";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "reference", &rc, err)) {
        struct reference_row row = {0};
        struct err why = {0};
        const char *model = (const char *)sqlite3_column_text(statement, 5);
        const char *version = (const char *)sqlite3_column_text(statement, 6);
        char id[17] = "";
        int taken = take_row(store, statement, model ? model : "", NULL, &row, &why);
        if (!taken)
            id_text(id, row.reference->id);
        bool same = taken || strcmp(id, row.id) == 0;
        reference_row_finish(&row);
        if (taken && taken != ERR_CORRUPT)
            return err_set(err, taken, "%s", why.text);
        if (taken || !same)
            return err_set(err, ERR_CORRUPT,
                           "%s: the reference of model %.100s%s%.100s is damaged; load it again "
                           "with `assay reference load`",
                           store->path, model ? model : "(unknown)",
                           version && version[0] ? ", version " : "", version ? version : "");
    }
    return rc;
}
