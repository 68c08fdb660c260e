/*
 * Each partition has its own queue of the client, taken out of the consumer's before assignment
 * (later the client would forward it again), so that a held partition is just a queue that nobody
 * serves. An event counter is signalled by all queues, and by wake().
 *
 * Fetch stall: when a queue is full, the client's broker thread sleeps up to a second whatever
 * becomes of the queue (2.0.2; upstream issue 2879). Any request to that broker wakes it, so a
 * queue that has sunk below a third while the log has more asks for its watermarks, and does not
 * wait for the answer.
 */
#include "collector/kafka_inside.h"

#include <errno.h>
#include <inttypes.h>
#include <librdkafka/rdkafka.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>
#include <xxhash.h>

#include "collector/kafka_settings.h"

void kafka_say(struct source_kafka *self, enum log_level level, const char *text)
{
    uint64_t suppressed;
    if (self->log && log_allowed(&self->log_limit, clock_boot_ms(self->clock), &suppressed))
        log_write(self->log, level, "kafka", "%s", text);
}

void kafka_trouble(struct source_kafka *self, const char *text)
{
    if (!self->trouble[0])
        self->trouble_since_ms = clock_wall_ms(self->clock);
    snprintf(self->trouble, sizeof(self->trouble), "%s", text);
    kafka_say(self, LEVEL_WARNING, text);
}

static void clear_trouble(struct source_kafka *self)
{
    if (self->trouble[0])
        kafka_say(self, LEVEL_INFO, "the broker answers again");
    self->trouble[0] = 0;
}

static void on_log(const rd_kafka_t *client, int level, const char *facility, const char *text)
{
    struct source_kafka *self = rd_kafka_opaque(client);
    char line[512];
    snprintf(line, sizeof(line), "%s: %s", facility, text);
    kafka_say(self, level <= 3 ? LEVEL_ERROR : level <= 4 ? LEVEL_WARNING : LEVEL_INFO, line);
}

static void on_error(rd_kafka_t *client, int code, const char *reason, void *opaque)
{
    struct source_kafka *self = opaque;
    char text[TROUBLE_BYTES];
    snprintf(text, sizeof(text), "%s (%s)", reason, rd_kafka_err2name((rd_kafka_resp_err_t)code));
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        self->up = false;
    if (code == RD_KAFKA_RESP_ERR__FATAL) {
        self->fatal = true;
        self->fatal_boot_ms = clock_boot_ms(self->clock);
        rd_kafka_fatal_error(client, text, sizeof(text));
    }
    kafka_trouble(self, text);
}

/* The client's statistics say which brokers are up: an idle topic gives no other sign. */
static int on_statistics(rd_kafka_t *client, char *json, size_t n, void *opaque)
{
    struct source_kafka *self = opaque;
    (void)client;
    (void)n;
    bool up = strstr(json, "\"state\":\"UP\"") != NULL;
    if (up && !self->up)
        clear_trouble(self);
    self->up = up;
    return 0; /* the client frees it */
}

void kafka_give_back(struct source_kafka *self)
{
    for (size_t i = 0; i < self->n_taken; i++)
        rd_kafka_message_destroy(self->taken[i]);
    self->n_taken = 0;
}

/* The others go on; said once, for the client tells it once. */
static void take_refusal(struct source_kafka *self, const char *topic, const char *text)
{
    snprintf(self->refused_topic, sizeof(self->refused_topic), "%s", topic);
    snprintf(self->refusal, sizeof(self->refusal), "%s", text);
    if (self->log)
        log_write(self->log, LEVEL_ERROR, "kafka", "%s", text);
}

/* An error in place of a message, of a partition or of the consumer. */
static void take_error(struct source_kafka *self, const rd_kafka_message_t *message)
{
    char text[TROUBLE_BYTES];
    const char *topic = message->rkt ? rd_kafka_topic_name(message->rkt) : NULL;
    if (message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return;
    if (topic && (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                  message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)) {
        int number = kafka_partition_number(self, topic, message->partition);
        if (number >= 0)
            self->partitions[number].reset = true;
        return;
    }
    snprintf(text, sizeof(text), "%s%s%s", topic ? topic : "", topic ? ": " : "",
             rd_kafka_message_errstr(message));
    if (topic && message->err == RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED)
        take_refusal(self, topic, text);
    else
        kafka_trouble(self, text);
}

/* Rebalances, errors, logs and statistics. */
static void serve_consumer(struct source_kafka *self)
{
    enum {
        MOST = 100
    };
    rd_kafka_message_t *message;
    for (int i = 0; i < MOST && (message = rd_kafka_consumer_poll(self->client, 0)) != NULL; i++) {
        /* A message here was forwarded before its queue was ours: the offset check asks for it
           again. */
        if (message->err)
            take_error(self, message);
        rd_kafka_message_destroy(message);
    }
}

static void nudge(struct source_kafka *self, struct kafka_partition *partition)
{
    int64_t low, ignored;
    int64_t now = clock_boot_ms(self->clock);
    if (partition->position >= partition->high ||
        now - partition->nudged_boot_ms < NUDGE_EVERY_MS ||
        now - partition->taken_boot_ms > NUDGE_FOR_MS)
        return;
    if (rd_kafka_queue_length(partition->queue) > MAX_BATCH_MESSAGES)
        return;
    partition->nudged_boot_ms = now;
    (void)rd_kafka_query_watermark_offsets(self->client, partition->topic, partition->number, &low,
                                           &ignored, 0);
}

/* The client parses them when they are asked for; they live as long as the message. */
static void take_headers(struct source_kafka *self, const rd_kafka_message_t *message,
                         struct message *out)
{
    rd_kafka_headers_t *headers;
    const char *name;
    const void *value;
    size_t size;
    out->headers = &self->headers[self->n_headers];
    if (rd_kafka_message_headers(message, &headers))
        return;
    for (size_t i = 0; self->n_headers < sizeof(self->headers) / sizeof(*self->headers) &&
                       rd_kafka_header_get_all(headers, i, &name, &value, &size) == 0;
         i++) {
        self->headers[self->n_headers++] = (struct header){name, {value, (uint32_t)size}};
        out->n_headers++;
    }
}

static bool take_batch(struct source_kafka *self, size_t number, struct batch *out)
{
    struct kafka_partition *partition = &self->partitions[number];
    ssize_t n = rd_kafka_consume_batch_queue(partition->queue, 0, self->taken, MAX_BATCH_MESSAGES);
    if (n <= 0) {
        nudge(self, partition); /* the fetcher may be asleep beside an empty queue */
        return false;
    }
    self->n_taken = (size_t)n;
    size_t good = 0;
    self->n_headers = 0;
    for (ssize_t i = 0; i < n; i++) {
        const rd_kafka_message_t *message = self->taken[i];
        if (message->err) {
            take_error(self, message);
            continue;
        }
        rd_kafka_timestamp_type_t type;
        int64_t timestamp_ms = rd_kafka_message_timestamp(message, &type);
        self->messages[good++] = (struct message){
            .payload = message->payload,
            .size = message->len,
            .offset = message->offset,
            .timestamp_ms =
                type == RD_KAFKA_TIMESTAMP_NOT_AVAILABLE ? SOURCE_NO_TIMESTAMP : timestamp_ms,
        };
        if (partition->headers)
            take_headers(self, message, &self->messages[good - 1]);
        partition->position = message->offset + 1;
    }
    if (good == 0)
        return false;
    if (self->trouble[0])
        clear_trouble(self);
    self->up = true;
    int64_t low = -1;
    int64_t high = -1;
    if (rd_kafka_get_watermark_offsets(self->client, partition->topic, partition->number, &low,
                                       &high))
        low = high = -1;
    *out = (struct batch){(int)number, self->messages, good, low, high};
    partition->high = high;
    partition->taken_boot_ms = clock_boot_ms(self->clock);
    nudge(self, partition);
    return true;
}

static bool take_any(struct source_kafka *self, struct batch *out)
{
    for (size_t i = 0; i < self->n_partitions; i++) {
        size_t number = self->next++ % self->n_partitions;
        struct kafka_partition *partition = &self->partitions[number];
        if (!partition->queue || partition->stopped)
            continue;
        if (partition->reset) {
            kafka_settle_reset(self, number);
            continue;
        }
        if (!partition->held && take_batch(self, number, out))
            return true;
        kafka_give_back(self);
    }
    return false;
}

static int client_new(struct source_kafka *self, struct err *err)
{
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    int rc = kafka_configure(conf, self->config, self->instance, err);
    if (rc) {
        rd_kafka_conf_destroy(conf);
        return rc;
    }
    rd_kafka_conf_set_opaque(conf, self);
    rd_kafka_conf_set_log_cb(conf, on_log);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_stats_cb(conf, on_statistics);
    rd_kafka_conf_set_rebalance_cb(conf, kafka_on_rebalance);
    self->client = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof(text));
    if (!self->client) {
        rd_kafka_conf_destroy(conf);
        return err_set(err, ERR_USAGE, "kafka: %s", text);
    }
    rd_kafka_set_log_queue(self->client, NULL);
    rd_kafka_poll_set_consumer(self->client);
    self->consumer_queue = rd_kafka_queue_get_consumer(self->client);
    kafka_signal_by(self, self->consumer_queue);
    return 0;
}

static void client_free(struct source_kafka *self)
{
    kafka_give_back(self);
    if (!self->client)
        return;
    rd_kafka_queue_io_event_enable(self->consumer_queue, -1, NULL, 0);
    rd_kafka_consumer_close(self->client);
    for (size_t i = 0; i < self->n_partitions; i++)
        kafka_release(&self->partitions[i]);
    rd_kafka_queue_destroy(self->consumer_queue);
    rd_kafka_destroy(self->client);
    self->client = NULL;
}

static int subscribe(struct source_kafka *self, struct err *err)
{
    rd_kafka_topic_partition_list_t *topics =
        rd_kafka_topic_partition_list_new((int)self->config->n_topics);
    for (size_t i = 0; i < self->config->n_topics; i++)
        rd_kafka_topic_partition_list_add(topics, self->config->topics[i].name,
                                          RD_KAFKA_PARTITION_UA);
    rd_kafka_resp_err_t rc = rd_kafka_subscribe(self->client, topics);
    rd_kafka_topic_partition_list_destroy(topics);
    return rc ? err_set(err, ERR_USAGE, "kafka.topics: %s", rd_kafka_err2str(rc)) : 0;
}

/* The client has given up (another member has our instance id, …): a new one, after a while. */
static int renew(struct source_kafka *self, int timeout_ms, struct err *err)
{
    if (clock_boot_ms(self->clock) - self->fatal_boot_ms < AGAIN_AFTER_MS) {
        (void)poll(NULL, 0, timeout_ms);
        return 0;
    }
    self->closing = true; /* our own events tell the collector */
    for (size_t i = 0; i < self->n_partitions; i++)
        if (self->partitions[i].queue)
            self->events->revoked(self->events->context, (int)i, true);
    client_free(self);
    self->closing = self->fatal = false;
    int rc = client_new(self, err);
    return rc || self->away ? rc : subscribe(self, err);
}

static int kafka_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    struct source_kafka *self = kafka_of(source);
    (void)err;
    kafka_give_back(self);
    if (self->fatal) {
        int rc = renew(self, timeout_ms, err);
        if (rc || self->fatal)
            return rc;
    }
    serve_consumer(self);
    if (clock_boot_ms(self->clock) - self->committed_boot_ms >= COMMIT_EVERY_MS)
        kafka_tell_broker(self);
    if (take_any(self, out))
        return SOURCE_BATCH;
    if (timeout_ms <= 0)
        return 0;
    struct pollfd wait = {.fd = self->event_fd, .events = POLLIN};
    uint64_t count;
    if (poll(&wait, 1, timeout_ms) > 0 && read(self->event_fd, &count, sizeof(count)) < 0)
        return 0;
    serve_consumer(self);
    return take_any(self, out) ? SOURCE_BATCH : 0;
}

static int kafka_start(struct source *source, const struct source_events *events, struct err *err)
{
    struct source_kafka *self = kafka_of(source);
    self->events = events;
    return subscribe(self, err);
}

static void kafka_leave(struct source *source, bool away)
{
    struct source_kafka *self = kafka_of(source);
    struct err err = {0};
    self->away = away;
    kafka_give_back(self);
    if (away)
        rd_kafka_unsubscribe(self->client);
    else if (subscribe(self, &err))
        kafka_trouble(self, err.text);
}

static void kafka_hold(struct source *source, int partition, bool held)
{
    kafka_of(source)->partitions[partition].held = held;
}

static void kafka_want_headers(struct source *source, int partition)
{
    kafka_of(source)->partitions[partition].headers = true;
}

static void kafka_stored(struct source *source, int partition, int64_t next)
{
    kafka_of(source)->partitions[partition].stored = next;
}

static void kafka_state(struct source *source, struct source_state *out)
{
    struct source_kafka *self = kafka_of(source);
    *out = (struct source_state){
        .ready = self->has_assignment && self->up,
        .n_partitions = self->n_assigned,
        .trouble = self->trouble[0] && !self->up ? self->trouble : NULL,
        .trouble_since_ms = self->trouble_since_ms,
        .refusal = self->refused_topic[0] ? self->refusal : NULL,
    };
}

static void kafka_wake(struct source *source)
{
    uint64_t one = 1;
    ssize_t written = write(kafka_of(source)->event_fd, &one, sizeof(one));
    (void)written; /* the counter is full: it is awake */
}

static void kafka_close(struct source *source)
{
    struct source_kafka *self = kafka_of(source);
    self->closing = true;
    client_free(self);
    for (size_t i = 0; i < self->n_partitions; i++)
        free(self->partitions[i].topic);
    free(self->partitions);
    if (self->event_fd >= 0)
        close(self->event_fd);
    free(self);
}

static void name_instance(struct source_kafka *self, const char *instance)
{
    char host[64] = "";
    char path[PATH_MAX];
    if (!instance)
        return;
    (void)gethostname(host, sizeof(host) - 1);
    if (!realpath(instance, path))
        snprintf(path, sizeof(path), "%s", instance);
    snprintf(self->instance, sizeof(self->instance), "assay-%s-%016" PRIx64, host,
             (uint64_t)XXH3_64bits(path, strlen(path)));
}

int source_kafka_new(struct source **out, const struct config_kafka *kafka, const char *instance,
                     const struct log *log, const struct clock *clock, struct err *err)
{
    AUTO(source) struct source *source = NULL;
    struct source_kafka *self = calloc(1, sizeof(*self));
    if (!self)
        return err_set(err, -ENOMEM, "no memory for the source of Kafka");
    self->source = (struct source){
        .name = "kafka",
        .checks_last = true,
        .start = kafka_start,
        .next = kafka_next,
        .hold = kafka_hold,
        .stored = kafka_stored,
        .restart = kafka_restart,
        .state = kafka_state,
        .close = kafka_close,
        .wake = kafka_wake,
        .leave = kafka_leave,
        .want_headers = kafka_want_headers,
    };
    source = &self->source;
    self->config = kafka;
    name_instance(self, instance);
    self->log = log;
    self->clock = clock ? clock : clock_system();
    self->log_limit = (struct log_limit){.every_ms = LOG_EVERY_MS};
    self->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (self->event_fd < 0)
        return err_set(err, -errno, "no event counter: %s", err_words(errno));
    int rc = client_new(self, err);
    if (rc)
        return rc;
    *out = source;
    source = NULL; /* the caller owns it now */
    return 0;
}
