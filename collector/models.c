/*
 * Everything here is met once an event at most; the last model and the last version are tried
 * first, because events of one come in runs.
 */
#include "collector/models.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/models_inside.h"
#include "common/grow.h"

const char *model_count_name(enum model_count count)
{
    static const char *const names[N_MODEL_COUNTS] = {
        "predictions",   "labels",         "joined",         "pending",    "expired", "duplicates",
        "rejected",      "corrections",    "outcomes",       "errors",     "late",    "orphaned",
        "system_events", "unknown_fields", "invalid_values", "last_event",
    };
    return names[count];
}

static void model_free(struct model *model)
{
    if (!model)
        return;
    for (uint32_t i = 0; i < model->n_versions; i++) {
        free(model->versions[i]->name);
        free(model->versions[i]->series);
        free(model->versions[i]);
    }
    for (uint32_t i = 0; i < model->n_slices; i++)
        free(model->slices[i]);
    for (uint32_t i = 0; i < model->n_keys; i++) {
        free(model->keys[i].name);
        id_set_finish(&model->keys[i].values);
    }
    feature_schema_free(model->schema);
    id_set_finish(&model->version_names);
    id_set_finish(&model->classes);
    id_set_finish(&model->outcome_names);
    id_set_finish(&model->system_names);
    id_set_finish(&model->feature_names);
    id_set_finish(&model->category_names);
    profiling_finish(&model->profiling);
    expectations_finish(&model->expectations);
    open_finish(&model->open);
    free(model->versions);
    free(model->slices);
    free(model->positive);
    free(model->name);
    free(model);
}

void models_free(struct models *models)
{
    if (!models)
        return;
    for (size_t i = 0; i < models->n_series; i++)
        free(models->series[i]);
    for (size_t i = 0; i < models->n_models; i++)
        model_free(models->models[i]);
    for (size_t i = 0; i < models->n_names; i++)
        free(models->names[i].text);
    id_set_finish(&models->by_name);
    id_set_finish(&models->by_series_id);
    free(models->series);
    free(models->names);
    free(models->models);
    free(models->versions);
    free(models);
}

int models_new(struct models **out, const struct config *config, struct err *err)
{
    AUTO(models) struct models *models = calloc(1, sizeof(*models));
    if (!models)
        return err_set(err, -ENOMEM, "collector: no memory");
    int rc = models_configure(models, config, err);
    if (rc)
        return rc;
    *out = models;
    models = NULL; /* the caller owns it now */
    return 0;
}

int model_new_slice(struct model *model, const char *text, size_t n, uint32_t *slice,
                    struct err *err)
{
    if (model->n_slices >= UINT16_MAX)
        return err_set(err, ERR_DATA, "model %s has too many slices", model->name);
    int rc = grow(&model->slices, &model->slices_capacity, model->n_slices + 1,
                  sizeof(*model->slices), "collector: slices", err);
    if (rc)
        return rc;
    char *copy = strndup(text, n);
    if (!copy)
        return err_set(err, -ENOMEM, "collector: no memory for a slice");
    *slice = model->n_slices;
    model->slices[model->n_slices++] = copy;
    return 0;
}

/* A slice "country=de" belongs to the key "country". */
static int attach_slice(struct model *model, uint32_t slice, struct err *err)
{
    const char *text = model->slices[slice];
    for (uint32_t i = 0; i < model->n_keys; i++) {
        struct segment_key *key = &model->keys[i];
        size_t n = strlen(key->name);
        if (strncmp(text, key->name, n) != 0 || text[n] != '=')
            continue;
        const char *value = text + n + 1;
        if (strcmp(value, NONE) == 0)
            key->none = slice;
        else if (strcmp(value, OTHER) == 0)
            key->other = slice;
        else
            return id_set_put(&key->values, id_of(view_of(value)), slice, err);
    }
    return 0;
}

/* What the configuration says of a model's features and segments; NULL: nothing. */
static int set_features(struct model *model, const struct config_model *config, struct err *err)
{
    feature_schema_free(model->schema);
    model->schema = NULL;
    int rc = feature_schema_new(&model->schema, config, VALIDATE_MAX_FEATURES, err);
    profiling_forget_numbers(&model->profiling);
    model->profiling.wanted =
        config && (config->n_features || config->reference.file || config->reference.version ||
                   config->reference.to_ms || config->reference.trailing_ms);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < model->n_keys; i++) {
        free(model->keys[i].name);
        id_set_finish(&model->keys[i].values);
        model->keys[i] = (struct segment_key){0};
    }
    model->n_keys = 0;
    if (config && config->n_segments > MAX_SEGMENT_KEYS)
        return err_set(err, ERR_USAGE, "model %s: %zu segments, at most %d are possible",
                       model->name, config->n_segments, MAX_SEGMENT_KEYS);
    for (size_t i = 0; config && i < config->n_segments; i++) {
        char *name = strdup(config->segments[i]);
        if (!name)
            return err_set(err, -ENOMEM, "collector: no memory for a segment");
        model->keys[model->n_keys++].name = name;
    }
    for (uint32_t slice = 1; slice < model->n_slices; slice++) {
        rc = attach_slice(model, slice, err);
        if (rc)
            return rc;
    }
    return 0;
}

/* What a model is set up by: its configuration, or auto_models', or what was stored. */
struct setup_words {
    const char *task;
    const char *positive;
    double threshold;
    int64_t label_horizon_ms;
};

static int set_up(struct model *model, const struct setup_words *words, struct err *err)
{
    int task = task_parse(words->task);
    if (task < 0)
        return err_set(err, ERR_USAGE, "model %s: there is no task %s", model->name, words->task);
    const char *positive = words->positive ? words->positive : "1";
    if (!model->positive || strcmp(positive, model->positive) != 0) {
        char *copy = strdup(positive);
        if (!copy)
            return err_set(err, -ENOMEM, "collector: no memory for a model");
        free(model->positive);
        model->positive = copy;
    }
    model->setup = (struct metric_setup){
        .task = (enum task)task,
        .positive = id_of(view_of(positive)),
        .threshold = words->threshold,
    };
    model->label_horizon_ms = words->label_horizon_ms;
    model->dirty = true;
    return 0;
}

static int model_new(struct models *models, struct view name, const struct setup_words *words,
                     struct model **out, struct err *err)
{
    int rc = grow(&models->models, &models->models_capacity, models->n_models + 1,
                  sizeof(*models->models), "collector: models", err);
    if (rc)
        return rc;
    struct model *model = calloc(1, sizeof(*model));
    uint32_t overall;
    if (!model)
        return err_set(err, -ENOMEM, "collector: no memory for a model");
    model->name = strndup(name.data, name.size);
    model->hash = id_of(name);
    if (!model->name)
        rc = err_set(err, -ENOMEM, "collector: no memory for a model");
    if (!rc)
        rc = set_up(model, words, err);
    if (!rc)
        rc = model_new_slice(model, "", 0, &overall, err);
    if (!rc)
        rc = profiling_init(&model->profiling, err);
    if (!rc)
        rc = set_features(model, NULL, err);
    if (!rc)
        rc = id_set_put(&models->by_name, model->hash, (uint32_t)models->n_models, err);
    if (rc) {
        model_free(model);
        return rc;
    }
    models->models[models->n_models++] = model;
    *out = model;
    return 0;
}

struct model *models_find(struct models *models, struct view name)
{
    struct model *last = models->last;
    if (last && strlen(last->name) == name.size && memcmp(last->name, name.data, name.size) == 0)
        return last;
    uint32_t at = id_set_find(&models->by_name, id_of(name));
    if (at == ID_NONE)
        return NULL;
    models->last = models->models[at];
    return models->last;
}

static int configure_one(struct models *models, const struct config_model *config, struct err *err)
{
    struct setup_words words = {config->task, config->positive, config->threshold,
                                config->label_horizon_ms};
    struct model *model = models_find(models, view_of(config->name));
    int rc;
    if (!model) {
        rc = model_new(models, view_of(config->name), &words, &model, err);
    } else {
        if (strcmp(config->task, task_name(model->setup.task)) != 0)
            return err_set(err, ERR_USAGE,
                           "model %s is stored with task %s: give the %s model another name",
                           model->name, task_name(model->setup.task), config->task);
        rc = set_up(model, &words, err);
    }
    if (rc)
        return rc;
    model->config = config;
    model->admitted = true;
    return set_features(model, config, err);
}

int models_configure(struct models *models, const struct config *config, struct err *err)
{
    models->config = config;
    for (size_t i = 0; i < models->n_models; i++) {
        struct model *model = models->models[i];
        model->config = NULL;
        model->admitted = config->auto_models.task != NULL;
        if (config_model_find(config, model->name))
            continue;
        int rc = set_features(model, NULL, err);
        if (rc)
            return rc;
    }
    for (size_t i = 0; i < config->n_models; i++) {
        int rc = configure_one(models, &config->models[i], err);
        if (rc)
            return rc;
    }
    return 0;
}

int models_admit(struct models *models, struct view name, struct model **out, struct err *err)
{
    const struct config_auto_models *automatic = &models->config->auto_models;
    struct model *model = models_find(models, name);
    if (model) {
        *out = model;
        return model->admitted ? 0 : REJECT_UNKNOWN_MODEL;
    }
    if (!automatic->task)
        return REJECT_UNKNOWN_MODEL;
    if ((int64_t)models->n_auto >= automatic->max ||
        (int64_t)models->n_models >= models->config->limits.models)
        return REJECT_TOO_MANY_MODELS;
    struct setup_words words = {automatic->task, "1", 0.5, automatic->label_horizon_ms};
    int rc = model_new(models, name, &words, out, err);
    if (rc)
        return rc;
    (*out)->admitted = true;
    models->n_auto++;
    return 0;
}

static int version_new(struct models *models, struct model *model, struct view name,
                       struct version **out, struct err *err)
{
    int rc = grow(&model->versions, &model->versions_capacity, model->n_versions + 1,
                  sizeof(*model->versions), "collector: versions", err);
    if (!rc)
        rc = grow(&models->versions, &models->versions_capacity, models->n_versions + 1,
                  sizeof(*models->versions), "collector: versions", err);
    if (!rc)
        rc = id_set_put(&model->version_names, id_of(name), model->n_versions, err);
    if (rc)
        return rc;
    struct version *version = calloc(1, sizeof(*version));
    char *copy = strndup(name.data, name.size);
    if (!version || !copy) {
        /* The name keeps its number, which the next attempt overwrites. */
        free(version);
        free(copy);
        return err_set(err, -ENOMEM, "collector: no memory for a version");
    }
    version->model = model;
    version->name = copy;
    version->handle = (uint32_t)models->n_versions;
    models->versions[models->n_versions++] = version;
    model->versions[model->n_versions++] = version;
    *out = version;
    return 0;
}

int models_restore_model(struct models *models, const char *name, const char *task,
                         const char *positive, double threshold, int64_t label_horizon_ms,
                         struct err *err)
{
    struct model *model = models_find(models, view_of(name));
    if (model) { /* configured: only its task must be the same */
        if (strcmp(task, task_name(model->setup.task)) != 0)
            return err_set(err, ERR_USAGE,
                           "model %s is stored with task %s: give the %s model another name", name,
                           task, task_name(model->setup.task));
        return 0;
    }
    struct setup_words words = {task, positive, threshold, label_horizon_ms};
    int rc = model_new(models, view_of(name), &words, &model, err);
    if (rc)
        return rc;
    model->dirty = false;
    models->n_auto++;
    return 0;
}

int model_restore_slice(struct model *model, const char *text, uint32_t *slice, struct err *err)
{
    for (uint32_t i = 0; i < model->n_slices; i++) {
        if (strcmp(model->slices[i], text) == 0) {
            *slice = i;
            return 0;
        }
    }
    int rc = model_new_slice(model, text, strlen(text), slice, err);
    return rc ? rc : attach_slice(model, *slice, err);
}

static struct version *version_find(const struct model *model, struct view name)
{
    uint32_t at = id_set_find(&model->version_names, id_of(name));
    return at < model->n_versions ? model->versions[at] : NULL;
}

int model_restore_version(struct models *models, struct model *model, struct view name,
                          struct version **out, struct err *err)
{
    *out = version_find(model, name);
    return *out ? 0 : version_new(models, model, name, out, err);
}

int model_version(struct models *models, struct model *model, struct view name,
                  struct version **out, struct err *err)
{
    struct version *last = model->last_version;
    if (!name.data)
        name = view_of(NONE);
    if (last && strlen(last->name) == name.size && memcmp(last->name, name.data, name.size) == 0) {
        *out = last;
        return 0;
    }
    *out = version_find(model, name);
    if (!*out && model->n_versions >= MAX_VERSIONS) {
        name = view_of(OTHER);
        *out = version_find(model, name);
    }
    int rc = *out ? 0 : version_new(models, model, name, out, err);
    if (!rc)
        model->last_version = *out;
    return rc;
}

int version_series(struct models *models, struct version *version, uint32_t slice,
                   struct series **out, struct err *err)
{
    if (slice < version->n_series && version->series[slice]) {
        *out = version->series[slice];
        return 0;
    }
    size_t capacity = version->n_series;
    int rc = grow(&version->series, &capacity, slice + (size_t)1, sizeof(struct series *),
                  "collector: series", err);
    version->n_series = (uint32_t)capacity;
    if (!rc)
        rc = grow(&models->series, &models->series_capacity, models->n_series + 1,
                  sizeof(*models->series), "collector: series", err);
    if (rc)
        return rc;
    struct series *series = calloc(1, sizeof(*series));
    if (!series)
        return err_set(err, -ENOMEM, "collector: no memory for a series");
    *series =
        (struct series){.version = version, .slice = slice, .number = (uint32_t)models->n_series};
    models->series[models->n_series++] = series;
    version->series[slice] = series;
    *out = series;
    return 0;
}

int model_open(struct model *model, int64_t ts_ms, int delta, struct err *err)
{
    int rc;
    if (delta > 0) {
        rc = open_add(&model->open, ts_ms, err);
        if (rc == OPEN_GONE)
            model->counts[COUNT_EXPIRED]++;
    } else {
        rc = open_take(&model->open, ts_ms);
        if (rc == OPEN_GONE)
            model->counts[COUNT_EXPIRED]--; /* its label came after all */
    }
    model->counts[COUNT_PENDING] = model->open.total;
    return rc < 0 ? rc : 0;
}

void model_expire(struct model *model, int64_t watermark_ms)
{
    if (watermark_ms == INT64_MIN)
        return;
    int64_t expired = open_expire(&model->open, watermark_ms - model->label_horizon_ms);
    if (!expired)
        return;
    model->counts[COUNT_EXPIRED] += expired;
    model->counts[COUNT_PENDING] = model->open.total;
    model->counts_dirty = true;
}

int64_t model_labels_complete(struct model *model, int64_t watermark_ms)
{
    int64_t oldest = open_oldest_ms(&model->open);
    return oldest < watermark_ms ? oldest : watermark_ms;
}

int64_t models_series_id(const struct models *models, uint32_t version, uint32_t slice)
{
    if (version >= models->n_versions || slice >= models->versions[version]->n_series ||
        !models->versions[version]->series[slice])
        return 0;
    return models->versions[version]->series[slice]->id;
}

int models_series_of(const struct models *models, int64_t series_id, uint32_t *version,
                     uint32_t *slice)
{
    uint32_t at = series_id > 0 ? id_set_find(&models->by_series_id, (uint64_t)series_id) : ID_NONE;
    if (at == ID_NONE)
        return -1;
    *version = models->series[at]->version->handle;
    *slice = models->series[at]->slice;
    return 0;
}
