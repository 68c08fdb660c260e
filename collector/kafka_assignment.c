/*
 * Which partitions are ours and where they go on: rebalances, restarts, offsets out of range.
 */
#include <librdkafka/rdkafka.h>
#include <stdio.h>
#include <string.h>

#include "collector/kafka_inside.h"
#include "common/grow.h"

/* The number of a partition for life; < 0: no memory. */
int kafka_partition_number(struct source_kafka *self, const char *topic, int32_t number)
{
    for (size_t i = 0; i < self->n_partitions; i++)
        if (self->partitions[i].number == number && strcmp(self->partitions[i].topic, topic) == 0)
            return (int)i;
    if (grow(&self->partitions, &self->capacity, self->n_partitions + 1, sizeof(*self->partitions),
             "kafka: partitions", NULL))
        return -1;
    char *copy = strdup(topic);
    if (!copy)
        return -1;
    self->partitions[self->n_partitions] = (struct kafka_partition){
        .topic = copy, .number = number, .position = -1, .stored = -1, .high = -1};
    return (int)self->n_partitions++;
}

void kafka_release(struct kafka_partition *partition)
{
    if (!partition->queue)
        return;
    rd_kafka_queue_io_event_enable(partition->queue, -1, NULL, 0);
    rd_kafka_queue_destroy(partition->queue);
    partition->queue = NULL;
}

void kafka_signal_by(struct source_kafka *self, rd_kafka_queue_t *queue)
{
    static const uint64_t one = 1;
    rd_kafka_queue_io_event_enable(queue, self->event_fd, &one, sizeof(one));
}

/* The end of the log as it is now, told to the collector; where no broker says: SOURCE_LATEST. */
static int64_t latest(struct source_kafka *self, int number)
{
    const struct kafka_partition *partition = &self->partitions[number];
    int64_t low;
    int64_t high;
    if (rd_kafka_query_watermark_offsets(self->client, partition->topic, partition->number, &low,
                                         &high, RESET_WAIT_MS))
        return SOURCE_LATEST;
    self->events->starts(self->events->context, number, high);
    return high;
}

/* Where the collector wants to go on; adds it to the list unless it is to be left alone. */
static void ask_offset(struct source_kafka *self, int number, rd_kafka_topic_partition_list_t *list)
{
    struct kafka_partition *partition = &self->partitions[number];
    int64_t from =
        self->events->assigned(self->events->context, number, partition->topic, partition->number);
    partition->held = partition->reset = false;
    partition->stopped = from == SOURCE_STOP;
    if (partition->stopped)
        return;
    if (from == SOURCE_LATEST)
        from = latest(self, number);
    partition->position = from >= 0 ? from : -1;
    rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
        from == SOURCE_EARLIEST ? RD_KAFKA_OFFSET_BEGINNING
        : from == SOURCE_LATEST ? RD_KAFKA_OFFSET_END
                                : from;
    if (!partition->queue)
        partition->queue =
            rd_kafka_queue_get_partition(self->client, partition->topic, partition->number);
    if (!partition->queue)
        return;
    rd_kafka_queue_forward(partition->queue, NULL);
    kafka_signal_by(self, partition->queue);
}

static void assign(struct source_kafka *self, rd_kafka_topic_partition_list_t *list)
{
    rd_kafka_resp_err_t rc = rd_kafka_assign(self->client, list);
    if (rc)
        kafka_trouble(self, rd_kafka_err2str(rc));
}

static void on_assigned(struct source_kafka *self, const rd_kafka_topic_partition_list_t *given)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(given->cnt);
    for (int i = 0; i < given->cnt; i++) {
        int number = kafka_partition_number(self, given->elems[i].topic, given->elems[i].partition);
        if (number >= 0)
            ask_offset(self, number, list);
        if (strcmp(given->elems[i].topic, self->refused_topic) == 0)
            self->refused_topic[0] = '\0'; /* we may, now */
    }
    self->n_assigned = given->cnt;
    self->has_assignment = true;
    assign(self, list);
    rd_kafka_topic_partition_list_destroy(list);
    char text[64];
    snprintf(text, sizeof(text), "%d partitions assigned", given->cnt);
    kafka_say(self, LEVEL_INFO, text);
}

void kafka_tell_broker(struct source_kafka *self)
{
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)self->n_partitions);
    for (size_t i = 0; i < self->n_partitions; i++) {
        struct kafka_partition *partition = &self->partitions[i];
        if (partition->stored < 0 || !partition->queue)
            continue;
        rd_kafka_topic_partition_list_add(list, partition->topic, partition->number)->offset =
            partition->stored;
        partition->stored = -1;
    }
    if (list->cnt)
        rd_kafka_commit(self->client, list, 1);
    rd_kafka_topic_partition_list_destroy(list);
    self->committed_boot_ms = clock_boot_ms(self->clock);
}

static void on_revoked(struct source_kafka *self, const rd_kafka_topic_partition_list_t *taken)
{
    bool lost = rd_kafka_assignment_lost(self->client);
    for (int i = 0; i < taken->cnt && !self->closing; i++) {
        int number = kafka_partition_number(self, taken->elems[i].topic, taken->elems[i].partition);
        if (number >= 0)
            self->events->revoked(self->events->context, number, lost);
    }
    if (!lost)
        kafka_tell_broker(self);
    for (size_t i = 0; i < self->n_partitions; i++)
        kafka_release(&self->partitions[i]);
    self->n_assigned = 0;
    self->has_assignment = false;
    assign(self, NULL);
}

void kafka_on_rebalance(rd_kafka_t *client, rd_kafka_resp_err_t code,
                        rd_kafka_topic_partition_list_t *list, void *opaque)
{
    struct source_kafka *self = opaque;
    (void)client;
    if (code == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS && !self->closing) {
        on_assigned(self, list);
    } else {
        on_revoked(self, list);
        if (code != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS && !self->closing)
            kafka_trouble(self, rd_kafka_err2str(code));
    }
}

/* All partitions again, from the collector's offsets. */
int kafka_restart(struct source *source, struct err *err)
{
    struct source_kafka *self = kafka_of(source);
    (void)err;
    kafka_give_back(self);
    if (!self->has_assignment || self->away)
        return 0;
    rd_kafka_topic_partition_list_t *list =
        rd_kafka_topic_partition_list_new((int)self->n_partitions);
    for (size_t i = 0; i < self->n_partitions; i++)
        if (self->partitions[i].queue || self->partitions[i].stopped)
            ask_offset(self, (int)i, list);
    assign(self, list);
    rd_kafka_topic_partition_list_destroy(list);
    return 0;
}

/* The broker says that our offset is out of range: has retention passed us, or is it another log?
 */
void kafka_settle_reset(struct source_kafka *self, size_t number)
{
    struct kafka_partition *partition = &self->partitions[number];
    int64_t now = clock_boot_ms(self->clock);
    int64_t low = 0;
    int64_t high = 0;
    if (now - partition->reset_boot_ms < RESET_EVERY_MS)
        return;
    partition->reset_boot_ms = now;
    rd_kafka_resp_err_t rc = rd_kafka_query_watermark_offsets(
        self->client, partition->topic, partition->number, &low, &high, RESET_WAIT_MS);
    if (rc) {
        kafka_trouble(self, rd_kafka_err2str(rc));
        return;
    }
    int64_t wanted = partition->position;
    if (wanted >= 0 && wanted < low)
        self->events->gap(self->events->context, (int)number, wanted, low);
    else if (wanted > high)
        self->events->truncated(self->events->context, (int)number, low, high);
    kafka_restart(&self->source, NULL);
}
