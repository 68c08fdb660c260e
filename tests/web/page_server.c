/*
 * Serves the page over a database made here, for checks of the API and for working on the page:
 *
 *     page_server [--web-dir web/ui] [--port N] [--hours 26] [--tick-ms 1000]
 *                 [--tls-cert FILE --tls-key FILE] [--tokens FILE]
 *
 * Two models of two versions each; the newer version of `credit` slows down and, in one country,
 * answers worse; labels of the last two hours are still coming. One model has a hostile name. With
 * --tick-ms a minute of data is committed so often, and with each byte of its standard input.
 * Prints the address, ends when its standard input does.
 */
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/clock.h"
#include "stats/fitted.h"
#include "storage/references.h"
#include "tests/test.h"
#include "tests/web/page_alerts.h"
#include "tests/web/site.h"

#define HOSTILE "<img src=x onerror=alert(1)>"

static const char *const countries[] = {"de", "fr", "us"};
enum {
    N_COUNTRIES = 3
};

/* Numbers that look random and are the same in each run: splitmix64. */
static uint64_t random_state = 42;
static double uniform(void)
{
    uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return (double)((z ^ z >> 31) >> 11) * 0x1p-53;
}

struct shape {
    const char *model, *version;
    int n;             /* predictions of this minute */
    double spread;     /* how far apart the scores of the classes are: its skill */
    double latency_ms; /* median */
    double error_rate;
    double labelled; /* share whose label has come */
};

static void predict(struct states *overall, struct states *slice, const struct shape *shape,
                    double skill)
{
    bool positive = uniform() < 0.3, failed = uniform() < shape->error_rate;
    double noise = uniform() + uniform() + uniform() - 1.5;
    double score = 1 / (1 + exp(-(noise * 3 + (positive ? skill : -skill))));
    struct sample sample = {
        .latency_ms = shape->latency_ms * exp(0.9 * (uniform() + uniform() - 1)),
        .score = failed ? (double)NAN : score,
        .value = NAN,
        .predicted = failed ? 0 : class_id(score >= 0.5 ? "1" : "0", 1),
        .failed = failed,
        .label_class = class_id(positive ? "1" : "0", 1),
        .label_value = NAN,
    };
    bool labelled = !failed && uniform() < shape->labelled;
    struct states *both[] = {overall, slice};
    for (int i = 0; i < 2; i++) {
        assert_int_equal(states_predict(both[i], &sample), 0);
        if (labelled)
            assert_int_equal(states_label(both[i], &sample, 1), 0);
    }
}

static void write_pane(struct site *site, const struct shape *shape, const char *slice,
                       int64_t start_ms, const struct states *states)
{
    struct err err = {0};
    struct buf bytes;
    int64_t series;
    buf_init(&bytes, 1 << 24);
    states_save(states, &bytes);
    must(commit_series(site->store, shape->model, shape->version, slice, &series, &err), &err);
    must(commit_pane(site->store, series, MINUTE, start_ms, bytes.data, bytes.size, &err), &err);
    buf_finish(&bytes);
}

static void write_minute(struct site *site, const struct shape *shape, int64_t start_ms)
{
    struct err err = {0};
    struct metric_setup setup = {TASK_BINARY, class_id("1", 1), 0.5, NULL};
    struct model_row model = {shape->model, "binary", "1", 0.5, 2 * HOUR};
    struct states *overall = NULL, *slices[N_COUNTRIES] = {NULL};
    must(commit_model(site->store, &model, &err), &err);
    must(states_new(&overall, &setup, &err), &err);
    for (int i = 0; i < N_COUNTRIES; i++)
        must(states_new(&slices[i], &setup, &err), &err);
    for (int i = 0; i < shape->n; i++) {
        int country = (int)(uniform() * uniform() * N_COUNTRIES);
        bool worse = strcmp(shape->version, "v4") == 0 && country == 1;
        predict(overall, slices[country], shape, worse ? shape->spread * 0.45 : shape->spread);
    }
    write_pane(site, shape, "", start_ms, overall);
    for (int i = 0; i < N_COUNTRIES; i++) {
        char slice[32];
        snprintf(slice, sizeof(slice), "country=%s", countries[i]);
        if (states_count(slices[i]) > 0)
            write_pane(site, shape, slice, start_ms, slices[i]);
        states_free(slices[i]);
    }
    states_free(overall);
}

/* The world at one minute: a rhythm over the day, a release, a slow decay, labels that lag. */
static void write_world(struct site *site, int64_t start_ms, int64_t begin_ms, int64_t end_ms)
{
    double day = sin((double)(start_ms % (24 * HOUR)) / (24.0 * HOUR) * 2 * M_PI - 2);
    double into = (double)(start_ms - begin_ms) / (double)(end_ms - begin_ms);
    int64_t age_ms = end_ms - start_ms;
    double labelled = age_ms > 2 * HOUR ? 0.96 : 0.96 * (double)age_ms / (2 * HOUR);
    int n = 24 + (int)(12 * day);
    bool released = into > 0.6, outage = into > 0.33 && into < 0.36;
    struct shape v3 = {"credit", "v3", released ? n / 2 : n, 1.5, 38, 0.002, labelled};
    struct shape v4 = {"credit", "v4",    n / 2, 1.6 - 0.5 * (into - 0.6), 40 + 60 * (into - 0.6),
                       0.004,    labelled};
    struct shape churn = {"churn", "2024-05", 6, 1.1, 12, 0, labelled};
    struct shape odd = {HOSTILE, HOSTILE, 2, 1.1, 12, 0, labelled};
    if (!outage)
        write_minute(site, &v3, start_ms);
    if (released)
        write_minute(site, &v4, start_ms);
    write_minute(site, &churn, start_ms);
    if (into > 0.9)
        write_minute(site, &odd, start_ms);
}

static void write_facts(struct site *site, int64_t watermark_ms)
{
    struct err err = {0};
    struct partition_counts counts = {.consumed = watermark_ms / MINUTE,
                                      .folded = watermark_ms / MINUTE - 12,
                                      .dead_lettered = 12,
                                      .newest_ts_ms = watermark_ms,
                                      .rejects = {[1] = 9, [5] = 3}};
    static int64_t next = -1;
    char text[300];
    must(commit_fact(site->store, "watermark_ms", watermark_ms, &err), &err);
    must(commit_fact(site->store, "labels_complete_ms/credit", watermark_ms - 2 * HOUR, &err),
         &err);
    must(commit_fact(site->store, "labels_complete_ms/churn", watermark_ms - 2 * HOUR, &err), &err);
    must(commit_offset(site->store, "predictions", 0, next, watermark_ms, &counts, &err), &err);
    next = watermark_ms;
    snprintf(text, sizeof(text),
             "{\"predictions\":%lld,\"labels\":%lld,\"joined\":%lld,\"pending\":%d,\"expired\":11,"
             "\"duplicates\":3,\"rejected\":12}",
             (long long)(watermark_ms / MINUTE % 100000 * 24),
             (long long)(watermark_ms / MINUTE % 100000 * 22),
             (long long)(watermark_ms / MINUTE % 100000 * 22), 2600);
    must(commit_model_counts(site->store, "credit", text, &err), &err);
}

/* A labelled reference of which nothing is known but how good the scores are. */
static void write_reference(struct site *site)
{
    enum {
        N = 2000
    };
    struct err err = {0};
    static double scores[N];
    static uint64_t labels[N], predicted[N];
    const uint64_t positive = class_id("1", 1);
    for (int i = 0; i < N; i++) {
        bool yes = uniform() < 0.3;
        double noise = (uniform() + uniform() + uniform() - 1.5) * 3;
        scores[i] = 1 / (1 + exp(-(noise + (yes ? 1.5 : -1.5))));
        labels[i] = yes ? positive : 5;
        predicted[i] = scores[i] >= 0.5 ? positive : 5;
    }
    struct profile_feature score = {
        .name_id = class_id("@score", 6), .kind = PROFILE_NUMERIC, .min = NAN, .max = NAN};
    struct profile_layout layout = {.n_features = 1, .features = &score};
    AUTO(profile) struct profile *profile = NULL;
    AUTO(reference) struct reference *reference = NULL;
    must(profile_new(&profile, &layout, PROFILE_REFERENCE, &err), &err);
    for (int i = 0; i < N; i++) {
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, scores[i], 1), 0);
    }
    must(reference_build(&reference, profile, 0, &err), &err);
    struct estimator_pairs pairs = {TASK_BINARY, reference->id, N,      1,   &positive,
                                    scores,      predicted,     labels, NULL};
    reference->fitted = calloc(1, sizeof(*reference->fitted));
    assert_non_null(reference->fitted);
    must(estimator_fit(&reference->fitted->estimator, &pairs, &err), &err);
    must(commit_reference(site->store, "credit", "", reference, "file", site->now_ms, &err), &err);
}

static void write_history(struct site *site, int64_t begin_ms, int64_t end_ms)
{
    struct err err = {0};
    for (int64_t hour = begin_ms; hour < end_ms; hour += HOUR) {
        must(commit_begin(site->store, &err), &err);
        for (int64_t at = hour; at < hour + HOUR && at < end_ms; at += MINUTE)
            write_world(site, at, begin_ms, end_ms);
        must(commit_end(site->store, &err), &err);
    }
    must(commit_begin(site->store, &err), &err);
    write_facts(site, end_ms);
    must(commit_version(site->store, "credit", "v4",
                        "{\"framework\":\"keras 3\",\"notes\":\"" HOSTILE "\"}", &err),
         &err);
    for (int i = 0; i < 12; i++) {
        struct dead_letter_row row = {.topic = "predictions",
                                      .offset = i,
                                      .at_ms = end_ms - i * MINUTE,
                                      .reason = i % 4 ? "not_json" : "missing_model",
                                      .detail = i % 4 ? NULL : "model",
                                      .payload = view_of("{\"type\":\"prediction\", " HOSTILE)};
        must(commit_dead_letter(site->store, &row, &err), &err);
    }
    page_alerts_write(site, end_ms, HOSTILE);
    write_reference(site);
    must(commit_end(site->store, &err), &err);
}

static void health(void *context, struct web_health *out)
{
    const struct site *site = context;
    *out = (struct web_health){.ready = true,
                               .broker_up = true,
                               .lag = 0,
                               .lag_ms = 800,
                               .watermark_ms = site->now_ms,
                               .pending = 2600,
                               .pending_bytes = 208000,
                               .last_commit_ms = 7,
                               .longest_commit_ms = 41};
}

static const char *reject_word(int reason)
{
    static const char *const words[] = {NULL, "not_json", NULL, NULL, NULL, "missing_model"};
    return reason >= 0 && reason < 6 ? words[reason] : NULL;
}

static const char *text_option(int argc, char **argv, const char *name)
{
    for (int i = 1; i + 1 < argc; i++)
        if (strcmp(argv[i], name) == 0)
            return argv[i + 1];
    return NULL;
}

static int64_t option(int argc, char **argv, const char *name, int64_t otherwise)
{
    const char *text = text_option(argc, argv, name);
    return text ? strtoll(text, NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct site *site = site_new();
    struct err err = {0};
    int64_t tick_ms = option(argc, argv, "--tick-ms", 0);
    int64_t end_ms = clock_wall_ms(clock_system()) / MINUTE * MINUTE;
    int64_t begin_ms = end_ms - option(argc, argv, "--hours", 26) * HOUR;
    write_history(site, begin_ms, end_ms);

    site->now_ms = end_ms;
    site->commands = (struct web_commands){.context = site,
                                           .health = health,
                                           .reject_name = reject_word,
                                           .alert = page_alerts_command};
    struct config_http *http = &site->config.http;
    http->port = (int)option(argc, argv, "--port", 0);
    http->tls_cert = text_option(argc, argv, "--tls-cert");
    http->tls_key = text_option(argc, argv, "--tls-key");
    http->tokens = text_option(argc, argv, "--tokens");
    struct web_options options = {.config = &site->config,
                                  .store_path = site->temp->path,
                                  .changes = site->changes,
                                  .commands = &site->commands,
                                  .web_dir = text_option(argc, argv, "--web-dir")};
    must(web_start(&site->web, &options, &err), &err);
    printf("%s\n", web_url(site->web));
    fflush(stdout);

    struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
    char byte = 0;
    while (poll(&input, 1, tick_ms > 0 ? (int)tick_ms : -1) == 0 ||
           read(STDIN_FILENO, &byte, 1) > 0) {
        pthread_mutex_lock(&page_alerts_lock);
        must(commit_begin(site->store, &err), &err);
        write_world(site, end_ms, begin_ms, end_ms + MINUTE);
        end_ms += MINUTE;
        site->now_ms = end_ms;
        write_facts(site, end_ms);
        must(commit_end(site->store, &err), &err);
        pthread_mutex_unlock(&page_alerts_lock);
    }
    site_free(site);
    return 0;
}
