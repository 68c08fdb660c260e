/* librdkafka's mock cluster in this process is the broker: a real wire protocol, faults on demand.
 */
#include "collector/source_kafka.h"

#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>
#include <stdio.h>
#include <string.h>

#include "collector/collect.h"
#include "collector/kafka_settings.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    PARTITIONS = 2,
    MAX_STEPS = 3000, /* of 20 ms at most */
};

struct cluster {
    rd_kafka_t *producer;
    rd_kafka_mock_cluster_t *mock;
    const char *brokers;
};

static void cluster_open_of(struct cluster *cluster, const char *n_brokers)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "test.mock.num.brokers", n_brokers, text, sizeof(text));
    rd_kafka_conf_set(conf, "linger.ms", "1", text, sizeof(text));
    rd_kafka_conf_set(conf, "log_level", "0", text, sizeof(text));
    cluster->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    assert_non_null(cluster->producer);
    cluster->mock = rd_kafka_handle_mock_cluster(cluster->producer);
    assert_non_null(cluster->mock);
    cluster->brokers = rd_kafka_mock_cluster_bootstraps(cluster->mock);
    rd_kafka_mock_topic_create(cluster->mock, "predictions", PARTITIONS, 1);
    rd_kafka_mock_topic_create(cluster->mock, "labels", PARTITIONS, 1);
}

static void cluster_open(struct cluster *cluster)
{
    cluster_open_of(cluster, "1");
}

static void cluster_close(struct cluster *cluster)
{
    rd_kafka_destroy(cluster->producer);
}

static void produce(struct cluster *cluster, const char *topic, int partition, const char *text)
{
    rd_kafka_resp_err_t rc = rd_kafka_producev(
        cluster->producer, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_PARTITION(partition),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)text, strlen(text)),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_END);
    assert_int_equal(rc, 0);
}

/* Predictions from..to-1 with a label each. */
static void produce_range(struct cluster *cluster, int from, int to)
{
    for (int i = from; i < to; i++) {
        char text[256];
        snprintf(text, sizeof(text),
                 "{\"type\":\"prediction\",\"id\":\"k%d\",\"ts\":%lld,\"model\":\"credit\","
                 "\"version\":\"v1\",\"score\":0.75,\"prediction\":1}",
                 i, 1700000000000LL + i * 10);
        produce(cluster, "predictions", i % PARTITIONS, text);
        snprintf(text, sizeof(text), "{\"type\":\"label\",\"id\":\"k%d\",\"ts\":%lld,\"label\":1}",
                 i, 1700000000000LL + i * 10 + 1000);
        produce(cluster, "labels", i % PARTITIONS, text);
    }
    assert_int_equal(rd_kafka_flush(cluster->producer, 20000), 0);
}

struct daemon {
    struct config *config;
    struct store *store;
    struct source *source;
    struct collector *collector;
};

static void daemon_open(struct daemon *daemon, const struct temp *temp,
                        const struct cluster *cluster)
{
    char yaml[512];
    struct err err = {0};
    snprintf(yaml, sizeof(yaml),
             "kafka:\n  brokers: %s\n  group: assay\n"
             "  properties: {session.timeout.ms: 6000, log_level: 0}\n"
             "  topics: [{name: predictions}, {name: labels}]\n"
             "models:\n  - {name: credit, task: binary, label_horizon: 1h}\n",
             cluster->brokers);
    must(config_parse(&daemon->config, "test.yaml", yaml, strlen(yaml), &err), &err);
    daemon->store = temp_store(temp, STORE_WRITE);
    must(source_kafka_new(&daemon->source, &daemon->config->kafka, temp->path, NULL, NULL, &err),
         &err);
    struct collector_options options = {
        .config = daemon->config,
        .store = daemon->store,
        .sources = &daemon->source,
        .n_sources = 1,
    };
    must(collector_new(&daemon->collector, &options, &err), &err);
}

static void daemon_close(struct daemon *daemon)
{
    collector_free(daemon->collector);
    source_free(daemon->source);
    store_free(daemon->store);
    config_free(daemon->config);
}

static struct collector_totals run_until(struct daemon *daemon, int64_t consumed)
{
    struct err err = {0};
    struct collector_health health = {0};
    for (int i = 0; i < MAX_STEPS && health.totals.consumed < consumed; i++) {
        if (collector_step(daemon->collector, 20, &err) < 0)
            fail_msg("%s", err.text);
        collector_health(daemon->collector, &health);
    }
    must(collector_commit_now(daemon->collector, &err), &err);
    collector_health(daemon->collector, &health);
    return health.totals;
}

static void assert_balanced(const struct collector_totals *totals)
{
    assert_int_equal(totals->consumed, totals->folded + totals->duplicate + totals->dead_lettered +
                                           totals->late + totals->orphaned + totals->waiting);
}

static void every_message_is_folded_once_and_a_restart_goes_on_behind_it(void **state)
{
    (void)state;
    struct cluster cluster;
    struct daemon daemon;
    AUTO(temp) struct temp *temp = temp_new();
    cluster_open(&cluster);
    produce_range(&cluster, 0, 500);

    daemon_open(&daemon, temp, &cluster);
    struct collector_totals totals = run_until(&daemon, 1000);
    daemon_close(&daemon);
    assert_int_equal(totals.folded, 1000);
    assert_int_equal(totals.waiting, 0);
    assert_balanced(&totals);

    produce_range(&cluster, 500, 700);
    daemon_open(&daemon, temp, &cluster);
    totals = run_until(&daemon, 1400);
    daemon_close(&daemon);
    assert_int_equal(totals.consumed, 1400);
    assert_int_equal(totals.folded, 1400);
    assert_int_equal(totals.redelivered + totals.holes + totals.lost, 0);
    cluster_close(&cluster);
}

static void F03_while_the_broker_is_down_it_says_so_and_goes_on_afterwards(void **state)
{
    (void)state;
    struct cluster cluster;
    struct daemon daemon;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    cluster_open(&cluster);
    produce_range(&cluster, 0, 100);
    daemon_open(&daemon, temp, &cluster);
    run_until(&daemon, 200);
    produce_range(&cluster, 100, 200);

    rd_kafka_mock_broker_set_down(cluster.mock, 1);
    struct collector_health health = {.broker_up = true};
    for (int i = 0; i < MAX_STEPS && health.broker_up; i++) {
        assert_true(collector_step(daemon.collector, 20, &err) >= 0);
        collector_health(daemon.collector, &health);
    }
    assert_false(health.broker_up);
    assert_false(health.ready);
    assert_non_null(strstr(health.reason, "kafka: "));

    rd_kafka_mock_broker_set_up(cluster.mock, 1);
    struct collector_totals totals = run_until(&daemon, 400);
    assert_int_equal(totals.folded, 400);
    for (int i = 0; i < MAX_STEPS && !health.ready; i++) {
        assert_true(collector_step(daemon.collector, 20, &err) >= 0);
        collector_health(daemon.collector, &health);
    }
    assert_true(health.ready);
    daemon_close(&daemon);
    cluster_close(&cluster);
}

static void F04_errors_of_every_request_are_retried_and_nothing_is_lost(void **state)
{
    (void)state;
    enum {
        FETCH = 1,
        LIST_OFFSETS = 2,
        METADATA = 3,
        FIND_COORDINATOR = 10,
        JOIN_GROUP = 11,
        HEARTBEAT = 12,
        SYNC_GROUP = 14
    };
    static const struct {
        int16_t request;
        rd_kafka_resp_err_t error;
    } faults[] = {
        {FETCH, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},
        {FETCH, RD_KAFKA_RESP_ERR__TRANSPORT},
        {LIST_OFFSETS, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION},
        {METADATA, RD_KAFKA_RESP_ERR__TRANSPORT},
        {FIND_COORDINATOR, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE},
        {JOIN_GROUP, RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS},
        {SYNC_GROUP, RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS},
        {HEARTBEAT, RD_KAFKA_RESP_ERR_NOT_COORDINATOR},
    };
    struct cluster cluster;
    struct daemon daemon;
    AUTO(temp) struct temp *temp = temp_new();
    cluster_open(&cluster);
    produce_range(&cluster, 0, 100);
    for (size_t i = 0; i < sizeof(faults) / sizeof(*faults); i++)
        rd_kafka_mock_push_request_errors(cluster.mock, faults[i].request, 1, faults[i].error);

    daemon_open(&daemon, temp, &cluster);
    struct collector_totals totals = run_until(&daemon, 200);

    assert_int_equal(totals.consumed, 200);
    assert_int_equal(totals.folded, 200);
    assert_balanced(&totals);
    daemon_close(&daemon);
    cluster_close(&cluster);
}

static void F05_a_leader_that_moves_and_a_slow_broker_make_no_gap_and_no_double(void **state)
{
    (void)state;
    struct cluster cluster;
    struct daemon daemon;
    AUTO(temp) struct temp *temp = temp_new();
    cluster_open_of(&cluster, "3");
    produce_range(&cluster, 0, 100);
    daemon_open(&daemon, temp, &cluster);
    struct collector_totals totals = run_until(&daemon, 200);

    for (int round = 1; round <= 3; round++) {
        for (int partition = 0; partition < PARTITIONS; partition++) {
            rd_kafka_mock_partition_set_leader(cluster.mock, "predictions", partition, round);
            rd_kafka_mock_partition_set_leader(cluster.mock, "labels", partition, 4 - round);
        }
        rd_kafka_mock_broker_set_rtt(cluster.mock, round, 150); /* ms */
        produce_range(&cluster, round * 100, round * 100 + 100);
        totals = run_until(&daemon, 200 * (round + 1));
    }

    assert_int_equal(totals.consumed, 800);
    assert_int_equal(totals.folded, 800);
    assert_int_equal(totals.holes + totals.lost, 0);
    assert_balanced(&totals);
    daemon_close(&daemon);
    cluster_close(&cluster);
}

static void F12_a_log_that_ends_before_our_offset_is_not_read_as_ours(void **state)
{
    (void)state;
    struct cluster cluster;
    struct daemon daemon;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    cluster_open(&cluster);
    produce_range(&cluster, 0, 100);
    daemon_open(&daemon, temp, &cluster);
    run_until(&daemon, 200);
    daemon_close(&daemon);
    cluster_close(&cluster);

    cluster_open(&cluster); /* the same topics, made anew */
    produce_range(&cluster, 1000, 1010);
    daemon_open(&daemon, temp, &cluster);
    struct collector_health health = {.n_partitions = 0};
    for (int i = 0; i < MAX_STEPS && !strstr(health.reason, "made anew"); i++) {
        assert_true(collector_step(daemon.collector, 20, &err) >= 0);
        collector_health(daemon.collector, &health);
    }
    assert_non_null(strstr(health.reason, "made anew: stopped"));
    assert_int_equal(health.totals.consumed, 200);
    daemon_close(&daemon);
    cluster_close(&cluster);
}

static void properties_that_exactly_once_rests_on_are_refused(void **state)
{
    (void)state;
    struct err err = {0};
    assert_int_equal(source_kafka_property("isolation.level", &err), ERR_USAGE);
    assert_string_equal(err.text, "kafka.properties.isolation.level: may not be set: exactly-once "
                                  "rests on it");
    assert_int_equal(source_kafka_property("bootstrap.servers", &err), ERR_USAGE);
    assert_string_equal(err.text, "kafka.properties.bootstrap.servers: set kafka.brokers instead");
    assert_int_equal(source_kafka_property("sasl.mechanism", &err), 0);

    struct config_pair pair = {"no.such.property", "1", 0};
    struct config_topic topic = {.name = "t"};
    struct config_kafka kafka = {.brokers = "127.0.0.1:1",
                                 .group = "g",
                                 .properties = &pair,
                                 .n_properties = 1,
                                 .topics = &topic,
                                 .n_topics = 1};
    struct source *source = NULL;
    assert_int_equal(source_kafka_new(&source, &kafka, NULL, NULL, NULL, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "kafka.properties.no.such.property"));
}

/* Whoever is at the end of a log has the broker keep the fetch for so long. */
static void full_queues_never_wait_long_for_the_partitions_that_have_nothing_left(void **state)
{
    (void)state;
    struct err err = {0};
    struct config_pair pair = {"fetch.wait.max.ms", "200", 0};
    struct config_kafka kafka = {.brokers = "127.0.0.1:1", .group = "g"};
    const struct {
        size_t n_properties;
        const char *wait_ms;
    } cases[] = {{0, "50"}, {1, "200"}};
    kafka.properties = &pair;
    for (size_t i = 0; i < 2; i++) {
        char value[16];
        size_t size = sizeof(value);
        rd_kafka_conf_t *conf = rd_kafka_conf_new();
        kafka.n_properties = cases[i].n_properties;

        must(kafka_configure(conf, &kafka, "", &err), &err);

        assert_int_equal(rd_kafka_conf_get(conf, "fetch.wait.max.ms", value, &size), 0);
        assert_string_equal(value, cases[i].wait_ms);
        rd_kafka_conf_destroy(conf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_message_is_folded_once_and_a_restart_goes_on_behind_it),
        cmocka_unit_test(F03_while_the_broker_is_down_it_says_so_and_goes_on_afterwards),
        cmocka_unit_test(F04_errors_of_every_request_are_retried_and_nothing_is_lost),
        cmocka_unit_test(F05_a_leader_that_moves_and_a_slow_broker_make_no_gap_and_no_double),
        cmocka_unit_test(F12_a_log_that_ends_before_our_offset_is_not_read_as_ours),
        cmocka_unit_test(properties_that_exactly_once_rests_on_are_refused),
        cmocka_unit_test(full_queues_never_wait_long_for_the_partitions_that_have_nothing_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
