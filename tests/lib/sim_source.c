#include "tests/lib/sim_source.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct sim_source {
    struct source source;
    struct sim_log *log;
    struct sim_options options;
    const struct source_events *events;
    struct rng rng;
    int64_t position[16]; /* offset that is read next */
    bool assigned[16], held[16], stopped[16];
    bool down;
    bool away; /* the collector left for a while */
    int next;
    struct message messages[SOURCE_MAX_BATCH];
};

static struct sim_source *sim_of(struct source *source)
{
    return (struct sim_source *)source;
}

void sim_log_finish(struct sim_log *log)
{
    for (int i = 0; i < log->n_partitions; i++) {
        for (size_t k = 0; k < log->partitions[i].n; k++)
            free(log->partitions[i].records[k].payload);
        free(log->partitions[i].records);
    }
    *log = (struct sim_log){.n_partitions = 0};
}

int sim_partition(struct sim_log *log, const char *topic, int32_t number)
{
    for (int i = 0; i < log->n_partitions; i++)
        if (strcmp(log->partitions[i].topic, topic) == 0 && log->partitions[i].number == number)
            return i;
    assert(log->n_partitions < 16);
    struct sim_partition *partition = &log->partitions[log->n_partitions];
    *partition = (struct sim_partition){.number = number};
    snprintf(partition->topic, sizeof(partition->topic), "%s", topic);
    return log->n_partitions++;
}

void sim_add(struct sim_log *log, int at, int64_t timestamp_ms, const char *format, ...)
{
    struct sim_partition *partition = &log->partitions[at];
    if (partition->n == partition->capacity) {
        partition->capacity = partition->capacity ? partition->capacity * 2 : 64;
        partition->records =
            realloc(partition->records, partition->capacity * sizeof(*partition->records));
        assert(partition->records);
    }
    char *payload = NULL;
    va_list arguments;
    va_start(arguments, format);
    int n = vasprintf(&payload, format, arguments);
    va_end(arguments);
    assert(n >= 0);
    partition->records[partition->n++] =
        (struct sim_record){partition->next++, timestamp_ms, payload};
}

void sim_hole(struct sim_log *log, int partition, int64_t n)
{
    log->partitions[partition].next += n;
}

void sim_retain(struct sim_log *log, int at, int64_t low)
{
    struct sim_partition *partition = &log->partitions[at];
    size_t gone = 0;
    while (gone < partition->n && partition->records[gone].offset < low)
        free(partition->records[gone++].payload);
    memmove(partition->records, partition->records + gone,
            (partition->n - gone) * sizeof(*partition->records));
    partition->n -= gone;
    partition->low = low;
}

void sim_recreate(struct sim_log *log, int at)
{
    struct sim_partition *partition = &log->partitions[at];
    for (size_t i = 0; i < partition->n; i++)
        free(partition->records[i].payload);
    partition->n = 0;
    partition->low = partition->next = 0;
}

/* Where the collector wants to go on, as Kafka would answer it. */
static void go_to(struct sim_source *self, int at, int64_t offset)
{
    struct sim_partition *partition = &self->log->partitions[at];
    self->stopped[at] = offset == SOURCE_STOP;
    if (offset == SOURCE_EARLIEST)
        offset = partition->low;
    if (offset == SOURCE_LATEST) {
        offset = partition->next;
        self->events->starts(self->events->context, at, offset);
    }
    self->position[at] = offset;
    if (offset == SOURCE_STOP)
        return;
    if (offset > partition->next) {
        int64_t answer =
            self->events->truncated(self->events->context, at, partition->low, partition->next);
        assert(answer < 0);
        go_to(self, at, answer);
    } else if (offset < partition->low) {
        self->events->gap(self->events->context, at, offset, partition->low);
        self->position[at] = partition->low;
    }
}

static void hand_out(struct sim_source *self)
{
    for (int i = 0; i < self->log->n_partitions; i++) {
        const struct sim_partition *partition = &self->log->partitions[i];
        self->assigned[i] = true;
        self->held[i] = false;
        go_to(
            self, i,
            self->events->assigned(self->events->context, i, partition->topic, partition->number));
    }
}

static void take_away(struct sim_source *self)
{
    for (int i = 0; i < self->log->n_partitions; i++) {
        if (self->assigned[i])
            self->events->revoked(self->events->context, i, false);
        self->assigned[i] = false;
    }
}

static int sim_start(struct source *source, const struct source_events *events, struct err *err)
{
    struct sim_source *self = sim_of(source);
    (void)err;
    self->events = events;
    hand_out(self);
    return 0;
}

static int sim_restart(struct source *source, struct err *err)
{
    (void)err;
    if (!sim_of(source)->away)
        hand_out(sim_of(source));
    return 0;
}

static bool chance(struct sim_source *self, int percent)
{
    return percent && (int)rng_below(&self->rng, 100) < percent;
}

static size_t read_partition(struct sim_source *self, int at)
{
    const struct sim_partition *partition = &self->log->partitions[at];
    size_t most = 1 + (size_t)rng_below(&self->rng, self->options.max_batch);
    int64_t from = self->position[at];
    if (from > 3 && chance(self, self->options.redeliver_percent))
        from -= 3;
    size_t n = 0;
    for (size_t i = 0; i < partition->n && n < most; i++) {
        const struct sim_record *record = &partition->records[i];
        if (record->offset < from)
            continue;
        self->messages[n++] = (struct message){
            .payload = record->payload,
            .size = record->payload ? strlen(record->payload) : 0,
            .offset = record->offset,
            .timestamp_ms = record->timestamp_ms,
        };
        if (record->offset >= self->position[at])
            self->position[at] = record->offset + 1;
    }
    return n;
}

static int sim_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    struct sim_source *self = sim_of(source);
    bool all = true;
    (void)timeout_ms;
    (void)err;
    if (self->away)
        take_away(self);
    if (self->down || self->away)
        return 0;
    bool grown = false;
    for (int i = 0; i < self->log->n_partitions; i++)
        grown |= !self->assigned[i];
    if (grown || chance(self, self->options.rebalance_percent)) {
        take_away(self);
        hand_out(self);
        return 0;
    }
    int first = (int)rng_below(&self->rng, (uint64_t)self->log->n_partitions);
    for (int i = 0; i < self->log->n_partitions; i++) {
        int at = (first + i) % self->log->n_partitions;
        const struct sim_partition *partition = &self->log->partitions[at];
        if (self->stopped[at])
            continue;
        if (partition->n && self->position[at] <= partition->records[partition->n - 1].offset) {
            all = false;
            if (self->held[at])
                continue;
            size_t n = read_partition(self, at);
            *out = (struct batch){at, self->messages, n, partition->low, partition->next};
            return SOURCE_BATCH;
        }
        if (self->options.bounded)
            self->events->ended(self->events->context, at);
    }
    return all && self->options.ends ? SOURCE_END : 0;
}

static void sim_leave(struct source *source, bool away)
{
    sim_of(source)->away = away;
}

static void sim_hold(struct source *source, int partition, bool held)
{
    sim_of(source)->held[partition] = held;
}

static void sim_state(struct source *source, struct source_state *out)
{
    struct sim_source *self = sim_of(source);
    *out = (struct source_state){
        .ready = !self->down,
        .n_partitions = self->log->n_partitions,
        .trouble = self->down ? "broker away" : NULL,
    };
}

static void sim_close(struct source *source)
{
    free(source);
}

int sim_source_new(struct source **out, struct sim_log *log, const struct sim_options *options,
                   struct err *err)
{
    struct sim_source *self = calloc(1, sizeof(*self));
    if (!self)
        return err_set(err, -1, "no memory");
    self->log = log;
    self->options = *options;
    if (self->options.max_batch == 0 || self->options.max_batch > SOURCE_MAX_BATCH)
        self->options.max_batch = 500;
    self->rng = rng_of(options->seed);
    self->source = (struct source){
        .name = "sim",
        .bounded = options->bounded,
        .checks_last = true,
        .start = sim_start,
        .next = sim_next,
        .hold = sim_hold,
        .leave = sim_leave,
        .restart = sim_restart,
        .state = sim_state,
        .close = sim_close,
    };
    *out = &self->source;
    return 0;
}

void sim_source_down(struct source *source, bool down)
{
    sim_of(source)->down = down;
}

bool sim_source_is_away(struct source *source)
{
    for (int i = 0; i < sim_of(source)->log->n_partitions; i++)
        if (sim_of(source)->assigned[i])
            return false;
    return true;
}
