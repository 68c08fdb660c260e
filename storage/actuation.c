#include "storage/actuation.h"

#include "storage/rows.h"

static int start(struct store *store, const char *sql, sqlite3_stmt **statement, struct err *err)
{
    int rc = store_writing(store, err, "actuation");
    return rc ? rc : statement_get(store, sql, statement, err);
}

int commit_actuation_wanted(struct store *store, const char *actuator, const char *experiment,
                            int64_t seq, double weight, int64_t now_ms, struct err *err)
{
    static const char sql[] =
        "INSERT INTO actuations(actuator, experiment, seq, weight, confirmed, wanted_ms, next_ms, "
        "attempts, confirmed_ms, corrections, status, problem) VALUES(?1, ?2, ?3, ?4, 0, ?5, ?5, "
        "0, 0, 0, 0, '') ON CONFLICT(actuator) DO UPDATE SET experiment = ?2, seq = ?3, "
        "weight = ?4, confirmed = 0, wanted_ms = ?5, next_ms = ?5, attempts = 0, corrections = "
        "CASE experiment WHEN ?2 THEN corrections ELSE 0 END, status = 0, problem = '' WHERE "
        "experiment <> ?2 OR weight <> ?4";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, actuator);
    bind_text(s, 2, experiment);
    sqlite3_bind_int64(s, 3, seq);
    sqlite3_bind_double(s, 4, weight);
    sqlite3_bind_int64(s, 5, now_ms);
    return statement_run(store, s, err, "actuation");
}

int commit_actuation_gone(struct store *store, const char *actuator, struct err *err)
{
    sqlite3_stmt *s;
    int rc = start(store, "DELETE FROM actuations WHERE actuator = ?1", &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, actuator);
    return statement_run(store, s, err, "actuator");
}

int commit_applying(struct store *store, const char *experiment, struct err *err)
{
    static const char sql[] =
        "UPDATE experiments SET applying = EXISTS(SELECT 1 FROM actuations WHERE experiment = ?1 "
        "AND confirmed = 0) WHERE name = ?1";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, experiment);
    return statement_run(store, s, err, "experiment");
}

int commit_actuation_outcome(struct store *store, const struct actuation_row *outcome,
                             struct err *err)
{
    static const char sql[] =
        "UPDATE actuations SET confirmed = ?3, next_ms = ?4, attempts = ?5, confirmed_ms = ?6, "
        "corrections = ?7, status = ?8, problem = ?9 WHERE actuator = ?1 AND seq = ?2 AND "
        "experiment = ?10";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, outcome->actuator);
    sqlite3_bind_int64(s, 2, outcome->seq);
    sqlite3_bind_int(s, 3, outcome->confirmed);
    sqlite3_bind_int64(s, 4, outcome->next_ms);
    sqlite3_bind_int64(s, 5, outcome->attempts);
    sqlite3_bind_int64(s, 6, outcome->confirmed_ms);
    sqlite3_bind_int64(s, 7, outcome->corrections);
    sqlite3_bind_int(s, 8, outcome->status);
    bind_text(s, 9, outcome->problem);
    bind_text(s, 10, outcome->experiment);
    rc = statement_run(store, s, err, "actuation");
    if (rc)
        return rc;
    return sqlite3_changes(store->db) == 1 ? commit_applying(store, outcome->experiment, err)
                                           : ACTUATION_STALE;
}

int actuations_read(struct store *store, const char *actuator, const char *experiment,
                    int (*row)(void *context, const struct actuation_row *row, struct err *err),
                    void *context, struct err *err)
{
    static const char sql[] =
        "SELECT actuator, experiment, seq, weight, confirmed, wanted_ms, next_ms, attempts, "
        "confirmed_ms, corrections, status, problem FROM actuations WHERE (?1 IS NULL OR actuator "
        "= ?1) AND (?2 IS NULL OR experiment = ?2) ORDER BY actuator";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, actuator);
    bind_text(s, 2, experiment);
    while (row_next(store, s, "actuations", &rc, err)) {
        struct actuation_row out = {
            .actuator = row_text(s, 0),
            .experiment = row_text(s, 1),
            .seq = sqlite3_column_int64(s, 2),
            .weight = sqlite3_column_double(s, 3),
            .confirmed = sqlite3_column_int(s, 4) != 0,
            .wanted_ms = sqlite3_column_int64(s, 5),
            .next_ms = sqlite3_column_int64(s, 6),
            .attempts = sqlite3_column_int64(s, 7),
            .confirmed_ms = sqlite3_column_int64(s, 8),
            .corrections = sqlite3_column_int64(s, 9),
            .status = sqlite3_column_int(s, 10),
            .problem = row_text(s, 11),
        };
        rc = row(context, &out, err);
    }
    return rc;
}
