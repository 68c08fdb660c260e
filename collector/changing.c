#include "collector/changing.h"

#include <errno.h>
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/changing_streams.h"
#include "collector/waiting_bytes.h"
#include "storage/change_points.h"

enum {
    MAX_STATE_BYTES = 1 << 16,
    MAX_WAITING_BYTES = 1 << 30
};

struct found {
    const struct watched_stream *stream;
    int64_t at_ms;
    struct change_found change;
};

struct changing {
    struct watched_streams streams;
    struct store *store;
    const struct config *config;
    bool active;
    struct waiting_events waiting;
    size_t n_stored;   /* rows of them in the database */
    int64_t looked_ms; /* the last look; 0: none yet */
    struct found *found;
    size_t n_found, found_capacity;
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "collector: no memory for what detectors of changes wait for");
}

/* What a float can hold. */
static double within_float(double value)
{
    const double most = FLT_MAX;
    return value > most ? most : value > -most ? value : -most;
}

/* --- events --- */

/* Which of the places among equals an event gets. */
static unsigned tie_of(uint64_t hash)
{
    return (unsigned)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 56) % MEAN_TIES;
}

static void take_metric(struct changing *changing, const struct watched_stream *stream,
                        double value, uint64_t hash)
{
    if (isnan(value))
        return;
    if (stream->is_mean)
        waiting_add(&changing->waiting, stream->number, tie_of(hash), within_float(value));
    else
        waiting_add(&changing->waiting, stream->number, value != 0, 0);
}

/* What the event says of the metrics that are known with its prediction, or with its label. */
static void take_metrics(struct changing *changing, const struct watched *watched,
                         const struct metric_setup *setup, const struct sample *sample,
                         bool of_labels, uint64_t hash)
{
    for (int i = 0; i < N_WATCHED_METRICS; i++) {
        const struct watched_metric *metric = &watched_metrics[i];
        if (watched->metrics[i] && metric->of_labels == of_labels)
            take_metric(changing, watched->metrics[i], metric->value(setup, sample), hash);
    }
}

static void take_category(struct changing *changing, const struct watched_stream *stream,
                          uint64_t category, uint64_t hash)
{
    const struct reference_feature *feature = stream->feature;
    const unsigned place =
        stream->state.method == CHANGE_BY_RATE
            ? category == stream->one
            : change_shape_bin_category(feature, category, hash ^ feature->name_id);
    waiting_add(&changing->waiting, stream->number, place, 0);
}

static void take_number(struct changing *changing, const struct watched_stream *stream,
                        double number, uint64_t hash)
{
    const struct reference_feature *feature = stream->feature;
    waiting_add(&changing->waiting, stream->number,
                change_shape_bin(feature, number, hash ^ feature->name_id), within_float(number));
}

static void take_feature(struct changing *changing, const struct watched_stream *stream,
                         const struct profile_item *item, uint64_t hash)
{
    if (!stream->feature || stream->state.method == CHANGE_NOT_WATCHED)
        return;
    const bool number = item->kind == VALUE_NUMBER || item->kind == VALUE_ARRAY;
    const bool category = item->kind == VALUE_TEXT || item->kind == VALUE_BOOL;
    const bool wants_category = stream->feature->kind == PROFILE_CATEGORICAL;
    if (category && wants_category)
        take_category(changing, stream, item->category, hash);
    if (number && !wants_category)
        take_number(changing, stream, item->number, hash);
    /* else no value, or of another type than the reference's */
}

static int take_features(struct changing *changing, struct watched *watched,
                         const struct event *event, const struct profile_item *items,
                         size_t n_items, uint64_t hash, struct err *err)
{
    for (size_t i = 0; i < n_items; i++) {
        struct watched_stream *stream;
        int rc = watched_feature(&changing->streams, watched, items[i].slot, event, &stream, err);
        if (rc)
            return rc;
        if (stream)
            take_feature(changing, stream, &items[i], hash);
    }
    return 0;
}

/* The whole, and where slices are watched those of the event. */
static uint32_t n_series(const struct fold_target *target)
{
    const struct config_model *config = target->series[0]->version->model->config;
    return config->changes.n_segments ? target->n : 1;
}

static int take_prediction(struct changing *changing, struct watched *watched,
                           const struct event *event, const struct sample *sample,
                           const struct profile_item *items, size_t n_items, struct err *err)
{
    const struct metric_setup *setup = &watched->series->version->model->setup;
    const uint64_t hash = class_id(event->id.data, event->id.size);
    int rc = waiting_begin(&changing->waiting, sample->ts_ms, hash,
                           N_WATCHED_METRICS + watched->n_outcomes + n_items, err);
    if (rc)
        return rc;
    take_metrics(changing, watched, setup, sample, false, hash);
    for (size_t i = 0; i < watched->n_outcomes; i++)
        if (watched->outcomes[i].stream->of_outcomes)
            take_metric(changing, watched->outcomes[i].stream, 0, hash);
    if (watched->features)
        rc = take_features(changing, watched, event, items, n_items, hash, err);
    waiting_end(&changing->waiting);
    return rc;
}

int changing_prediction(struct changing *changing, const struct fold_target *target,
                        const struct event *event, const struct sample *sample,
                        const struct profile_item *items, size_t n_items, struct err *err)
{
    int rc = 0;
    for (uint32_t k = 0; !rc && k < n_series(target); k++) {
        struct watched *watched;
        rc = watched_of(&changing->streams, target->series[k], &watched, err);
        if (!rc)
            rc = take_prediction(changing, watched, event, sample, items, n_items, err);
    }
    return rc;
}

int changing_label(struct changing *changing, const struct fold_target *target, struct view id,
                   const struct sample *sample, struct err *err)
{
    const struct metric_setup *setup = &target->series[0]->version->model->setup;
    const uint64_t hash = class_id(id.data, id.size);
    int rc = 0;
    for (uint32_t k = 0; !rc && k < n_series(target); k++) {
        struct watched *watched;
        rc = watched_of(&changing->streams, target->series[k], &watched, err);
        if (!rc)
            rc = waiting_begin(&changing->waiting, sample->ts_ms, hash, N_WATCHED_METRICS, err);
        if (rc)
            return rc;
        take_metrics(changing, watched, setup, sample, true, hash);
        waiting_end(&changing->waiting);
    }
    return rc;
}

int changing_outcome(struct changing *changing, const struct fold_target *target, struct view id,
                     int64_t ts_ms, struct view name, double value, struct err *err)
{
    const uint64_t name_id = class_id(name.data, name.size), hash = class_id(id.data, id.size);
    int rc = 0;
    for (uint32_t k = 0; !rc && k < n_series(target); k++) {
        struct watched *watched;
        rc = watched_of(&changing->streams, target->series[k], &watched, err);
        if (!rc)
            rc = waiting_begin(&changing->waiting, ts_ms, hash, watched->n_outcomes, err);
        if (rc)
            return rc;
        for (size_t i = 0; i < watched->n_outcomes; i++) {
            const struct watched_outcome *outcome = &watched->outcomes[i];
            if (outcome->name_id == name_id && (value != 0 || outcome->stream->is_mean))
                take_metric(changing, outcome->stream, value, hash);
        }
        waiting_end(&changing->waiting);
    }
    return rc;
}

/* --- the look --- */

static int keep_found(struct changing *changing, const struct watched_stream *stream,
                      int64_t look_ms, const struct change_found *change, struct err *err)
{
    if (changing->n_found == changing->found_capacity) {
        size_t capacity = changing->found_capacity ? changing->found_capacity * 2 : 16;
        struct found *more = realloc(changing->found, capacity * sizeof(*more));
        if (!more)
            return no_memory(err);
        changing->found = more;
        changing->found_capacity = capacity;
    }
    changing->found[changing->n_found++] = (struct found){stream, look_ms, *change};
    return 0;
}

static int take_row(struct changing *changing, const struct waiting_row *row, int64_t look_ms,
                    struct err *err)
{
    const int64_t ts_ms = waiting_ts_ms(row);
    const struct waiting_item *const items = changing->waiting.items + row->first;
    for (uint32_t i = 0; i < row->n; i++) {
        struct watched_stream *stream = changing->streams.streams[items[i].stream];
        struct change_found change;
        stream->dirty = true;
        int rc = change_stream_update(&stream->state, ts_ms, items[i].place, (double)items[i].value,
                                      &change, err);
        if (rc == 1)
            rc = keep_found(changing, stream, look_ms, &change, err);
        if (rc < 0)
            return rc;
    }
    return 0;
}

int changing_look(struct changing *changing, int64_t look_ms, struct err *err)
{
    int rc = waiting_order(&changing->waiting, changing->looked_ms, err);
    for (size_t i = 0; !rc && i < changing->waiting.n_rows; i++)
        rc = take_row(changing, &changing->waiting.rows[i], look_ms, err);
    waiting_clear(&changing->waiting);
    changing->looked_ms = look_ms;
    return rc;
}

void changing_forget(struct changing *changing, const char *model)
{
    struct waiting_events *waiting = &changing->waiting;
    size_t n = 0;
    for (size_t i = 0; i < waiting->n_rows; i++) { /* a row is of one model's event */
        const struct waiting_item *first = &waiting->items[waiting->rows[i].first];
        if (strcmp(watched_key(changing->streams.streams[first->stream]).model, model) != 0)
            waiting->rows[n++] = waiting->rows[i];
    }
    waiting->n_rows = n;
}

bool changing_waits(const struct changing *changing)
{
    return changing->waiting.n_rows > 0;
}

/* --- storage --- */

static int write_states(struct changing *changing, struct buf *bytes, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < changing->streams.n; i++) {
        const struct watched_stream *stream = changing->streams.streams[i];
        if (!stream->dirty)
            continue;
        const struct change_key key = watched_key(stream);
        buf_clear(bytes);
        change_stream_save(&stream->state, bytes);
        rc = buf_failed(bytes)
                 ? no_memory(err)
                 : commit_change_detector(changing->store, &key, bytes->data, bytes->size, err);
    }
    return rc;
}

static int write_waiting(struct changing *changing, struct buf *bytes, struct err *err)
{
    if (changing->waiting.n_rows == 0 && changing->n_stored == 0)
        return 0;
    buf_clear(bytes);
    if (changing->waiting.n_rows)
        waiting_save(&changing->waiting, &changing->streams, bytes);
    return buf_failed(bytes)
               ? no_memory(err)
               : commit_change_waiting(changing->store, bytes->data, bytes->size, err);
}

static double rate_of(const struct watched_stream *stream, double mean)
{
    if (!stream->of_outcomes)
        return mean;
    return mean < 1 ? mean / (1 - mean) : (double)NAN;
}

static int by_time(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int by_look_and_stream(const void *a, const void *b)
{
    const struct found *one = a, *other = b;
    const struct change_key x = watched_key(one->stream), y = watched_key(other->stream);
    int order = by_time(one->at_ms, other->at_ms);
    order = order ? order : strcmp(x.model, y.model);
    order = order ? order : strcmp(x.version, y.version);
    order = order ? order : strcmp(x.slice, y.slice);
    order = order ? order : strcmp(x.kind, y.kind);
    order = order ? order : strcmp(x.name, y.name);
    return order ? order : by_time(one->change.began_ms, other->change.began_ms);
}

/* Numbers of streams depend on which event came first; the order of rows must not. */
int changing_write_found(struct changing *changing, struct err *err)
{
    static const char *const directions[] = {"", "up", "down", "shape"};
    int rc = 0;
    if (changing->n_found)
        qsort(changing->found, changing->n_found, sizeof(*changing->found), by_look_and_stream);
    for (size_t i = 0; !rc && i < changing->n_found; i++) {
        const struct found *found = &changing->found[i];
        const struct change_found *change = &found->change;
        const struct change_row row = {
            .key = watched_key(found->stream),
            .at_ms = found->at_ms,
            .began_ms = change->began_ms,
            .direction = directions[change->direction],
            .mean_before = rate_of(found->stream, change->before),
            .mean_after = rate_of(found->stream, change->after),
            .run = (int64_t)change->run,
            .n_after = (int64_t)change->n_after,
            .expected = found->stream->state.expected,
            .statistic = change->statistic,
            .threshold = change->limit,
        };
        rc = commit_change_point(changing->store, &row,
                                 row.at_ms - changing->config->retention_ms[2], err);
    }
    return rc;
}

bool changing_has_found(const struct changing *changing)
{
    return changing->n_found > 0;
}

void changing_found_written(struct changing *changing)
{
    changing->n_found = 0;
}

bool changing_is_dirty(const struct changing *changing)
{
    bool dirty = changing_has_found(changing) || changing->waiting.n_rows < changing->n_stored;
    for (size_t i = 0; !dirty && i < changing->streams.n; i++)
        dirty = changing->streams.streams[i]->dirty;
    return dirty;
}

int changing_write(struct changing *changing, struct err *err)
{
    struct buf bytes;
    buf_init(&bytes, MAX_STATE_BYTES);
    int rc = write_states(changing, &bytes, err);
    buf_finish(&bytes);
    buf_init(&bytes, MAX_WAITING_BYTES);
    if (!rc)
        rc = write_waiting(changing, &bytes, err);
    buf_finish(&bytes);
    return rc;
}

void changing_written(struct changing *changing)
{
    changing->n_stored = changing->waiting.n_rows;
    for (size_t i = 0; i < changing->streams.n; i++)
        changing->streams.streams[i]->dirty = false;
}

static int load_waiting(struct changing *changing, struct models *models, struct err *err)
{
    AUTO_FREE void *bytes = NULL;
    size_t n;
    int rc = change_waiting_read(changing->store, &bytes, &n, err);
    if (rc || !bytes)
        return rc;
    rc = waiting_load(&changing->waiting, &changing->streams, models, bytes, n, err);
    changing->n_stored =
        changing->waiting.n_rows ? changing->waiting.n_rows : 1; /* bytes that none needs go */
    return rc;
}

int changing_new(struct changing **out, struct models *models, struct store *store, struct err *err)
{
    struct changing *changing = calloc(1, sizeof(*changing));
    if (!changing)
        return no_memory(err);
    changing->store = store;
    watched_streams_init(&changing->streams, store);
    changing_configure(changing, models->config);
    *out = changing; /* the caller owns it now, also when what waits cannot be read */
    return load_waiting(changing, models, err);
}

void changing_free(struct changing *changing)
{
    if (!changing)
        return;
    watched_streams_finish(&changing->streams);
    waiting_finish(&changing->waiting);
    free(changing->found);
    free(changing);
}

void changing_configure(struct changing *changing, const struct config *config)
{
    changing->config = config;
    changing->active = false;
    for (size_t i = 0; i < config->n_models; i++)
        changing->active |= config->models[i].changes.expected_run_time > 0;
    if (!changing->active)
        waiting_clear(&changing->waiting);
}

bool changing_active(const struct changing *changing)
{
    return changing->active;
}
