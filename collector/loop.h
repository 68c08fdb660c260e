/*
 * The inside of the collector: what collect.c (the loop), source_events.c (what sources tell), ingest.c (one message),
 * commit_loop.c (the transaction), share.c (many looks in one), align.c (watermark and looks) and health.c share.
 * Nobody else includes this.
 *
 * Threads  all of it belongs to the writer's thread but `calls` and `health`, which have a lock
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "collector/changing.h"
#include "collector/collect.h"
#include "collector/content.h"
#include "collector/dead_letter_topic.h"
#include "collector/fold.h"
#include "collector/format.h"
#include "collector/join.h"
#include "collector/models.h"
#include "collector/ranges.h"
#include "collector/validate.h"
#include "storage/commit.h"

enum {
    COMMIT_EVERY_MS = 1000,
    IDLE_AFTER_MS = 10000,     /* contract §1: "10 s without messages" */
    FUTURE_MS = 5 * 60 * 1000, /* contract §1 */
    RETRY_FULL_MS = 1000,      /* a full disk is tried again each second */
    LEAVE_AFTER_MS = 60000,    /* failure-matrix.md, F18: then others may have our partitions */
    LOOK_MS = 1000,
    MAX_EXPIRED_SEGMENTS = 64, /* a commit */
    MAX_DEAD_BYTES = 8 << 20,  /* dead letters that wait for a commit */
    DEAD_PAYLOAD_BYTES = 4096, /* storage/commit.h: "cut to 4 KiB" */
    COMMIT_EVENTS = 50000,     /* design.md: "or every 50,000 events" */
    MIN_COMMIT_EVENTS = 5000,
    LONG_COMMIT_MS = 40,      /* then fewer events go into one: the aim is 100 ms */
    MAX_CHANGED_PANES = 4000, /* keeps the longest commit below 100 ms: docs/performance.md */
    MAX_CHANGED_BYTES = 8 << 20,
    PANE_MEMORY = 64 << 20, /* of written panes */
};

/* Messages of one partition that wait for a look. */
struct stash {
    struct message *messages; /* copied payloads: allocated in one piece with each addition */
    size_t n, at, capacity;
    char **pieces;
    size_t n_pieces, pieces_capacity;
};

struct partition {
    struct collector *collector;
    size_t source; /* index of its source */
    int source_partition;
    char *topic;
    int32_t number;
    uint64_t id; /* stands for (topic, number) in records on disk */
    const struct config_topic *config;
    struct topic_format *format;
    bool assigned;
    bool ended;
    bool stopped;      /* recreated, and configured to stop */
    bool blocked;      /* aligned: waits for the look, its head is at head_ts_ms */
    bool held;         /* the source was told so */
    bool changed;      /* differs from its row */
    bool tell;         /* its source is to hear what is durable */
    bool verify;       /* the first message should be the last applied one */
    bool trusts_holes; /* a hole was seen twice since the assignment */
    int64_t hole_at;   /* where a hole was seen once; -1 none */
    int64_t next;      /* will be applied next */
    int64_t stored;    /* next in the database; -1: no row yet */
    int64_t low, high; /* of the log, as last told; -1 unknown */
    int64_t head_ts_ms;
    int64_t active_boot_ms; /* last message, or assignment */
    struct partition_counts counts;
    struct stash stash;
};

struct rejected {
    uint32_t partition;
    enum reject reason;
    int64_t offset;
    int64_t at_ms;
    size_t detail; /* offset in dead_bytes; the payload follows */
    uint32_t detail_size, payload_size;
};

/* A function that another thread wants run on the writer's. */
struct call {
    struct call *next;
    int (*fn)(void *context, struct store *store, struct err *err);
    void *context;
    struct err err;
    int rc;
    bool done;
};

struct calls {
    pthread_mutex_t lock;
    pthread_cond_t finished;
    struct call *first, *last;
    bool stopped; /* nobody runs them any more */
    pthread_t writer;
    bool has_writer;
    atomic_bool waiting;
};

struct source_link {
    struct collector *collector;
    size_t index;
    struct source_events events;
    int *partitions; /* by the source's number; -1 none */
    size_t n_partitions;
    bool ended;
};

enum {
    INGEST_AHEAD = 8 /* messages are decoded before they are applied */
};

struct decoded {
    struct format *format; /* whose event it is */
    struct event *event;   /* the first of the message: the message's own, or this one */
    struct event own;
    size_t n_events;
    struct id_hash id;
    enum reject reason;
    const char *detail;
    struct model *refused_of; /* whose event was refused, as far as it could be read; or NULL */
};

/* The format of a topic, once for each message that is decoded ahead. */
struct topic_format {
    char *topic; /* NULL: files, HTTP */
    struct format *ring[INGEST_AHEAD];
    struct topic_format *next;
};

struct collector {
    struct collector_options options;
    const struct clock *clock;
    struct source_link *links; /* one a source */
    struct topic_format *formats;
    struct partition **partitions;
    size_t n_partitions, partitions_capacity;
    struct id_set partition_ids; /* → index */

    struct models *models;
    struct pending *pending;
    struct join *join;
    struct panes *fold;
    struct changing *changing;
    struct ranges *ranges;
    struct decoded ring[INGEST_AHEAD];
    struct view id;             /* of the event at hand */
    int64_t event_ms;           /* of it: its ts */
    struct class_score *scores; /* of the event at hand */
    uint64_t *shown;            /* of it: the items of its ranking */
    unsigned char *content;     /* of it: its label's, CONTENT_MAX_BYTES; and once more, settled */
    uint32_t *features;         /* of it: their numbers */
    struct profile_item *items; /* of it: what goes into profiles */
    uint64_t seed;
    bool seed_stored;

    struct rejected *dead;
    size_t n_dead, dead_capacity;
    struct dead_letter_topic *dead_topic; /* NULL: they stay in their table */
    char *dead_bytes;
    size_t dead_size, dead_bytes_capacity;

    int64_t watermark_ms, stored_watermark_ms; /* INT64_MIN: none */
    int64_t look_ms, stored_look_ms;           /* INT64_MIN: none yet */
    int64_t news_ms;                           /* the last look that covered anything new */
    bool look_wanted;                          /* at_look asked for exactly that one */
    bool look_dirty;                           /* something was folded since the last look */
    bool looks_left;                           /* more are due than one step takes */
    int64_t apart_until_ms; /* looks up to it have commits of their own: one shared was undone */
    int64_t shared_panes;   /* written into the shared transaction that is open */
    bool sent;              /* what is written is on its way to the disk, beside us … */
    struct collector_commit sent_commit; /* … and who is told of it when it is there … */
    int64_t sent_boot_ms;                /* … since then */
    bool calls_held;                     /* calls wait for such a commit: for one only */

    int64_t uncommitted;  /* events since the last durable commit */
    int64_t unwritten;    /* of them, since anything was written: no look can read them yet */
    int64_t untrimmed;    /* durable events since memory was given back to the system */
    int64_t commit_after; /* events: fewer where commits take long */
    int64_t last_commit_boot_ms;
    int64_t came_boot_ms;        /* the last message, or the start */
    int64_t retry_boot_ms;       /* degraded: not before */
    int64_t range_retry_boot_ms; /* the disk had no room for a reference made of panes: likewise */
    bool degraded;
    int blocked_by;           /* ERR_FULL or -EBUSY */
    int64_t degraded_boot_ms; /* since then */
    bool away;                /* out of the consumer group, too */
    bool commit_soon;         /* somebody waits for it */
    bool reload; /* memory is to be dropped: a partition was lost, or a commit was fenced */
    struct err undone_by; /* what was refused since the log was read last; its text may be "" */
    uint64_t restart;     /* bit set of sources that are to start again */
    int deferred;         /* error of a callback that could not return one */
    struct err deferred_err;
    int64_t next_aging_ms;       /* event time: panes are looked through again */
    bool aging;                  /* the last step of retention left something */
    int64_t rows_tidied_boot_ms; /* old rows were removed */
    bool stale_values;           /* some pane has changed since its values were computed */
    int64_t fenced, commits, last_commit_ms, longest_commit_ms, last_commit_panes;
    size_t next_source;
    atomic_bool stop;
    struct calls calls;
    struct log_limit trouble_limit;

    pthread_mutex_t health_lock;
    struct collector_health health;
};

/* memory.c: what is restored from the database and dropped again. */
int memory_load(struct collector *collector, struct err *err);
void memory_drop(struct collector *collector);
int partition_for(struct collector *collector, const char *topic, int32_t number,
                  struct partition **out, struct err *err);
uint64_t partition_id(const char *topic, int32_t number);
/* Gives each partition the format that the configuration names; again when that changes. */
int formats_set(struct collector *collector, struct err *err);
int format_for(struct collector *collector, struct partition *partition, struct err *err);
void formats_free(struct collector *collector);
/* Retention passed us by `lost` messages: counted, and the answers say so. */
void partition_lost(struct collector *collector, struct partition *partition, int64_t lost);
/* The log is another one than we read: stops or starts anew, as configured. */
void partition_recreated(struct collector *collector, struct partition *partition);

/* ingest.c */
/* Applies messages in order until `n` or until one whose ts is beyond the look: *done of them. */
int ingest_messages(struct collector *collector, struct partition *partition,
                    const struct message *messages, size_t n, size_t *done, struct err *err);

/* dead.c */
int dead_add(struct collector *collector, const struct partition *partition,
             const struct message *message, enum reject reason, const char *detail,
             struct err *err);
int dead_write(struct collector *collector, struct err *err);
void dead_clear(struct collector *collector);

/* commit_loop.c */
bool commit_due(const struct collector *collector);
/* 0, also when the disk is full (then degraded) or it was fenced (then reload). */
int commit_now(struct collector *collector, struct err *err);
/* The same, but what much of a shared transaction there is may be on its way to the disk afterwards. */
int commit_send(struct collector *collector, struct err *err);
/* What was sent is durable, or was undone, and that is dealt with (then reload). Nothing else is written before. */
enum {
    COMMIT_UNDONE = 1
};
int commit_land(struct collector *collector, struct err *err);
/* Writes what a look reads, and no more, into the shared transaction that is open. */
int commit_part(struct collector *collector, struct err *err);
/* What was refused: 0 when it is dealt with (degraded, or reload), else `rc`, with `why` to err. */
int commit_refused(struct collector *collector, int rc, const struct err *why, struct err *err);
/* While nothing is left to commit: is the database writable again? */
int commit_probe(struct collector *collector, struct err *err);

/* share.c */
/* All that the look at hand covers can be read: durably, or in a shared transaction. */
int share_or_commit(struct collector *collector, struct err *err);
/* at_look gave back `rc`: the look is durable, waits with others, or was undone (then reload). */
int share_looked(struct collector *collector, int rc, struct err *why, struct err *err);
/* Has what is shared been kept from the disk for long enough? */
bool share_due(const struct collector *collector);
/* A shared transaction failed: memory goes back to what is durable, and its looks are taken apart.
 */
int share_undo(struct collector *collector, int rc, const struct err *why, struct err *err);
/* Nothing is shared any more: it is durable, or was undone. */
int share_close(struct collector *collector, struct err *err);

/* align.c */
void align_watermark(struct collector *collector);
/* Unblocks partitions and takes looks as far as they are due. */
int align_looks(struct collector *collector, struct err *err);
bool align_idle(const struct collector *collector, const struct partition *partition);

static inline bool is_observed(const struct collector *collector)
{
    return collector->options.observer && collector->options.observer->active;
}
static inline bool tells_looks(const struct collector *collector)
{
    return collector->options.at_look &&
           (!collector->options.looks_while_observed || is_observed(collector));
}
/* While an experiment runs or changes are watched for, each second in which anything happens is
   looked at. */
static inline bool wants_looks(const struct collector *collector)
{
    return tells_looks(collector) || changing_active(collector->changing);
}

/* Is a shared transaction open? */
static inline bool shares(const struct collector *collector)
{
    return commit_is_shared(collector->options.store);
}

/* source_events.c */
int sources_start(struct collector *collector, struct err *err);
/* By the number that the source gave it; NULL: it never gave any. */
struct partition *source_partition(const struct source_link *link, int number);

/* stash.c */
int stash_add(struct stash *stash, const struct message *messages, size_t n, struct err *err);
/* The same, of messages that stay where they are until they are taken. */
int stash_borrow(struct stash *stash, const struct message *messages, size_t n, struct err *err);
void stash_clear(struct stash *stash);
void stash_finish(struct stash *stash);
static inline size_t stash_left(const struct stash *stash)
{
    return stash->n - stash->at;
}

/* health.c */
void health_refresh(struct collector *collector);

/* calls.c */
int calls_init(struct calls *calls, struct err *err);
void calls_finish(struct calls *calls);
bool calls_wait(const struct collector *collector);
void calls_run(struct collector *collector);
void calls_stop(struct collector *collector);
void calls_claim(struct collector *collector);

/* collect.c: makes the sources' next() return. Any thread. */
void collector_wake(struct collector *collector);
