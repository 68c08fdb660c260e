#include "web/sink.h"

#include <errno.h>
#include <inttypes.h>
#include <jansson.h>
#include <libgen.h>
#include <limits.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"
#include "common/json_out.h"
#include "common/text.h"
#include "web/api.h"
#include "web/tensorboard.h"

enum {
    MAX_SINKS = 16,
    WAKE_MS = 500, /* how long stopping waits at most */
    LOG_EVERY_MS = 60000,
};

struct sink {
    char logdir[PATH_MAX];
    char *model, *metrics;
    int64_t window_ms, delay_ms;
    struct tensorboard *board;
    struct log_limit limit;
    atomic_int_fast64_t windows, errors;
    struct err problem; /* the last one; its text may be "" */
    int64_t problem_ms;
};

struct sinks {
    struct sinks_options options;
    struct sink items[MAX_SINKS];
    size_t n;
    struct api_context *api;
    pthread_mutex_t lock; /* of the problems */
    pthread_t thread;
    bool running;
    atomic_bool stopping;
};

/* --- the configuration --- */

struct place { /* of an item, for messages */
    const struct config *config;
    size_t index;
};

static int refuse(const struct place *at, const char *key, const char *why, struct err *err)
{
    const struct config_part *part = &at->config->sinks;
    int line = at->index < part->n_items ? part->item_lines[at->index] : part->line;
    return err_set(err, ERR_DATA, "%s:%d: sinks[%zu].%s: %s", at->config->path, line, at->index,
                   key, why);
}

static int read_duration(const struct place *at, const json_t *item, const char *key,
                         int64_t fallback_ms, int64_t *out, struct err *err)
{
    const json_t *value = json_object_get(item, key);
    *out = fallback_ms;
    if (!value)
        return 0;
    const char *text = json_string_value(value);
    if (!text || duration_parse(out, text, strlen(text)) || *out < 0)
        return refuse(at, key, "must be a duration such as 1h", err);
    return 0;
}

static int read_text(const struct place *at, const json_t *item, const char *key, char **out,
                     struct err *err)
{
    const json_t *value = json_object_get(item, key);
    if (!value)
        return 0;
    if (!json_string_length(value))
        return refuse(at, key, "must be a text", err);
    *out = strdup(json_string_value(value));
    return *out ? 0 : err_set(err, -ENOMEM, "no memory for sinks");
}

/* Relative to the configuration file, as all paths are. */
static int read_logdir(const struct place *at, const json_t *item, struct sink *sink,
                       struct err *err)
{
    const char *logdir = json_string_value(json_object_get(item, "logdir"));
    if (!logdir || !*logdir)
        return refuse(at, "logdir", "is missing: the directory that TensorBoard reads", err);
    AUTO_FREE char *path = strdup(at->config->path);
    if (!path)
        return err_set(err, -ENOMEM, "no memory for sinks");
    int n = logdir[0] == '/'
                ? snprintf(sink->logdir, sizeof(sink->logdir), "%s", logdir)
                : snprintf(sink->logdir, sizeof(sink->logdir), "%s/%s", dirname(path), logdir);
    return n < (int)sizeof(sink->logdir) ? 0 : refuse(at, "logdir", "is too long a path", err);
}

static int check_keys(const struct place *at, json_t *item, struct err *err)
{
    static const char *const known[] = {"type", "logdir", "window", "delay", "model", "metrics"};
    enum {
        N = sizeof(known) / sizeof(known[0])
    };
    const char *key;
    json_t *value;
    json_object_foreach(item, key, value)
    {
        size_t i = 0;
        while (i < N && strcmp(known[i], key) != 0)
            i++;
        const char *near = i == N ? text_near(key, known, N) : NULL;
        char why[120];
        snprintf(why, sizeof(why), "no such key%s%s", near ? "; did you mean " : "",
                 near ? near : "");
        if (i == N)
            return refuse(at, key, why, err);
    }
    return 0;
}

static int read_sink(const struct place *at, json_t *item, struct sink *sink, struct err *err)
{
    const char *type = json_string_value(json_object_get(item, "type"));
    if (!type)
        return refuse(at, "type", "is missing: tensorboard", err);
    if (strcmp(type, "tensorboard") != 0)
        return refuse(at, "type",
                      "only tensorboard is in this version; Prometheus reads /metrics, and "
                      "`assay export` writes csv and json",
                      err);
    int rc = check_keys(at, item, err);
    if (!rc)
        rc = read_logdir(at, item, sink, err);
    if (!rc)
        rc = read_text(at, item, "model", &sink->model, err);
    if (!rc)
        rc = read_text(at, item, "metrics", &sink->metrics, err);
    if (!rc)
        rc = read_duration(at, item, "window", INT64_C(3600000), &sink->window_ms, err);
    if (!rc && (sink->window_ms < 60000 || sink->window_ms % 60000))
        rc = refuse(at, "window", "must be a multiple of 1m", err);
    if (!rc)
        rc = read_duration(at, item, "delay", sink->window_ms, &sink->delay_ms, err);
    if (!rc && sink->model && !config_model_find(at->config, sink->model) &&
        !at->config->auto_models.task)
        rc = refuse(at, "model", "no model of this name is configured", err);
    return rc;
}

static int read_sinks(struct sinks *sinks, const struct config *config, struct err *err)
{
    json_error_t why;
    json_t *list = json_loads(config->sinks.json, 0, &why);
    size_t i;
    json_t *item;
    int rc = 0;
    if (json_array_size(list) > MAX_SINKS)
        rc = err_set(err, ERR_DATA, "%s:%d: sinks: more than %d", config->path, config->sinks.line,
                     MAX_SINKS);
    json_array_foreach(list, i, item)
    {
        struct place at = {config, i};
        if (!rc)
            rc = read_sink(&at, item, &sinks->items[sinks->n++], err);
    }
    json_decref(list);
    return rc;
}

static void free_sinks(struct sinks *sinks)
{
    if (!sinks)
        return;
    for (size_t i = 0; i < sinks->n; i++) {
        tensorboard_free(sinks->items[i].board);
        free(sinks->items[i].model);
        free(sinks->items[i].metrics);
    }
    api_close(sinks->api);
    pthread_mutex_destroy(&sinks->lock);
    free(sinks);
}

int sinks_check(const struct config *config, struct err *err)
{
    struct sinks *sinks = calloc(1, sizeof(*sinks));
    if (!sinks)
        return err_set(err, -ENOMEM, "no memory for sinks");
    pthread_mutex_init(&sinks->lock, NULL);
    int rc = read_sinks(sinks, config, err);
    free_sinks(sinks);
    return rc;
}

/* --- writing --- */

static int write_sink(struct sinks *sinks, struct sink *sink, struct err *err)
{
    int64_t n = 0;
    int rc = 0;
    if (!sink->board) {
        struct tensorboard_options options = {
            .logdir = sink->logdir,
            .model = sink->model,
            .metrics = sink->metrics,
            .from_ms = -1,
            .to_ms = -1,
            .window_ms = sink->window_ms,
            .delay_ms = sink->delay_ms,
        };
        rc = tensorboard_new(&sink->board, &options, err);
    }
    if (!rc)
        rc = tensorboard_write(sink->board, sinks->api, &n, err);
    atomic_fetch_add(&sink->windows, n);
    if (rc && rc != ERR_NOT_FOUND) /* a model that nothing has come of yet */
        return rc;
    return 0;
}

static void note_problem(struct sinks *sinks, struct sink *sink, const struct err *err)
{
    atomic_fetch_add(&sink->errors, 1);
    pthread_mutex_lock(&sinks->lock);
    sink->problem = *err;
    sink->problem_ms = clock_wall_ms(clock_system());
    pthread_mutex_unlock(&sinks->lock);
}

static void *keep_writing(void *context)
{
    struct sinks *sinks = context;
    uint64_t seen = 0;
    while (!atomic_load(&sinks->stopping)) {
        uint64_t now = changes_wait(sinks->options.changes, seen, WAKE_MS);
        for (size_t i = 0; now != seen && i < sinks->n; i++) {
            struct sink *sink = &sinks->items[i];
            struct err err = {0};
            if (write_sink(sinks, sink, &err) == 0)
                continue;
            note_problem(sinks, sink, &err);
            tensorboard_free(sink->board); /* begins anew, from where the position says */
            sink->board = NULL;
            if (sinks->options.log &&
                log_allowed(&sink->limit, clock_boot_ms(clock_system()), NULL))
                log_write(sinks->options.log, LEVEL_WARNING, "web", "sink tensorboard: %s",
                          err.text);
        }
        seen = now;
    }
    return NULL;
}

int sinks_start(struct sinks **out, const struct sinks_options *options, struct err *err)
{
    *out = NULL;
    struct sinks *sinks = calloc(1, sizeof(*sinks));
    if (!sinks)
        return err_set(err, -ENOMEM, "no memory for sinks");
    pthread_mutex_init(&sinks->lock, NULL);
    sinks->options = *options;
    int rc = read_sinks(sinks, options->config, err);
    if (rc || sinks->n == 0) {
        free_sinks(sinks);
        return rc;
    }
    for (size_t i = 0; i < sinks->n; i++)
        sinks->items[i].limit.every_ms = LOG_EVERY_MS;
    struct api_options api = {.config = options->config, .store_path = options->store_path};
    rc = api_open(&sinks->api, &api, err);
    if (!rc) {
        rc = -pthread_create(&sinks->thread, NULL, keep_writing, sinks);
        if (rc)
            err_set(err, rc, "cannot start the thread of sinks: %s", err_words(-rc));
    }
    if (rc) {
        free_sinks(sinks);
        return rc;
    }
    sinks->running = true;
    *out = sinks; /* the caller owns it now */
    return 0;
}

void sinks_stop(struct sinks *sinks)
{
    if (!sinks)
        return;
    atomic_store(&sinks->stopping, true);
    if (sinks->running)
        pthread_join(sinks->thread, NULL);
    free_sinks(sinks);
}

void sinks_write(struct sinks *sinks, struct buf *out)
{
    for (size_t i = 0; sinks && i < sinks->n; i++) {
        struct sink *sink = &sinks->items[i];
        out_open(out, '{');
        out_key_string(out, "type", "tensorboard");
        out_key_string(out, "logdir", sink->logdir);
        out_key_string(out, "model", sink->model);
        out_key_int(out, "windows", atomic_load(&sink->windows));
        out_key_int(out, "errors", atomic_load(&sink->errors));
        pthread_mutex_lock(&sinks->lock);
        out_key_string(out, "problem", sink->problem_ms ? sink->problem.text : NULL);
        out_key_time(out, "problem_at", sink->problem_ms ? sink->problem_ms : -1);
        pthread_mutex_unlock(&sinks->lock);
        out_close(out, '}');
    }
}

static void write_counter(struct sinks *sinks, struct buf *out, const char *name, const char *help,
                          bool errors)
{
    buf_printf(out, "# TYPE %s counter\n# HELP %s %s\n", name, name, help);
    for (size_t i = 0; i < sinks->n; i++) {
        struct sink *sink = &sinks->items[i];
        buf_printf(out, "%s_total{sink=\"tensorboard\",index=\"%zu\"} %" PRIdFAST64 "\n", name, i,
                   atomic_load(errors ? &sink->errors : &sink->windows));
    }
}

void sinks_own_metrics(struct sinks *sinks, struct buf *out)
{
    if (!sinks)
        return;
    write_counter(sinks, out, "assay_sink_windows", "Windows that a sink has written.", false);
    write_counter(sinks, out, "assay_sink_errors", "Times a sink could not write.", true);
}
