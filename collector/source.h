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

#include "collector/header.h"
#include "common/cleanup.h"
#include "common/err.h"

#define SOURCE_NO_TIMESTAMP INT64_MIN

enum {
    SOURCE_MAX_BATCH = 4096
};

struct event;

struct message {
    const char *payload; /* NULL: none */
    size_t size;         /* bytes */
    int64_t offset;
    int64_t timestamp_ms;
    void *handle;                 /* HTTP: which item of which request; else NULL */
    const struct header *headers; /* only after want_headers() */
    size_t n_headers;
    struct event *event; /* already decoded (files), and its taker's to change; NULL: not yet */
    const char *fault;   /* why it is no JSON, where the source knows (HTTP); NULL: unknown */
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
    /* The log no longer has [from, to): retention passed us. */
    void (*gap)(void *context, int partition, int64_t from, int64_t to);
    /* The log ends before the offset we want, at `high`: the topic was made anew or cut. The answer
       is as that of assigned(), or SOURCE_STOP: read this partition no more. */
    int64_t (*truncated)(void *context, int partition, int64_t low, int64_t high);
    /* SOURCE_LATEST turned out to be this offset. */
    void (*starts)(void *context, int partition, int64_t offset);
    /* No message will come from it any more (files). */
    void (*ended)(void *context, int partition);
};

#define SOURCE_EARLIEST INT64_C(-1)
#define SOURCE_LATEST INT64_C(-2)
#define SOURCE_STOP INT64_C(-3)

/* What became of a message, for who waits for an answer (HTTP). */
enum taken {
    TAKEN_FOLDED,
    TAKEN_DUPLICATE,
    TAKEN_DEAD, /* rejected, with a reason */
    TAKEN_LATE,
    TAKEN_ORPHANED,
    TAKEN_WAITING,
    N_TAKEN
};

struct source_state {
    bool ready;          /* connected, and partitions are assigned (or none exists) */
    int n_partitions;    /* assigned now */
    const char *trouble; /* last error in words, NULL when well; lives until the next call */
    int64_t trouble_since_ms;
    const char
        *refusal; /* a part of the log that we may not read, NULL: none; lives as `trouble` */
};

struct source {
    const char *name; /* "kafka", "file", "http", … */
    bool bounded;     /* files: a partition is never idle, it ends */
    bool prompt;      /* somebody waits for stored(): commit after each batch */
    bool checks_last; /* assigned() may answer the last record again, to see that the log is ours */
    bool keeps_held;  /* messages of a partition that is held live until it is let go */

    /* Begins; `events` outlives the source's use. Once, before next(). */
    int (*start)(struct source *source, const struct source_events *events, struct err *err);
    /*
     * Waits up to timeout_ms for messages of some partition and gives them. 1: a batch · 0: none in
     * time · 2 (SOURCE_END): every partition has ended (files) · < 0 failed for good.
     */
    int (*next)(struct source *source, int timeout_ms, struct batch *out, struct err *err);
    /* Partition is read no further until released: used to align partitions by event time. */
    void (*hold)(struct source *source, int partition, bool held);
    /* Offsets that are durable in our database: for the broker's lag tools only. */
    void (*stored)(struct source *source, int partition, int64_t next);
    /* Start again from the collector's offsets (after a refused commit): asks assigned() again for
       each partition, in restart() or in the next next(). */
    int (*restart)(struct source *source, struct err *err);
    void (*state)(struct source *source, struct source_state *out);
    void (*close)(struct source *source);

    /* The rest may be NULL. */

    /* Makes a waiting next() return. Any thread. */
    void (*wake)(struct source *source);
    /* Messages may come from another thread: calls `wake` then, on that thread. */
    void (*on_data)(struct source *source, void (*wake)(void *context), void *context);
    /* Gives up every partition in order, as revoked() tells in the next next(), and stays out until
       it is called with `away` false. */
    void (*leave)(struct source *source, bool away);
    /* The partition's format reads headers: give them with each message. */
    void (*want_headers)(struct source *source, int partition);
    /* What became of a message; `reason` and `detail` of a rejected one, else REJECT_NONE and NULL.
       It is durable once stored() says so. */
    void (*taken)(struct source *source, const struct message *message, enum taken taken,
                  int reason, const char *detail);
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
