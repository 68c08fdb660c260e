#include "storage/transition.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/audit.h"
#include "storage/rows.h"

static int start(struct store *store, const char *sql, sqlite3_stmt **statement, struct err *err)
{
    int rc = store_writing(store, err, "experiment");
    return rc ? rc : statement_get(store, sql, statement, err);
}

int commit_experiment_new(struct store *store, const struct experiment_row *row, struct err *err)
{
    static const char sql[] =
        "INSERT INTO experiments(name, model, object, state, step, weight, since_ms, seq, "
        "applying, "
        "created_ms, ramp, verdict) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, 0, ?8, ?9, ?10, ?11) ON "
        "CONFLICT(name) DO NOTHING";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, row->name);
    bind_text(s, 2, row->model);
    bind_text(s, 3, row->object);
    bind_text(s, 4, row->state);
    sqlite3_bind_int(s, 5, row->step);
    sqlite3_bind_double(s, 6, row->weight);
    sqlite3_bind_int64(s, 7, row->since_ms);
    sqlite3_bind_int(s, 8, row->applying);
    sqlite3_bind_int64(s, 9, row->created_ms);
    bind_text(s, 10, row->ramp);
    bind_text(s, 11, row->verdict);
    rc = statement_run(store, s, err, "experiment");
    if (!rc && sqlite3_changes(store->db) == 0)
        rc = err_set(err, -EEXIST,
                     "experiment \"%s\" exists already; a finished name is never "
                     "used again",
                     row->name);
    return rc;
}

static int was_carried_out(struct store *store, const struct transition_row *t, struct err *err)
{
    static const char sql[] =
        "SELECT 1 FROM transitions WHERE experiment = ?1 AND command = ?2 AND command <> ''";
    AUTO_RESET sqlite3_stmt *s = NULL;
    if (!*t->command)
        return 0;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, t->experiment);
    bind_text(s, 2, t->command);
    return row_next(store, s, "transition", &rc, err) ? TRANSITION_REPEATED : rc;
}

static int move(struct store *store, const struct experiment_row *row, struct err *err)
{
    static const char sql[] =
        "UPDATE experiments SET state = ?2, step = ?3, weight = ?4, since_ms = ?5, seq = ?6, "
        "applying = ?7, ramp = ?8, verdict = ?9 WHERE name = ?1 AND seq = ?6 - 1";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, row->name);
    bind_text(s, 2, row->state);
    sqlite3_bind_int(s, 3, row->step);
    sqlite3_bind_double(s, 4, row->weight);
    sqlite3_bind_int64(s, 5, row->since_ms);
    sqlite3_bind_int64(s, 6, row->seq);
    sqlite3_bind_int(s, 7, row->applying);
    bind_text(s, 8, row->ramp);
    bind_text(s, 9, row->verdict);
    rc = statement_run(store, s, err, "experiment");
    return rc ? rc : sqlite3_changes(store->db) == 1 ? 0 : TRANSITION_RACED;
}

static int write_row(struct store *store, const struct transition_row *t, struct err *err)
{
    static const char sql[] =
        "INSERT INTO transitions(experiment, seq, at_ms, clock, who, command, verdict, from_state, "
        "to_state, from_step, to_step, from_weight, to_weight, reason, evidence) VALUES(?1, ?2, "
        "?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, t->experiment);
    sqlite3_bind_int64(s, 2, t->seq);
    sqlite3_bind_int64(s, 3, t->at_ms);
    bind_text(s, 4, t->clock);
    bind_text(s, 5, t->who);
    bind_text(s, 6, t->command);
    bind_text(s, 7, t->verdict);
    bind_text(s, 8, t->from_state);
    bind_text(s, 9, t->to_state);
    sqlite3_bind_int(s, 10, t->from_step);
    sqlite3_bind_int(s, 11, t->to_step);
    sqlite3_bind_double(s, 12, t->from_weight);
    sqlite3_bind_double(s, 13, t->to_weight);
    bind_text(s, 14, t->reason);
    bind_text(s, 15, t->evidence);
    return statement_run(store, s, err, "transition");
}

int commit_transition(struct store *store, const struct experiment_row *row,
                      const struct transition_row *transition, struct err *err)
{
    int rc = was_carried_out(store, transition, err);
    if (!rc)
        rc = move(store, row, err);
    if (!rc)
        rc = write_row(store, transition, err);
    if (rc == TRANSITION_RACED && store->changes)
        changes_bump(store->changes); /* somebody moved it: what readers keep of it is too old */
    if (rc)
        return rc;
    char action[64] = "experiment.";
    strncat(action, transition->verdict, sizeof(action) - sizeof("experiment."));
    struct audit_row audit = {
        .at_ms = transition->at_ms,
        .clock = transition->clock,
        .who = transition->who,
        .action = action,
        .subject = transition->experiment,
        .detail = transition->evidence,
    };
    return commit_audit(store, &audit, err);
}

int commit_experiment_look(struct store *store, const char *name, const char *ramp,
                           const char *verdict, struct err *err)
{
    static const char sql[] = "UPDATE experiments SET ramp = ?2, verdict = ?3 WHERE name = ?1";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    bind_text(s, 2, ramp);
    bind_text(s, 3, verdict);
    return statement_run(store, s, err, "experiment");
}

int commit_experiment_evidence(struct store *store, const char *name, const void *bytes, size_t n,
                               struct err *err)
{
    static const char sql[] =
        "INSERT OR REPLACE INTO experiment_evidence(name, bytes) VALUES(?1, ?2)";
    sqlite3_stmt *s;
    int rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    sqlite3_bind_blob64(s, 2, n ? bytes : "", n, SQLITE_STATIC);
    return statement_run(store, s, err, "evidence");
}

int commit_experiment_units(struct store *store, const char *name, int64_t n, bool whole,
                            const void *bytes, size_t size, struct err *err)
{
    static const char drop[] = "DELETE FROM experiment_units WHERE experiment = ?1";
    static const char sql[] =
        "INSERT INTO experiment_units(experiment, n, bytes) VALUES(?1, ?2, ?3)";
    sqlite3_stmt *s;
    int rc = 0;
    if (whole) {
        rc = start(store, drop, &s, err);
        if (!rc) {
            bind_text(s, 1, name);
            rc = statement_run(store, s, err, "units");
        }
    }
    if (!rc)
        rc = start(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    sqlite3_bind_int64(s, 2, n);
    sqlite3_bind_blob64(s, 3, size ? bytes : "", size, SQLITE_STATIC);
    return statement_run(store, s, err, "units");
}

int experiment_units_last(struct store *store, const char *name, int64_t *n, struct err *err)
{
    static const char sql[] = "SELECT max(n) FROM experiment_units WHERE experiment = ?1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    *n = row_next(store, s, "units", &rc, err) ? sqlite3_column_int64(s, 0) : 0;
    return rc;
}

int experiment_units_read(struct store *store, const char *name,
                          int (*segment)(void *context, int64_t n, const void *bytes, size_t size,
                                         struct err *err),
                          void *context, struct err *err)
{
    static const char sql[] =
        "SELECT n, bytes FROM experiment_units WHERE experiment = ?1 ORDER BY n";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    while (row_next(store, s, "units", &rc, err)) {
        const void *bytes = sqlite3_column_blob(s, 1);
        rc = segment(context, sqlite3_column_int64(s, 0), bytes,
                     bytes ? (size_t)sqlite3_column_bytes(s, 1) : 0, err);
    }
    return rc;
}

int experiments_read(struct store *store, const char *name,
                     int (*row)(void *context, const struct experiment_row *row, struct err *err),
                     void *context, struct err *err)
{
    static const char sql[] =
        "SELECT name, model, object, state, step, weight, since_ms, seq, applying, created_ms, "
        "ramp, verdict FROM experiments WHERE ?1 IS NULL OR name = ?1 ORDER BY created_ms, name";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    while (row_next(store, s, "experiments", &rc, err)) {
        struct experiment_row out = {
            .name = row_text(s, 0),
            .model = row_text(s, 1),
            .object = row_text(s, 2),
            .state = row_text(s, 3),
            .step = sqlite3_column_int(s, 4),
            .weight = sqlite3_column_double(s, 5),
            .since_ms = sqlite3_column_int64(s, 6),
            .seq = sqlite3_column_int64(s, 7),
            .applying = sqlite3_column_int(s, 8) != 0,
            .created_ms = sqlite3_column_int64(s, 9),
            .ramp = row_text(s, 10),
            .verdict = row_text(s, 11),
        };
        rc = row(context, &out, err);
    }
    return rc;
}

int experiment_evidence_read(struct store *store, const char *name, void **bytes, size_t *n,
                             struct err *err)
{
    static const char sql[] = "SELECT bytes FROM experiment_evidence WHERE name = ?1";
    AUTO_RESET sqlite3_stmt *s = NULL;
    *bytes = NULL;
    *n = 0;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, name);
    if (!row_next(store, s, "evidence", &rc, err))
        return rc;
    const void *from = sqlite3_column_blob(s, 0);
    *n = (size_t)sqlite3_column_bytes(s, 0);
    *bytes = malloc(*n + 1);
    if (!*bytes)
        return err_set(err, -ENOMEM, "experiment %s: no memory for its evidence", name);
    if (*n)
        memcpy(*bytes, from, *n);
    return 0;
}

int transitions_read(struct store *store, const char *experiment,
                     int (*row)(void *context, const struct transition_row *row, struct err *err),
                     void *context, struct err *err)
{
    static const char sql[] =
        "SELECT id, experiment, seq, at_ms, clock, who, command, verdict, from_state, to_state, "
        "from_step, to_step, from_weight, to_weight, reason, evidence FROM transitions WHERE ?1 IS "
        "NULL OR experiment = ?1 ORDER BY id";
    AUTO_RESET sqlite3_stmt *s = NULL;
    int rc = statement_get(store, sql, &s, err);
    if (rc)
        return rc;
    bind_text(s, 1, experiment);
    while (row_next(store, s, "transitions", &rc, err)) {
        struct transition_row out = {
            .id = sqlite3_column_int64(s, 0),
            .experiment = row_text(s, 1),
            .seq = sqlite3_column_int64(s, 2),
            .at_ms = sqlite3_column_int64(s, 3),
            .clock = row_text(s, 4),
            .who = row_text(s, 5),
            .command = row_text(s, 6),
            .verdict = row_text(s, 7),
            .from_state = row_text(s, 8),
            .to_state = row_text(s, 9),
            .from_step = sqlite3_column_int(s, 10),
            .to_step = sqlite3_column_int(s, 11),
            .from_weight = sqlite3_column_double(s, 12),
            .to_weight = sqlite3_column_double(s, 13),
            .reason = row_text(s, 14),
            .evidence = row_text(s, 15),
        };
        rc = row(context, &out, err);
    }
    return rc;
}
