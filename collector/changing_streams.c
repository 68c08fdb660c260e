#include "collector/changing_streams.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char METRIC[] = "metric";
static const char FEATURE[] = "feature";

void watched_streams_init(struct watched_streams *streams, struct store *store)
{
    *streams = (struct watched_streams){.store = store};
}

static void watched_finish(struct watched *watched)
{
    free(watched->outcomes);
    free(watched->by_slot);
    *watched = (struct watched){0};
}

void watched_streams_finish(struct watched_streams *streams)
{
    for (size_t i = 0; i < streams->n_versions; i++)
        watched_finish(&streams->versions[i]);
    for (size_t i = 0; i < streams->n; i++) {
        free(streams->streams[i]->name);
        free(streams->streams[i]);
    }
    id_set_finish(&streams->by_key);
    free(streams->streams);
    free(streams->versions);
}

static int no_memory(struct err *err)
{
    return err_set(err, -ENOMEM, "collector: no memory for detectors of changes");
}

/* --- one stream --- */

static int fresh(struct watched_stream *stream, double expected, uint64_t reference,
                 struct err *err)
{
    if (stream->kind == FEATURE)
        return change_stream_feature(&stream->state, expected, reference, stream->feature, err);
    change_stream_metric(&stream->state, expected);
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

static int add(struct watched_streams *streams, struct version *version, const char *kind,
               struct view name, uint64_t hash, struct watched_stream **out, struct err *err)
{
    if (streams->n == streams->capacity) {
        size_t capacity = streams->capacity ? streams->capacity * 2 : 64;
        struct watched_stream **more =
            realloc(streams->streams, capacity * sizeof(struct watched_stream *));
        if (!more)
            return no_memory(err);
        streams->streams = more;
        streams->capacity = capacity;
    }
    struct watched_stream *stream = calloc(1, sizeof(*stream));
    char *copy = strndup(name.data, name.size);
    int rc = stream && copy ? id_set_put(&streams->by_key, hash, (uint32_t)streams->n, err)
                            : no_memory(err);
    if (rc) {
        free(stream);
        free(copy);
        return rc;
    }
    stream->version = version;
    stream->kind = kind;
    stream->name = copy;
    stream->number = (uint32_t)streams->n;
    streams->streams[streams->n++] = stream;
    *out = stream;
    return stored(streams, stream, err);
}

/* The stream as it is to be watched now: as it stands, as it is stored, or from its start. */
static int stream_of(struct watched_streams *streams, struct watched *watched, const char *kind,
                     struct view name, const struct reference_feature *feature,
                     struct watched_stream **out, struct err *err)
{
    char key[64 + WATCHED_MAX_NAME];
    int n = snprintf(key, sizeof(key), "%u/%s/%.*s", watched->version->handle, kind, (int)name.size,
                     name.data);
    uint64_t hash = class_id(key, (size_t)n < sizeof(key) ? (size_t)n : sizeof(key) - 1);
    uint32_t at = id_set_find(&streams->by_key, hash);
    int rc = 0;
    if (at == ID_NONE)
        rc = add(streams, watched->version, kind, name, hash, out, err);
    else
        *out = streams->streams[at];
    if (rc)
        return rc;
    struct watched_stream *stream = *out;
    double expected = (double)watched->config->changes.expected_run_time;
    uint64_t reference = kind == FEATURE ? watched->reference : 0;
    stream->feature = feature;
    if (stream->state.expected == expected && stream->state.reference == reference)
        return 0;
    stream->dirty = true;
    return fresh(stream, expected, reference, err);
}

/* --- of a version --- */

static bool is_wanted(const struct config_changes *changes, const char *metric)
{
    for (size_t i = 0; i < changes->n_metrics; i++)
        if (strcmp(changes->metrics[i], metric) == 0)
            return true;
    return changes->n_metrics == 0;
}

static int metric_stream(struct watched_streams *streams, struct watched *watched,
                         const char *metric, bool exists, struct watched_stream **out,
                         struct err *err)
{
    return exists && is_wanted(&watched->config->changes, metric)
               ? stream_of(streams, watched, METRIC, view_of(metric), NULL, out, err)
               : 0;
}

static int add_outcome(struct watched_streams *streams, struct watched *watched, const char *metric,
                       struct view outcome, struct err *err)
{
    struct watched_outcome *more =
        realloc(watched->outcomes, (watched->n_outcomes + 1) * sizeof(*more));
    if (!more)
        return no_memory(err);
    watched->outcomes = more;
    struct watched_stream *stream = NULL;
    int rc = stream_of(streams, watched, METRIC, view_of(metric), NULL, &stream, err);
    if (rc)
        return rc;
    stream->of_outcomes = true;
    more[watched->n_outcomes++] =
        (struct watched_outcome){class_id(outcome.data, outcome.size), stream};
    return 0;
}

/* The model's own rates, and `outcome_rate{name="x"}` where it is named. */
static int add_outcomes(struct watched_streams *streams, struct watched *watched, struct err *err)
{
    static const char before[] = "outcome_rate{name=\"";
    const struct config_model *config = watched->config;
    int rc = 0;
    for (size_t i = 0; !rc && i < config->n_metrics; i++) {
        const struct config_metric *metric = &config->metrics[i];
        if (metric->outcome && strcmp(metric->agg, "rate") == 0 &&
            strcmp(metric->per, "prediction") == 0 && is_wanted(&config->changes, metric->name))
            rc = add_outcome(streams, watched, metric->name, view_of(metric->outcome), err);
    }
    for (size_t i = 0; !rc && i < config->changes.n_metrics; i++) {
        const char *name = config->changes.metrics[i];
        size_t n = strlen(name);
        if (strncmp(name, before, sizeof(before) - 1) == 0 && n > sizeof(before) + 1)
            rc = add_outcome(streams, watched, name,
                             (struct view){name + sizeof(before) - 1, n - sizeof(before) - 1}, err);
    }
    return rc;
}

static int make(struct watched_streams *streams, struct watched *watched, struct version *version,
                uint64_t reference, struct err *err)
{
    const struct model *model = version->model;
    enum task task = model->setup.task;
    watched_finish(watched);
    watched->version = version;
    watched->config = model->config;
    watched->reference = reference;
    watched->features = reference && model->config->changes.features;
    int rc = metric_stream(streams, watched, "error_rate", true, &watched->error, err);
    if (!rc)
        rc = metric_stream(streams, watched, "positive_rate", task == TASK_BINARY,
                           &watched->positive, err);
    if (!rc)
        rc = metric_stream(streams, watched, "accuracy",
                           task == TASK_BINARY || task == TASK_MULTICLASS, &watched->accuracy, err);
    return rc ? rc : add_outcomes(streams, watched, err);
}

int watched_of(struct watched_streams *streams, struct version *version, struct watched **out,
               struct err *err)
{
    const struct reference *reference = version->model->profiling.reference;
    const uint64_t id = reference ? reference->id : 0;
    if (version->handle >= streams->n_versions) {
        size_t n = version->handle + 16;
        struct watched *more = realloc(streams->versions, n * sizeof(*more));
        if (!more)
            return no_memory(err);
        memset(more + streams->n_versions, 0, (n - streams->n_versions) * sizeof(*more));
        streams->versions = more;
        streams->n_versions = n;
    }
    *out = &streams->versions[version->handle];
    return (*out)->config == version->model->config && (*out)->reference == id
               ? 0
               : make(streams, *out, version, id, err);
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
    if (slot < watched->n_slots)
        return 0;
    size_t n = slot + 16;
    struct watched_stream **more = realloc(watched->by_slot, n * sizeof(struct watched_stream *));
    if (!more)
        return no_memory(err);
    memset(more + watched->n_slots, 0, (n - watched->n_slots) * sizeof(struct watched_stream *));
    watched->by_slot = more;
    watched->n_slots = n;
    return 0;
}

int watched_feature(struct watched_streams *streams, struct watched *watched, uint32_t slot,
                    const struct event *event, struct watched_stream **out, struct err *err)
{
    *out = NULL;
    int rc = slot_room(watched, slot, err);
    if (rc)
        return rc;
    if (!watched->by_slot[slot]) {
        const struct profiling *profiling = &watched->version->model->profiling;
        uint64_t name_id = profiling->features[slot].name_id;
        struct view name = name_of(event, slot, name_id);
        if (!name.data)
            return 0;
        rc = stream_of(streams, watched, FEATURE, name,
                       reference_find(profiling->reference, name_id), &watched->by_slot[slot], err);
    }
    *out = watched->by_slot[slot];
    return rc;
}

int watched_by_key(struct watched_streams *streams, struct models *models,
                   const struct change_key *key, struct watched_stream **out, struct err *err)
{
    struct model *model = models_find(models, view_of(key->model));
    struct version *version;
    struct watched *watched;
    *out = NULL;
    if (!model || !model->config || model->config->changes.expected_run_time <= 0)
        return 0;
    int rc = model_version(models, model, view_of(key->version), &version, err);
    if (!rc)
        rc = watched_of(streams, version, &watched, err);
    if (rc)
        return rc;
    bool feature = strcmp(key->kind, FEATURE) == 0;
    if (feature) {
        if (!watched->features)
            return 0;
        uint64_t name_id = class_id(key->name, strlen(key->name));
        return stream_of(streams, watched, FEATURE, view_of(key->name),
                         reference_find(model->profiling.reference, name_id), out, err);
    }
    struct watched_stream *const metrics[] = {watched->error, watched->positive, watched->accuracy};
    for (int i = 0; i < 3; i++)
        if (metrics[i] && strcmp(metrics[i]->name, key->name) == 0)
            *out = metrics[i];
    for (size_t i = 0; i < watched->n_outcomes; i++)
        if (strcmp(watched->outcomes[i].stream->name, key->name) == 0)
            *out = watched->outcomes[i].stream;
    return 0;
}
