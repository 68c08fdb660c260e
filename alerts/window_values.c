/*
 * A row is a ring: the window that ends at k windows since the epoch has the place k modulo the points, so that a step
 * forward overwrites the oldest. A copy of a rule has its name's pointer (alerts/reading.c makes one that waits for no
 * labels); with mature_share the two are told apart.
 */
#include "alerts/window_values.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "storage/series.h"
#include "storage/written.h"

/* No generation of a store (storage/store.h) is so large: the two are compared with each other. */
#define DROPS (UINT64_C(1) << 63)

struct window {
    int64_t end_ms; /* 0: nothing is kept */
    struct metric_value value;
};

struct window_row {
    const char *rule; /* its name, as the rule set keeps it */
    double mature_share;
    int64_t window_ms;
    int64_t end_ms;    /* of the newest window that was asked for last … */
    int64_t newest_ms; /* … or ever */
    int64_t *series;
    size_t n_series;
    bool known;               /* these two are what the store says */
    bool of_reference;        /* an estimate */
    int64_t reference_end_ms; /* of one that is a fixed stretch */
    uint64_t n_drops;
    size_t n;
    struct window windows[];
};

struct window_values {
    const struct config *config;
    struct store *store;
    struct written_mark mark;
    struct window_row *rows[WINDOW_ROWS];
    size_t n;
};

int window_values_new(struct window_values **out, const struct config *config, struct store *store,
                      struct err *err)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "alerts: no memory");
    (*out)->config = config;
    (*out)->store = store;
    return 0;
}

void window_values_free(struct window_values *values)
{
    if (!values)
        return;
    for (size_t i = 0; i < values->n; i++) {
        free(values->rows[i]->series);
        free(values->rows[i]);
    }
    free(values);
}

static void drop_row(struct window_row *row)
{
    for (size_t i = 0; i < row->n; i++)
        row->windows[i].end_ms = 0;
    free(row->series); /* there may be more by now */
    row->series = NULL;
    row->n_series = 0;
    row->known = false;
    row->n_drops++;
}

static bool has_series(const struct window_row *row, int64_t id)
{
    for (size_t i = 0; i < row->n_series; i++)
        if (row->series[i] == id)
            return true;
    return false;
}

static void drop_windows(struct window_row *row, const struct written_span *span)
{
    for (size_t i = 0; i < row->n; i++) {
        struct window *window = &row->windows[i];
        if (window->end_ms == 0 || span->from_ms >= window->end_ms ||
            span->to_ms <= window->end_ms - row->window_ms)
            continue;
        window->end_ms = 0;
        row->n_drops++;
    }
}

static void take_span(void *context, const struct written_span *span)
{
    struct window_values *values = context;
    for (size_t i = 0; i < values->n; i++) {
        struct window_row *row = values->rows[i];
        if (row->of_reference &&
            (span->from_ms < row->end_ms || span->from_ms < row->reference_end_ms))
            drop_row(row);
        else if (span->from_ms < row->newest_ms && has_series(row, span->series_id))
            drop_windows(row, span);
    }
}

void window_values_start(struct window_values *values)
{
    if (written_since(values->store, &values->mark, take_span, values) != WRITTEN_ALL)
        return;
    for (size_t i = 0; i < values->n; i++)
        drop_row(values->rows[i]);
}

static bool is_of(const struct window_row *row, const struct alert_rule *rule)
{
    return row->rule == rule->name && row->mature_share == rule->mature_share;
}

uint64_t window_values_drops(const struct window_values *values, const struct alert_rule *rule)
{
    uint64_t n = 0;
    for (size_t i = 0; i < values->n; i++) {
        const struct window_row *row = values->rows[i];
        if (row->rule == rule->name && !row->known)
            return 0;
        n += row->rule == rule->name ? 1 + row->n_drops : 0;
    }
    return n ? n | DROPS : 0;
}

static struct window_row *add_row(struct window_values *values, const struct alert_rule *rule)
{
    const size_t n = (size_t)rule->points;
    struct window_row *row =
        values->n < WINDOW_ROWS ? calloc(1, sizeof(*row) + n * sizeof(row->windows[0])) : NULL;
    if (!row)
        return NULL;
    const struct config_model *model = config_model_find(values->config, rule->model);
    row->rule = rule->name;
    row->mature_share = rule->mature_share;
    row->window_ms = rule->window_ms;
    row->of_reference = metric_estimated(rule->metric) != NULL;
    row->reference_end_ms = model ? model->reference.to_ms : 0;
    row->n = n;
    values->rows[values->n++] = row;
    return row;
}

/* Whose panes the windows are made of. */
static void find_series(struct window_values *values, const struct alert_rule *rule,
                        struct window_row *row)
{
    const struct series_query query = {
        .model = rule->model, .version = rule->version, .slice = rule->slice};
    row->known = series_ids(values->store, &query, &row->series, &row->n_series, NULL) == 0;
    if (row->known)
        return;
    free(row->series);
    row->series = NULL;
    row->n_series = 0;
}

struct window_row *window_values_row(struct window_values *values, const struct alert_rule *rule,
                                     int64_t end_ms)
{
    struct window_row *row = NULL;
    for (size_t i = 0; !row && i < values->n; i++)
        row = is_of(values->rows[i], rule) ? values->rows[i] : NULL;
    if (!row)
        row = add_row(values, rule);
    if (!row)
        return NULL;
    if (row->of_reference && row->end_ms != end_ms)
        drop_row(row);
    if (!row->known)
        find_series(values, rule, row);
    if (row->n_series == 0)
        return NULL;
    row->end_ms = end_ms;
    if (row->newest_ms < end_ms)
        row->newest_ms = end_ms;
    return row;
}

const struct metric_value *window_row_get(const struct window_row *row, int64_t end_ms)
{
    const struct window *window = &row->windows[(size_t)(end_ms / row->window_ms) % row->n];
    return end_ms > 0 && window->end_ms == end_ms ? &window->value : NULL;
}

void window_row_keep(struct window_row *row, int64_t end_ms, const struct metric_value *value)
{
    if (end_ms > 0)
        row->windows[(size_t)(end_ms / row->window_ms) % row->n] = (struct window){end_ms, *value};
}
