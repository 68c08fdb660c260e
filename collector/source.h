/*
 * Where messages come from: Kafka, files, HTTP, or a test's simulated log. One seam, so that the
 * very same pipeline runs on all of them.
 *
 * Shape    a source has partitions, each an ordered log; next() gives messages of one partition in
 *          order. Partitions come and go by assignment (Kafka rebalances); a file is one partition.
 * Units    offset: the log's own, next = the offset that will be read next · timestamp_ms: when
 *          the message was written, ms since the epoch; SOURCE_NO_TIMESTAMP where there is none
 * Owner    close() frees the source; messages of a batch live until the next next() on the source
 * Errors   broker trouble is not a failure: next() gives 0 messages and state() tells
 * Threads  one
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

#define SOURCE_NO_TIMESTAMP INT64_MIN

enum {
    SOURCE_MAX_BATCH = 4096
};

struct message {
    const char *payload; /* NULL: none */
    size_t size;         /* bytes */
    int64_t offset;
    int64_t timestamp_ms;
    void *handle; /* HTTP: which item of which request; else NULL */
};

struct batch {
    int partition; /* index given to assigned() */
    const struct message *messages;
    size_t n;
    int64_t low_watermark;  /* first offset that the log still has; -1 unknown */
    int64_t high_watermark; /* one past its last; -1 unknown */
};

/* What the collector wants to be told, always from inside source_next(), on its thread. */
struct source_events {
    void *context;
    /*
     * A partition is ours now. The collector answers at which offset to start: the stored one, or
     * -1 "earliest" / -2 "latest" when it has none. `partition` is a small number that batches
     * repeat; it stays the same for (topic, number) over the life of the source.
     */
    int64_t (*assigned)(void *context, int partition, const char *topic, int32_t number);
    /* It is about to be taken away: commit now. `lost`: it is gone already, nothing may be written.
     */
    void (*revoked)(void *context, int partition, bool lost);
    /* The log no longer has [from, to): retention passed us, or the topic was made anew. */
    void (*gap)(void *context, int partition, int64_t from, int64_t to);
};

struct source_state {
    bool ready;          /* connected, and partitions are assigned (or none exists) */
    int n_partitions;    /* assigned now */
    const char *trouble; /* last error in words, NULL when well; lives until the next call */
    int64_t trouble_since_ms;
};

struct source {
    /*
     * Waits up to timeout_ms for messages of some partition and gives them. 1: a batch · 0: none in
     * time · 2 (SOURCE_END): every partition has ended (files) · < 0 failed for good.
     */
    int (*next)(struct source *source, int timeout_ms, struct batch *out, struct err *err);
    /* Partition is read no further until released: used to align partitions by event time. */
    void (*hold)(struct source *source, int partition, bool held);
    /* Offsets that are durable in our database: for the broker's lag tools only. */
    void (*stored)(struct source *source, int partition, int64_t next);
    /* Start again from the collector's offsets (after a refused commit). */
    int (*restart)(struct source *source, struct err *err);
    void (*state)(struct source *source, struct source_state *out);
    void (*close)(struct source *source);
};

enum {
    SOURCE_BATCH = 1,
    SOURCE_END = 2
};

static inline void source_free(struct source *source)
{
    if (source)
        source->close(source);
}
DEFINE_FREEP(source)
