/*
 * A simulated log for tests of the collector: partitions with offsets, holes, retention, and the
 * bad manners of the real one, on demand and by a seed.
 *
 * Shape    struct sim_log is what the broker has; a sim_source reads it. Two sources may read one
 *          log (two daemons). Records are added by the test.
 * Owner    sim_log is the caller's, sim_log_finish empties it; sim_source_new gives a source that
 *          close() frees
 * Threads  one
 */
#pragma once

#include "collector/source.h"
#include "common/rng.h"

struct sim_record {
    int64_t offset;
    int64_t timestamp_ms;
    char *payload; /* NULL: a tombstone */
};

struct sim_partition {
    char topic[64];
    int32_t number;
    struct sim_record *records;
    size_t n, capacity;
    int64_t low;  /* first offset that is kept */
    int64_t next; /* offset of the next record */
};

struct sim_log {
    struct sim_partition partitions[16];
    int n_partitions;
};

void sim_log_finish(struct sim_log *log);
/* The partition's index, made when new. */
int sim_partition(struct sim_log *log, const char *topic, int32_t number);
/* Appends; the payload is printf's. */
void sim_add(struct sim_log *log, int partition, int64_t timestamp_ms, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
void sim_hole(struct sim_log *log, int partition, int64_t n); /* offsets without a message */
/* Retention: records before `low` are gone. */
void sim_retain(struct sim_log *log, int partition, int64_t low);
/* Another topic of the same name. */
void sim_recreate(struct sim_log *log, int partition);

struct sim_options {
    uint64_t seed;
    size_t max_batch;      /* batches have 1 … max_batch messages, drawn */
    int redeliver_percent; /* a batch begins some messages too early */
    int rebalance_percent; /* all partitions are taken and given back before a batch */
    bool ends;             /* SOURCE_END when all is read; else 0 messages */
    bool bounded;
};

int sim_source_new(struct source **out, struct sim_log *log, const struct sim_options *options,
                   struct err *err);
/* The broker is away: next() gives nothing, state() says so. */
void sim_source_down(struct source *source, bool down);
/* The collector has given up every partition. */
bool sim_source_is_away(struct source *source);
