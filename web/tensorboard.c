#include "web/tensorboard.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "stats/metric.h"
#include "storage/catalog.h"
#include "storage/series.h"
#include "web/ask.h"
#include "web/event_file.h"
#include "web/handlers.h"
#include "web/model_metrics.h"

enum {
    CHUNK_WINDOWS = 200,
    MAX_RUNS = 4096,
    MAX_NAMES_BYTES = 32 * 1024,
    MAX_LIST_BYTES = 5000, /* of one question (web/routes.c) */
};

struct run {
    struct run *next;
    char *model, *version;
    char directory[PATH_MAX];
    int64_t written_ms;      /* end of the last window that was written; -1: none */
    int64_t asked_ms;        /* up to where was asked in vain or not */
    struct event_file *file; /* opened when there is something to write */
};

struct tensorboard {
    struct tensorboard_options options;
    struct run *runs;
};

int tensorboard_new(struct tensorboard **out, const struct tensorboard_options *options,
                    struct err *err)
{
    if (options->window_ms < 60000 || options->window_ms % 60000)
        return err_set(err, ERR_USAGE, "window: must be a multiple of a minute");
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return err_set(err, -ENOMEM, "tensorboard: no memory");
    (*out)->options = *options;
    return 0;
}

void tensorboard_free(struct tensorboard *board)
{
    if (!board)
        return;
    for (struct run *run = board->runs, *next; run; run = next) {
        next = run->next;
        event_file_free(run->file);
        free(run->model);
        free(run->version);
        free(run);
    }
    free(board);
}

/* --- runs and how far they have come --- */

/* A name as one directory: what could leave it, or hide it, is percent-encoded. */
static void print_name(struct buf *out, const char *name)
{
    bool dots = name[0] == '.';
    for (const char *c = name; *c; c++) {
        bool plain = (*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') ||
                     (*c >= 'A' && *c <= 'Z') || *c == '-' || *c == '_' ||
                     (*c == '.' && !(dots && c == name));
        if (plain)
            buf_u8(out, (uint8_t)*c);
        else
            buf_printf(out, "%%%02x", (unsigned)(unsigned char)*c);
    }
}

static int read_position(struct tensorboard *board, struct run *run, struct err *err)
{
    char path[PATH_MAX + 20];
    snprintf(path, sizeof(path), "%s/assay.position", run->directory);
    FILE *file = fopen(path, "re");
    int64_t window_ms = 0;
    run->written_ms = -1;
    if (!file)
        return errno == ENOENT ? 0 : err_set(err, -errno, "%s: %s", path, err_words(errno));
    /* a number that is too large is another window than ours: NOLINTNEXTLINE(cert-err34-c) */
    int n = fscanf(file, "%" SCNd64 " %" SCNd64, &window_ms, &run->written_ms);
    fclose(file);
    if (n != 2)
        return err_set(err, ERR_DATA, "%s: is not a position; remove the run to write it anew",
                       path);
    if (window_ms != board->options.window_ms)
        return err_set(err, ERR_USAGE,
                       "%s was written with windows of %" PRId64 " min, not %" PRId64
                       " min; take another logdir, or remove it",
                       run->directory, window_ms / 60000, board->options.window_ms / 60000);
    return 0;
}

static int write_position(struct tensorboard *board, struct run *run, int64_t end_ms,
                          struct err *err)
{
    char path[PATH_MAX + 20], part[PATH_MAX + 30];
    snprintf(path, sizeof(path), "%s/assay.position", run->directory);
    snprintf(part, sizeof(part), "%s.part", path);
    FILE *file = fopen(part, "we");
    bool fine =
        file && fprintf(file, "%" PRId64 " %" PRId64 "\n", board->options.window_ms, end_ms) > 0;
    fine = file && fclose(file) == 0 && fine;
    if (!fine || rename(part, path) != 0)
        return err_set(err, -(errno ? errno : EIO), "%s: %s", path, err_words(errno));
    run->written_ms = end_ms;
    return 0;
}

static int make_run(struct tensorboard *board, struct run *run, const char *model,
                    const char *version, struct err *err)
{
    struct buf path;
    buf_init(&path, sizeof(run->directory));
    buf_printf(&path, "%s/", board->options.logdir);
    print_name(&path, model);
    buf_u8(&path, '/');
    print_name(&path, version);
    buf_u8(&path, 0);
    bool fits = !buf_failed(&path);
    if (fits)
        memcpy(run->directory, path.data, path.size);
    buf_finish(&path);
    run->model = strdup(model);
    run->version = strdup(version);
    if (!fits || !run->model || !run->version)
        return err_set(err, -ENOMEM, "tensorboard: no memory for a run, or its path is too long");
    return read_position(board, run, err);
}

static int run_of(struct run **out, struct tensorboard *board, const char *model,
                  const char *version, struct err *err)
{
    int n = 0;
    for (struct run *run = board->runs; run; run = run->next, n++) {
        if (strcmp(run->model, model) == 0 && strcmp(run->version, version) == 0) {
            *out = run;
            return 0;
        }
    }
    if (n == MAX_RUNS)
        return err_set(err, ERR_FULL, "tensorboard: more than %d runs", MAX_RUNS);
    struct run *run = calloc(1, sizeof(*run));
    if (!run)
        return err_set(err, -ENOMEM, "tensorboard: no memory for a run");
    int rc = make_run(board, run, model, version, err);
    if (rc) {
        free(run->model);
        free(run->version);
        free(run);
        return rc;
    }
    run->next = board->runs;
    *out = board->runs = run;
    return 0;
}

/* --- what is asked --- */

/* Every metric of the task that is no family (of those with a number, the one for 10), and the
   model's own. */
static void list_metrics(struct buf *out, enum task task, const struct config_model *config)
{
    size_t n;
    const struct metric_def *table = metric_table(&n);
    for (size_t i = 0; i < n; i++) {
        size_t length = strlen(table[i].name);
        bool numbered = length > 2 && strcmp(table[i].name + length - 2, "_k") == 0;
        if (!(table[i].tasks >> task & 1) || strchr(table[i].name, '{'))
            continue;
        buf_printf(out, "%s%.*s%s", out->size ? "," : "", (int)(length - (numbered ? 1 : 0)),
                   table[i].name, numbered ? "10" : "");
    }
    for (size_t i = 0; config && i < config->n_metrics; i++)
        buf_printf(out, ",%s", config->metrics[i].name);
}

struct question {
    struct api_context *api;
    const struct run *run;
    int64_t from_ms, to_ms, window_ms;
};

static void begin_target(struct buf *target, const struct question *q, const char *tail,
                         int64_t from_ms, int64_t to_ms)
{
    char number[24];
    buf_clear(target);
    buf_printf(target, "/api/v1/models");
    api_target_segment(target, q->run->model);
    api_target_segment(target, tail);
    api_target_param(target, "version", q->run->version);
    snprintf(number, sizeof(number), "%" PRId64, from_ms);
    api_target_param(target, "from", number);
    snprintf(number, sizeof(number), "%" PRId64, to_ms);
    api_target_param(target, "to", number);
}

static void add_window(struct buf *target, int64_t window_ms)
{
    char number[24];
    snprintf(number, sizeof(number), "%" PRId64, window_ms);
    api_target_param(target, "window", number);
}

static void print_metric_tag(char tag[400], const char *metric)
{
    static const char *const system[] = {"throughput", "error_rate", "gpu_utilization",
                                         "cpu_utilization", "memory_bytes"};
    bool latency = strncmp(metric, "latency_", 8) == 0;
    bool of_system = latency;
    for (size_t i = 0; i < sizeof(system) / sizeof(system[0]); i++)
        of_system |= strcmp(metric, system[i]) == 0;
    snprintf(tag, 400, "%s/%.320s%s", of_system ? "system" : "metrics", metric,
             latency ? "_ms" : "");
}

static void write_metrics(struct event_file *file, const json_t *answer, size_t window)
{
    size_t i;
    json_t *series;
    json_array_foreach(json_object_get(answer, "series"), i, series)
    {
        char tag[400];
        const json_t *point = json_array_get(json_object_get(series, "points"), window);
        const json_t *value = json_object_get(point, "value");
        if (!json_is_number(value) || json_is_true(json_object_get(point, "partial")))
            continue;
        print_metric_tag(tag, json_string_value(json_object_get(series, "metric")));
        event_scalar(file, tag, json_number_value(value));
    }
}

static int write_histogram(struct event_file *file, const struct question *q, const char *feature,
                           struct err *err)
{
    struct buf target;
    buf_init(&target, 8192);
    begin_target(&target, q, "distribution", q->from_ms, q->to_ms);
    api_target_param(&target, "feature", feature);
    json_t *answer = NULL;
    int rc = ask(&answer, q->api, &target, err);
    buf_finish(&target);
    const json_t *bins = json_object_get(answer, "bins");
    size_t n = json_array_size(bins), n_known = 0;
    AUTO_FREE double(*buckets)[3] = calloc(n + 1, sizeof(*buckets));
    for (size_t i = 0; !rc && buckets && i < n; i++) {
        const json_t *bin = json_array_get(bins, i);
        const json_t *from = json_object_get(bin, "from");
        if (!json_is_number(from))
            break; /* categories have names */
        buckets[i][0] = json_number_value(from);
        buckets[i][1] = json_number_value(json_object_get(bin, "to"));
        buckets[i][2] = json_number_value(json_object_get(bin, "current"));
        n_known++;
    }
    if (!rc && buckets && n_known == n && n > 0) {
        char tag[400];
        snprintf(tag, sizeof(tag), "features/%.300s", feature);
        event_histogram(file, tag, (const double(*)[3])buckets, n);
    }
    json_decref(answer);
    return rc || buckets ? rc : err_set(err, -ENOMEM, "tensorboard: no memory");
}

static int write_features(struct event_file *file, const struct question *q, const json_t *answer,
                          size_t window, struct err *err)
{
    static const char *const statistics[] = {
        "psi",        "js_distance", "ks",           "wasserstein_norm", "hellinger",
        "l_infinity", "unseen_rate", "missing_rate", "invalid_rate"};
    size_t i;
    json_t *feature;
    int rc = 0;
    json_array_foreach(json_object_get(answer, "features"), i, feature)
    {
        const char *name = json_string_value(json_object_get(feature, "feature"));
        const json_t *point = json_array_get(json_object_get(feature, "points"), window);
        if (!name || json_integer_value(json_object_get(point, "n")) == 0)
            continue;
        for (size_t k = 0; k < sizeof(statistics) / sizeof(statistics[0]); k++) {
            char tag[400];
            const json_t *value = json_object_get(point, statistics[k]);
            snprintf(tag, sizeof(tag), "drift/%.300s/%s", name, statistics[k]);
            if (json_is_number(value))
                event_scalar(file, tag, json_number_value(value));
        }
        struct question one = *q;
        one.from_ms = q->from_ms + (int64_t)window * q->window_ms;
        one.to_ms = one.from_ms + q->window_ms;
        if (!rc)
            rc = write_histogram(file, &one, name, err);
    }
    return rc;
}

/* --- writing --- */

/* Did anything come in this window? The first series' point says it of all. */
static bool has_events(const json_t *metrics, size_t window)
{
    const json_t *series = json_array_get(json_object_get(metrics, "series"), 0);
    const json_t *point = json_array_get(json_object_get(series, "points"), window);
    return json_integer_value(json_object_get(point, "n")) > 0;
}

static int open_run(struct api_context *api, struct run *run, struct err *err)
{
    return run->file ? 0
                     : event_file_new(&run->file, run->directory, clock_wall_ms(api->clock), err);
}

static int write_windows(struct tensorboard *board, struct run *run, const struct question *q,
                         const json_t *metrics, const json_t *drift, int64_t *n_windows,
                         struct err *err)
{
    int rc = 0;
    size_t n = (size_t)((q->to_ms - q->from_ms) / q->window_ms);
    for (size_t i = 0; !rc && i < n; i++) {
        int64_t start_ms = q->from_ms + (int64_t)i * q->window_ms;
        int64_t end_ms = start_ms + q->window_ms;
        if (!has_events(metrics, i))
            continue;
        rc = open_run(q->api, run, err);
        if (rc)
            break;
        event_begin(run->file, start_ms / q->window_ms, (double)end_ms / 1e3);
        write_metrics(run->file, metrics, i);
        rc = write_features(run->file, q, drift, i, err);
        if (!rc)
            rc = event_end(run->file, err);
        if (!rc)
            rc = write_position(board, run, end_ms, err);
        *n_windows += !rc;
    }
    if (rc) { /* a file that was written to the middle of a record is not gone on with */
        event_file_free(run->file);
        run->file = NULL;
    }
    return rc;
}

/* The series of all these metrics, asked for in as many questions as it takes. */
static int ask_metrics(json_t **out, const struct question *q, const char *names, struct err *err)
{
    struct buf target, some;
    int rc = 0;
    const char *at = names, *name;
    size_t n;
    *out = NULL;
    buf_init(&target, 64 * 1024);
    buf_init(&some, MAX_NAMES_BYTES);
    for (bool more = list_next(&at, &name, &n); !rc && more;) {
        buf_clear(&some);
        for (int i = 0; more && i < MODEL_METRICS_MAX && some.size + n < MAX_LIST_BYTES;
             i++, more = list_next(&at, &name, &n))
            buf_printf(&some, "%s%.*s", i ? "," : "", (int)n, name);
        buf_u8(&some, 0);
        begin_target(&target, q, "metrics", q->from_ms, q->to_ms);
        add_window(&target, q->window_ms);
        api_target_param(&target, "metric", buf_failed(&some) ? "" : (const char *)some.data);
        json_t *answer;
        rc = ask(&answer, q->api, &target, err);
        if (!*out)
            *out = json_incref(answer);
        else if (!rc)
            json_array_extend(json_object_get(*out, "series"), json_object_get(answer, "series"));
        json_decref(answer);
    }
    buf_finish(&target);
    buf_finish(&some);
    return rc;
}

static int write_chunk(struct tensorboard *board, struct run *run, const struct question *q,
                       const char *names, int64_t *n_windows, struct err *err)
{
    json_t *metrics = NULL, *drift = NULL;
    struct buf target;
    buf_init(&target, 8192);
    int rc = ask_metrics(&metrics, q, names, err);
    if (!rc) {
        begin_target(&target, q, "drift", q->from_ms, q->to_ms);
        add_window(&target, q->window_ms);
        rc = ask(&drift, q->api, &target, err);
    }
    buf_finish(&target);
    if (!rc)
        rc = write_windows(board, run, q, metrics, drift, n_windows, err);
    json_decref(metrics);
    json_decref(drift);
    return rc;
}

struct span {
    int64_t first_ms, last_ms;
};

static int note_span(void *context, const struct series_known *series, struct err *err)
{
    (void)err;
    *(struct span *)context = (struct span){series->first_ms, series->last_ms};
    return 0;
}

static int64_t align_down(int64_t ms, int64_t to)
{
    return ms / to * to;
}

static int write_run(struct tensorboard *board, struct api_context *api, struct run *run,
                     const char *names, int64_t *n_windows, struct err *err)
{
    const struct tensorboard_options *o = &board->options;
    struct span span = {-1, -1};
    int64_t complete_ms, labels_ms;
    struct store *store;
    int rc = context_store(api, &store, err);
    if (!rc)
        rc = series_list(store, run->model, run->version, "", note_span, &span, err);
    if (!rc)
        rc = series_complete(store, run->model, &complete_ms, &labels_ms, err);
    if (rc || span.first_ms < 0)
        return rc;
    struct question q = {.api = api, .run = run, .window_ms = o->window_ms};
    int64_t to_ms = complete_ms - o->delay_ms;
    if (o->to_ms >= 0 && o->to_ms < to_ms)
        to_ms = o->to_ms;
    to_ms = align_down(to_ms, o->window_ms);
    int64_t last_ms = align_down(span.last_ms + o->window_ms - 1, o->window_ms);
    if (to_ms > last_ms)
        to_ms = last_ms;
    if (to_ms <= run->asked_ms)
        return 0;
    q.from_ms = run->written_ms >= 0 ? run->written_ms : align_down(span.first_ms, o->window_ms);
    if (o->from_ms > q.from_ms)
        q.from_ms = align_down(o->from_ms, o->window_ms);
    for (; !rc && q.from_ms < to_ms; q.from_ms = q.to_ms) {
        q.to_ms = q.from_ms + CHUNK_WINDOWS * o->window_ms;
        q.to_ms = q.to_ms > to_ms ? to_ms : q.to_ms;
        rc = write_chunk(board, run, &q, names, n_windows, err);
    }
    if (!rc)
        run->asked_ms = to_ms;
    return rc;
}

static int write_model(struct tensorboard *board, struct api_context *api, const json_t *model,
                       int64_t *n_windows, struct err *err)
{
    const char *name = json_string_value(json_object_get(model, "name"));
    int task = task_parse(json_string_value(json_object_get(model, "task")));
    if (task < 0)
        return err_set(err, ERR_DATA, "tensorboard: %s has an unknown task", name);
    struct buf names;
    buf_init(&names, MAX_NAMES_BYTES);
    if (board->options.metrics)
        buf_printf(&names, "%s", board->options.metrics);
    else
        list_metrics(&names, (enum task)task,
                     api->config ? config_model_find(api->config, name) : NULL);
    buf_u8(&names, 0);
    size_t i;
    json_t *version;
    int rc = buf_failed(&names) ? err_set(err, -ENOMEM, "tensorboard: no memory") : 0;
    json_array_foreach(json_object_get(model, "versions"), i, version)
    {
        const char *text = json_string_value(version);
        struct run *run = NULL;
        if (rc || (board->options.version && strcmp(board->options.version, text) != 0))
            continue;
        rc = run_of(&run, board, name, text, err);
        if (!rc)
            rc = write_run(board, api, run, (const char *)names.data, n_windows, err);
    }
    buf_finish(&names);
    return rc;
}

int tensorboard_write(struct tensorboard *board, struct api_context *api, int64_t *n_windows,
                      struct err *err)
{
    struct buf target;
    buf_init(&target, 8192);
    buf_printf(&target, "/api/v1/models");
    json_t *models = NULL;
    int rc = ask(&models, api, &target, err);
    buf_finish(&target);
    size_t i;
    json_t *model;
    bool found = !board->options.model;
    json_array_foreach(json_object_get(models, "items"), i, model)
    {
        const char *name = json_string_value(json_object_get(model, "name"));
        if (rc || (board->options.model && strcmp(board->options.model, name) != 0))
            continue;
        found = true;
        rc = write_model(board, api, model, n_windows, err);
    }
    json_decref(models);
    if (!rc && !found)
        rc = err_set(err, ERR_NOT_FOUND, "no model %.100s", board->options.model);
    return rc;
}
