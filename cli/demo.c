/*
 * `assay demo`: one process with nothing around it. librdkafka's mock cluster is the Kafka, a
 * thread produces the simulated model's events into it over the real wire protocol, and the very
 * daemon of `assay serve` consumes them. It starts a day in the past, catches up within a minute,
 * then runs at real speed.
 *
 * The mock cluster keeps about 5 MB a partition and silently drops the oldest, so the producer
 * never runs far ahead of the clock that it sets itself.
 */
#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/commands.h"
#include "cli/options.h"
#include "cli/serve.h"
#include "cli/simulate.h"
#include "common/clock.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)

enum {
    PARTITIONS = 4,
    HISTORY_HOURS = 24,
    CATCH_UP_SECONDS = 45, /* the day is produced in this time; consuming keeps pace */
    QUEUE_FULL_WAIT_MS = 50
};

struct demo {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
    struct simulation *simulation;
    int64_t history_ms; /* event time at which the simulation begins */
    int64_t started_ms; /* wall clock when it began */
    atomic_bool stopping;
    pthread_t thread;
    bool running;
    struct err err; /* the thread's, read after it ended */
};

/* Which event time has been reached: fast over the past day, then the wall clock itself. */
static int64_t event_time(const struct demo *demo, int64_t wall_ms)
{
    int64_t running_ms = wall_ms - demo->started_ms;
    int64_t past = demo->started_ms - demo->history_ms;
    int64_t speed = past / (CATCH_UP_SECONDS * SECOND) + 1;
    int64_t fast = demo->history_ms + running_ms * speed;
    return fast < wall_ms ? fast : wall_ms;
}

static int produce(struct demo *demo, const struct simulated_event *event)
{
    for (;;) {
        rd_kafka_resp_err_t rc =
            rd_kafka_producev(demo->producer, RD_KAFKA_V_TOPIC(event->topic),
                              RD_KAFKA_V_KEY(event->key, strlen(event->key)),
                              RD_KAFKA_V_VALUE((void *)(uintptr_t)event->json, event->n),
                              RD_KAFKA_V_TIMESTAMP(event->ts_ms),
                              RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
        if (rc == RD_KAFKA_RESP_ERR_NO_ERROR)
            return 0;
        if (rc != RD_KAFKA_RESP_ERR__QUEUE_FULL || atomic_load(&demo->stopping))
            return err_set(&demo->err, -EIO, "demo: cannot produce to %s: %s", event->topic,
                           rd_kafka_err2str(rc));
        rd_kafka_poll(demo->producer, QUEUE_FULL_WAIT_MS);
    }
}

static void *produce_events(void *context)
{
    struct demo *demo = context;
    const struct clock *clock = clock_system();
    struct simulated_event event;
    int rc = simulation_next(demo->simulation, &event, &demo->err);
    while (!rc && !atomic_load(&demo->stopping)) {
        int64_t now_ms = event_time(demo, clock_wall_ms(clock));
        while (!rc && event.ts_ms <= now_ms) {
            rc = produce(demo, &event);
            if (!rc)
                rc = simulation_next(demo->simulation, &event, &demo->err);
        }
        rd_kafka_poll(demo->producer, 20);
    }
    if (rc && !atomic_load(&demo->stopping))
        fprintf(stderr, "assay: %s\n", demo->err.text);
    return NULL;
}

static int start_cluster(struct demo *demo, struct err *err)
{
    char text[256] = "";
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", "1", text, sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "20", text, sizeof(text));
    rd_kafka_conf_set(conf, "log_level", "3", text, sizeof(text));
    demo->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!demo->producer) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, -EIO, "demo: the embedded Kafka does not start: %s", text);
    }
    demo->cluster = rd_kafka_handle_mock_cluster(demo->producer);
    if (!demo->cluster)
        return err_set(err, -EIO, "demo: this librdkafka has no mock cluster");
    demo->brokers = rd_kafka_mock_cluster_bootstraps(demo->cluster);
    rd_kafka_mock_topic_create(demo->cluster, "predictions", PARTITIONS, 1);
    rd_kafka_mock_topic_create(demo->cluster, "labels", PARTITIONS, 1);
    return 0;
}

static void stop(struct demo *demo)
{
    atomic_store(&demo->stopping, true);
    if (demo->running)
        pthread_join(demo->thread, NULL);
    simulation_free(demo->simulation);
    if (demo->producer) {
        rd_kafka_purge(demo->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(demo->producer); /* takes the mock cluster with it */
    }
}

static int make_config(struct config **out, const struct demo *demo, const char *directory,
                       long port, struct err *err)
{
    char yaml[4096];
    int n = snprintf(
        yaml, sizeof(yaml),
        "storage: {path: %s/demo.db}\n"
        "http: {listen: 127.0.0.1:%ld}\n"
        "kafka:\n"
        "  brokers: %s\n"
        "  group: assay-demo\n"
        "  properties: {allow.auto.create.topics: 'true'}\n"
        "  topics: [{name: predictions, format: assay}, {name: labels, format: assay}]\n"
        "models:\n"
        "  - name: credit\n"
        "    task: binary\n"
        "    positive: 1\n"
        "    label_horizon: 2h\n"
        "    segments: [country, channel]\n"
        "    features:\n"
        "      income: {type: numeric, min: 0}\n"
        "      debt_ratio: {type: numeric, min: 0, max: 1}\n"
        "      city: {type: categorical, values: [berlin, paris, madrid, rome, vienna]}\n"
        "      channel: {type: categorical}\n"
        "    metrics:\n"
        "      - {name: ctr, outcome: click, per: prediction}\n"
        "      - {name: revenue_per_click, outcome: revenue, agg: mean, per: prediction}\n"
        "      - {name: net_value, expr: \"100*tp - 400*fp\"}\n"
        "alerts:\n"
        "  - {name: v4-failing, model: credit, version: v4, metric: error_rate, window: "
        "30m, above: 0.02, every: 1m, severity: critical}\n"
        "  - {name: v4-slow, model: credit, version: v4, metric: latency_p99, window: 30m, "
        "above: 60, every: 1m}\n"
        "  - {name: france-auc, model: credit, segment: {country: fr}, metric: roc_auc, "
        "window: 2h, below: 0.70, clear: 0.72, mature: 0.8, every: 1m, severity: error}\n",
        directory, port, demo->brokers);
    return config_parse(out, "demo.yaml", yaml, (size_t)n, err);
}

static void started(void *context, const char *url)
{
    const struct demo *demo = context;
    printf("\n  Assay is running a simulated credit model.\n\n"
           "  Dashboard   %s/\n"
           "  Kafka       %s   (kcat -C -b %s -t predictions)\n"
           "  API         %s/api/v1/models/credit/metrics?metric=roc_auc&window=1h\n\n"
           "  A day of history is being produced now, in about %d seconds; then it runs live.\n"
           "  Ctrl-C ends it.\n\n",
           url, demo->brokers, demo->brokers, url, CATCH_UP_SECONDS);
    fflush(stdout);
}

static int run(struct demo *demo, const char *directory, long port, struct err *err)
{
    int rc = start_cluster(demo, err);
    if (rc)
        return rc;

    int64_t now_ms = clock_wall_ms(clock_system());
    demo->started_ms = now_ms;
    demo->history_ms = now_ms - HISTORY_HOURS * HOUR;
    struct simulation_plan plan = {
        .seed = 42,
        .start_ms = demo->history_ms,
        .rate = 2.0,
        .drift_ms = now_ms - 7 * HOUR,
        .decay_ms = now_ms - 5 * HOUR,
        .release_ms = now_ms - 10 * HOUR,
        .release_share = 0.2,
        .harm_ms = now_ms - 2 * HOUR,
    };
    rc = simulation_new(&demo->simulation, &plan, err);
    if (rc)
        return rc;

    AUTO(config) struct config *config = NULL;
    rc = make_config(&config, demo, directory, port, err);
    if (rc)
        return rc;
    rc = -pthread_create(&demo->thread, NULL, produce_events, demo);
    if (rc)
        return err_set(err, rc, "demo: cannot start the producer: %s", strerror(-rc));
    demo->running = true;
    struct serve_options options = {
        .config = config, .context = demo, .started = started, .quiet = true};
    return serve_run(&options, err);
}

static void remove_directory(const char *directory)
{
    static const char *const names[] = {"demo.db", "demo.db-wal", "demo.db-shm", "demo.db.lock"};
    char path[256];
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(path, sizeof(path), "%s/%s", directory, names[i]);
        unlink(path);
    }
    rmdir(directory);
}

int command_demo(int argc, char **argv)
{
    const char *port_text = "8080";
    const struct option_row rows[] = {{.name = "port", .value = &port_text}};
    struct err err = {0};
    struct arguments words;
    long port = 0;
    if (options_parse(rows, 1, argc, argv, &words, &err) ||
        options_number("port", port_text, 0, 65535, &port, &err))
        return fail(&err);

    char directory[] = "/tmp/assay-demo-XXXXXX";
    if (!mkdtemp(directory)) {
        err_set(&err, -errno, "demo: cannot make a directory below /tmp: %s", strerror(errno));
        return fail(&err);
    }
    struct demo demo = {0};
    int rc = run(&demo, directory, port, &err);
    stop(&demo);
    remove_directory(directory);
    return rc ? fail(&err) : 0;
}
