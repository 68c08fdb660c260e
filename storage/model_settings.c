#include "storage/model_settings.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <xxhash.h>

#include "common/json_out.h"
#include "storage/connection.h"
#include "storage/rows.h"

enum {
    MAX_SETTINGS_BYTES = 16 * 1024 * 1024
};

static void print_duration(struct buf *out, const char *key, int64_t ms)
{
    char text[32];
    snprintf(text, sizeof(text), "%" PRId64 "ms", ms);
    out_key_string(out, key, text);
}

static void print_metrics(struct buf *out, const struct config_model *model)
{
    out_key(out, "metrics");
    out_open(out, '[');
    for (size_t i = 0; i < model->n_metrics; i++) {
        const struct config_metric *metric = &model->metrics[i];
        out_open(out, '{');
        out_key_string(out, "name", metric->name);
        if (metric->expr)
            out_key_string(out, "expr", metric->expr);
        if (metric->outcome) {
            out_key_string(out, "outcome", metric->outcome);
            out_key_string(out, "per", metric->per);
            out_key_string(out, "agg", metric->agg);
        }
        out_close(out, '}');
    }
    out_close(out, ']');
}

static void print_reference(struct buf *out, const struct config_reference *reference)
{
    bool span = reference->to_ms > reference->from_ms;
    if (!span && !reference->version && !reference->trailing_ms)
        return;
    out_key(out, "reference");
    out_open(out, '{');
    if (span) {
        out_key_int(out, "from", reference->from_ms);
        out_key_int(out, "to", reference->to_ms);
    } else if (reference->version) {
        out_key_string(out, "version", reference->version);
    } else {
        print_duration(out, "trailing", reference->trailing_ms);
        out_key_string(out, "rhythm", reference->rhythm ? reference->rhythm : "none");
    }
    out_close(out, '}');
}

static void print_model(struct buf *out, const struct config_model *model)
{
    out_open(out, '{');
    out_key_string(out, "name", model->name);
    out_key_string(out, "task", model->task);
    out_key_string(out, "positive", model->positive ? model->positive : "1");
    out_key_double(out, "threshold", model->threshold);
    print_duration(out, "label_horizon", model->label_horizon_ms);
    if (model->timezone)
        out_key_string(out, "timezone", model->timezone);
    print_metrics(out, model);
    print_reference(out, &model->reference);
    out_key(out, "drift");
    out_open(out, '{');
    if (model->drift.method)
        out_key_string(out, "method", model->drift.method);
    out_key_double(out, "false_alarm_rate", model->drift.false_alarm_rate);
    out_key_double(out, "min_effect", model->drift.min_effect);
    out_close(out, '}');
    out_close(out, '}');
}

int commit_model_settings(struct store *store, const struct config_model *model, struct err *err)
{
    static const char sql[] =
        "INSERT INTO model_settings(model, settings) VALUES(?1, ?2) ON CONFLICT(model) DO UPDATE "
        "SET settings = excluded.settings WHERE settings <> excluded.settings";
    sqlite3_stmt *statement;
    struct buf json;
    buf_init(&json, MAX_SETTINGS_BYTES);
    print_model(&json, model);
    int rc = buf_failed(&json) ? err_set(err, -ENOMEM, "model %s: no memory", model->name)
                               : statement_get(store, sql, &statement, err);
    if (!rc) {
        bind_text(statement, 1, model->name);
        sqlite3_bind_text64(statement, 2, (const char *)json.data, json.size, SQLITE_STATIC,
                            SQLITE_UTF8);
        rc = statement_run(store, statement, err, "model settings");
    }
    buf_finish(&json);
    return rc;
}

/* The models as one configuration; hours are kept for as long as any `trailing` may ask for. */
static int collect(struct store *store, const char *model, struct buf *json, size_t *n,
                   struct err *err)
{
    static const char sql[] =
        "SELECT settings FROM model_settings WHERE ?1 IS NULL OR model = ?1 ORDER BY model";
    AUTO_RESET sqlite3_stmt *row = NULL;
    int rc = statement_get(store, sql, &row, err);
    if (rc)
        return rc;
    if (model)
        bind_text(row, 1, model);
    else
        sqlite3_bind_null(row, 1);
    buf_printf(json, "{\"storage\":{\"retention\":{\"1h\":\"400d\",\"1d\":\"400d\"}},\"models\":[");
    *n = 0;
    while (row_next(store, row, "model settings", &rc, err)) {
        if ((*n)++)
            buf_u8(json, ',');
        buf_bytes(json, sqlite3_column_text(row, 0), (size_t)sqlite3_column_bytes(row, 0));
    }
    buf_bytes(json, "]}", 2);
    return rc;
}

/* A rule on an estimate asks at each look: the same text is parsed once. */
static int parse_once(struct store *store, const struct buf *json, struct config **out,
                      struct err *err)
{
    uint64_t hash = XXH3_64bits(json->data, json->size);
    if (!store->settings || store->settings_hash != hash) {
        struct config *parsed;
        int rc =
            config_parse_stored(&parsed, store->path, (const char *)json->data, json->size, err);
        if (rc)
            return rc;
        config_free(store->settings);
        store->settings = parsed; /* the store owns it now */
        store->settings_hash = hash;
    }
    *out = config_share(store->settings);
    return 0;
}

int model_settings_read(struct store *store, const char *model, struct config **out,
                        struct err *err)
{
    struct buf json;
    size_t n = 0;
    *out = NULL;
    buf_init(&json, MAX_SETTINGS_BYTES);
    int rc = collect(store, model, &json, &n, err);
    if (!rc && buf_failed(&json))
        rc = err_set(err, -ENOMEM, "model settings: no memory");
    if (!rc && n)
        rc = parse_once(store, &json, out, err);
    buf_finish(&json);
    return rc;
}
