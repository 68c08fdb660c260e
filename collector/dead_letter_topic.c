#include "collector/dead_letter_topic.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/source_kafka.h"
#include "storage/commit.h"
#include "storage/dead_letter.h"

enum {
    MAX_ON_THE_WAY = 256,
    STEP_EVERY_MS = 200,
    AGAIN_AFTER_MS = 10000, /* a refusal */
    CUT_BYTES = 4096,       /* storage/commit.h */
    CLOSE_MS = 1000,
};

struct letter {
    int64_t id; /* 0: free */
    bool delivered;
};

struct dead_letter_topic {
    const struct config_kafka *kafka;
    const struct log *log;
    const struct clock *clock;
    rd_kafka_t *producer;
    struct letter letters[MAX_ON_THE_WAY];
    int64_t next_boot_ms;
    struct dead_letter_topic_counts counts;
    bool refusing;
};

static void on_delivery(rd_kafka_t *producer, const rd_kafka_message_t *message, void *opaque)
{
    struct dead_letter_topic *topic = opaque;
    struct letter *letter = message->_private;
    (void)producer;
    if (!message->err) {
        letter->delivered = true;
        topic->refusing = false;
        return;
    }
    letter->id = 0; /* its row stays, and is sent again */
    topic->counts.refused++;
    topic->next_boot_ms = clock_boot_ms(topic->clock) + AGAIN_AFTER_MS;
    if (!topic->refusing && topic->log)
        log_write(topic->log, LEVEL_WARNING, "kafka", "dead-letter topic %s: %s",
                  topic->kafka->dead_letter,
                  message->err == RD_KAFKA_RESP_ERR__MSG_TIMED_OUT
                      ? "nobody took a letter within 10 s; is there such a topic?"
                      : rd_kafka_err2str(message->err));
    topic->refusing = true;
}

/* Consumer settings of the pass-through are not the producer's: what it does not know is skipped.
 */
static int client_new(struct dead_letter_topic *topic, struct err *err)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    for (size_t i = 0; i < topic->kafka->n_properties; i++)
        (void)rd_kafka_conf_set(conf, topic->kafka->properties[i].key,
                                topic->kafka->properties[i].value, NULL, 0);
    if (rd_kafka_conf_set(conf, "bootstrap.servers", topic->kafka->brokers, text, sizeof(text)) ||
        rd_kafka_conf_set(conf, "client.id", "assay-dead-letters", text, sizeof(text)) ||
        rd_kafka_conf_set(conf, "message.timeout.ms", "10000", text, sizeof(text)) ||
        rd_kafka_conf_set(conf, "log_level", "2", text, sizeof(text))) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_USAGE, "kafka.dead_letter: %s", text);
    }
    rd_kafka_conf_set_opaque(conf, topic);
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    topic->producer = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (!topic->producer) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_USAGE, "kafka.dead_letter: %s", text);
    }
    return 0;
}

int dead_letter_topic_new(struct dead_letter_topic **out, const struct config_kafka *kafka,
                          const struct log *log, const struct clock *clock, struct err *err)
{
    AUTO(dead_letter_topic) struct dead_letter_topic *topic = calloc(1, sizeof(*topic));
    if (!topic)
        return err_set(err, -ENOMEM, "no memory for the dead-letter topic");
    topic->kafka = kafka;
    topic->log = log;
    topic->clock = clock ? clock : clock_system();
    int rc = client_new(topic, err);
    if (rc)
        return rc;
    *out = topic;
    topic = NULL; /* the caller owns it now */
    return 0;
}

void dead_letter_topic_free(struct dead_letter_topic *topic)
{
    if (!topic)
        return;
    if (topic->producer) {
        rd_kafka_flush(topic->producer, CLOSE_MS);
        rd_kafka_purge(topic->producer, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
        rd_kafka_destroy(topic->producer);
    }
    free(topic);
}

static struct letter *place_for(struct dead_letter_topic *topic, int64_t id)
{
    struct letter *free_place = NULL;
    for (int i = 0; i < MAX_ON_THE_WAY; i++) {
        if (topic->letters[i].id == id)
            return NULL; /* on its way */
        if (topic->letters[i].id == 0 && !free_place)
            free_place = &topic->letters[i];
    }
    return free_place;
}

static rd_kafka_headers_t *headers_of(const struct dead_letter_row *row)
{
    char number[24];
    rd_kafka_headers_t *headers = rd_kafka_headers_new(5);
    rd_kafka_header_add(headers, "assay.topic", -1, row->topic, -1);
    snprintf(number, sizeof(number), "%" PRId32, row->partition);
    rd_kafka_header_add(headers, "assay.partition", -1, number, -1);
    snprintf(number, sizeof(number), "%" PRId64, row->offset);
    rd_kafka_header_add(headers, "assay.offset", -1, number, -1);
    rd_kafka_header_add(headers, "assay.reason", -1, row->reason, -1);
    if (row->payload.size >= CUT_BYTES)
        rd_kafka_header_add(headers, "assay.truncated", -1, "true", -1);
    return headers;
}

static int send_one(void *context, const struct dead_letter *letter, struct err *err)
{
    struct dead_letter_topic *topic = context;
    struct letter *place = place_for(topic, letter->id);
    (void)err;
    if (!place)
        return 0;
    rd_kafka_headers_t *headers = headers_of(&letter->row);
    rd_kafka_resp_err_t rc = rd_kafka_producev(
        topic->producer, RD_KAFKA_V_TOPIC(topic->kafka->dead_letter),
        RD_KAFKA_V_VALUE((void *)(uintptr_t)letter->row.payload.data, letter->row.payload.size),
        RD_KAFKA_V_HEADERS(headers), RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY),
        RD_KAFKA_V_OPAQUE(place), RD_KAFKA_V_END);
    if (rc)
        rd_kafka_headers_destroy(headers); /* it took them otherwise */
    else
        *place = (struct letter){.id = letter->id};
    return 0;
}

static int mark_sent(struct dead_letter_topic *topic, struct store *store, struct err *err)
{
    int n = 0;
    for (int i = 0; i < MAX_ON_THE_WAY; i++)
        n += topic->letters[i].delivered;
    if (n == 0)
        return 0;
    int rc = commit_begin(store, err);
    for (int i = 0; !rc && i < MAX_ON_THE_WAY; i++)
        if (topic->letters[i].delivered)
            rc = commit_dead_letter_sent(store, topic->letters[i].id, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc) {
        commit_rollback(store);
        return rc;
    }
    for (int i = 0; i < MAX_ON_THE_WAY; i++)
        if (topic->letters[i].delivered)
            topic->letters[i] = (struct letter){.id = 0};
    topic->counts.sent += n;
    return 0;
}

int dead_letter_topic_step(struct dead_letter_topic *topic, struct store *store, struct err *err)
{
    rd_kafka_poll(topic->producer, 0);
    int rc = mark_sent(topic, store, err);
    int64_t now = clock_boot_ms(topic->clock);
    if (rc || now < topic->next_boot_ms)
        return rc;
    topic->next_boot_ms = now + STEP_EVERY_MS;
    return dead_letters_unsent(store, MAX_ON_THE_WAY, send_one, topic, err);
}

struct dead_letter_topic_counts dead_letter_topic_counts(const struct dead_letter_topic *topic)
{
    return topic->counts;
}
