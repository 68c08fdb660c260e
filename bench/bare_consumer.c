/*
 * The yardstick of bench/pipeline.py: a consumer that takes every message of a topic from
 * librdkafka in batches and drops it.
 *
 *     bare_consumer BROKERS TOPIC PARTITIONS MESSAGES
 *
 * Prints "messages seconds cpu_seconds bytes", counted from the first message on.
 */
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

enum {
    BATCH = 4096
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double cpu_s(void)
{
    struct rusage r;
    getrusage(RUSAGE_SELF, &r);
    return (double)(r.ru_utime.tv_sec + r.ru_stime.tv_sec) +
           (double)(r.ru_utime.tv_usec + r.ru_stime.tv_usec) * 1e-6;
}

static rd_kafka_t *consumer_new(const char *brokers)
{
    static const char *const settings[][2] = {
        {"group.id", "bare"},
        {"enable.auto.commit", "false"},
        {"queued.min.messages", "1000000"},
        {"queued.max.messages.kbytes", "65536"},
    };
    char why[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", brokers, why, sizeof why);
    for (size_t i = 0; i < sizeof settings / sizeof *settings; i++)
        rd_kafka_conf_set(conf, settings[i][0], settings[i][1], why, sizeof why);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, why, sizeof why);
    if (!consumer)
        fprintf(stderr, "bare_consumer: %s\n", why);
    return consumer;
}

int main(int argc, char **argv)
{
    if (argc != 5) {
        fprintf(stderr, "usage: bare_consumer BROKERS TOPIC PARTITIONS MESSAGES\n");
        return 64;
    }
    rd_kafka_t *consumer = consumer_new(argv[1]);
    if (!consumer)
        return 1;
    rd_kafka_poll_set_consumer(consumer);
    rd_kafka_topic_partition_list_t *parts = rd_kafka_topic_partition_list_new(4);
    for (int32_t i = 0; i < atoi(argv[3]); i++)
        rd_kafka_topic_partition_list_add(parts, argv[2], i)->offset = 0;
    rd_kafka_assign(consumer, parts);
    rd_kafka_topic_partition_list_destroy(parts);

    static rd_kafka_message_t *messages[BATCH];
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(consumer);
    const int64_t wanted = strtoll(argv[4], NULL, 10);
    int64_t n = 0, bytes = 0;
    double began = 0, cpu = 0;
    while (n < wanted) {
        ssize_t got = rd_kafka_consume_batch_queue(queue, 1000, messages, BATCH);
        if (got > 0 && n == 0) {
            began = now_s();
            cpu = cpu_s();
        }
        for (ssize_t i = 0; i < got; i++) {
            if (!messages[i]->err) {
                n++;
                bytes += (int64_t)messages[i]->len;
            }
            rd_kafka_message_destroy(messages[i]);
        }
    }
    printf("%" PRId64 " %.6f %.6f %" PRId64 "\n", n, now_s() - began, cpu_s() - cpu, bytes);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(consumer);
    rd_kafka_destroy(consumer);
    return 0;
}
