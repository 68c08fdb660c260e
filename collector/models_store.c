/*
 * Models to storage and back. A number given by commit_series holds once the transaction is
 * durable; until then every attempt asks for it again.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/models.h"
#include "common/text.h"
#include "storage/catalog.h"
#include "storage/commit.h"
#include "storage/model_settings.h"
#include "storage/references.h"
#include "storage/restore.h"

struct restoring {
    struct models *models;
    struct model *model;
};

static int restore_model(void *context, const struct model_row *row, struct err *err)
{
    struct models *models = ((struct restoring *)context)->models;
    return models_restore_model(models, row->name, row->task, row->positive, row->threshold,
                                row->label_horizon_ms, err);
}

static int restore_one_series(void *context, const struct restored_series *row, struct err *err)
{
    struct models *models = ((struct restoring *)context)->models;
    struct model *model = models_find(models, view_of(row->model));
    struct version *version;
    struct series *series;
    uint32_t slice;
    if (!model)
        return 0; /* its row is gone: an erased model */
    int rc = model_restore_version(models, model, view_of(row->version), &version, err);
    if (!rc)
        rc = model_restore_slice(model, row->slice, &slice, err);
    if (!rc)
        rc = version_series(models, version, slice, &series, err);
    if (rc)
        return rc;
    series->id = row->series_id;
    return id_set_put(&models->by_series_id, (uint64_t)series->id, series->number, err);
}

static int restore_class(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)text;
    return id_set_put(&((struct restoring *)context)->model->classes, id, 0, err);
}

static int restore_outcome(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)text;
    return id_set_put(&((struct restoring *)context)->model->outcome_names, id, 0, err);
}

static int restore_system(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)text;
    return id_set_put(&((struct restoring *)context)->model->system_names, id, 0, err);
}

static int restore_feature(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)text;
    return id_set_put(&((struct restoring *)context)->model->feature_names, id, 0, err);
}

static int restore_category(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)text;
    return id_set_put(&((struct restoring *)context)->model->category_names, id, 0, err);
}

static struct reference_origin origin_of(const struct reference_row *row)
{
    struct reference_origin origin = {.created_ms = row->created_ms};
    snprintf(origin.source, sizeof(origin.source), "%s", row->source ? row->source : "");
    return origin;
}

int models_read_references(struct models *models, struct store *store, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < models->n_models; i++) {
        struct model *model = models->models[i];
        struct reference_row row;
        rc = reference_row_read(store, model->name, NULL, &row, err);
        if (rc)
            return rc;
        const struct reference *known = model->profiling.reference;
        if ((known ? known->id : 0) != (row.reference ? row.reference->id : 0)) {
            profiling_reference(&model->profiling, row.reference);
            model->profiling.origin = origin_of(&row);
            row.reference = NULL; /* the model owns it now */
        }
        reference_row_finish(&row);
        rc = expectations_read(&model->expectations, store, model->name, err);
    }
    return rc;
}

/* {"predictions":12,…}: our own writing of models_write. */
static void parse_counts(struct model *model, const char *json)
{
    for (int i = 0; i < N_MODEL_COUNTS; i++) {
        char key[64];
        snprintf(key, sizeof(key), "\"%s\":", model_count_name((enum model_count)i));
        const char *at = strstr(json, key);
        if (at)
            model->counts[i] = strtoll(at + strlen(key), NULL, 10);
    }
    model->counts[COUNT_PENDING] = 0; /* counted again from the records */
}

static int restore_counts(struct store *store, struct model *model, struct err *err)
{
    char *json = NULL;
    int rc = restore_model_counts(store, model->name, &json, err);
    if (rc == 0)
        parse_counts(model, json);
    free(json);
    return rc == RESTORE_NONE ? 0 : rc;
}

int models_restore(struct models *models, struct store *store, struct err *err)
{
    struct restoring restoring = {models, NULL};
    int rc = restore_models(store, restore_model, &restoring, err);
    if (!rc)
        rc = restore_series(store, restore_one_series, &restoring, err);
    models->n_written = models->n_series;
    for (size_t i = 0; !rc && i < models->n_models; i++) {
        restoring.model = models->models[i];
        rc = names_each(store, restoring.model->name, "class", restore_class, &restoring, err);
        if (!rc)
            rc = names_each(store, restoring.model->name, "outcome", restore_outcome, &restoring,
                            err);
        if (!rc)
            rc =
                names_each(store, restoring.model->name, "system", restore_system, &restoring, err);
        if (!rc)
            rc = names_each(store, restoring.model->name, "feature", restore_feature, &restoring,
                            err);
        if (!rc)
            rc = names_each(store, restoring.model->name, "category", restore_category, &restoring,
                            err);
        if (!rc)
            rc = restore_counts(store, restoring.model, err);
    }
    if (!rc)
        rc = models_read_references(models, store, err);
    return rc ? rc : models_configure(models, models->config, err);
}

/* Struck out values, as the schema counted them since the last time. */
static void take_violations(struct model *model)
{
    uint64_t n = 0;
    for (uint32_t i = 0; i < feature_count(model->schema); i++)
        for (int k = 0; k < N_VIOLATIONS; k++)
            n += violation_count(model->schema, i, (enum violation)k);
    model->counts[COUNT_INVALID_VALUES] += (int64_t)n;
    violations_clear(model->schema);
}

static int write_model(struct store *store, struct model *model, int64_t watermark_ms,
                       struct buf *json, struct err *err)
{
    int rc = 0;
    if (model->dirty) {
        struct model_row row = {model->name, task_name(model->setup.task), model->positive,
                                model->setup.threshold, model->label_horizon_ms};
        rc = commit_model(store, &row, err);
        if (!rc && model->config)
            rc = commit_model_settings(store, model->config, err);
    }
    if (!rc && model->counts_dirty) {
        take_violations(model);
        buf_clear(json);
        for (int i = 0; i < N_MODEL_COUNTS; i++)
            buf_printf(json, "%s\"%s\":%lld", i ? "," : "{", model_count_name((enum model_count)i),
                       (long long)model->counts[i]);
        buf_bytes(json, "}", 2);
        rc = buf_failed(json)
                 ? err_set(err, -ENOMEM, "collector: no memory for counts")
                 : commit_model_counts(store, model->name, (const char *)json->data, err);
    }
    if (rc || watermark_ms == INT64_MIN)
        return rc;
    int64_t complete = model_labels_complete(model, watermark_ms);
    if (complete == model->labels_complete_ms)
        return 0;
    model->next_labels_complete_ms = complete;
    char key[32 + EVENT_MAX_NAME_BYTES];
    snprintf(key, sizeof(key), "labels_complete_ms/%s", model->name);
    return commit_fact(store, key, complete, err);
}

int models_write(struct models *models, struct store *store, int64_t watermark_ms, struct err *err)
{
    struct buf json;
    int rc = 0;
    buf_init(&json, (size_t)64 * 1024);
    for (size_t i = 0; !rc && i < models->n_models; i++)
        rc = write_model(store, models->models[i], watermark_ms, &json, err);
    buf_finish(&json);
    for (size_t i = models->n_written; !rc && i < models->n_series; i++) {
        struct series *series = models->series[i];
        const struct model *model = series->version->model;
        rc = commit_series(store, model->name, series->version->name, model->slices[series->slice],
                           &series->id, err);
    }
    for (size_t i = 0; !rc && i < models->n_names; i++) {
        const struct new_name *name = &models->names[i];
        rc = commit_name(store, name->model->name, name->kind, name->id,
                         (struct view){name->text, name->size}, err);
    }
    return rc;
}

int models_written(struct models *models, struct err *err)
{
    int rc = 0;
    for (size_t i = models->n_written; !rc && i < models->n_series; i++)
        rc = id_set_put(&models->by_series_id, (uint64_t)models->series[i]->id,
                        models->series[i]->number, err);
    models->n_written = models->n_series;
    for (size_t i = 0; i < models->n_names; i++)
        free(models->names[i].text);
    models->n_names = 0;
    for (size_t i = 0; i < models->n_models; i++) {
        struct model *model = models->models[i];
        model->dirty = model->counts_dirty = false;
        model->labels_complete_ms = model->next_labels_complete_ms;
    }
    return rc;
}
