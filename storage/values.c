#include "storage/values.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "common/grow.h"
#include "common/text.h"
#include "stats/custom_config.h"
#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/estimates.h"
#include "storage/model_settings.h"
#include "storage/pane_key.h"
#include "storage/pane_row.h"
#include "storage/rows.h"

enum {
    MAX_FAMILY_NAMES = 32,
    MAX_JSON_BYTES = 4 << 20
};

/* The metrics of one series: panes come by key, so a series' panes come together. */
struct columns {
    int64_t series_id;
    struct metric_setup setup;
    struct estimator *estimator;
    struct metric_ref *metrics;
    size_t n;
    size_t capacity;
    struct buf json;
    /* the model's own metrics */
    struct config *settings;
    struct custom_set *set;
    struct metric_query *own;
    size_t n_own;
};

static int add_metric(struct columns *columns, const char *name, struct err *err)
{
    int rc = grow(&columns->metrics, &columns->capacity, columns->n + 1, sizeof(*columns->metrics),
                  "values: metrics", err);
    if (rc)
        return rc;
    /* A name that is too long for a metric's text is left out. */
    if (metric_find(&columns->metrics[columns->n], name, columns->setup.task, NULL) == 0)
        columns->n++;
    return 0;
}

/* `precision{class=` and the text x make `precision{class="x"}`. */
static int add_member(struct columns *columns, const char *family, const char *text,
                      struct err *err)
{
    struct buf name;
    buf_init(&name, sizeof(columns->metrics->text));
    buf_printf(&name, "%s\"", family);
    for (const char *c = text; *c; c++) {
        if (*c == '"' || *c == '\\' || *c == '\n')
            buf_u8(&name, '\\');
        buf_u8(&name, (uint8_t)(*c == '\n' ? 'n' : *c));
    }
    buf_bytes(&name, "\"}", 3);
    int rc = buf_failed(&name) ? 0 : add_metric(columns, (const char *)name.data, err);
    buf_finish(&name);
    return rc;
}

static int add_family(struct store *store, struct columns *columns, const char *family,
                      struct err *err)
{
    static const char sql[] = "SELECT n.text FROM names AS n JOIN series AS s ON s.model = n.model "
                              "WHERE s.id = ?1 AND n.kind = ?2 ORDER BY n.text LIMIT ?3";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, columns->series_id);
    bind_text(statement, 2,
              strstr(family, "{class=")            ? "class"
              : strncmp(family, "system{", 7) == 0 ? "system"
                                                   : "outcome");
    sqlite3_bind_int(statement, 3, MAX_FAMILY_NAMES);
    while (row_next(store, statement, "names", &rc, err)) {
        const char *text = (const char *)sqlite3_column_text(statement, 0);
        rc = text ? add_member(columns, family, text, err)
                  : store_fail(store, SQLITE_NOMEM, err, "names");
    }
    return rc;
}

/* `ndcg_k` makes `ndcg_10`. */
static int add_ten(struct columns *columns, const char *family, struct err *err)
{
    char name[64];
    snprintf(name, sizeof(name), "%.*s10", (int)strlen(family) - 1, family);
    return add_metric(columns, name, err);
}

static void drop_own(struct columns *columns)
{
    custom_set_free(columns->set);
    config_free(columns->settings);
    free(columns->own);
    columns->set = NULL;
    columns->settings = NULL;
    columns->own = NULL;
    columns->n_own = 0;
}

static int choose_own(struct store *store, struct columns *columns, const char *model,
                      struct err *err)
{
    if (columns->settings && config_model_find(columns->settings, model))
        return 0; /* another series of the same model */
    drop_own(columns);
    int rc = model_settings_read(store, model, &columns->settings, err);
    if (rc == ERR_DATA) /* of another version, or the like */
        rc = 0;
    const struct config_model *config =
        columns->settings ? config_model_find(columns->settings, model) : NULL;
    if (rc || !config || !config->n_metrics)
        return rc;
    enum task task = columns->setup.task;
    rc = custom_set_of(&columns->set, config, task, err);
    if (rc)
        return rc;
    columns->own = calloc(custom_count(columns->set), sizeof(*columns->own));
    if (!columns->own)
        return err_set(err, -ENOMEM, "values: no memory for a model's own metrics");
    for (size_t i = 0; i < custom_count(columns->set); i++)
        if (metric_resolve(&columns->own[columns->n_own], columns->set, task,
                           custom_name(columns->set, i), NULL) == 0)
            columns->n_own++;
    return 0;
}

static int choose_model(struct store *store, struct columns *columns, int64_t series_id,
                        struct err *err)
{
    static const char sql[] = "SELECT model, version FROM series WHERE id = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    estimator_free(columns->estimator);
    columns->estimator = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, series_id);
    rc = sqlite3_step(statement);
    const char *model = rc == SQLITE_ROW ? (const char *)sqlite3_column_text(statement, 0) : NULL;
    const char *version = model ? (const char *)sqlite3_column_text(statement, 1) : NULL;
    if (!version)
        return store_fail(store, rc == SQLITE_ROW ? SQLITE_NOMEM : rc, err, "series");
    rc = estimator_read(store, model, version, &columns->estimator, err);
    columns->setup.estimator = columns->estimator;
    return rc ? rc : choose_own(store, columns, model, err);
}

static int choose_metrics(struct store *store, struct columns *columns, int64_t series_id,
                          struct err *err)
{
    if (columns->series_id == series_id)
        return 0;
    columns->series_id = series_id;
    columns->n = 0;
    int rc = setup_of_series(store, series_id, &columns->setup, err);
    if (rc == SETUP_NONE)
        return err_set(err, ERR_CORRUPT, "values: a series without its model");
    if (!rc)
        rc = choose_model(store, columns, series_id, err);
    size_t n;
    const struct metric_def *table = metric_table(&n);
    for (size_t i = 0; !rc && i < n; i++) {
        const char *name = table[i].name;
        size_t length = strlen(name);
        if (!(table[i].tasks >> columns->setup.task & 1))
            continue;
        if (name[length - 1] == '=')
            rc = add_family(store, columns, name, err);
        else if (length > 2 && strcmp(name + length - 2, "_k") == 0)
            rc = add_ten(columns, name, err); /* of any k, the one the contract names */
        else
            rc = add_metric(columns, name, err);
    }
    if (rc)
        columns->series_id = 0;
    return rc;
}

static void print_value(struct buf *json, const char *name, const struct metric_value *v)
{
    const double numbers[] = {v->value, v->lower, v->upper, v->error_bound};
    if (json->size > 1)
        buf_u8(json, ',');
    json_text(json, name, strlen(name));
    for (int k = 0; k < 4; k++) {
        buf_bytes(json, k ? "," : ":[", k ? 1 : 2);
        json_number(json, numbers[k]);
    }
    buf_u8(json, ']');
}

static void print_values(struct columns *columns, const struct states *states, int64_t window_ms)
{
    struct buf *json = &columns->json;
    buf_clear(json);
    buf_u8(json, '{');
    for (size_t i = 0; i < columns->n; i++) {
        const struct metric_ref *metric = &columns->metrics[i];
        struct metric_value v;
        metric_result(states, metric, window_ms, &v);
        print_value(json, metric->text, &v);
    }
    for (size_t i = 0; i < columns->n_own; i++) {
        struct metric_value v;
        metric_evaluate(states, &columns->own[i], window_ms, &v);
        print_value(json, columns->own[i].name, &v);
    }
    buf_u8(json, '}');
}

static int write_values(struct store *store, int64_t key, struct columns *columns,
                        const struct states *states, struct err *err)
{
    static const char sql[] = "INSERT INTO pane_values(key, n, labelled, json) "
                              "VALUES(?1, ?2, ?3, ?4) ON CONFLICT(key) DO UPDATE SET "
                              "n = excluded.n, labelled = excluded.labelled, json = excluded.json";
    sqlite3_stmt *statement;
    print_values(columns, states, level_lengths_ms[pane_level(key)]);
    if (buf_failed(&columns->json))
        return err_set(err, -ENOMEM, "values: no memory for a pane's values");
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int64(statement, 2, states_count(states));
    sqlite3_bind_int64(statement, 3, states_labelled(states));
    sqlite3_bind_text64(statement, 4, (const char *)columns->json.data, columns->json.size,
                        SQLITE_STATIC, SQLITE_UTF8);
    return statement_run(store, statement, err, "values");
}

static int drop_values(struct store *store, int64_t key, struct err *err)
{
    static const char sql[] = "DELETE FROM pane_values WHERE key = ?1";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    return statement_run(store, statement, err, "values");
}

static int mark(struct store *store, int64_t key, int stale, struct err *err)
{
    static const char sql[] = "UPDATE panes SET stale = ?2 WHERE key = ?1";
    sqlite3_stmt *statement;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    sqlite3_bind_int(statement, 2, stale);
    return statement_run(store, statement, err, "values");
}

/* The first stale pane behind the last one that was refreshed, round and round; 1: none. */
static int next_stale(struct store *store, int64_t *key, struct err *err)
{
    static const char sql[] =
        "SELECT key FROM panes WHERE stale = 1 AND key > ?1 ORDER BY key LIMIT 1";
    for (int round = 0; round < 2; round++) {
        AUTO_RESET sqlite3_stmt *statement = NULL;
        int rc = statement_get(store, sql, &statement, err);
        if (rc)
            return rc;
        sqlite3_bind_int64(statement, 1, store->refresh_key);
        rc = sqlite3_step(statement);
        if (rc == SQLITE_ROW) {
            *key = sqlite3_column_int64(statement, 0);
            return 0;
        }
        if (rc != SQLITE_DONE)
            return store_fail(store, rc, err, "values");
        store->refresh_key = 0;
    }
    return 1;
}

static int load_pane(struct store *store, int64_t key, struct columns *columns,
                     struct states **states, struct err *err)
{
    static const char sql[] = "SELECT key, hash, state FROM panes WHERE key = ?1";
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = choose_metrics(store, columns, pane_series(key), err);
    if (!rc)
        rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    sqlite3_bind_int64(statement, 1, key);
    rc = sqlite3_step(statement);
    if (rc != SQLITE_ROW)
        return store_fail(store, rc == SQLITE_DONE ? SQLITE_CORRUPT_INDEX : rc, err, "values");
    return pane_load(statement, &columns->setup, states, err);
}

static int refresh_pane(struct store *store, int64_t key, struct columns *columns, struct err *err)
{
    AUTO(states) struct states *states = NULL;
    int rc = load_pane(store, key, columns, &states, err);
    if (rc == PANE_DAMAGED) {
        rc = drop_values(store, key, err);
        return rc ? rc : mark(store, key, 2, err);
    }
    if (!rc)
        rc = write_values(store, key, columns, states, err);
    return rc ? rc : mark(store, key, 0, err);
}

int values_refresh(struct store *store, int budget_rows, bool *more, struct err *err)
{
    struct columns columns = {0};
    int64_t key;
    int rc = next_stale(store, &key, err);
    if (more)
        *more = rc == 0;
    if (rc)
        return rc < 0 ? rc : 0;

    buf_init(&columns.json, MAX_JSON_BYTES);
    rc = commit_begin(store, err);
    store->quiet = true; /* what readers of states see does not change */
    for (int i = 0; !rc && i < budget_rows && (rc = next_stale(store, &key, err)) == 0; i++) {
        rc = refresh_pane(store, key, &columns, err);
        store->refresh_key = key;
    }
    if (rc == 1 && more)
        *more = false;
    if (rc >= 0)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    store->quiet = false;
    buf_finish(&columns.json);
    estimator_free(columns.estimator);
    drop_own(&columns);
    free(columns.metrics);
    return rc;
}
