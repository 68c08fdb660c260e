#include "collector/producer.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

#include "common/clock.h"

enum {
    POLL_MS = 100,
    FLUSH_MS = 5000,
};

struct producer {
    rd_kafka_t *client;
    const struct log *log;
    pthread_t poller;
    bool polls;
    atomic_bool stopping;
    atomic_llong taken, sent, refused, undelivered;
    struct log_limit limit; /* the poller's */
};

static void on_delivery(rd_kafka_t *client, const rd_kafka_message_t *message, void *opaque)
{
    struct producer *producer = opaque;
    (void)client;
    if (!message->err) {
        atomic_fetch_add(&producer->sent, 1);
        return;
    }
    atomic_fetch_add(&producer->undelivered, 1);
    if (producer->log && log_allowed(&producer->limit, clock_boot_ms(clock_system()), NULL))
        log_write(producer->log, LEVEL_WARNING, "kafka", "an own event for topic %s is lost: %s",
                  rd_kafka_topic_name(message->rkt), rd_kafka_err2str(message->err));
}

static void *poll_reports(void *argument)
{
    struct producer *producer = argument;
    while (!atomic_load(&producer->stopping))
        rd_kafka_poll(producer->client, POLL_MS);
    return NULL;
}

/* What the properties say of consumers is not the producer's: it is skipped. */
static int client_new(struct producer *producer, const struct config_kafka *kafka, struct err *err)
{
    static const char *const ours[][2] = {
        {"client.id", "assay-gateway"},
        {"linger.ms", "5"}, /* a harmful version is to be known at once */
        {"queue.buffering.max.messages", "100000"},
        {"queue.buffering.max.kbytes", "65536"},
        {"message.timeout.ms", "300000"},
        {"compression.codec", "lz4"},
        {"allow.auto.create.topics", "false"},
        {"log_level", "2"},
    };
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < sizeof(ours) / sizeof(*ours); i++)
        (void)rd_kafka_conf_set(conf, ours[i][0], ours[i][1], NULL, 0);
    for (size_t i = 0; i < kafka->n_properties; i++)
        (void)rd_kafka_conf_set(conf, kafka->properties[i].key, kafka->properties[i].value, NULL,
                                0);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", kafka->brokers, text, sizeof(text))) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_USAGE, "kafka.brokers: %s", text);
    }
    rd_kafka_conf_set_opaque(conf, producer);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    producer->client = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!producer->client) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_USAGE, "kafka: no producer: %s", text);
    }
    return 0;
}

int producer_new(struct producer **out, const struct config_kafka *kafka, const struct log *log,
                 struct err *err)
{
    AUTO(producer) struct producer *producer = calloc(1, sizeof(*producer));
    if (!producer)
        return err_set(err, -ENOMEM, "kafka: no memory for a producer");
    producer->log = log;
    producer->limit.every_ms = 60000;
    int rc = client_new(producer, kafka, err);
    if (rc)
        return rc;
    if (pthread_create(&producer->poller, NULL, poll_reports, producer))
        return err_set(err, -EAGAIN, "kafka: no thread for a producer");
    producer->polls = true;
    *out = producer;
    producer = NULL; /* the caller owns it now */
    return 0;
}

void producer_free(struct producer *producer)
{
    if (!producer)
        return;
    atomic_store(&producer->stopping, true);
    if (producer->polls)
        pthread_join(producer->poller, NULL);
    if (producer->client) {
        rd_kafka_flush(producer->client, FLUSH_MS);
        int left = rd_kafka_outq_len(producer->client);
        if (left && producer->log)
            log_write(producer->log, LEVEL_WARNING, "kafka",
                      "%d own events could not be sent before the end and are lost", left);
        rd_kafka_purge(producer->client, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(producer->client);
    }
    free(producer);
}

bool producer_send(struct producer *producer, const char *topic, const char *key, const void *bytes,
                   size_t n)
{
    rd_kafka_resp_err_t rc = rd_kafka_producev(
        producer->client, RD_KAFKA_V_TOPIC(topic), RD_KAFKA_V_KEY(key, strlen(key)),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)bytes, n), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_END);
    atomic_fetch_add(rc ? &producer->refused : &producer->taken, 1);
    return !rc;
}

struct producer_counts producer_counts(struct producer *producer)
{
    struct producer_counts counts = {
        .sent = atomic_load(&producer->sent),
        .refused = atomic_load(&producer->refused),
        .undelivered = atomic_load(&producer->undelivered),
    };
    /* Not the client's own length of its queue: that counts its notices too. */
    int64_t waiting = atomic_load(&producer->taken) - counts.sent - counts.undelivered;
    counts.waiting = waiting > 0 ? waiting : 0;
    return counts;
}

void producer_metrics(const struct producer_counts *counts, struct buf *out)
{
    buf_printf(out,
               "# TYPE assay_own_events counter\n# HELP assay_own_events Events that the daemon "
               "made itself, by what became of them.\n"
               "assay_own_events_total{state=\"sent\"} %" PRId64 "\n"
               "assay_own_events_total{state=\"refused\"} %" PRId64 "\n"
               "assay_own_events_total{state=\"undelivered\"} %" PRId64 "\n",
               counts->sent, counts->refused, counts->undelivered);
    buf_printf(out,
               "# TYPE assay_own_events_waiting gauge\n# HELP assay_own_events_waiting Events that "
               "wait for the broker.\nassay_own_events_waiting %" PRId64 "\n",
               counts->waiting);
}
