/*
 * The alerts room but for delivery: panes in a store, looks, flushes, and what is in the outbox
 * then. For the tests of alerts/run and alerts/flush.
 *
 * Owner    world_begin fills the caller's memory, world_end takes it back
 */
#pragma once

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "alerts/run.h"
#include "storage/outbox.h"
#include "tests/lib/failing_pane.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const int64_t start = INT64_C(28333333) * MINUTE; /* a whole minute in 2023 */

static const char three_rules[] =
    "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
    "alerts:\n"
    "  - {name: errors, model: credit, metric: error_rate, window: 5m, above: 0.2, interval: "
    "false, severity: critical, annotations: {note: 'rate {{value}}'}}\n"
    "  - {name: slow, model: credit, metric: latency_mean, window: 5m, above: 100, interval: "
    "false, inhibit: [errors]}\n"
    "  - {name: silent, model: credit, absent: 10m}\n"
    "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/', allow_private: true}]\n"
    "route: {receiver: oncall, group_by: [alertname], group_wait: 10s, group_interval: 1m, "
    "repeat_interval: 1h}\n";

struct world {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct alerts *alerts;
    int64_t series_id;
    struct states *pane;
};

static inline void world_begin_with(struct world *w, const char *text)
{
    struct err err = {0};
    w->temp = temp_new();
    w->store = temp_store(w->temp, STORE_WRITE);
    w->series_id = temp_series(w->store, "credit", "v1", "");
    must(config_parse(&w->config, "assay.yaml", text, strlen(text), &err), &err);
    must(alerts_new(&w->alerts, w->config, w->store, NULL, "http://page", &err), &err);
    alerts_set_url(w->alerts, "http://page/");
}

static inline void world_begin(struct world *w)
{
    world_begin_with(w, three_rules);
}

static inline void world_end(struct world *w)
{
    alerts_free(w->alerts);
    config_free(w->config);
    store_free(w->store);
    temp_free(w->temp);
}

/* A minute's pane with `n` predictions, `failed` of which failed. */
static inline void fill(struct world *w, int64_t start_ms, int n, int failed, double latency_ms)
{
    struct err err = {0};
    struct failing_pane pane = {w->series_id, start_ms, n, failed, latency_ms};
    char counts[64];
    snprintf(counts, sizeof(counts), "{\"last_event\":%lld}", (long long)start_ms);
    must(commit_begin(w->store, &err), &err);
    failing_pane_write(w->store, &pane);
    must(commit_model_counts(w->store, "credit", counts, &err), &err);
    must(commit_end(w->store, &err), &err);
}

static inline void look(struct world *w, int64_t now_ms, int64_t wall_ms)
{
    struct err err = {0};
    struct outside outside = {.now_ms = now_ms, .lag = -1, .wall_ms = wall_ms};
    must(alerts_look(w->alerts, &outside, &err), &err);
}

/* A world in which `errors` fires since start + 30 s. */
static inline void world_begin_firing(struct world *w, int64_t wall_ms)
{
    world_begin(w);
    fill(w, start, 100, 40, 10);
    look(w, start + 30000, wall_ms);
}

static inline int flush(struct world *w, int64_t wall_ms)
{
    struct err err = {0};
    int64_t next_ms;
    int n = alerts_flush(w->alerts, wall_ms, &next_ms, &err);
    must(n < 0 ? n : 0, &err);
    return n;
}

static inline int take_newest(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    *(json_t **)context = json_loads(row->data, 0, NULL);
    return 1;
}

static inline json_t *newest(struct world *w)
{
    json_t *data = NULL;
    assert_int_equal(outbox_read(w->store, INT64_MAX, 1, take_newest, &data, NULL), 1);
    return data;
}

static inline const char *text(json_t *data, const char *key)
{
    return json_string_value(json_object_get(data, key));
}
