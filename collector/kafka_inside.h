/*
 * The inside of the Kafka source: source_kafka.c (messages, the client) and kafka_assignment.c
 * (which partitions, from where). Nobody else includes this.
 *
 * Threads  the writer's; librdkafka calls back from the functions that it is polled with
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "collector/source_kafka.h"

enum {
    MAX_BATCH_MESSAGES = 2048,
    HEADERS_A_MESSAGE = 8,  /* on average, of a batch; what is beyond is not seen */
    COMMIT_EVERY_MS = 5000, /* the broker's copy of our offsets, for lag tools */
    AGAIN_AFTER_MS = 1000,  /* a client that failed for good is made anew */
    RESET_EVERY_MS = 1000,  /* asking for watermarks after "offset out of range" */
    RESET_WAIT_MS = 1000,
    NUDGE_EVERY_MS = 5,
    NUDGE_FOR_MS = 2000, /* after the last batch: the fetcher sleeps a second at most */
    LOG_EVERY_MS = 1000,
    TROUBLE_BYTES = 256,
};

struct kafka_partition {
    char *topic;
    int32_t number;
    rd_kafka_queue_t *queue; /* NULL: not assigned */
    bool held;
    bool stopped;
    bool headers;     /* wanted */
    bool reset;       /* the offset we want is out of range */
    int64_t position; /* after the last message handed out; -1 unknown */
    int64_t stored;   /* durable; -1 nothing new */
    int64_t reset_boot_ms;
    int64_t high;          /* end of the log as of the last batch; -1 unknown */
    int64_t taken_boot_ms; /* the last batch */
    int64_t nudged_boot_ms;
};

struct source_kafka {
    struct source source;
    const struct config_kafka *config;
    const struct log *log;
    const struct clock *clock;
    const struct source_events *events;
    rd_kafka_t *client;
    rd_kafka_queue_t *consumer_queue;
    struct kafka_partition *partitions;
    size_t n_partitions, capacity;
    int n_assigned;
    bool has_assignment;
    bool closing;
    bool away;  /* out of the group for a while */
    bool fatal; /* the client gave up */
    bool up;
    char instance[128]; /* group.instance.id; "" none */
    int64_t fatal_boot_ms;
    int event_fd;
    size_t next;
    rd_kafka_message_t *taken[MAX_BATCH_MESSAGES];
    size_t n_taken;
    struct message messages[MAX_BATCH_MESSAGES];
    struct header headers[MAX_BATCH_MESSAGES * HEADERS_A_MESSAGE];
    size_t n_headers;
    int64_t committed_boot_ms;
    char trouble[TROUBLE_BYTES];
    int64_t trouble_since_ms;
    char refused_topic[256]; /* that we may not read; "" none */
    char refusal[TROUBLE_BYTES];
    struct log_limit log_limit;
};

static inline struct source_kafka *kafka_of(struct source *source)
{
    return (struct source_kafka *)source;
}

/* source_kafka.c */
void kafka_say(struct source_kafka *self, enum log_level level, const char *text);
void kafka_trouble(struct source_kafka *self, const char *text);
/* Messages that were handed out last go back to the client. */
void kafka_give_back(struct source_kafka *self);
/* The counter that wakes the reader is signalled by this queue too. */
void kafka_signal_by(struct source_kafka *self, rd_kafka_queue_t *queue);

/* kafka_assignment.c */
/* The number of a partition for life; < 0: no memory. */
int kafka_partition_number(struct source_kafka *self, const char *topic, int32_t number);
void kafka_release(struct kafka_partition *partition);
void kafka_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t *list, void *opaque);
/* Our durable offsets to the broker, for lag tools. */
void kafka_tell_broker(struct source_kafka *self);
/* All partitions again, from the collector's offsets. */
int kafka_restart(struct source *source, struct err *err);
/* Settles "offset out of range": has retention passed us, or is it another log? */
void kafka_settle_reset(struct source_kafka *self, size_t number);
