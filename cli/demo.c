/*
 * `assay demo`: one process with nothing around it. librdkafka's mock cluster is the Kafka, a
 * thread produces the simulated model's events into it over the real wire protocol, and the very
 * daemon of `assay serve` consumes them. It starts a day in the past, catches up within a minute,
 * then runs at real speed, and releases a version that does not hold what it promised.
 *
 * The mock cluster keeps about 5 MB a partition and silently drops the oldest, so the producer
 * never runs far ahead of what the daemon says it has read.
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
#include "cli/demo_release.h"
#include "cli/options.h"
#include "cli/serve.h"
#include "cli/simulate.h"
#include "common/clock.h"

#define SECOND INT64_C(1000)
#define HOUR (3600 * SECOND)

enum {
    PARTITIONS = 4,
    HISTORY_HOURS = 24,
    CATCH_UP_SECONDS = 40, /* the day is produced in this time; consuming keeps pace */
    QUEUE_FULL_WAIT_MS = 50,
    AHEAD_HOURS = 1,            /* of events between producer and daemon */
    RELEASE_AFTER_SECONDS = 10, /* live, until v4 comes */
};

struct demo {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *cluster;
    const char *brokers;
    struct simulation *simulation;
    char url[128]; /* where the daemon listens */
    struct release release;
    int64_t history_ms; /* event time at which the simulation begins */
    int64_t started_ms; /* wall clock when it began */
    int64_t live_ms;    /* and when the day was produced */
    bool live;
    atomic_bool stopping;
    pthread_t thread;
    bool running;
    struct err err; /* the thread's, read after it ended */
};

/* How far events are produced: fast over the past day, as far as the daemon follows, then with the
 * wall clock. */
static int64_t event_time(struct demo *demo, int64_t wall_ms)
{
    int64_t running_ms = wall_ms - demo->started_ms;
    int64_t past = demo->started_ms - demo->history_ms;
    int64_t speed = past / (CATCH_UP_SECONDS * SECOND) + 1;
    int64_t fast = demo->history_ms + running_ms * speed;
    if (demo->live)
        return wall_ms;
    int64_t reached_ms = release_reached(&demo->release, wall_ms);
    int64_t most = (reached_ms == INT64_MIN ? demo->history_ms : reached_ms) + AHEAD_HOURS * HOUR;
    fast = fast < most ? fast : most;
    if (fast >= wall_ms) {
        demo->live = true;
        demo->live_ms = wall_ms;
    }
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

/* A release that cannot begin is told once: the rest of the demo goes on. */
static void keep_releasing(struct demo *demo, int64_t wall_ms, bool *tried)
{
    struct err err = {0};
    if (!*tried && demo->live && wall_ms - demo->live_ms >= RELEASE_AFTER_SECONDS * SECOND) {
        *tried = true;
        if (release_begin(&demo->release, &err))
            fprintf(stderr, "assay: demo: v4 is not released: %s\n", err.text);
    }
    simulation_split(demo->simulation, release_weight(&demo->release, wall_ms));
}

static void *produce_events(void *context)
{
    struct demo *demo = context;
    const struct clock *clock = clock_system();
    struct simulated_event event;
    bool released = false;
    struct err err = {0};
    if (release_open(&demo->release, demo->url, &err))
        fprintf(stderr, "assay: demo: %s\n", err.text);
    int rc = simulation_next(demo->simulation, &event, &demo->err);
    while (!rc && !atomic_load(&demo->stopping)) {
        int64_t wall_ms = clock_wall_ms(clock);
        int64_t now_ms = event_time(demo, wall_ms);
        keep_releasing(demo, wall_ms, &released);
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
        "    reference: {from: %" PRId64 ", to: %" PRId64 "}\n"
        "    drift: {method: auto, false_alarm_rate: 0.01, min_effect: 0.1}\n"
        "alerts:\n"
        "  - {name: input-drift, model: credit, drift: any, window: 1h, every: 15m}\n"
        "  - {name: released-and-rolled-back, experiment: any, on: rolled_back, every: 1m, "
        "severity: critical}\n"
        "  - {name: failing, model: credit, metric: error_rate, window: 5m, above: 0.02, "
        "every: 1m, "
        "severity: critical}\n"
        "  - {name: france-auc, model: credit, segment: {country: fr}, metric: roc_auc, "
        "window: 2h, below: 0.70, clear: 0.72, mature: 0.8, every: 1m, severity: error}\n",
        directory, port, demo->brokers, demo->history_ms, demo->history_ms + 8 * HOUR);
    return config_parse(out, "demo.yaml", yaml, (size_t)n, err);
}

static void started(void *context, const char *url)
{
    struct demo *demo = context;
    printf("\n  Assay is running a simulated credit model.\n\n"
           "  Dashboard   %s/\n"
           "  Kafka       %s   (kcat -C -b %s -t predictions)\n"
           "  API         %s/api/v1/models/credit/metrics?metric=roc_auc&window=1h\n\n"
           "  A day of history is being produced now, in about %d seconds; then it runs live.\n"
           "  Then v4 is released to 5%% of the users, and fails as soon as it gets 50%%; two or\n"
           "  three minutes from now Assay has taken it back:\n"
           "  %s/#/releases/" RELEASE_NAME "\n\n"
           "  Ctrl-C ends it.\n\n",
           url, demo->brokers, demo->brokers, url, CATCH_UP_SECONDS, url);
    fflush(stdout);

    snprintf(demo->url, sizeof(demo->url), "%s", url);
    int rc = pthread_create(&demo->thread, NULL, produce_events, demo);
    demo->running = rc == 0;
    if (rc)
        fprintf(stderr, "assay: demo: cannot start the producer: %s\n", err_words(rc));
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
        .rate = 4.0,
        .peak_ms = now_ms,
        .upgrade_ms = now_ms - 13 * HOUR,
        .drift_ms = now_ms - 7 * HOUR,
        .decay_ms = now_ms - 5 * HOUR,
        .salt = RELEASE_NAME,
    };
    rc = simulation_new(&demo->simulation, &plan, err);
    if (rc)
        return rc;

    AUTO(config) struct config *config = NULL;
    rc = make_config(&config, demo, directory, port, err);
    if (rc)
        return rc;
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

    serve_block_signals(); /* the embedded Kafka's threads start before the daemon's */
    char directory[] = "/tmp/assay-demo-XXXXXX";
    if (!mkdtemp(directory)) {
        err_set(&err, -errno, "demo: cannot make a directory below /tmp: %s", err_words(errno));
        return fail(&err);
    }
    struct demo demo = {0};
    int rc = run(&demo, directory, port, &err);
    stop(&demo);
    remove_directory(directory);
    return rc ? fail(&err) : 0;
}
