/*
 * What web asks of its siblings: functions that cli/serve.c fills in, so that web includes none of
 * them. A function that is NULL is not served (404).
 *
 * Threads  called from web's threads; each is safe there and may wait until the writer has done it
 * Errors   as in common/err.h; outcomes > 0 below
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/buf.h"
#include "common/err.h"

enum {
    WEB_UNKNOWN = 1,  /* no thing of that name */
    WEB_CONFLICT = 2, /* the state does not allow it; err says which does */
    WEB_BUSY = 3,     /* back-pressure: 429 */
    WEB_INVALID = 4,  /* the request's content is refused: 422; err says why */
    WEB_TOO_MANY = 5, /* in one request: 413; err says how many are taken */
};

struct web_health {
    bool ready;
    char reason[256]; /* why not */

    /* For GET /system; -1 where it is not known. */
    bool degraded;     /* the disk is full: nothing is taken until there is room */
    bool broker_up;    /* true without Kafka */
    int64_t lag;       /* messages that wait in the log */
    int64_t lag_ms;    /* wall clock now - watermark */
    int64_t behind_ms; /* age of the oldest message that waits in the log; 0: none */
    int64_t silent_ms; /* since the last event of any source, or the start */
    int64_t watermark_ms;
    int64_t pending;       /* predictions that wait for their label */
    int64_t pending_bytes; /* memory of that */
    int64_t last_commit_ms, longest_commit_ms;
};

/* A person's command to an experiment. */
struct web_order {
    const char *experiment;
    const char *command; /* start, pause, … */
    int step;            /* of jump and approve; -1: not given */
    const char *reason;
    const char *id; /* idempotency key; "": none */
};

/* One that alerts are sent to; its texts live until the call returns. */
struct web_receiver {
    const char *name, *type;
    int64_t sent, failed, retried; /* since the start */
    int64_t rests_until_ms;        /* left alone after failures; 0: it is not */
    bool gone;                     /* it answered 410 */
    const char *problem;           /* of the last attempt that failed; NULL: none did */
    int64_t problem_ms;
};

struct web_commands {
    void *context;

    /* POST /events: takes n bytes (one object, an array or JSONL), waits until they are durable,
       and writes the JSON answer {"accepted":…,"duplicates":…,"rejected":[…]}. */
    int (*ingest)(void *context, const char *body, size_t n, struct buf *answer, struct err *err);

    void (*health)(void *context, struct web_health *out);

    /* The word for the reject counter of that number (storage: partition_counts.rejects), NULL
       past the end. */
    const char *(*reject_name)(int reason);

    /* Own counters as OpenMetrics text lines (collector, storage, alerts …). */
    void (*own_metrics)(void *context, struct buf *out);

    /* Each receiver of the configuration, in its order. */
    void (*receivers)(void *context, void (*row)(void *to, const struct web_receiver *receiver),
                      void *to);

    /* The sinks as JSON objects of an array that is open. */
    void (*sinks)(void *context, struct buf *out);

    /* PUT /models/M/versions/V: `facts` is the checked JSON object. */
    int (*put_version)(void *context, const char *model, const char *version, const char *facts,
                       const char *who, struct err *err);

    /* DELETE /models/M. Writes the JSON answer. 0, WEB_CONFLICT or < 0. */
    int (*erase_model)(void *context, const char *model, const char *who, struct buf *answer,
                       struct err *err);

    /* PUT /models/M/reference: JSONL of events; version NULL: for all. Writes the JSON answer. */
    int (*put_reference)(void *context, const char *model, const char *version, const char *body,
                         size_t n, const char *who, struct buf *answer, struct err *err);

    /* DELETE /models/M/references/ID; version NULL: wherever it was loaded. Writes the JSON answer.
       0, WEB_CONFLICT or < 0. */
    int (*forget_reference)(void *context, const char *model, const char *version, const char *id,
                            const char *who, struct buf *answer, struct err *err);

    /*
     * What people do to alerts: action "silence" (body: the silence), "silence-end", "ack",
     * "send-again" with the id as subject; "test" with a receiver's name; and "rules", which lists
     * those in force. Writes the JSON answer, if there is one.
     */
    int (*alert)(void *context, const char *action, const char *subject, const char *body,
                 const char *who, struct buf *answer, struct err *err);

    /* POST /experiments; writes the new one's name (at most 128 bytes and a NUL) to `name`. 0,
       WEB_CONFLICT or < 0. */
    int (*experiment_create)(void *context, const char *body, const char *who, char *name,
                             struct err *err);
    int (*experiment_command)(void *context, const struct web_order *order, const char *who,
                              struct err *err);
    int64_t experiment_valid_ms; /* how long an assignment may be kept */
};
