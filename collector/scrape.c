/*
 * The thread's round: what has ended is read and its events are gathered, then handed on in one
 * piece; what is due is started; then it sleeps in curl_multi_poll until a socket moves, the next
 * one is due, or scrape_stop wakes it.
 */
#include "collector/scrape.h"

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "collector/scrape_values.h"
#include "common/http_out.h"
#include "common/text.h"

enum {
    MAX_LINES = 16 << 20,
    SHOWN_BYTES = 80, /* of an answer that is none */
    LONGEST_SLEEP_MS = 1000,
};

enum result {
    RESULT_OK,
    RESULT_FAILED,    /* no answer in time, refused, not 200, no line that is a sample, … */
    RESULT_TOO_LARGE, /* over SCRAPE_MAX_ANSWER */
    RESULT_LOST,      /* read, but the events were not taken */
    N_RESULTS
};
static const char *const result_names[N_RESULTS] = {"ok", "failed", "too_large", "lost"};

struct target {
    struct config_scrape config; /* texts of our own */
    struct scrape_values *values;
    char *token;     /* NULL: none */
    char host[128];  /* host and port */
    char place[256]; /* with the path; the query may hold secrets and is never shown */
    struct http_out http;
    bool flying;
    bool told; /* the log knows that it fails */
    bool has_lines;
    int64_t due_ms; /* boot clock */
    atomic_int_fast64_t results[N_RESULTS], malformed, told_values;
};

struct scrape {
    struct scrape_options options;
    struct target *targets;
    size_t n_targets;
    CURLM *multi;
    struct buf lines; /* events of this round */
    atomic_bool stopping;
    pthread_t thread;
    bool running;
};

static int64_t boot_ms(const struct scrape *scrape)
{
    return clock_boot_ms(scrape->options.clock);
}

static void count(struct target *target, enum result result)
{
    atomic_fetch_add(&target->results[result], 1);
}

/* Only the first of a row of failures, and the end of it, are worth a line. */
static void note(const struct scrape *scrape, struct target *target, enum result result,
                 const char *problem)
{
    count(target, result);
    if (result != RESULT_OK && !target->told)
        log_write(scrape->options.log, LEVEL_WARNING, "scrape", "%s: %s", target->place, problem);
    else if (result == RESULT_OK && target->told)
        log_write(scrape->options.log, LEVEL_INFO, "scrape", "%s answers again", target->place);
    target->told = result != RESULT_OK;
}

/* --- an answer --- */

struct writing { /* one event a version */
    struct scrape *scrape;
    struct target *target;
    int64_t ts_ms;
    char version[257];
    bool open;
};

static void end_event(struct writing *writing)
{
    if (writing->open)
        buf_printf(&writing->scrape->lines, "}}\n");
    writing->open = false;
}

static void write_value(void *context, const char *version, const char *name, double value)
{
    struct writing *writing = context;
    struct buf *lines = &writing->scrape->lines;
    const struct config_scrape *config = &writing->target->config;
    bool same = writing->open && strcmp(writing->version, version) == 0;
    if (!same) {
        end_event(writing);
        buf_printf(lines, "{\"type\":\"system\",\"ts\":%" PRId64 ",\"model\":", writing->ts_ms);
        json_text(lines, config->model, strlen(config->model));
        buf_printf(lines, ",\"version\":");
        json_text(lines, version, strlen(version));
        buf_printf(lines, ",\"host\":");
        json_text(lines, writing->target->host, strlen(writing->target->host));
        buf_printf(lines, ",\"values\":{");
        snprintf(writing->version, sizeof(writing->version), "%s", version);
        writing->open = writing->target->has_lines = true;
    }
    if (same)
        buf_u8(lines, ',');
    json_text(lines, name, strlen(name));
    buf_u8(lines, ':');
    json_number(lines, value);
    atomic_fetch_add(&writing->target->told_values, 1);
}

/* Whether it was one: without a line that is a sample there is nothing but blank ones and comments. */
static bool read_answer(struct scrape *scrape, struct target *target)
{
    struct writing writing = {
        .scrape = scrape, .target = target, .ts_ms = clock_wall_ms(scrape->options.clock)};
    struct prometheus_counts counts;
    struct buf *answer = &target->http.answer;
    scrape_values_take(target->values, (char *)answer->data, answer->size, boot_ms(scrape),
                       write_value, &writing, &counts);
    end_event(&writing);
    atomic_fetch_add(&target->malformed, counts.malformed);
    return counts.samples > 0 || counts.malformed == 0;
}

static void take_answer(struct scrape *scrape, struct target *target)
{
    const struct buf *answer = &target->http.answer;
    const int shown = answer->size < SHOWN_BYTES ? (int)answer->size : SHOWN_BYTES;
    char begins[SHOWN_BYTES + 1], text[256];
    snprintf(begins, sizeof(begins), "%.*s", shown, answer->size ? (const char *)answer->data : "");
    if (!read_answer(scrape, target)) {
        snprintf(text, sizeof(text),
                 "no line of the answer is a sample of Prometheus' text; does url: lead to the "
                 "metrics (often /metrics)? It begins with: %s",
                 begins);
        note(scrape, target, RESULT_FAILED, text);
    } else if (!target->has_lines) { /* the first answer may hold counters alone */
        note(scrape, target, RESULT_OK, NULL);
    }
}

static void land(struct scrape *scrape, struct target *target, CURLcode result)
{
    int status = http_out_status(&target->http, result);
    const char *problem = target->http.problem;
    char text[128];
    curl_multi_remove_handle(scrape->multi, target->http.curl);
    target->flying = false;
    if (status != 200) {
        if (status > 0 && status < 300)
            snprintf(text, sizeof(text), "HTTP %d", status);
        note(scrape, target, RESULT_FAILED, status > 0 && status < 300 ? text : problem);
    } else if (result == CURLE_WRITE_ERROR) {
        snprintf(text, sizeof(text), "an answer of over %d MiB", SCRAPE_MAX_ANSWER >> 20);
        note(scrape, target, RESULT_TOO_LARGE, text);
    } else if (result != CURLE_OK) {
        note(scrape, target, RESULT_FAILED, curl_easy_strerror(result));
    } else {
        take_answer(scrape, target);
    }
    http_out_finish(&target->http);
}

/* All events of this round at once: whoever takes them waits for the disk. */
static void hand_on(struct scrape *scrape)
{
    struct err err = {0};
    int rc = 0;
    if (buf_failed(&scrape->lines))
        rc = err_set(&err, -ENOMEM, "no memory for the events");
    else if (scrape->lines.size)
        rc = scrape->options.take(scrape->options.context, (const char *)scrape->lines.data,
                                  scrape->lines.size, &err);
    for (size_t i = 0; i < scrape->n_targets; i++) {
        struct target *target = &scrape->targets[i];
        if (target->has_lines && !atomic_load(&scrape->stopping))
            note(scrape, target, rc ? RESULT_LOST : RESULT_OK, err.text);
        target->has_lines = false;
    }
    buf_clear(&scrape->lines);
}

/* --- a request --- */

static int prepare(struct target *target, struct err *err)
{
    const struct config_scrape *config = &target->config;
    const struct http_target request = {
        .url = config->url,
        .method = "GET",
        .ca_file = config->ca_file,
        .allow_private = config->allow_private,
        .timeout_ms = config->timeout_ms,
        .max_answer = SCRAPE_MAX_ANSWER,
        .packed = true,
    };
    int rc = http_out_init(&target->http, target->place, err);
    if (!rc)
        rc = http_out_header(&target->http, err,
                             "accept: application/openmetrics-text;version=1.0.0;q=0.8,"
                             "text/plain;version=0.0.4;q=0.5");
    if (!rc)
        rc = http_out_header(&target->http, err, "x-prometheus-scrape-timeout-seconds: %g",
                             (double)config->timeout_ms / 1000);
    if (!rc && target->token)
        rc = http_out_header(&target->http, err, "authorization: Bearer %s", target->token);
    if (!rc)
        rc = http_out_prepare(&target->http, &request, err);
    return rc;
}

static void take_off(struct scrape *scrape, struct target *target)
{
    struct err err = {0};
    int64_t now_ms = boot_ms(scrape);
    target->due_ms += target->config.interval_ms;
    if (target->due_ms <= now_ms) /* we were late: not twice at once */
        target->due_ms = now_ms + target->config.interval_ms;
    int rc = prepare(target, &err);
    if (!rc && curl_multi_add_handle(scrape->multi, target->http.curl) != CURLM_OK)
        rc = err_set(&err, -ENOMEM, "no memory for a request");
    if (rc) {
        note(scrape, target, RESULT_FAILED, err.text);
        http_out_finish(&target->http);
    }
    target->flying = !rc;
}

static void *run(void *context)
{
    struct scrape *scrape = context;
    while (!atomic_load(&scrape->stopping)) {
        int running = 0, left = 0;
        int64_t sleep_ms = LONGEST_SLEEP_MS;
        for (size_t i = 0; i < scrape->n_targets; i++) {
            struct target *target = &scrape->targets[i];
            if (!target->flying && target->due_ms <= boot_ms(scrape))
                take_off(scrape, target);
            if (!target->flying && target->due_ms - boot_ms(scrape) < sleep_ms)
                sleep_ms = target->due_ms - boot_ms(scrape);
        }
        curl_multi_perform(scrape->multi, &running);
        CURLMsg *message;
        while ((message = curl_multi_info_read(scrape->multi, &left))) {
            for (size_t i = 0; i < scrape->n_targets; i++)
                if (scrape->targets[i].flying &&
                    scrape->targets[i].http.curl == message->easy_handle) {
                    land(scrape, &scrape->targets[i], message->data.result);
                    break;
                }
        }
        hand_on(scrape);
        curl_multi_poll(scrape->multi, NULL, 0, sleep_ms > 0 ? (int)sleep_ms : 0, NULL);
    }
    return NULL;
}

/* --- start and stop --- */

static int copy_text(const char *const *from, const char **to, struct err *err)
{
    *to = *from ? strdup(*from) : NULL;
    return *from && !*to ? err_set(err, -ENOMEM, "scrape: no memory") : 0;
}

/* The configuration may go at a reload, in which this thread has no part. */
static int copy_config(struct config_scrape *to, const struct config_scrape *from, struct err *err)
{
    *to = *from;
    to->url = to->model = to->version = to->version_label = to->version_pattern = NULL;
    to->ca_file = to->token_file = NULL;
    to->values = NULL;
    to->n_values = 0;
    int rc = copy_text(&from->url, &to->url, err);
    rc = rc ? rc : copy_text(&from->model, &to->model, err);
    rc = rc ? rc : copy_text(&from->version, &to->version, err);
    rc = rc ? rc : copy_text(&from->version_label, &to->version_label, err);
    rc = rc ? rc : copy_text(&from->version_pattern, &to->version_pattern, err);
    rc = rc ? rc : copy_text(&from->ca_file, &to->ca_file, err);
    struct config_pair *values = rc ? NULL : calloc(from->n_values + 1, sizeof(*values));
    if (!rc && !values)
        rc = err_set(err, -ENOMEM, "scrape: no memory");
    to->values = values;
    for (; !rc && to->n_values < from->n_values; to->n_values++) {
        const struct config_pair *pair = &from->values[to->n_values];
        rc = copy_text(&pair->key, &values[to->n_values].key, err);
        if (!rc)
            rc = copy_text(&pair->value, &values[to->n_values].value, err);
    }
    return rc;
}

static void free_text(const char *text)
{
    free((void *)(uintptr_t)text);
}

static void free_config(struct config_scrape *config)
{
    free_text(config->url);
    free_text(config->model);
    free_text(config->version);
    free_text(config->version_label);
    free_text(config->version_pattern);
    free_text(config->ca_file);
    for (size_t i = 0; i < config->n_values; i++) {
        free_text(config->values[i].key);
        free_text(config->values[i].value);
    }
    free((void *)(uintptr_t)config->values);
}

static int target_init(struct target *target, const struct config_scrape *config, struct err *err)
{
    int rc = copy_config(&target->config, config, err);
    if (rc)
        return rc;
    const char *slashes = strstr(config->url, "//");
    const char *host = slashes ? slashes + 2 : config->url;
    if (!host)
        return err_set(err, ERR_USAGE, "scrape: a url is missing");
    snprintf(target->host, sizeof(target->host), "%.*s", (int)strcspn(host, "/?#"), host);
    snprintf(target->place, sizeof(target->place), "%.*s", (int)strcspn(host, "?#"), host);
    rc = scrape_values_new(&target->values, &target->config, err);
    if (!rc && config->token_file)
        rc = config_secret_read(&target->token, config->token_file, err);
    return rc;
}

static int start(struct scrape *scrape, struct err *err)
{
    const struct config *config = scrape->options.config;
    int checked = scrape_check(config, err);
    if (checked)
        return checked;
    scrape->targets = calloc(config->n_scrape, sizeof(*scrape->targets));
    scrape->multi = curl_multi_init();
    if (!scrape->targets || !scrape->multi)
        return err_set(err, -ENOMEM, "scrape: no memory");
    int rc = 0;
    for (; !rc && scrape->n_targets < config->n_scrape; scrape->n_targets++)
        rc = target_init(&scrape->targets[scrape->n_targets], &config->scrape[scrape->n_targets],
                         err);
    if (rc)
        return rc;
    for (size_t i = 0; i < scrape->n_targets; i++)
        scrape->targets[i].due_ms = boot_ms(scrape);
    rc = -pthread_create(&scrape->thread, NULL, run, scrape);
    scrape->running = rc == 0;
    return rc ? err_set(err, rc, "scrape: cannot start its thread: %s", err_words(-rc)) : 0;
}

int scrape_check(const struct config *config, struct err *err)
{
    for (size_t i = 0; i < config->n_scrape; i++) {
        AUTO(scrape_values) struct scrape_values *values = NULL;
        int rc = scrape_values_new(&values, &config->scrape[i], err);
        if (rc)
            return err_prefix(err, rc, "%s:%d", config->path, config->scrape[i].line);
    }
    return 0;
}

int scrape_start(struct scrape **out, const struct scrape_options *options, struct err *err)
{
    *out = NULL;
    if (options->config->n_scrape == 0)
        return 0;
    struct scrape *scrape = calloc(1, sizeof(*scrape));
    if (!scrape)
        return err_set(err, -ENOMEM, "scrape: no memory");
    scrape->options = *options;
    buf_init(&scrape->lines, MAX_LINES);
    int rc = start(scrape, err);
    if (rc) {
        scrape_stop(scrape);
        return rc;
    }
    *out = scrape; /* the caller owns it now */
    return 0;
}

static void target_finish(struct scrape *scrape, struct target *target)
{
    if (target->flying) {
        curl_multi_remove_handle(scrape->multi, target->http.curl);
        http_out_finish(&target->http);
    }
    scrape_values_free(target->values);
    free_config(&target->config);
    if (target->token)
        explicit_bzero(target->token, strlen(target->token));
    free(target->token);
}

void scrape_stop(struct scrape *scrape)
{
    if (!scrape)
        return;
    atomic_store(&scrape->stopping, true);
    if (scrape->running) {
        curl_multi_wakeup(scrape->multi);
        pthread_join(scrape->thread, NULL);
    }
    for (size_t i = 0; i < scrape->n_targets; i++)
        target_finish(scrape, &scrape->targets[i]);
    if (scrape->multi)
        curl_multi_cleanup(scrape->multi);
    buf_finish(&scrape->lines);
    free(scrape->targets);
    free(scrape);
}

static void label(struct buf *out, const char *name, const char *text)
{
    buf_printf(out, "%s=\"", name);
    for (const char *c = text; *c; c++) {
        if (*c == '\\' || *c == '"')
            buf_u8(out, '\\');
        buf_u8(out, (uint8_t)*c);
    }
    buf_u8(out, '"');
}

/* Empty where a label of the samples tells it. */
static const char *version_of(const struct target *target)
{
    return target->config.version ? target->config.version : "";
}

static void begin_sample(struct buf *out, const char *name, const struct target *target)
{
    buf_printf(out, "%s{", name);
    label(out, "target", target->place);
    buf_u8(out, ',');
    label(out, "model", target->config.model);
    buf_u8(out, ',');
    label(out, "version", version_of(target));
}

static bool seen_before(const struct scrape *scrape, size_t i)
{
    const struct target *target = &scrape->targets[i];
    for (size_t k = 0; k < i; k++)
        if (strcmp(scrape->targets[k].place, target->place) == 0 &&
            strcmp(scrape->targets[k].config.model, target->config.model) == 0 &&
            strcmp(version_of(&scrape->targets[k]), version_of(target)) == 0)
            return true;
    return false;
}

void scrape_own_metrics(struct scrape *scrape, struct buf *out)
{
    if (!scrape)
        return;
    buf_printf(out, "# TYPE assay_scrapes counter\n# HELP assay_scrapes Prometheus endpoints "
                    "asked, by result.\n");
    for (size_t i = 0; i < scrape->n_targets; i++) {
        for (int r = 0; r < N_RESULTS && !seen_before(scrape, i); r++) {
            begin_sample(out, "assay_scrapes_total", &scrape->targets[i]);
            buf_printf(out, ",result=\"%s\"} %" PRId64 "\n", result_names[r],
                       (int64_t)atomic_load(&scrape->targets[i].results[r]));
        }
    }
    buf_printf(out, "# TYPE assay_scrape_values counter\n# HELP assay_scrape_values System values "
                    "that they told.\n");
    for (size_t i = 0; i < scrape->n_targets; i++) {
        if (seen_before(scrape, i))
            continue;
        begin_sample(out, "assay_scrape_values_total", &scrape->targets[i]);
        buf_printf(out, "} %" PRId64 "\n", (int64_t)atomic_load(&scrape->targets[i].told_values));
    }
    buf_printf(out, "# TYPE assay_scrape_malformed counter\n# HELP assay_scrape_malformed Lines "
                    "of answers that are no sample.\n");
    for (size_t i = 0; i < scrape->n_targets; i++) {
        if (seen_before(scrape, i))
            continue;
        begin_sample(out, "assay_scrape_malformed_total", &scrape->targets[i]);
        buf_printf(out, "} %" PRId64 "\n", (int64_t)atomic_load(&scrape->targets[i].malformed));
    }
}
