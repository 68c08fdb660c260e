/*
 * How a series is read: for each of the three levels a cursor gives items (panes, or several of
 * them merged where windows are longer) in order of time, a slide keeps the merge of those inside
 * the present window, and a point is the merge of the three slides. A cursor reads a chunk of items
 * at a time, over all versions asked for, so memory holds chunks and the window, never the range.
 */
#include "storage/series.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "storage/catalog.h"
#include "storage/connection.h"
#include "storage/estimates.h"
#include "storage/estimates_panes.h"
#include "storage/pane_key.h"
#include "storage/restore.h"
#include "storage/row_hash.h"
#include "storage/series_items.h"
#include "storage/slide.h"

enum {
    CHUNK_ITEMS = 64,
    LUMP_MS = 10 * 60 * 1000, /* of minutes: a window of an hour is then five, and two halves */
    FRESH_MS = 2 * 60 * 1000,
    HOUR_MS = 60 * 60 * 1000, /* of a longer window; a chunk of minutes holds one */
};

struct cursor {
    int level;
    int64_t item_ms;  /* length of an item: the level's own, or that of a block of panes */
    int64_t lump_ms;  /* as in series_items.h */
    int64_t next_ms;  /* start of the chunk that will be read next */
    int64_t chunk_ms; /* start of the chunk in items[] */
    size_t position;  /* first item of it that was not taken yet */
    int64_t gone_ms;  /* end of the last item that has left, or never was in a window */
    bool pane_found;
    struct slide_item items[CHUNK_ITEMS];
    struct slide slide;
};

struct reading {
    struct store *store;
    struct metric_setup setup;
    int64_t *series;
    size_t n_series;
    int64_t first_ms; /* start of the first window */
    int64_t to_ms;
    int64_t window_ms, step_ms;
    size_t n_damaged;
    struct cursor cursors[N_LEVELS];
};

static int64_t align_down(int64_t ms, int64_t to)
{
    return ms / to * to;
}

static int64_t common_divisor(int64_t a, int64_t b)
{
    while (b) {
        int64_t rest = a % b;
        a = b;
        b = rest;
    }
    return a;
}

/* One window's whole hours are blocks; their ends, and what changes at each look, shorter ones. */
static int64_t lump_of(const struct reading *reading, const struct cursor *cursor, int64_t end_ms)
{
    bool hour = cursor->chunk_ms % HOUR_MS == 0 && end_ms == cursor->chunk_ms + HOUR_MS;
    return cursor->lump_ms && hour && end_ms <= reading->to_ms - FRESH_MS ? HOUR_MS
                                                                          : cursor->lump_ms;
}

/* Fills items[] with the next chunk of time; 1: the range has ended. */
static int read_chunk(struct reading *reading, struct cursor *cursor, struct err *err)
{
    if (cursor->next_ms >= reading->to_ms)
        return 1;
    cursor->chunk_ms = cursor->next_ms;
    cursor->next_ms += CHUNK_ITEMS * cursor->item_ms;
    if (cursor->lump_ms) /* the same blocks, wherever the window begins */
        cursor->next_ms = align_down(cursor->next_ms, HOUR_MS);
    cursor->position = 0;
    int64_t end_ms = cursor->next_ms < reading->to_ms ? cursor->next_ms : reading->to_ms;
    for (size_t i = 0; i < CHUNK_ITEMS; i++) {
        int64_t start_ms = cursor->chunk_ms + (int64_t)i * cursor->item_ms;
        cursor->items[i] =
            (struct slide_item){.start_ms = start_ms, .end_ms = start_ms + cursor->item_ms};
    }
    struct series_items range = {.store = reading->store,
                                 .setup = &reading->setup,
                                 .level = cursor->level,
                                 .item_ms = cursor->item_ms,
                                 .start_ms = cursor->chunk_ms,
                                 .end_ms = end_ms,
                                 .lump_ms = lump_of(reading, cursor, end_ms),
                                 .part_ms = cursor->lump_ms,
                                 .fresh_ms = reading->to_ms - FRESH_MS,
                                 .items = cursor->items};
    int rc = 0;
    for (size_t i = 0; rc == 0 && i < reading->n_series; i++)
        rc = series_items_read(&range, reading->series[i], err);
    cursor->pane_found |= range.pane_found;
    reading->n_damaged += range.n_damaged;
    return rc;
}

/* The oldest item not taken yet; NULL in *out: none is left. */
static int peek(struct reading *reading, struct cursor *cursor, struct slide_item **out,
                struct err *err)
{
    *out = NULL;
    for (;;) {
        for (; cursor->position < CHUNK_ITEMS; cursor->position++) {
            if (cursor->items[cursor->position].states) {
                *out = &cursor->items[cursor->position];
                return 0;
            }
        }
        int rc = read_chunk(reading, cursor, err);
        if (rc)
            return rc == 1 ? 0 : rc;
    }
}

/* Moves one level's slide to the window [start, end); *partial: an item lies across its edge. */
static int advance(struct reading *reading, struct cursor *cursor, int64_t start_ms, int64_t end_ms,
                   bool *partial, struct err *err)
{
    struct slide_item *item;
    int rc;
    while ((rc = peek(reading, cursor, &item, err)) == 0 && item && item->end_ms <= end_ms) {
        struct slide_item taken = *item;
        item->states = NULL;
        if (taken.start_ms < start_ms) {
            states_free(taken.states);
            cursor->gone_ms = taken.end_ms;
        } else if (slide_push(&cursor->slide, taken) != 0) {
            return err_set(err, -ENOMEM, "series: no memory to merge panes");
        }
    }
    if (rc)
        return rc;
    *partial |= item && item->start_ms < end_ms;

    const struct slide *slide = &cursor->slide;
    while (slide->front.n + slide->back.n > 0) {
        const struct slide_item *oldest =
            slide->front.n ? &slide->front.items[slide->front.n - 1] : &slide->back.items[0];
        if (oldest->start_ms >= start_ms)
            break;
        cursor->gone_ms = oldest->end_ms;
        if (slide_drop_before(&cursor->slide, oldest->start_ms + 1) != 0)
            return err_set(err, -ENOMEM, "series: no memory to merge panes");
    }
    *partial |= cursor->gone_ms > start_ms;
    return 0;
}

/* One point from the slides: a single part is lent, several are merged into *own. */
static int make_point(struct reading *reading, struct series_point *point, struct states **own,
                      struct err *err)
{
    struct slide_item parts[2 * N_LEVELS];
    size_t n = 0;
    for (int level = 0; level < N_LEVELS; level++)
        n += slide_parts(&reading->cursors[level].slide, parts + n);
    point->states = n ? parts[0].states : NULL;
    for (size_t i = 0; i < n; i++)
        point->revision += parts[i].revision;
    if (n < 2)
        return 0;

    int rc = states_new(own, &reading->setup, err);
    if (rc)
        return rc;
    for (size_t i = 0; i < n; i++) {
        if (states_merge(*own, parts[i].states) != 0)
            return err_set(err, -ENOMEM, "series: no memory to merge panes");
    }
    point->states = *own;
    return 0;
}

static int walk(struct reading *reading,
                int (*give)(void *context, const struct series_point *point, struct err *err),
                void *context, struct series_points *about, struct err *err)
{
    for (int64_t start = reading->first_ms; start + reading->window_ms <= reading->to_ms;
         start += reading->step_ms) {
        struct series_point point = {.start_ms = start, .end_ms = start + reading->window_ms};
        AUTO(states) struct states *own = NULL;
        int rc = read_in_time(reading->store, err);
        for (int level = 0; !rc && level < N_LEVELS; level++)
            rc = advance(reading, &reading->cursors[level], start, point.end_ms, &point.partial,
                         err);
        if (!rc)
            rc = make_point(reading, &point, &own, err);
        point.n_damaged = reading->n_damaged;
        if (!rc)
            rc = give(context, &point, err);
        if (rc)
            return rc;
        about->n++;
    }
    about->coarsest_level_ms = level_lengths_ms[0];
    for (int level = 0; level < N_LEVELS; level++) {
        if (reading->cursors[level].pane_found)
            about->coarsest_level_ms = level_lengths_ms[level];
    }
    about->n_damaged = reading->n_damaged;
    return 0;
}

static int check_query(const struct series_query *query, struct err *err)
{
    int64_t minute = level_lengths_ms[0];
    if (query->step_ms <= 0 || query->step_ms % minute || query->window_ms % minute)
        return err_set(err, ERR_USAGE,
                       "window %" PRId64 " ms, step %" PRId64 " ms: both must be whole minutes",
                       query->window_ms, query->step_ms);
    if (query->window_ms < query->step_ms)
        return err_set(err, ERR_USAGE,
                       "step %" PRId64 " ms is longer than the window of %" PRId64 " ms",
                       query->step_ms, query->window_ms);
    if (query->window_ms / query->step_ms > SERIES_MAX_WINDOW_STEPS)
        return err_set(err, ERR_USAGE,
                       "a window of %" PRId64 " steps: at most %d; take a longer step",
                       query->window_ms / query->step_ms, SERIES_MAX_WINDOW_STEPS);
    if (query->from_ms > query->to_ms)
        return err_set(err, ERR_USAGE, "from %" PRId64 " is after to %" PRId64, query->from_ms,
                       query->to_ms);
    if (query->to_ms / minute > PANE_MAX_INDEX / 2)
        return err_set(err, ERR_USAGE, "to %" PRId64 " ms: not a time of this millennium",
                       query->to_ms);
    return 0;
}

static int prepare(struct reading *reading, const struct series_query *query, struct err *err)
{
    int64_t from_ms = query->from_ms > 0 ? query->from_ms : 0;
    int64_t to_ms = query->to_ms > from_ms ? query->to_ms : from_ms;
    int64_t block_ms = common_divisor(query->window_ms, query->step_ms);
    reading->window_ms = query->window_ms;
    reading->step_ms = query->step_ms;
    reading->first_ms = align_down(from_ms, query->step_ms);
    reading->to_ms = align_down(to_ms + query->step_ms - 1, query->step_ms);
    int64_t n = (reading->to_ms - reading->first_ms) / query->step_ms;
    if (n > SERIES_MAX_POINTS + query->window_ms / query->step_ms)
        return err_set(err, ERR_USAGE, "%" PRId64 " points: at most %d; take a longer step", n,
                       SERIES_MAX_POINTS);
    for (int level = 0; level < N_LEVELS; level++) {
        struct cursor *cursor = &reading->cursors[level];
        int64_t level_ms = level_lengths_ms[level];
        cursor->level = level;
        cursor->item_ms = block_ms % level_ms == 0 ? block_ms : level_ms;
        cursor->next_ms = align_down(reading->first_ms, cursor->item_ms);
        if (reading->to_ms - reading->first_ms == reading->window_ms && level == 0 &&
            cursor->item_ms == level_ms)
            cursor->lump_ms = LUMP_MS;
        cursor->position = CHUNK_ITEMS;
        slide_init(&cursor->slide);
    }
    return series_ids(reading->store, query, &reading->series, &reading->n_series, err);
}

static void reading_free(struct reading *reading)
{
    if (!reading)
        return;
    for (int level = 0; level < N_LEVELS; level++) {
        for (size_t i = 0; i < CHUNK_ITEMS; i++)
            states_free(reading->cursors[level].items[i].states);
        slide_finish(&reading->cursors[level].slide);
    }
    free(reading->series);
    free(reading);
}
DEFINE_FREEP(reading)

static int read_all(struct store *store, const struct series_query *query,
                    int (*point)(void *context, const struct series_point *point, struct err *err),
                    void *context, struct series_points *about, struct err *err)
{
    struct model_known model;
    int rc = model_read(store, query->model, &model, err);
    if (rc)
        return rc;
    about->setup = model.setup;
    model_finish(&model);
    rc = estimator_read(store, query->model, query->version, &about->estimator, err);
    if (rc)
        return rc;
    if (query->estimates && !about->estimator)
        rc = estimator_panes_read(store, query->model, query->from_ms, &about->estimator, err);
    if (rc)
        return rc;
    about->setup.estimator = about->estimator;

    AUTO(reading) struct reading *reading = calloc(1, sizeof(*reading));
    if (!reading)
        return err_set(err, -ENOMEM, "series: no memory");
    reading->store = store;
    reading->setup = about->setup;
    rc = prepare(reading, query, err);
    return rc ? rc : walk(reading, point, context, about, err);
}

static void drop_estimator(struct series_points *about)
{
    estimator_free(about->estimator);
    about->estimator = NULL;
    about->setup.estimator = NULL;
}

/* As series_each, but for the estimator, which the caller takes. */
static int each(struct store *store, const struct series_query *query,
                int (*point)(void *context, const struct series_point *point, struct err *err),
                void *context, struct series_points *about, struct err *err)
{
    *about = (struct series_points){0};
    int rc = check_query(query, err);
    if (!rc)
        rc = store_read_begin(store, err);
    if (rc)
        return rc;
    rc = read_all(store, query, point, context, about, err);
    store_read_end(store);
    return rc;
}

int series_each(struct store *store, const struct series_query *query,
                int (*point)(void *context, const struct series_point *point, struct err *err),
                void *context, struct series_points *about, struct err *err)
{
    int rc = each(store, query, point, context, about, err);
    drop_estimator(about);
    return rc;
}

int series_merge(void *context, const struct series_point *point, struct err *err)
{
    struct states **merged = context;
    if (!point->states)
        return 0;
    if (!*merged) {
        struct metric_setup setup = *states_setup(point->states);
        setup.estimator = NULL; /* the walk's, which ends before the states do */
        const int rc = states_new(merged, &setup, err);
        if (rc)
            return rc;
    }
    return states_merge(*merged, point->states)
               ? err_set(err, -ENOMEM, "series: no memory to merge panes")
               : 0;
}

static int keep_point(void *context, const struct series_point *point, struct err *err)
{
    struct series_points *out = (struct series_points *)context;
    if ((out->n & (out->n + 1)) == 0) { /* room is for 2^k - 1 points */
        struct series_point *more = realloc(out->points, (2 * out->n + 1) * sizeof(*out->points));
        if (!more)
            return err_set(err, -ENOMEM, "series: no memory for %zu points", out->n);
        out->points = more;
    }
    AUTO(states) struct states *copy = NULL;
    if (point->states) {
        int rc = states_new(&copy, states_setup(point->states), err);
        if (rc)
            return rc;
        if (states_merge(copy, point->states) != 0)
            return err_set(err, -ENOMEM, "series: no memory for %zu points", out->n);
    }
    out->points[out->n] = *point;
    out->points[out->n++].states = copy; /* the points own it now */
    copy = NULL;
    return 0;
}

int series_read(struct store *store, const struct series_query *query, struct series_points *out,
                struct err *err)
{
    struct series_points about;
    *out = (struct series_points){0};
    int rc = each(store, query, keep_point, out, &about, err);
    out->estimator = about.estimator;
    if (rc) {
        series_points_free(out);
        return rc;
    }
    out->setup = about.setup;
    out->coarsest_level_ms = about.coarsest_level_ms;
    out->n_damaged = about.n_damaged;
    return 0;
}

void series_points_free(struct series_points *points)
{
    /* series_each counts n and keeps no points. */
    for (size_t i = 0; points->points && i < points->n; i++)
        states_free(points->points[i].states);
    free(points->points);
    estimator_free(points->estimator);
    *points = (struct series_points){0};
}

int series_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                void **state, size_t *n, struct err *err)
{
    static const char sql[] = "SELECT hash, state FROM panes WHERE key = ?1";
    *state = NULL;
    *n = 0;
    if (!pane_valid(series_id, level_ms, start_ms))
        return SERIES_NONE;
    AUTO_RESET sqlite3_stmt *statement = NULL;
    int rc = statement_get(store, sql, &statement, err);
    if (rc)
        return rc;
    int64_t key = pane_key(series_id, level_of(level_ms), start_ms / level_ms);
    sqlite3_bind_int64(statement, 1, key);
    rc = sqlite3_step(statement);
    if (rc == SQLITE_DONE)
        return SERIES_NONE;
    if (rc != SQLITE_ROW)
        return store_fail(store, rc, err, "pane");
    const void *bytes = sqlite3_column_blob(statement, 1);
    *n = (size_t)sqlite3_column_bytes(statement, 1);
    if (row_hash(key, bytes ? bytes : "", (int64_t)*n) != sqlite3_column_int64(statement, 0))
        return SERIES_DAMAGED;
    *state = malloc(*n ? *n : 1);
    if (!*state)
        return err_set(err, -ENOMEM, "pane: no memory for %zu bytes", *n);
    if (*n)
        memcpy(*state, bytes, *n);
    return 0;
}

int series_complete(struct store *store, const char *model, int64_t *complete_up_to_ms,
                    int64_t *labels_complete_up_to_ms, struct err *err)
{
    char key[512];
    *complete_up_to_ms = -1;
    *labels_complete_up_to_ms = -1;
    int n = snprintf(key, sizeof(key), "labels_complete_ms/%s", model);
    if (n < 0 || (size_t)n >= sizeof(key))
        return err_set(err, ERR_NOT_FOUND, "no model \"%.60s…\": the name is too long", model);
    int rc = restore_fact(store, "watermark_ms", complete_up_to_ms, err);
    if (rc >= 0)
        rc = restore_fact(store, key, labels_complete_up_to_ms, err);
    return rc < 0 ? rc : 0;
}
