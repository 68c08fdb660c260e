#include "collector/changing_streams.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/grow.h"

static const char METRIC[] = "metric";
static const char FEATURE[] = "feature";

void watched_streams_init(struct watched_streams *streams, struct store *store,
                          int (*settle)(void *context, struct err *err), void *context)
{
    *streams = (struct watched_streams){.store = store, .settle = settle, .context = context};
}

static void watched_finish(struct watched *watched)
{
    free(watched->outcomes);
    free(watched->slots);
    *watched = (struct watched){0};
}

void watched_streams_finish(struct watched_streams *streams)
{
    for (size_t i = 0; i < streams->n_series; i++)
        watched_finish(&streams->series[i]);
    for (size_t i = 0; i < streams->n; i++) {
        change_stream_finish(&streams->streams[i]->state);
        free(streams->streams[i]->name);
        free(streams->streams[i]);
    }
    id_set_finish(&streams->by_key);
    free(streams->streams);
    free(streams->series);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "collector: no memory for detectors of changes");
}

/* --- one stream --- */

static int fresh(struct watched_stream *stream, double expected, uint64_t reference,
                 struct err *err)
{
    change_stream_finish(&stream->state);
    if (stream->is_mix)
        return change_stream_mix(&stream->state, expected, err);
    if (stream->kind == FEATURE && !stream->is_mean)
        return change_stream_feature(&stream->state, expected, reference, stream->feature, err);
    if (stream->is_mean)
        change_stream_mean(&stream->state, expected);
    else
        change_stream_rate(&stream->state, expected);
    return 0;
}

static int stored(struct watched_streams *streams, struct watched_stream *stream, struct err *err)
{
    AUTO_FREE void *bytes = NULL;
    size_t n;
    const struct change_key key = watched_key(stream);
    int rc = change_detector_read(streams->store, &key, &bytes, &n, err);
    if (rc || !bytes)
        return rc;
    struct reader in = reader_of(bytes, n);
    return change_stream_load(&stream->state, &in, err);
}

static int stream_room(struct watched_streams *streams, struct err *err)
{
    if (streams->n < streams->capacity)
        return 0;
    int rc = streams->settle(streams->context, err);
    if (rc)
        return rc;
    size_t capacity = streams->capacity ? streams->capacity * 2 : 64;
    struct watched_stream **more =
        realloc(streams->streams, capacity * sizeof(struct watched_stream *));
    if (!more)
        return no_memory(err);
    streams->streams = more;
    streams->capacity = capacity;
    return 0;
}

static int add(struct watched_streams *streams, struct series *series, const char *kind,
               struct view name, uint64_t hash, struct watched_stream **out, struct err *err)
{
    int rc = stream_room(streams, err);
    if (rc)
        return rc;
    struct watched_stream *stream = calloc(1, sizeof(*stream));
    char *copy = strndup(name.data, name.size);
    rc = stream && copy ? id_set_put(&streams->by_key, hash, (uint32_t)streams->n, err)
                        : no_memory(err);
    if (rc) {
        free(stream);
        free(copy);
        return rc;
    }
    stream->series = series;
    stream->kind = kind;
    stream->name = copy;
    stream->number = (uint32_t)streams->n;
    streams->streams[streams->n++] = stream;
    *out = stream;
    return stored(streams, stream, err);
}

/* What a stream is to be watched as. */
struct wish {
    const char *kind;
    struct view name;
    bool is_mean, is_mix;
    const struct reference_feature *feature;
};

static struct change_reference reference_of(const struct profiling *profiling)
{
    const struct reference *reference = profiling->reference;
    struct change_reference out = {.n = (int64_t)reference->events,
                                   .created_ms = profiling->origin.created_ms};
    snprintf(out.source, sizeof(out.source), "%s", profiling->origin.source);
    snprintf(out.id, sizeof(out.id), "%016" PRIx64, reference->id);
    return out;
}

static bool is_learned(const struct wish *wish)
{
    return wish->is_mean || wish->is_mix;
}

/* Is its state that of what is wished? */
static bool fits(const struct watched_stream *stream, const struct wish *wish, double expected,
                 uint64_t reference)
{
    const struct change_stream *state = &stream->state;
    return state->expected == expected && state->reference == reference &&
           ((wish->kind == FEATURE && !is_learned(wish)) ||
            ((state->method == CHANGE_BY_MEAN) == wish->is_mean &&
             (state->method == CHANGE_BY_MIX) == wish->is_mix));
}

/* The stream as it is to be watched now: as it stands, as it is stored, or from its start. */
static int stream_of(struct watched_streams *streams, struct watched *watched,
                     const struct wish *wish, struct watched_stream **out, struct err *err)
{
    char key[64 + WATCHED_MAX_NAME];
    int n = snprintf(key, sizeof(key), "%u/%s/%.*s", watched->series->number, wish->kind,
                     (int)wish->name.size, wish->name.data);
    uint64_t hash = class_id(key, (size_t)n < sizeof(key) ? (size_t)n : sizeof(key) - 1);
    uint32_t at = id_set_find(&streams->by_key, hash);
    int rc = at == ID_NONE ? add(streams, watched->series, wish->kind, wish->name, hash, out, err)
                           : streams->settle(streams->context, err);
    if (rc)
        return rc;
    if (at != ID_NONE)
        *out = streams->streams[at];
    struct watched_stream *stream = *out;
    double expected = (double)watched->config->changes.expected_run_time;
    uint64_t reference = wish->kind == FEATURE && !is_learned(wish) ? watched->reference : 0;
    stream->feature = wish->feature;
    stream->is_mean = wish->is_mean;
    stream->is_mix = wish->is_mix;
    if (wish->feature)
        stream->reference = reference_of(&watched->series->version->model->profiling);
    if (wish->feature && wish->feature->n_categories == 2)
        stream->one = wish->feature->categories[change_stream_one(wish->feature)].id;
    if (fits(stream, wish, expected, reference))
        return 0;
    stream->dirty = true;
    return fresh(stream, expected, reference, err);
}

/* --- of a series --- */

static bool is_named(const struct config_changes *changes, const char *metric)
{
    for (size_t i = 0; i < changes->n_metrics; i++)
        if (strcmp(changes->metrics[i], metric) == 0)
            return true;
    return false;
}

static bool is_wanted(const struct config_changes *changes, const char *metric)
{
    return changes->n_metrics == 0 || is_named(changes, metric);
}

static int add_metrics(struct watched_streams *streams, struct watched *watched, struct err *err)
{
    const struct config_changes *changes = &watched->config->changes;
    const unsigned task = 1u << watched->series->version->model->setup.task;
    int rc = 0;
    for (int i = 0; !rc && i < N_WATCHED_METRICS; i++) {
        const struct watched_metric *metric = &watched_metrics[i];
        const struct wish wish = {
            .kind = METRIC, .name = view_of(metric->name), .is_mean = metric->is_mean};
        bool wanted = metric->only_if_named ? is_named(changes, metric->name)
                                            : is_wanted(changes, metric->name);
        if (wanted && metric->tasks & task)
            rc = stream_of(streams, watched, &wish, &watched->metrics[i], err);
    }
    return rc;
}

static int add_outcome(struct watched_streams *streams, struct watched *watched, const char *metric,
                       struct view outcome, bool is_mean, struct err *err)
{
    struct watched_outcome *more =
        realloc(watched->outcomes, (watched->n_outcomes + 1) * sizeof(*more));
    if (!more)
        return no_memory(err);
    watched->outcomes = more;
    const struct wish wish = {.kind = METRIC, .name = view_of(metric), .is_mean = is_mean};
    struct watched_stream *stream = NULL;
    int rc = stream_of(streams, watched, &wish, &stream, err);
    if (rc)
        return rc;
    stream->of_outcomes = !is_mean;
    more[watched->n_outcomes++] =
        (struct watched_outcome){class_id(outcome.data, outcome.size), stream};
    return 0;
}

/* `outcome_rate{name="x"}`, where `before` is what stands before the x; else nothing is added. */
static int add_named(struct watched_streams *streams, struct watched *watched, const char *metric,
                     const char *before, bool is_mean, struct err *err)
{
    const size_t n = strlen(metric), head = strlen(before);
    if (strncmp(metric, before, head) != 0 || n < head + 3)
        return 0;
    return add_outcome(streams, watched, metric, (struct view){metric + head, n - head - 2},
                       is_mean, err);
}

/* The model's own, and those of outcomes where they are named. */
static int add_outcomes(struct watched_streams *streams, struct watched *watched, struct err *err)
{
    const struct config_model *config = watched->config;
    int rc = 0;
    for (size_t i = 0; !rc && i < config->n_metrics; i++) {
        const struct config_metric *metric = &config->metrics[i];
        bool is_mean = metric->outcome && strcmp(metric->agg, "mean") == 0;
        if (metric->outcome && (is_mean || strcmp(metric->agg, "rate") == 0) &&
            strcmp(metric->per, "prediction") == 0 && is_wanted(&config->changes, metric->name))
            rc =
                add_outcome(streams, watched, metric->name, view_of(metric->outcome), is_mean, err);
    }
    for (size_t i = 0; !rc && i < config->changes.n_metrics; i++) {
        const char *name = config->changes.metrics[i];
        rc = add_named(streams, watched, name, "outcome_rate{name=\"", false, err);
        if (!rc)
            rc = add_named(streams, watched, name, "outcome_mean{name=\"", true, err);
    }
    return rc;
}

/* The whole, or a slice "country=de" whose key is named. */
static bool is_watched(const struct config_changes *changes, const char *slice)
{
    for (size_t i = 0; i < changes->n_segments; i++) {
        size_t n = strlen(changes->segments[i]);
        if (strncmp(slice, changes->segments[i], n) == 0 && slice[n] == '=')
            return true;
    }
    return slice[0] == '\0';
}

static int make(struct watched_streams *streams, struct watched *watched, struct series *series,
                uint64_t reference, struct err *err)
{
    const struct model *model = series->version->model;
    watched_finish(watched);
    watched->series = series;
    watched->reference = reference;
    watched->features = reference && series->slice == 0 && model->config->changes.features;
    watched->config = model->config;
    if (!is_watched(&model->config->changes, model->slices[series->slice]))
        return 0;
    watched->learns_features = series->slice != 0 && model->config->changes.n_segment_features;
    int rc = add_metrics(streams, watched, err);
    return rc ? rc : add_outcomes(streams, watched, err);
}

int watched_of(struct watched_streams *streams, struct series *series, struct watched **out,
               struct err *err)
{
    const struct model *model = series->version->model;
    const struct reference *reference = model->profiling.reference;
    const uint64_t id = reference ? reference->id : 0;
    if (series->number >= streams->n_series) {
        size_t n = series->number + series->number / 2 + 16;
        struct watched *more = realloc(streams->series, n * sizeof(*more));
        if (!more)
            return no_memory(err);
        memset(more + streams->n_series, 0, (n - streams->n_series) * sizeof(*more));
        streams->series = more;
        streams->n_series = n;
    }
    *out = &streams->series[series->number];
    return (*out)->config == model->config && (*out)->reference == id
               ? 0
               : make(streams, *out, series, id, err);
}

static struct view name_of(const struct event *event, uint32_t slot, uint64_t name_id)
{
    if (slot < N_OWN_SLOTS)
        return view_of(slot == SLOT_SCORE ? "@score" : "@prediction");
    for (uint32_t i = 0; i < event->n_features; i++) {
        struct view name = event->features[i].name;
        if (class_id(name.data, name.size) == name_id)
            return name;
    }
    return (struct view){NULL, 0};
}

static int slot_room(struct watched *watched, uint32_t slot, struct err *err)
{
    return slot < watched->n_slots
               ? 0
               : grow(&watched->slots, &watched->n_slots, slot + 1, sizeof(*watched->slots),
                      "collector: features that are watched", err);
}

static enum watched_values values_of(const struct watched_stream *stream)
{
    if (!stream->feature || stream->state.method == CHANGE_NOT_WATCHED)
        return WATCHED_NONE;
    return stream->feature->kind == PROFILE_CATEGORICAL ? WATCHED_CATEGORIES : WATCHED_NUMBERS;
}

static bool is_named_for_slices(const struct config_changes *changes, struct view feature)
{
    for (size_t i = 0; i < changes->n_segment_features; i++)
        if (view_equal(feature, view_of(changes->segment_features[i])))
            return true;
    return false;
}

/* In a slice: what its first value is, number or category, decides. */
static int ask_learned(struct watched_streams *streams, struct watched *watched,
                       const struct event *event, const struct profile_item *item, struct err *err)
{
    const struct profiling *profiling = &watched->series->version->model->profiling;
    const bool number = item->kind == VALUE_NUMBER || item->kind == VALUE_ARRAY;
    int rc = slot_room(watched, item->slot, err);
    if (rc || watched->slots[item->slot].values != WATCHED_UNASKED || item->kind == VALUE_INVALID)
        return rc;
    const struct wish wish = {
        .kind = FEATURE,
        .name = name_of(event, item->slot, profiling->features[item->slot].name_id),
        .is_mean = number,
        .is_mix = !number};
    struct watched_stream *stream = NULL;
    if (wish.name.data && is_named_for_slices(&watched->config->changes, wish.name))
        rc = stream_of(streams, watched, &wish, &stream, err);
    if (rc)
        return rc;
    watched->slots[item->slot] = (struct watched_slot){.values = WATCHED_NONE};
    if (stream)
        watched->slots[item->slot] =
            (struct watched_slot){stream->number, number ? WATCHED_NUMBERS : WATCHED_CATEGORIES};
    return 0;
}

static int ask_feature(struct watched_streams *streams, struct watched *watched, uint32_t slot,
                       const struct event *event, struct err *err)
{
    const struct profiling *profiling = &watched->series->version->model->profiling;
    int rc = slot_room(watched, slot, err);
    if (rc || watched->slots[slot].values != WATCHED_UNASKED)
        return rc;
    const uint64_t name_id = profiling->features[slot].name_id;
    const struct wish wish = {.kind = FEATURE,
                              .name = name_of(event, slot, name_id),
                              .feature = reference_find(profiling->reference, name_id)};
    struct watched_stream *stream = NULL;
    if (wish.name.data)
        rc = stream_of(streams, watched, &wish, &stream, err);
    if (!rc)
        watched->slots[slot] = stream ? (struct watched_slot){stream->number, values_of(stream)}
                                      : (struct watched_slot){.values = WATCHED_NONE};
    return rc;
}

int watched_features(struct watched_streams *streams, struct watched *watched,
                     const struct event *event, const struct profile_item *items, size_t n_items,
                     struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n_items; i++)
        rc = watched->learns_features ? ask_learned(streams, watched, event, &items[i], err)
                                      : ask_feature(streams, watched, items[i].slot, event, err);
    return rc;
}

static int series_by_key(struct models *models, struct model *model, const struct change_key *key,
                         struct series **out, struct err *err)
{
    struct version *version;
    uint32_t slice = 0;
    int rc = model_version(models, model, view_of(key->version), &version, err);
    while (slice < model->n_slices && strcmp(model->slices[slice], key->slice) != 0)
        slice++;
    *out = NULL;
    return rc || slice == model->n_slices ? rc : version_series(models, version, slice, out, err);
}

static struct watched_stream *metric_by_name(const struct watched *watched, const char *name)
{
    for (int i = 0; i < N_WATCHED_METRICS; i++)
        if (watched->metrics[i] && strcmp(watched->metrics[i]->name, name) == 0)
            return watched->metrics[i];
    for (size_t i = 0; i < watched->n_outcomes; i++)
        if (strcmp(watched->outcomes[i].stream->name, name) == 0)
            return watched->outcomes[i].stream;
    return NULL;
}

/* What was stored says whether it is of numbers or of categories. */
static int learned_by_name(struct watched_streams *streams, struct watched *watched,
                           const struct change_key *key, struct watched_stream **out,
                           struct err *err)
{
    AUTO_FREE void *bytes = NULL;
    size_t n;
    if (!is_named_for_slices(&watched->config->changes, view_of(key->name)))
        return 0;
    int rc = change_detector_read(streams->store, key, &bytes, &n, err);
    if (rc || !bytes)
        return rc;
    const unsigned method = n ? *(const unsigned char *)bytes : CHANGE_NOT_WATCHED;
    const struct wish wish = {.kind = FEATURE,
                              .name = view_of(key->name),
                              .is_mean = method == CHANGE_BY_MEAN,
                              .is_mix = method == CHANGE_BY_MIX};
    return is_learned(&wish) ? stream_of(streams, watched, &wish, out, err) : 0;
}

int watched_by_key(struct watched_streams *streams, struct models *models,
                   const struct change_key *key, struct watched_stream **out, struct err *err)
{
    struct model *model = models_find(models, view_of(key->model));
    struct series *series;
    struct watched *watched;
    *out = NULL;
    if (!model || !model->config || model->config->changes.expected_run_time <= 0)
        return 0;
    int rc = series_by_key(models, model, key, &series, err);
    if (!rc && series)
        rc = watched_of(streams, series, &watched, err);
    if (rc || !series)
        return rc;
    if (strcmp(key->kind, FEATURE) != 0) {
        *out = metric_by_name(watched, key->name);
        return 0;
    }
    if (watched->learns_features)
        return learned_by_name(streams, watched, key, out, err);
    if (!watched->features)
        return 0;
    uint64_t name_id = class_id(key->name, strlen(key->name));
    const struct wish wish = {.kind = FEATURE,
                              .name = view_of(key->name),
                              .feature = reference_find(model->profiling.reference, name_id)};
    return stream_of(streams, watched, &wish, out, err);
}
