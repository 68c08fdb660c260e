/*
 * The queues share 64 MiB, but the client's limit is for each of them and cannot be changed later:
 * so the number of partitions is asked for before the consumer is made.
 *
 * The client has one fetch a broker on its way at a time, without the partitions whose queues are
 * full. Where the others are at the end of their log, the broker keeps that fetch for
 * fetch.wait.max.ms, and for that long nothing comes of the full ones either: at the default of
 * 500 ms a backlog of five seconds ended with two of silence.
 */
#include "collector/kafka_settings.h"

#include <stdio.h>
#include <string.h>

#include "collector/source_kafka.h"

enum {
    QUEUES_KBYTES = 65536,   /* failure-matrix.md, F17: the client's queues together … */
    MIN_QUEUE_KBYTES = 1024, /* … but each holds at least a fetch */
    MAX_QUEUE_KBYTES = 16384,
    QUEUE_MESSAGES = 1000000, /* never the limit that is met first */
    METADATA_WAIT_MS = 2000,
};

/* What exactly-once rests on, and what the configuration says elsewhere. */
int source_kafka_property(const char *key, struct err *err)
{
    static const char *const fixed[] = {
        "enable.auto.commit",   "auto.commit.enable", "enable.auto.offset.store",
        "auto.offset.reset",    "isolation.level",    "partition.assignment.strategy",
        "enable.partition.eof", "log.queue",          "offset.store.method",
    };
    static const char *const elsewhere[] = {"bootstrap.servers", "metadata.broker.list",
                                            "group.id"};
    for (size_t i = 0; i < sizeof(fixed) / sizeof(*fixed); i++)
        if (strcmp(key, fixed[i]) == 0)
            return err_set(err, ERR_USAGE,
                           "kafka.properties.%s: may not be set: exactly-once rests on it", key);
    for (size_t i = 0; i < sizeof(elsewhere) / sizeof(*elsewhere); i++)
        if (strcmp(key, elsewhere[i]) == 0)
            return err_set(err, ERR_USAGE, "kafka.properties.%s: set kafka.%s instead", key,
                           i < 2 ? "brokers" : "group");
    return 0;
}

struct setting {
    const char *key;
    const char *value;
};

static int set_one(rd_kafka_conf_t *conf, const char *key, const char *value, struct err *err)
{
    char text[256];
    if (rd_kafka_conf_set(conf, key, value, text, sizeof(text)) != RD_KAFKA_CONF_OK)
        return err_set(err, ERR_USAGE, "kafka.properties.%s: %s", key, text);
    return 0;
}

int kafka_properties_check(const struct config *config, struct err *err)
{
    const struct config_kafka *kafka = &config->kafka;
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int rc = 0;
    for (size_t i = 0; !rc && i < kafka->n_properties; i++) {
        const struct config_pair *property = &kafka->properties[i];
        struct err why = {0};
        if (set_one(conf, property->key, property->value, &why))
            rc = err_set(err, ERR_DATA, "%s:%d: %s", config->path, property->line, why.text);
    }
    rd_kafka_conf_destroy(conf);
    return rc;
}

/* How many partitions our topics have; 0 when no broker tells in time. */
static int count_partitions(const struct config_kafka *kafka)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < kafka->n_properties; i++) /* security; what is not known is no matter */
        (void)rd_kafka_conf_set(conf, kafka->properties[i].key, kafka->properties[i].value, NULL,
                                0);
    (void)rd_kafka_conf_set(conf, "bootstrap.servers", kafka->brokers, NULL, 0);
    (void)rd_kafka_conf_set(conf, "log_level", "0", NULL, 0);
    rd_kafka_t *client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!client) {
        rd_kafka_conf_destroy(conf);
        return 0;
    }
    int n = 0;
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(client, 1, NULL, &metadata, METADATA_WAIT_MS) == 0) {
        for (int i = 0; i < metadata->topic_cnt; i++)
            for (size_t k = 0; k < kafka->n_topics; k++)
                if (strcmp(metadata->topics[i].topic, kafka->topics[k].name) == 0)
                    n += metadata->topics[i].partition_cnt;
        rd_kafka_metadata_destroy(metadata);
    }
    rd_kafka_destroy(client);
    return n;
}

/* A queue's share of what the client may keep; unknown: as of eight partitions. */
static int queue_kbytes(const struct config_kafka *kafka)
{
    int n = count_partitions(kafka);
    int share = QUEUES_KBYTES / (n > 0 ? n : 8);
    return share < MIN_QUEUE_KBYTES   ? MIN_QUEUE_KBYTES
           : share > MAX_QUEUE_KBYTES ? MAX_QUEUE_KBYTES
                                      : share;
}

int kafka_configure(rd_kafka_conf_t *conf, const struct config_kafka *kafka, const char *instance,
                    struct err *err)
{
    char kbytes[16], messages[16];
    snprintf(kbytes, sizeof(kbytes), "%d", queue_kbytes(kafka));
    snprintf(messages, sizeof(messages), "%d", QUEUE_MESSAGES);
    const struct setting defaults[] = {
        {"client.id", "assay"},
        {"queued.min.messages", messages},
        {"queued.max.messages.kbytes", kbytes},
        {"topic.metadata.refresh.interval.ms", "30000"}, /* partitions that are added */
        {"statistics.interval.ms", "2000"},
        {"fetch.error.backoff.ms", "100"},
        {"fetch.wait.max.ms", "50"}, /* the head of this file */
        {"allow.auto.create.topics", "false"},
    };
    const struct setting fixed[] = {
        {"bootstrap.servers", kafka->brokers},
        {"group.id", kafka->group},
        {"enable.auto.commit", "false"},
        {"enable.auto.offset.store", "false"},
        {"auto.offset.reset", "error"},
        {"isolation.level", "read_committed"},
        {"partition.assignment.strategy", "range"},
        {"enable.partition.eof", "false"},
        {"log.queue", "true"},
    };
    int rc = 0;
    for (size_t i = 0; !rc && i < sizeof(defaults) / sizeof(*defaults); i++)
        rc = set_one(conf, defaults[i].key, defaults[i].value, err);
    if (!rc && instance[0])
        rc = set_one(conf, "group.instance.id", instance, err);
    /* Known from 2.2 on, where it ends the fetch stall; older ones refuse it. */
    (void)rd_kafka_conf_set(conf, "fetch.queue.backoff.ms", "5", NULL, 0);
    for (size_t i = 0; !rc && i < kafka->n_properties; i++) {
        rc = source_kafka_property(kafka->properties[i].key, err);
        if (!rc)
            rc = set_one(conf, kafka->properties[i].key, kafka->properties[i].value, err);
    }
    for (size_t i = 0; !rc && i < sizeof(fixed) / sizeof(*fixed); i++)
        rc = set_one(conf, fixed[i].key, fixed[i].value, err);
    return rc;
}
