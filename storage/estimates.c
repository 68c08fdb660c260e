#include "storage/estimates.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "storage/connection.h"
#include "storage/references.h"
#include "storage/row_hash.h"
#include "storage/rows.h"

enum {
    MAX_PART_BYTES = 256 * 1024 * 1024,
    DAMAGED = 1,
    ABSENT = 2
};

static const char part_estimator[] = "estimator", part_loss[] = "loss",
                  part_components[] = "components";

int commit_reference_part(struct store *store, int64_t seq, const char *part,
                          const struct buf *bytes, const char *why, struct err *err)
{
    static const char sql[] = "INSERT INTO reference_models(reference, part, hash, bytes, why) "
                              "VALUES(?1, ?2, ?3, ?4, ?5)";
    sqlite3_stmt *statement;
    if (buf_failed(bytes))
        return err_set(err, -ENOMEM, "reference: no memory for its %s", part);
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    const void *data = bytes->size ? bytes->data : (const void *)"";
    sqlite3_bind_int64(statement, 1, seq);
    bind_text(statement, 2, part);
    sqlite3_bind_int64(statement, 3, row_hash(seq, data, (int64_t)bytes->size));
    sqlite3_bind_blob64(statement, 4, data, bytes->size, SQLITE_STATIC);
    bind_text(statement, 5, why);
    return statement_run(store, statement, err, "reference");
}

static void metrics_part(char *out, size_t n, const char *slice)
{
    snprintf(out, n, "metrics/%s", slice);
}

static int write_metrics(struct store *store, int64_t seq, const struct fitted *fitted,
                         struct buf *bytes, struct err *err)
{
    int rc = 0;
    for (uint32_t i = 0; !rc && i < fitted->n_metrics; i++) {
        char part[REFERENCE_PART_NAME];
        metrics_part(part, sizeof(part), fitted->metrics[i].slice);
        buf_clear(bytes);
        states_save(fitted->metrics[i].states, bytes);
        rc = commit_reference_part(store, seq, part, bytes, "", err);
    }
    return rc;
}

int commit_fitted(struct store *store, int64_t reference_seq, const struct fitted *fitted,
                  struct err *err)
{
    struct buf bytes;
    int rc = 0;
    buf_init(&bytes, MAX_PART_BYTES);
    if (fitted->estimator) {
        estimator_save(fitted->estimator, &bytes);
        rc = commit_reference_part(store, reference_seq, part_estimator, &bytes, "", err);
    }
    if (!rc && (fitted->loss || fitted->no_loss[0])) {
        buf_clear(&bytes);
        if (fitted->loss)
            dle_save(fitted->loss, &bytes);
        rc = commit_reference_part(store, reference_seq, part_loss, &bytes, fitted->no_loss, err);
    }
    if (!rc) {
        buf_clear(&bytes);
        if (fitted->components)
            multivariate_save(fitted->components, &bytes);
        rc = commit_reference_part(store, reference_seq, part_components, &bytes,
                                   fitted->no_components, err);
    }
    if (!rc)
        rc = write_metrics(store, reference_seq, fitted, &bytes, err);
    buf_finish(&bytes);
    return rc;
}

/* The part of the reference that counts, ready to be read: 0, ABSENT or DAMAGED. `row` is to be
   reset by the caller, who then has done with the bytes. */
static int find_part(struct store *store, const char *model, const char *version, const char *part,
                     sqlite3_stmt **row, struct reader *out, struct err *err)
{
    static const char sql[] =
        "SELECT reference, hash, bytes, why FROM reference_models WHERE part = ?3 AND reference = "
        "(" REFERENCE_THAT_COUNTS ")";
    int rc = statement_get(store, sql, row, err);
    if (rc)
        return rc;
    bind_text(*row, 1, model);
    bind_text(*row, 2, version ? version : "");
    bind_text(*row, 3, part);
    rc = sqlite3_step(*row);
    if (rc == SQLITE_DONE)
        return ABSENT;
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, "reference");
    const void *bytes = sqlite3_column_blob(*row, 2);
    const int n = sqlite3_column_bytes(*row, 2);
    if (row_hash(sqlite3_column_int64(*row, 0), bytes ? bytes : "", n) !=
        sqlite3_column_int64(*row, 1))
        return DAMAGED;
    *out = reader_of(bytes ? bytes : "", (size_t)n);
    return n ? 0 : ABSENT;
}

static void take_why(sqlite3_stmt *row, int found, char *why, size_t n)
{
    const char *text = found == ABSENT && sqlite3_data_count(row) == 4
                           ? (const char *)sqlite3_column_text(row, 3)
                           : NULL;
    if (found == DAMAGED)
        text = "what was fitted on the reference is damaged; load it again";
    snprintf(why, n, "%s", text ? text : "");
}

static int damaged_estimator(struct estimator **out, struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "reference: no memory");
    (*out)->state = ESTIMATOR_DAMAGED;
    return 0;
}

int estimator_read(struct store *store, const char *model, const char *version,
                   struct estimator **out, struct err *err)
{
    AUTO_RESET sqlite3_stmt *row = NULL;
    struct reader in;
    *out = NULL;
    int rc = find_part(store, model, version, part_estimator, &row, &in, err);
    if (rc == 0)
        rc = estimator_load(out, in.next, reader_left(&in), err);
    if (rc == DAMAGED || rc == ERR_CORRUPT)
        return damaged_estimator(out, err);
    return rc == ABSENT ? 0 : rc;
}

int components_read(struct store *store, const char *model, const char *version,
                    struct multivariate **out, char *why, size_t n, struct err *err)
{
    AUTO_RESET sqlite3_stmt *row = NULL;
    struct reader in;
    *out = NULL;
    int rc = find_part(store, model, version, part_components, &row, &in, err);
    if (rc == 0)
        rc = multivariate_load(out, &in, err);
    if (rc < 0 && rc != ERR_CORRUPT)
        return rc;
    take_why(row, rc == ERR_CORRUPT ? DAMAGED : rc, why, n);
    return 0;
}

static int loss_read(struct store *store, const char *model, const char *version,
                     struct fitted *fitted, struct err *err)
{
    AUTO_RESET sqlite3_stmt *row = NULL;
    struct reader in;
    int rc = find_part(store, model, version, part_loss, &row, &in, err);
    if (rc == 0)
        rc = dle_load(&fitted->loss, &in, err);
    if (rc < 0 && rc != ERR_CORRUPT)
        return rc;
    take_why(row, rc == ERR_CORRUPT ? DAMAGED : rc, fitted->no_loss, sizeof(fitted->no_loss));
    return 0;
}

int fitted_read(struct store *store, const char *model, const char *version, struct fitted **out,
                struct err *err)
{
    *out = NULL;
    AUTO(fitted) struct fitted *fitted = calloc(1, sizeof(*fitted));
    if (!fitted)
        return err_set(err, -ENOMEM, "reference: no memory");
    int rc = estimator_read(store, model, version, &fitted->estimator, err);
    if (rc || !fitted->estimator)
        return rc;
    rc = loss_read(store, model, version, fitted, err);
    if (!rc)
        rc = components_read(store, model, version, &fitted->components, fitted->no_components,
                             sizeof(fitted->no_components), err);
    if (rc)
        return rc;
    *out = fitted;
    fitted = NULL; /* the caller owns it now */
    return 0;
}

int reference_newest(struct store *store, const char *model, const char *version,
                     struct reference_mark *out, struct err *err)
{
    static const char sql[] = "SELECT seq, id, source, ifnull(to_ms - from_ms, 0) FROM "
                              "reference_states WHERE seq = (" REFERENCE_THAT_COUNTS ")";
    AUTO_RESET sqlite3_stmt *row = NULL;
    *out = (struct reference_mark){0};
    int rc = statement_get(store, sql, &row, err);
    if (rc)
        return rc;
    bind_text(row, 1, model);
    bind_text(row, 2, version ? version : "");
    if (!row_next(store, row, "reference", &rc, err))
        return rc;
    const char *id = (const char *)sqlite3_column_text(row, 1);
    const char *source = (const char *)sqlite3_column_text(row, 2);
    out->seq = sqlite3_column_int64(row, 0);
    out->span_ms = sqlite3_column_int64(row, 3);
    snprintf(out->id, sizeof(out->id), "%s", id ? id : "");
    snprintf(out->source, sizeof(out->source), "%s", source ? source : "");
    return 0;
}

int reference_states_read(struct store *store, int64_t seq, const char *slice,
                          const struct metric_setup *setup, struct states **out, struct err *err)
{
    static const char sql[] =
        "SELECT hash, bytes FROM reference_models WHERE reference = ?1 AND part = ?2";
    char part[REFERENCE_PART_NAME];
    AUTO_RESET sqlite3_stmt *row = NULL;
    *out = NULL;
    int rc = statement_get(store, sql, &row, err);
    if (rc)
        return rc;
    metrics_part(part, sizeof(part), slice);
    sqlite3_bind_int64(row, 1, seq);
    bind_text(row, 2, part);
    if (!row_next(store, row, "reference", &rc, err))
        return rc;
    const void *bytes = sqlite3_column_blob(row, 1);
    const int n = sqlite3_column_bytes(row, 1);
    if (row_hash(seq, bytes ? bytes : "", n) != sqlite3_column_int64(row, 0))
        return err_set(err, ERR_CORRUPT, "the metrics of the reference are damaged; load it again");
    return states_load(out, setup, bytes ? bytes : "", (size_t)n, err);
}
