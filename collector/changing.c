#include "collector/changing.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/detecting.h"
#include "collector/waiting_bytes.h"
#include "storage/change_points.h"

enum {
    MAX_STATE_BYTES = 1 << 16,
    MAX_WAITING_BYTES = 1 << 30
};

struct changing {
    struct watched_streams streams;
    struct detecting detecting;
    struct store *store;
    const struct config *config;
    bool active;
    struct waiting_saved stored; /* what the database holds of what waits … */
    uint64_t stored_turn;        /* … of the detectors' turn */
    bool is_restored;            /* by the numbers of another process */
};

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "collector: no memory for what detectors of changes wait for");
}

/* --- events --- */

/* Which of the places among equals an event gets. */
static unsigned tie_of(uint64_t hash)
{
    return (unsigned)(hash * UINT64_C(0x9e3779b97f4a7c15) >> 56) % MEAN_TIES;
}

static void take_metric(struct waiting_events *waiting, const struct watched_stream *stream,
                        double value, uint64_t hash)
{
    if (isnan(value))
        return;
    if (stream->is_mean)
        waiting_add(waiting, stream->number, tie_of(hash), value);
    else
        waiting_add(waiting, stream->number, value != 0, 0);
}

/* What the event says of the metrics that are known with its prediction, or with its label. */
static void take_metrics(struct waiting_events *waiting, const struct watched *watched,
                         const struct metric_setup *setup, const struct sample *sample,
                         bool of_labels, uint64_t hash)
{
    for (int i = 0; i < N_WATCHED_METRICS; i++) {
        const struct watched_metric *metric = &watched_metrics[i];
        if (watched->metrics[i] && metric->of_labels == of_labels)
            take_metric(waiting, watched->metrics[i], metric->value(setup, sample), hash);
    }
}

/* False: a feature's stream was not asked for yet. One that has another type than the reference's
   says nothing. */
static bool take_features(struct waiting_events *waiting, const struct watched *watched,
                          const struct profile_item *items, size_t n_items)
{
    static const uint8_t values_of[] = {[VALUE_NUMBER] = WATCHED_NUMBERS,
                                        [VALUE_ARRAY] = WATCHED_NUMBERS,
                                        [VALUE_TEXT] = WATCHED_CATEGORIES,
                                        [VALUE_BOOL] = WATCHED_CATEGORIES,
                                        [VALUE_INVALID] = WATCHED_UNASKED};
    struct waiting_item *to = waiting->items + waiting->n_items;
    for (size_t i = 0; i < n_items; i++) {
        const struct profile_item *item = &items[i];
        const struct watched_slot slot = watched_slot(watched, item->slot);
        if (slot.values == WATCHED_UNASKED)
            return false;
        if (slot.values != values_of[item->kind])
            continue;
        *to++ = slot.values == WATCHED_NUMBERS ? waiting_number(slot.stream, item->number)
                                               : waiting_category(slot.stream, item->category);
    }
    waiting->n_items = (size_t)(to - waiting->items);
    return true;
}

/* Even in [0, 1), another for each event. */
static double even_of(uint64_t hash)
{
    return (double)(hash * UINT64_C(0xd6e8feb86659fd93) >> 40) * 0x1p-24;
}

/* As take_features, in a slice: each has its place already. */
static bool take_learned(struct waiting_events *waiting, const struct watched *watched,
                         const struct profile_item *items, size_t n_items, uint64_t hash)
{
    for (size_t i = 0; i < n_items; i++) {
        const struct profile_item *item = &items[i];
        const struct watched_slot slot = watched_slot(watched, item->slot);
        const bool number = item->kind == VALUE_NUMBER || item->kind == VALUE_ARRAY;
        if (slot.values == WATCHED_NONE || item->kind == VALUE_INVALID)
            continue;
        if (slot.values == WATCHED_UNASKED)
            return false;
        if (number && slot.values == WATCHED_NUMBERS)
            waiting_add(waiting, slot.stream, tie_of(hash), item->number);
        else if (!number && slot.values == WATCHED_CATEGORIES)
            waiting_add(waiting, slot.stream, change_mix_place(item->category),
                        even_of(hash ^ item->category));
    }
    return true;
}

/* The whole, and where slices are watched those of the event. */
static uint32_t n_series(const struct fold_target *target)
{
    const struct config_model *config = target->series[0]->version->model->config;
    return config->changes.n_segments ? target->n : 1;
}

/* What is told of a prediction. */
struct told {
    const struct event *event;
    const struct sample *sample;
    const struct profile_item *items;
    size_t n_items;
    uint64_t hash; /* of its id */
};

/* 1: a feature's stream was not asked for yet, and nothing waits. */
static int take_row(struct changing *changing, const struct watched *watched,
                    const struct told *told, struct err *err)
{
    struct waiting_events *waiting = detecting_waiting(&changing->detecting);
    const struct metric_setup *setup = &watched->series->version->model->setup;
    int rc = waiting_begin(waiting, told->sample->ts_ms, told->hash,
                           N_WATCHED_METRICS + watched->n_outcomes + told->n_items, err);
    if (rc)
        return rc;
    take_metrics(waiting, watched, setup, told->sample, false, told->hash);
    for (size_t i = 0; i < watched->n_outcomes; i++)
        if (watched->outcomes[i].stream->of_outcomes)
            take_metric(waiting, watched->outcomes[i].stream, 0, told->hash);
    if (watched->features && !take_features(waiting, watched, told->items, told->n_items)) {
        waiting_undo(waiting);
        return 1;
    }
    if (watched->learns_features &&
        !take_learned(waiting, watched, told->items, told->n_items, told->hash)) {
        waiting_undo(waiting);
        return 1;
    }
    waiting_end(waiting);
    return 0;
}

static int take_prediction(struct changing *changing, struct watched *watched,
                           const struct told *told, struct err *err)
{
    int rc = take_row(changing, watched, told, err);
    if (rc <= 0)
        return rc;
    rc =
        watched_features(&changing->streams, watched, told->event, told->items, told->n_items, err);
    return rc ? rc : take_row(changing, watched, told, err);
}

int changing_prediction(struct changing *changing, const struct fold_target *target,
                        const struct event *event, const struct sample *sample,
                        const struct profile_item *items, size_t n_items, struct err *err)
{
    const struct told told = {event, sample, items, n_items,
                              class_id(event->id.data, event->id.size)};
    int rc = 0;
    for (uint32_t k = 0; !rc && k < n_series(target); k++) {
        struct watched *watched;
        rc = watched_of(&changing->streams, target->series[k], &watched, err);
        if (!rc)
            rc = take_prediction(changing, watched, &told, err);
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
        struct waiting_events *waiting = detecting_waiting(&changing->detecting);
        if (!rc)
            rc = waiting_begin(waiting, sample->ts_ms, hash, N_WATCHED_METRICS, err);
        if (rc)
            return rc;
        take_metrics(waiting, watched, setup, sample, true, hash);
        waiting_end(waiting);
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
        struct waiting_events *waiting = detecting_waiting(&changing->detecting);
        if (!rc)
            rc = waiting_begin(waiting, ts_ms, hash, watched->n_outcomes, err);
        if (rc)
            return rc;
        for (size_t i = 0; i < watched->n_outcomes; i++) {
            const struct watched_outcome *outcome = &watched->outcomes[i];
            if (outcome->name_id == name_id && (value != 0 || outcome->stream->is_mean))
                take_metric(waiting, outcome->stream, value, hash);
        }
        waiting_end(waiting);
    }
    return rc;
}

/* --- the look --- */

int changing_look(struct changing *changing, int64_t look_ms, struct err *err)
{
    return detecting_look(&changing->detecting, look_ms, err);
}

static int settle(void *context, struct err *err)
{
    return detecting_settle(context, err);
}

int changing_settle(struct changing *changing, struct err *err)
{
    return detecting_settle(&changing->detecting, err);
}

void changing_references_changed(struct changing *changing)
{
    detecting_references_changed(&changing->detecting);
}

int changing_forget(struct changing *changing, const char *model, struct err *err)
{
    return detecting_forget(&changing->detecting, model, err);
}

bool changing_waits(const struct changing *changing)
{
    return detecting_waiting(&changing->detecting)->n_rows > 0;
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

/* What is stored is none of what waits now. */
static bool is_stale(const struct changing *changing)
{
    return changing->stored.n_rows && changing->stored_turn != changing->detecting.turn;
}

static bool is_written_anew(const struct changing *changing)
{
    return is_stale(changing) || changing->is_restored;
}

/* What the next piece goes on from. */
static struct waiting_saved saved_of(const struct changing *changing)
{
    return is_written_anew(changing) ? (struct waiting_saved){0} : changing->stored;
}

static int write_waiting(struct changing *changing, struct buf *bytes, struct err *err)
{
    const struct waiting_events *waiting = detecting_waiting(&changing->detecting);
    const struct waiting_saved saved = saved_of(changing);
    const int rc = is_written_anew(changing) ? commit_change_waiting_none(changing->store, err) : 0;
    if (rc || waiting->n_rows == saved.n_rows)
        return rc;
    buf_clear(bytes);
    waiting_save(waiting, &changing->streams, &saved, bytes);
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

/* What was compared with: the reference of then, or what was learned. */
static struct change_reference compared_with(const struct found *found)
{
    const struct change_learned *learned = &found->change.learned;
    if (learned->n == 0)
        return found->reference;
    return (struct change_reference){.source = REFERENCE_LEARNED,
                                     .n = (int64_t)learned->n,
                                     .from_ms = learned->from_ms,
                                     .to_ms = learned->to_ms};
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
    struct detecting *const detecting = &changing->detecting;
    int rc = detecting_settle(detecting, err);
    if (!rc && detecting->n_found)
        qsort(detecting->found, detecting->n_found, sizeof(*detecting->found), by_look_and_stream);
    for (size_t i = 0; !rc && i < detecting->n_found; i++) {
        const struct found *found = &detecting->found[i];
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
            .reference = compared_with(found),
        };
        rc = commit_change_point(changing->store, &row,
                                 row.at_ms - changing->config->retention_ms[2], err);
    }
    return rc;
}

bool changing_has_news(const struct changing *changing)
{
    return detecting_is_behind(&changing->detecting) || changing->detecting.n_found > 0;
}

void changing_found_written(struct changing *changing)
{
    changing->detecting.n_found = 0;
}

bool changing_is_dirty(const struct changing *changing)
{
    const bool is_empty = detecting_waiting(&changing->detecting)->n_rows == 0;
    bool dirty = changing_has_news(changing) || is_stale(changing) ||
                 (changing->is_restored && is_empty); /* bytes that none needs go */
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
    const size_t n_rows = detecting_waiting(&changing->detecting)->n_rows;
    const struct waiting_saved saved = saved_of(changing);
    /* without a piece, streams that came meanwhile are named by the next one */
    changing->stored =
        n_rows > saved.n_rows ? (struct waiting_saved){n_rows, changing->streams.n} : saved;
    changing->stored_turn = changing->detecting.turn;
    changing->is_restored = false;
    for (size_t i = 0; i < changing->streams.n; i++)
        changing->streams.streams[i]->dirty = false;
}

static int load_piece(void *context, const void *bytes, size_t n, struct err *err)
{
    return waiting_load(context, bytes, n, err);
}

/* The next commit writes them anew, by the numbers that streams have now. */
static int load_waiting(struct changing *changing, struct models *models, struct err *err)
{
    struct waiting_events *const waiting = detecting_waiting(&changing->detecting);
    struct waiting_loading loading = {
        .waiting = waiting, .watched = &changing->streams, .models = models};
    const int rc = change_waiting_each(changing->store, load_piece, &loading, err);
    waiting_loading_finish(&loading);
    changing->is_restored = loading.n_streams > 0;
    changing->stored = (struct waiting_saved){waiting->n_rows, changing->streams.n};
    return rc;
}

int changing_new(struct changing **out, struct models *models, struct store *store, struct err *err)
{
    struct changing *changing = calloc(1, sizeof(*changing));
    int rc =
        changing ? detecting_init(&changing->detecting, &changing->streams, err) : no_memory(err);
    if (rc) {
        free(changing);
        return rc;
    }
    changing->store = store;
    watched_streams_init(&changing->streams, store, settle, &changing->detecting);
    changing_configure(changing, models->config);
    *out = changing; /* the caller owns it now, also when what waits cannot be read */
    return load_waiting(changing, models, err);
}

void changing_free(struct changing *changing)
{
    if (!changing)
        return;
    detecting_finish(&changing->detecting);
    watched_streams_finish(&changing->streams);
    free(changing);
}

void changing_configure(struct changing *changing, const struct config *config)
{
    changing->config = config;
    changing->active = false;
    for (size_t i = 0; i < config->n_models; i++)
        changing->active |= config->models[i].changes.expected_run_time > 0;
    if (!changing->active)
        detecting_drop(&changing->detecting);
}

bool changing_active(const struct changing *changing)
{
    return changing->active;
}
