/*
 * The collector: polls its sources, decodes, checks, joins and folds events into open panes, and
 * commits all of it with the offsets in one transaction. The daemon, `assay replay`, the demo and
 * the tests run this very loop.
 *
 * Shape    one ingest thread owns the collector, its sources and the writing store. Others reach
 *          it only by collector_call (a function run on that thread between two batches),
 *          collector_stop, collector_health and collector_own_metrics.
 * Units    *_ms: milliseconds since the epoch (event time) unless said otherwise
 * Owner    collector_new gives, collector_free takes. Config, store, sources, clock and what
 *          `context` points at stay the caller's and must outlive the collector; close the sources
 *          after collector_free.
 * Errors   ERR_FULL and ERR_FENCED are dealt with inside (degraded, then again; memory dropped and
 *          loaded anew), those of at_look too. What comes out, ERR_IO or ERR_CORRUPT, should end the process.
 * Threads  as each function says
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/dead_letter_topic.h"
#include "collector/event.h"
#include "collector/observer.h"
#include "collector/source.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/changes.h"
#include "storage/store.h"

struct collector;

enum {
    COLLECTOR_WORKED = 1, /* a batch was taken */
    COLLECTOR_END = 2,    /* every source has ended and everything is committed (files) */
};

/* What a commit changed: handed to after_commit, valid for the call. */
struct collector_commit {
    int64_t watermark_ms; /* INT64_MIN: not known yet */
    int64_t n_events;     /* consumed since the last commit */
    int64_t n_panes;      /* written */
    int64_t duration_ms;  /* of the transaction */
};

struct collector_options {
    const struct config *config;
    struct store *store;       /* opened STORE_WRITE */
    const struct clock *clock; /* NULL: clock_system() */
    const struct log *log;     /* NULL: says nothing */
    struct source *const *sources;
    size_t n_sources;

    void *context;
    /*
     * On the writer's thread after each durable commit that wrote something; the store is between
     * two transactions. < 0 ends collector_step with that error. May be NULL.
     */
    int (*after_commit)(void *context, const struct collector_commit *commit, struct err *err);
    /*
     * Looks of whole seconds of event time (contract §1). When set, partitions are aligned: the
     * call comes after a commit that covers, of each partition, exactly the messages before its
     * first ts >= look_ms. *next_look_ms is the next second wanted; left 0: the next second in
     * which anything happens. May be NULL: no alignment.
     */
    int (*at_look)(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err);
    /*
     * While a backlog or a file is caught up with, looks share a durable transaction with what they
     * cover, for about a second of wall clock: at_look then reads and writes inside it
     * (storage/commit.h, commit_share) and no other connection sees that yet. looks_durable: what
     * at_look wrote since the last call is on disk now; whoever waits for it may be woken.
     * looks_undone: all of it was rolled back, with the events: drop memory, load what is stored.
     * Both on the writer's thread; may be NULL.
     */
    void (*looks_durable)(void *context);
    void (*looks_undone)(void *context);
    bool looks_apart;          /* each look has a commit of its own, whatever the backlog */
    bool looks_while_observed; /* at_look is only wanted while observer->active */
    struct observer *observer; /* may be NULL; stays the caller's */
};

int collector_new(struct collector **out, const struct collector_options *options, struct err *err);
void collector_free(struct collector *collector);
DEFINE_FREEP(collector)

/*
 * One round: polls (waits up to timeout_ms when there is nothing), folds what came, runs the calls
 * that wait, commits when it is time. 0: nothing came · COLLECTOR_WORKED · COLLECTOR_END · < 0.
 * The writer's thread.
 */
int collector_step(struct collector *collector, int timeout_ms, struct err *err);

/* Steps until collector_stop, then commits. The calling thread becomes the writer's. */
int collector_run(struct collector *collector, struct err *err);

/* Commits now, whatever the time. 0, also while degraded (see collector_health). Writer's thread.
 */
int collector_commit_now(struct collector *collector, struct err *err);

/* Makes collector_run return after a last commit. Any thread; safe in a signal handler. */
void collector_stop(struct collector *collector);

/*
 * Runs `fn` on the writer's thread between two batches, outside any transaction, and waits for it;
 * gives back what it returned. On the writer's own thread it runs at once. -ECANCELED once the
 * collector has stopped.
 */
int collector_call(struct collector *collector,
                   int (*fn)(void *context, struct store *store, struct err *err), void *context,
                   struct err *err);

/* A new configuration (SIGHUP): models, features, segments, limits. Writer's thread or in a call.
 */
int collector_reload(struct collector *collector, const struct config *config, struct err *err);

/* The last look that covered anything new; INT64_MIN: none yet. Writer's thread. */
int64_t collector_news_ms(const struct collector *collector);

/* Whether at_look is only wanted while observer->active, from now on. Writer's thread or in a call.
 */
void collector_looks_while_observed(struct collector *collector, bool only);

/* Another reference was set in storage: new values count on its grids. Writer's thread or in a
 * call. */
int collector_references_changed(struct collector *collector, struct err *err);

/* A model is about to be erased: what waits of it in memory is not written by the next commit. In a
 * call. */
int collector_forget(struct collector *collector, const char *model, struct err *err);
/* Something in storage was erased: all that is remembered is loaded from there again, before
 * anything else is taken. In a call, after collector_commit_now. */
void collector_load_again(struct collector *collector);

/* Counters summed over partitions since the database was made. */
struct collector_totals {
    int64_t consumed, folded, duplicate, dead_lettered, late, orphaned, waiting;
    int64_t redelivered, holes, lost;
};

struct collector_health {
    bool ready;             /* sources are connected and assigned, and commits go through */
    bool degraded;          /* the disk is full: nothing is taken until there is room */
    char reason[256];       /* why not ready, or "" */
    bool broker_up;         /* true without Kafka */
    int64_t lag;            /* messages in the log that we have not read; -1 unknown */
    int64_t lag_ms;         /* wall clock now - watermark; -1 unknown */
    int64_t behind_ms;      /* of collector_input, as of that round */
    int64_t silent_ms;      /* since the last message of any source, or the start */
    int64_t watermark_ms;   /* INT64_MIN: not known yet */
    int64_t pending;        /* predictions that are remembered */
    int64_t pending_bytes;  /* memory of the join */
    int64_t fenced;         /* commits refused by compare-and-set */
    int64_t last_commit_ms; /* duration of the last transaction */
    int64_t longest_commit_ms;
    int n_partitions;
    struct collector_totals totals;
    int64_t rejects[N_REJECTS];                   /* by enum reject */
    struct dead_letter_topic_counts dead_letters; /* of the dead-letter topic */
    int64_t refreshed_boot_ms;
};

/* How our own reading stands in this moment: what a look is decided by. */
struct collector_input {
    int64_t behind_ms; /* age of the oldest message that waits, by the log's own clock; 0: none */
    int64_t lost;      /* as in the totals */
};
/* Writer's thread or in a call. */
struct collector_input collector_input(const struct collector *collector);

/* State of the last round. Any thread. */
void collector_health(struct collector *collector, struct collector_health *out);

/* The collector's own counters as OpenMetrics lines. Any thread. */
void collector_own_metrics(struct collector *collector, struct buf *out);
