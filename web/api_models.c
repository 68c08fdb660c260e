/*
 * Models, versions and slices: what is known, with counts. The counters are the collector's
 * (storage: model_counts), written in the transaction that they count.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "common/json_print.h"
#include "stats/custom.h"
#include "storage/catalog.h"
#include "storage/restore.h"
#include "storage/series.h"
#include "web/handlers.h"
#include "web/model_metrics.h"

/* Always there, 0 where the collector has not counted any. */
static const char *const counters[] = {"predictions", "labels",  "outcomes",   "joined",
                                       "pending",     "expired", "duplicates", "rejected"};
enum {
    N_COUNTERS = sizeof(counters) / sizeof(counters[0])
};

static void write_counts(struct buf *out, json_t *counts)
{
    for (size_t i = 0; i < N_COUNTERS; i++)
        out_key_int(out, counters[i], json_integer_value(json_object_get(counts, counters[i])));
    const char *name;
    json_t *value;
    json_object_foreach(counts, name, value)
    {
        bool known = strcmp(name, "last_event") == 0;
        for (size_t i = 0; i < N_COUNTERS; i++)
            known |= strcmp(name, counters[i]) == 0;
        if (!known && json_is_integer(value))
            out_key_int(out, name, json_integer_value(value));
    }
}

static int write_version_name(void *context, const char *version, const char *facts,
                              struct err *err)
{
    (void)facts;
    (void)err;
    out_string(context, version);
    return 0;
}

static int write_times(struct api_context *context, struct store *store, const char *model,
                       json_t *counts, struct buf *out, struct err *err)
{
    int64_t complete = -1, labels = -1;
    int rc = series_complete(store, model, &complete, &labels, err);
    if (rc < 0)
        return rc;
    int64_t last_event = json_integer_value(json_object_get(counts, "last_event"));
    if (last_event == 0) /* no event has come yet */
        last_event = -1;
    out_key_time(out, "last_event", last_event);
    out_key_time(out, "complete_up_to", complete);
    out_key_time(out, "labels_complete_up_to", labels);
    int64_t lag = clock_wall_ms(context->clock) - last_event;
    out_key(out, "lag");
    if (last_event < 0)
        out_null(out);
    else
        out_int(out, lag > 0 ? lag : 0);
    return 0;
}

/* The members of a model that lists and the model itself share; no brackets. */
static int write_model(struct api_context *context, struct store *store,
                       const struct model_row *model, struct buf *out, struct err *err)
{
    out_key_string(out, "name", model->name);
    out_key_string(out, "task", model->task);
    if (strcmp(model->task, "binary") == 0) {
        out_key_string(out, "positive", model->positive);
        out_key_double(out, "threshold", model->threshold);
    }
    out_key_int(out, "label_horizon", model->label_horizon_ms);
    out_key(out, "versions");
    out_open(out, '[');
    int rc = versions_each(store, model->name, write_version_name, out, err);
    out_close(out, ']');
    if (rc < 0)
        return rc;

    AUTO_FREE char *text = NULL;
    rc = restore_model_counts(store, model->name, &text, err);
    if (rc < 0)
        return rc;
    json_t *counts = text ? json_loads(text, 0, NULL) : NULL;
    write_counts(out, counts);
    rc = write_times(context, store, model->name, counts, out, err);
    json_decref(counts);
    return rc;
}

struct list_writer {
    struct api_context *context;
    struct store *store;
    struct buf *out;
};

static int write_model_item(void *context, const struct model_row *model, struct err *err)
{
    struct list_writer *writer = context;
    out_open(writer->out, '{');
    int rc = write_model(writer->context, writer->store, model, writer->out, err);
    out_close(writer->out, '}');
    return rc;
}

static void list_begin(struct buf *out)
{
    out_open(out, '{');
    out_key(out, "items");
    out_open(out, '[');
}

static void list_end(struct buf *out)
{
    out_close(out, ']');
    out_key(out, "next");
    out_null(out);
    out_close(out, '}');
}

int api_models(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    (void)input;
    struct list_writer writer = {.context = context, .out = &answer->body};
    int rc = context_store(context, &writer.store, err);
    if (rc)
        return rc;
    list_begin(writer.out);
    rc = models_each(writer.store, write_model_item, &writer, err);
    list_end(writer.out);
    return rc;
}

static int write_system_metric(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)id;
    (void)err;
    char name[320];
    if (system_metric(name, text))
        out_string(context, name);
    return 0;
}

static int write_metric_names(struct api_context *context, struct store *store,
                              const struct model_row *model, struct buf *out, struct err *err)
{
    out_key(out, "metrics");
    out_open(out, '[');
    int task = task_parse(model->task);
    size_t n;
    const struct metric_def *defs = metric_table(&n);
    for (size_t i = 0; task >= 0 && i < n; i++) {
        if (!(defs[i].tasks & (1u << task)))
            continue;
        out_open(out, '{');
        out_key_string(out, "name", defs[i].name);
        out_key_string(out, "unit", defs[i].unit);
        out_key_string(out, "better", better_word(defs[i].better));
        out_key_string(out, "help", defs[i].help);
        out_close(out, '}');
    }
    const struct config_model *config =
        context->config ? config_model_find(context->config, model->name) : NULL;
    for (size_t i = 0; config && i < config->n_metrics; i++) {
        out_open(out, '{');
        out_key_string(out, "name", config->metrics[i].name);
        out_key_string(out, "unit", NULL);
        out_key_string(out, "better", better_word(BETTER_NONE));
        out_key_string(out, "help",
                       config->metrics[i].expr ? config->metrics[i].expr : "A business outcome.");
        out_close(out, '}');
    }
    out_close(out, ']');
    out_key(out, "main_metrics");
    out_open(out, '[');
    for (const char *at = task >= 0 ? main_metrics((enum task)task) : "", *name = NULL; *at;) {
        size_t size;
        list_next(&at, &name, &size);
        out_bytes(out, name, size);
    }
    int rc = names_each(store, model->name, "system", write_system_metric, out, err);
    out_close(out, ']');
    return rc;
}

int api_model(struct api_context *context, const struct api_input *input, struct api_answer *answer,
              struct err *err)
{
    struct store *store;
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    struct model_known known;
    rc = model_read(store, input_capture(input, "model"), &known, err);
    if (rc)
        return rc;
    out_open(&answer->body, '{');
    rc = write_model(context, store, &known.row, &answer->body, err);
    if (!rc)
        rc = write_metric_names(context, store, &known.row, &answer->body, err);
    out_close(&answer->body, '}');
    model_finish(&known);
    return rc;
}

struct version_writer {
    struct store *store;
    const char *model;
    struct buf *out;
    int64_t first_ms, last_ms;
};

static int widen(void *context, const struct series_known *series, struct err *err)
{
    (void)err;
    struct version_writer *writer = context;
    if (series->first_ms >= 0 && (writer->first_ms < 0 || series->first_ms < writer->first_ms))
        writer->first_ms = series->first_ms;
    if (series->last_ms > writer->last_ms)
        writer->last_ms = series->last_ms;
    return 0;
}

static int write_version(void *context, const char *version, const char *facts, struct err *err)
{
    struct version_writer *writer = context;
    writer->first_ms = writer->last_ms = -1;
    int rc = series_list(writer->store, writer->model, version, "", widen, writer, err);
    if (rc < 0)
        return rc;
    out_open(writer->out, '{');
    out_key_string(writer->out, "model", writer->model);
    out_key_string(writer->out, "version", version);
    out_key_time(writer->out, "first_seen", writer->first_ms);
    out_key_time(writer->out, "last_seen", writer->last_ms);
    out_key(writer->out, "facts");
    if (facts)
        out_raw(writer->out, facts, strlen(facts));
    else
        out_null(writer->out);
    out_close(writer->out, '}');
    return 0;
}

int api_versions(struct api_context *context, const struct api_input *input,
                 struct api_answer *answer, struct err *err)
{
    struct version_writer writer = {.model = input_capture(input, "model"), .out = &answer->body};
    int rc = context_store(context, &writer.store, err);
    struct model_known known;
    if (rc == 0)
        rc = model_read(writer.store, writer.model, &known, err);
    if (rc)
        return rc;
    model_finish(&known);
    list_begin(writer.out);
    rc = versions_each(writer.store, writer.model, write_version, &writer, err);
    list_end(writer.out);
    return rc;
}

struct slice_writer {
    struct buf *out;
    char last[512];
};

/* Rows come by slice; a slice with several versions comes several times. */
static int write_slice(void *context, const struct series_known *series, struct err *err)
{
    struct slice_writer *writer = context;
    const char *equals = strchr(series->slice, '=');
    if (!equals || strcmp(series->slice, writer->last) == 0)
        return 0;
    strncpy(writer->last, series->slice, sizeof(writer->last) - 1);
    out_open(writer->out, '{');
    AUTO_FREE char *segment = strdup(series->slice); /* as it is asked for: key:value */
    size_t n = (size_t)(equals - series->slice);
    if (!segment)
        return err_set(err, -ENOMEM, "no memory for slices");
    segment[n] = ':';
    out_key_string(writer->out, "segment", segment);
    out_key(writer->out, "key");
    out_bytes(writer->out, segment, n);
    out_key_string(writer->out, "value", equals + 1);
    out_key_time(writer->out, "first_seen", series->first_ms);
    out_key_time(writer->out, "last_seen", series->last_ms);
    out_close(writer->out, '}');
    return 0;
}

int api_slices(struct api_context *context, const struct api_input *input,
               struct api_answer *answer, struct err *err)
{
    struct slice_writer writer = {.out = &answer->body};
    struct store *store;
    int rc = context_store(context, &store, err);
    struct model_known known;
    if (rc == 0)
        rc = model_read(store, input_capture(input, "model"), &known, err);
    if (rc)
        return rc;
    model_finish(&known);
    list_begin(writer.out);
    rc = series_list(store, input_capture(input, "model"), NULL, NULL, write_slice, &writer, err);
    list_end(writer.out);
    return rc;
}

/* The facts of a version that the contract names; each is checked, others are refused. */
static int check_facts(json_t *facts, struct api_answer *answer, struct err *err)
{
    static const char *const texts[] = {"code_version", "data_snapshot", "artifact_uri",
                                        "framework", "notes"};
    enum {
        N_TEXTS = sizeof(texts) / sizeof(texts[0])
    };
    const char *name;
    json_t *value;
    json_object_foreach(facts, name, value)
    {
        bool text = false;
        for (size_t i = 0; i < N_TEXTS; i++)
            text |= strcmp(name, texts[i]) == 0;
        if (strcmp(name, "artifact_bytes") == 0) {
            if (!json_is_integer(value) || json_integer_value(value) < 0)
                return api_refuse(answer, err, name, "a whole number from 0 on",
                                  "must be a whole number from 0 on");
        } else if (!text) {
            return api_refuse(answer, err, name,
                              "code_version\ndata_snapshot\nartifact_uri\nartifact_bytes\n"
                              "framework\nnotes",
                              "no such fact");
        } else if (!json_is_string(value)) {
            return api_refuse(answer, err, name, "a text", "must be a text");
        }
    }
    return 0;
}

/* A version may be registered before its first event, but not of a model that no event can be of. */
static int refuse_impossible_model(struct api_context *context, const char *model, struct err *err)
{
    const struct config *config = context->config;
    struct model_known known = {0};
    struct store *store;
    if (config && (config->auto_models.task || config_model_find(config, model)))
        return 0;
    int rc = context_store(context, &store, err);
    if (!rc)
        rc = model_read(store, model, &known, err);
    model_finish(&known);
    return rc;
}

int api_put_version(struct api_context *context, const struct api_input *input,
                    struct api_answer *answer, struct err *err)
{
    const char *model = input_capture(input, "model"), *version = input_capture(input, "version");
    if (!context->commands.put_version)
        return err_set(err, ERR_NOT_FOUND, "versions are only registered by a running daemon");
    int rc = refuse_impossible_model(context, model, err);
    if (rc)
        return rc;
    json_error_t where;
    json_t *facts =
        json_loadb(input->request->body, input->request->body_size, JSON_REJECT_DUPLICATES, &where);
    if (!json_is_object(facts)) {
        json_decref(facts);
        return api_refuse(answer, err, "body", "a JSON object", "must be a JSON object: %.100s",
                          where.text);
    }
    rc = check_facts(facts, answer, err);
    char *text = rc ? NULL : json_print(facts);
    json_decref(facts);
    if (rc == 0)
        rc = text ? context->commands.put_version(context->commands.context, model, version, text,
                                                  input->request->who, err)
                  : err_set(err, -ENOMEM, "no memory for the facts of a version");
    if (rc > 0) {
        answer->status = rc == WEB_UNKNOWN ? 404 : rc == WEB_CONFLICT ? 409 : 422;
        rc = rc == WEB_UNKNOWN ? ERR_NOT_FOUND : ERR_DATA;
    } else if (rc == 0) {
        out_open(&answer->body, '{');
        out_key_string(&answer->body, "model", model);
        out_key_string(&answer->body, "version", version);
        out_key(&answer->body, "facts");
        out_raw(&answer->body, text, strlen(text));
        out_close(&answer->body, '}');
    }
    free(text);
    return rc;
}

int api_delete_model(struct api_context *context, const struct api_input *input,
                     struct api_answer *answer, struct err *err)
{
    struct model_known known = {0};
    struct store *store;
    if (!context->commands.erase_model)
        return err_set(err, ERR_NOT_FOUND, "a model is only erased by a running daemon");
    int rc = context_store(context, &store, err);
    if (rc)
        return rc;
    rc = model_read(store, input_capture(input, "model"), &known, err);
    if (!rc)
        rc = context->commands.erase_model(context->commands.context, known.row.name,
                                           input->request->who, &answer->body, err);
    model_finish(&known);
    if (rc == WEB_CONFLICT) {
        answer->status = 409;
        rc = ERR_DATA;
    }
    return rc;
}
