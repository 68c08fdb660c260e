/*
 * What alerts cost the thread that writes, without Kafka, broker or receiver: a look at which no
 * rule fires, the look at which all of them do, the flush that turns them into messages, and what
 * the postman makes of them before they leave.
 *
 *     bench_alerts [RULES]      default: 10000; a hundred rules a group
 *
 * CPU time of the thread, best of some rounds, each in a database of its own. Prints Markdown.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "alerts/request.h"
#include "alerts/run.h"
#include "stats/metric.h"
#include "storage/commit.h"
#include "storage/outbox.h"

enum {
    ROUNDS = 5,
    PER_GROUP = 100,
    PREDICTIONS = 1000,
    MAX_YAML = 64 << 20,
};
#define MINUTE_MS INT64_C(60000)
#define START_MS (INT64_C(28333333) * MINUTE_MS)

enum step {
    QUIET_LOOK,
    FIRING_LOOK,
    FLUSH,
    CHECKPOINT,
    REQUESTS,
    N_PARTS
};

struct bench {
    int n_rules;
    char directory[64], path[96];
    struct store *store;
    struct config *config;
    struct alerts *alerts;
    int64_t series;
    int n_messages;
    double took[N_PARTS];
};

static void must(int rc, const struct err *err)
{
    if (rc) {
        fprintf(stderr, "bench_alerts: %s\n", err->text);
        exit(1);
    }
}

static double cpu_s(void)
{
    struct timespec at;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &at);
    return (double)at.tv_sec + (double)at.tv_nsec / 1e9;
}

static void configure(struct bench *bench)
{
    struct err err = {0};
    struct buf yaml;
    buf_init(&yaml, MAX_YAML);
    buf_printf(&yaml, "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
                      "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/', "
                      "allow_private: true}]\n"
                      "route: {receiver: oncall, group_by: [group], group_wait: 0s, "
                      "group_interval: 1s}\nalerts:\n");
    for (int i = 0; i < bench->n_rules; i++)
        buf_printf(&yaml,
                   "  - {name: e%d, model: credit, metric: error_rate, above: 0.2, "
                   "labels: {group: g%d}}\n",
                   i, i / PER_GROUP);
    must(buf_failed(&yaml) ? -1 : 0, &err);
    must(config_parse(&bench->config, "assay.yaml", (const char *)yaml.data, yaml.size, &err),
         &err);
    buf_finish(&yaml);
}

static void open_all(struct bench *bench)
{
    static const struct model_row model = {"credit", "binary", "1", 0.5, 60 * MINUTE_MS};
    struct err err = {0};
    snprintf(bench->directory, sizeof(bench->directory), "/tmp/assay-bench-XXXXXX");
    must(mkdtemp(bench->directory) ? 0 : err_set(&err, -1, "no directory in /tmp"), &err);
    snprintf(bench->path, sizeof(bench->path), "%s/assay.db", bench->directory);
    must(store_open(&bench->store, bench->path, STORE_WRITE, &err), &err);
    must(commit_begin(bench->store, &err), &err);
    must(commit_model(bench->store, &model, &err), &err);
    must(commit_series(bench->store, "credit", "v1", "", &bench->series, &err), &err);
    must(commit_end(bench->store, &err), &err);
    must(alerts_new(&bench->alerts, bench->config, bench->store, NULL, "http://page", &err), &err);
}

static void close_all(struct bench *bench)
{
    static const char *const ends[] = {"", "-wal", "-shm", ".lock"};
    alerts_free(bench->alerts);
    store_free(bench->store);
    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char path[128];
        snprintf(path, sizeof(path), "%s%s", bench->path, ends[i]);
        unlink(path);
    }
    if (rmdir(bench->directory))
        perror(bench->directory);
}

/* A minute's pane of which that many failed. */
static void write_pane(struct bench *bench, int n_failed)
{
    struct metric_setup setup = {
        .task = TASK_BINARY, .positive = class_id("1", 1), .threshold = 0.5};
    struct err err = {0};
    AUTO(states) struct states *states = NULL;
    must(states_new(&states, &setup, &err), &err);
    for (int i = 0; i < PREDICTIONS; i++) {
        struct sample sample = {.ts_ms = START_MS,
                                .latency_ms = 10,
                                .score = 0.5,
                                .value = (double)NAN,
                                .label_value = (double)NAN,
                                .predicted = class_id("1", 1),
                                .failed = i < n_failed};
        must(states_predict(states, &sample), &err);
    }
    struct buf bytes;
    buf_init(&bytes, 1 << 20);
    states_save(states, &bytes);
    must(commit_begin(bench->store, &err), &err);
    must(
        commit_pane(bench->store, bench->series, MINUTE_MS, START_MS, bytes.data, bytes.size, &err),
        &err);
    must(commit_end(bench->store, &err), &err);
    buf_finish(&bytes);
}

static double look(struct bench *bench, int64_t now_ms)
{
    struct err err = {0};
    const struct outside outside = {.now_ms = now_ms, .lag = -1};
    double began = cpu_s();
    must(alerts_look(bench->alerts, &outside, &err), &err);
    return cpu_s() - began;
}

static double flush(struct bench *bench)
{
    struct err err = {0};
    int64_t next_ms;
    double began = cpu_s();
    bench->n_messages = 0;
    for (int n = 1; n > 0; bench->n_messages += n) {
        n = alerts_flush(bench->alerts, 0, &next_ms, &err);
        must(n < 0 ? n : 0, &err);
    }
    return cpu_s() - began;
}

/* What was written leaves the WAL for the database, as it does after a commit. */
static double checkpoint(struct bench *bench)
{
    struct err err = {0};
    double began = cpu_s();
    must(store_checkpoint(bench->store, &err), &err);
    return cpu_s() - began;
}

static int make_request(void *context, const struct outbox_row *row, struct err *err)
{
    struct bench *bench = context;
    struct request *request = NULL;
    const struct receiver *receiver = receiver_set_at(alerts_receivers(bench->alerts), 0);
    int rc = request_new(&request, receiver, row->webhook_id, row->data, 0, err);
    request_free(request);
    return rc;
}

static double make_requests(struct bench *bench)
{
    struct err err = {0};
    double began = cpu_s();
    must(outbox_read(bench->store, INT64_MAX, bench->n_messages, make_request, bench, &err), &err);
    return cpu_s() - began;
}

static void play(struct bench *bench)
{
    open_all(bench);
    write_pane(bench, 0);
    look(bench, START_MS + 10000); /* what is read once is read */
    const double took[] = {
        [QUIET_LOOK] = look(bench, START_MS + 20000),
        [FIRING_LOOK] = (write_pane(bench, PREDICTIONS / 2), look(bench, START_MS + 30000)),
        [FLUSH] = flush(bench),
        [CHECKPOINT] = checkpoint(bench),
        [REQUESTS] = make_requests(bench),
    };
    for (int i = 0; i < N_PARTS; i++)
        if (bench->took[i] == 0 || took[i] < bench->took[i])
            bench->took[i] = took[i];
    close_all(bench);
}

int main(int argc, char **argv)
{
    static const char *const names[] = {"a look, none fires", "the look at which all fire",
                                        "the flush", "the checkpoint", "the requests"};
    struct bench bench = {.n_rules = argc > 1 ? atoi(argv[1]) : 10000};
    configure(&bench);
    for (int i = 0; i < ROUNDS; i++)
        play(&bench);
    printf("| %d rules, %d messages | CPU | an alert |\n|---|---|---|\n", bench.n_rules,
           bench.n_messages);
    for (int i = 0; i < N_PARTS; i++)
        printf("| %s | %.1f ms | %.2f µs |\n", names[i], 1e3 * bench.took[i],
               1e6 * bench.took[i] / bench.n_rules);
    config_free(bench.config);
    return 0;
}
