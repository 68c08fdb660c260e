#include "storage/catalog.h"

#include <errno.h>
#include <string.h>

#include "common/text.h"
#include "storage/pane_key.h"
#include "storage/pane_row.h"
#include "storage/rows.h"

enum {
    MAX_GUESSED = 1000 /* models looked through for a near name */
};

static int no_model(struct store *store, const char *name, struct err *err)
{
    static const char sql[] = "SELECT name FROM models ORDER BY name LIMIT ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    char *known[MAX_GUESSED];
    size_t n = 0;
    sqlite3_bind_int(statement, 1, MAX_GUESSED);
    while (n < MAX_GUESSED && row_next(store, statement, "models", &rc, err)) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        known[n] = text ? strdup(text) : NULL;
        n += known[n] != NULL;
    }
    const char *near = text_near(name, (const char *const *)known, n);
    if (!rc && near)
        rc = err_set(err, ERR_NOT_FOUND, "no model \"%s\"; did you mean \"%s\"?", name, near);
    else if (!rc)
        rc = err_set(err, ERR_NOT_FOUND, "no model \"%s\" among the %zu known", name, n);
    while (n > 0)
        free(known[--n]);
    return rc;
}

static struct model_row row_of(sqlite3_stmt *statement)
{
    return (struct model_row){.name = (const char *)sqlite3_column_text(statement, 0),
                              .task = (const char *)sqlite3_column_text(statement, 1),
                              .positive = (const char *)sqlite3_column_text(statement, 2),
                              .threshold = sqlite3_column_double(statement, 3),
                              .label_horizon_ms = sqlite3_column_int64(statement, 4)};
}

int models_each(struct store *store,
                int (*row)(void *context, const struct model_row *model, struct err *err),
                void *context, struct err *err)
{
    static const char sql[] =
        "SELECT name, task, positive, threshold, label_horizon_ms FROM models ORDER BY name";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    while (row_next(store, statement, "models", &rc, err)) {
        struct model_row model = row_of(statement);
        if (!model.name || !model.task || !model.positive)
            return store_fail(store, SQLITE_NOMEM, err, "models");
        rc = row(context, &model, err);
    }
    return rc;
}

static int keep_model(struct model_known *out, const struct model_row *row, struct err *err)
{
    const char *texts[] = {row->name, row->task, row->positive};
    *out = (struct model_known){.row = *row};
    for (int i = 0; i < 3; i++) {
        out->texts[i] = texts[i] ? strdup(texts[i]) : NULL;
        if (!out->texts[i]) {
            model_finish(out);
            return err_set(err, -ENOMEM, "models: no memory");
        }
    }
    out->row.name = out->texts[0];
    out->row.task = out->texts[1];
    out->row.positive = out->texts[2];
    int rc = setup_of(row->name, row->task, row->positive, row->threshold, &out->setup, err);
    if (rc)
        model_finish(out);
    return rc;
}

int model_read(struct store *store, const char *name, struct model_known *out, struct err *err)
{
    static const char sql[] =
        "SELECT name, task, positive, threshold, label_horizon_ms FROM models WHERE name = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    *out = (struct model_known){0};
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, name);
    if (!row_next(store, statement, "models", &rc, err))
        return rc ? rc : no_model(store, name, err);
    struct model_row row = row_of(statement);
    return keep_model(out, &row, err);
}

void model_finish(struct model_known *model)
{
    for (int i = 0; i < 3; i++)
        free(model->texts[i]);
    *model = (struct model_known){0};
}

/* Start of the oldest (order "ASC") or newest pane of a series over the levels; -1: none. */
static int edge_pane(struct store *store, const char *sql, int64_t series_id, int level,
                     int64_t *start_ms, struct err *err)
{
    AUTO_RESET sqlite3_stmt *statement = NULL;
    *start_ms = -1;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, pane_key(series_id, level, 0));
    sqlite3_bind_int64(statement, 2, pane_key(series_id, level, PANE_MAX_INDEX));
    if (row_next(store, statement, "panes", &rc, err) &&
        sqlite3_column_type(statement, 0) != SQLITE_NULL)
        *start_ms = pane_start_ms(sqlite3_column_int64(statement, 0));
    return rc;
}

static int series_extent(struct store *store, struct series_known *series, struct err *err)
{
    static const char oldest[] = "SELECT min(key) FROM panes WHERE key BETWEEN ?1 AND ?2";
    static const char newest[] = "SELECT max(key) FROM panes WHERE key BETWEEN ?1 AND ?2";
    series->first_ms = -1;
    series->last_ms = -1;
    for (int level = 0; level < N_LEVELS; level++) {
        int64_t first;
        int64_t last;
        int rc = edge_pane(store, oldest, series->id, level, &first, err);
        if (!rc)
            rc = edge_pane(store, newest, series->id, level, &last, err);
        if (rc)
            return rc;
        if (first < 0)
            continue;
        last += level_lengths_ms[level];
        if (series->first_ms < 0 || first < series->first_ms)
            series->first_ms = first;
        if (last > series->last_ms)
            series->last_ms = last;
    }
    return 0;
}

int series_list(struct store *store, const char *model, const char *version, const char *slice,
                int (*row)(void *context, const struct series_known *series, struct err *err),
                void *context, struct err *err)
{
    static const char sql[] = "SELECT id, version, slice FROM series WHERE model = ?1 AND "
                              "(?2 IS NULL OR version = ?2) AND (?3 IS NULL OR slice = ?3) "
                              "ORDER BY slice, version";
    struct model_known known;
    int rc = model_read(store, model, &known, err);
    if (rc)
        return rc;
    model_finish(&known);

    AUTO_RESET sqlite3_stmt *statement = NULL;
    rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    if (version)
        bind_text(statement, 2, version);
    if (slice)
        bind_text(statement, 3, slice);
    while (row_next(store, statement, "series", &rc, err)) {
        struct series_known series = {.id = sqlite3_column_int64(statement, 0),
                                      .version = (const char *)sqlite3_column_text(statement, 1),
                                      .slice = (const char *)sqlite3_column_text(statement, 2)};
        if (!series.version || !series.slice)
            return store_fail(store, SQLITE_NOMEM, err, "series");
        rc = series_extent(store, &series, err);
        if (!rc)
            rc = row(context, &series, err);
    }
    return rc;
}

int versions_each(struct store *store, const char *model,
                  int (*row)(void *context, const char *version, const char *facts_json,
                             struct err *err),
                  void *context, struct err *err)
{
    static const char sql[] = "SELECT version, max(facts) FROM (SELECT version, facts FROM "
                              "versions WHERE model = ?1 UNION ALL SELECT DISTINCT version, NULL "
                              "FROM series WHERE model = ?1) GROUP BY version ORDER BY version";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    while (row_next(store, statement, "versions", &rc, err)) {
        const char *version = (const char *)sqlite3_column_text(statement, 0);
        const char *facts = (const char *)sqlite3_column_text(statement, 1);
        if (!version)
            return store_fail(store, SQLITE_NOMEM, err, "versions");
        rc = row(context, version, facts, err);
    }
    return rc;
}

/* The text in the first row of a statement that is bound; NULL without a row. */
static int one_text(struct store *store, sqlite3_stmt *statement, char **text, struct err *err)
{
    *text = NULL;
    int rc = 0;
    if (!row_next(store, statement, "names", &rc, err))
        return rc;
    const char *found = (const char *)sqlite3_column_text(statement, 0);
    *text = found ? strdup(found) : NULL;
    return *text ? 0 : store_fail(store, SQLITE_NOMEM, err, "names");
}

int name_read(struct store *store, const char *model, const char *kind, uint64_t id, char **text,
              struct err *err)
{
    static const char sql[] = "SELECT text FROM names WHERE model = ?1 AND kind = ?2 AND id = ?3";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, kind);
    sqlite3_bind_int64(statement, 3, (int64_t)id);
    return one_text(store, statement, text, err);
}

int names_each(struct store *store, const char *model, const char *kind,
               int (*row)(void *context, uint64_t id, const char *text, struct err *err),
               void *context, struct err *err)
{
    static const char sql[] =
        "SELECT id, text FROM names WHERE model = ?1 AND kind = ?2 ORDER BY text";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    bind_text(statement, 1, model);
    bind_text(statement, 2, kind);
    while (row_next(store, statement, "names", &rc, err)) {
        const char *text = (const char *)sqlite3_column_text(statement, 1);
        if (!text)
            return store_fail(store, SQLITE_NOMEM, err, "names");
        rc = row(context, (uint64_t)sqlite3_column_int64(statement, 0), text, err);
    }
    return rc;
}
