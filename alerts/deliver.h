/*
 * The postman: one thread that drains the outbox over HTTP, and never loses or reorders a letter.
 *
 * Shape    several requests at once, but one of a group at a time, in order; a few of a receiver
 *          at a time, so that a dead one delays nobody else; after repeated failures a receiver is
 *          left alone for a while (circuit breaker), which only moves its rows' next attempt
 * Owner    deliver_start gives, deliver_stop takes (waits for the thread; what is under way is
 *          tried again after the next start, with the same webhook-id)
 * Errors   what goes wrong with a receiver is in the outbox row, not here
 * Threads  deliver_wake, deliver_states, deliver_own_metrics: any
 * Source   contract §5, failure-matrix F46
 */
#pragma once

#include "alerts/receiver.h"
#include "common/buf.h"
#include "common/clock.h"
#include "common/log.h"
#include "storage/writer.h"

struct deliver;

struct deliver_options {
    struct receiver_set *receivers; /* held by it */
    const char *store_path;         /* read by the thread */
    struct writer writer;           /* for what attempts came to */
    const struct clock *clock;
    const struct log *log;
    uint64_t seed; /* of the jitter */
};

int deliver_start(struct deliver **out, const struct deliver_options *options, struct err *err);
void deliver_stop(struct deliver *deliver);

/*
 * Other receivers from now on (SIGHUP): what is under way is finished with the old ones, counters
 * and rests go on under the same name; one that was gone (410) is tried again. `url`: the page's.
 */
void deliver_reload(struct deliver *deliver, struct receiver_set *receivers, const char *url);

/* Something new may be in the outbox. */
void deliver_wake(struct deliver *deliver);

/* OpenMetrics lines: per receiver sent, failed, retried. */
void deliver_own_metrics(struct deliver *deliver, struct buf *out);

/* How it stands with one receiver; its texts live until the call returns. */
struct deliver_state {
    const char *receiver;
    const char *type;
    int64_t sent, failed, retried; /* since the start */
    int64_t rests_until_ms;        /* it failed too often and is left alone so long; 0: it is not */
    bool gone;                     /* it answered 410 and gets nothing until a reload */
    const char *problem;           /* of the last attempt that failed; NULL: none did */
    int64_t problem_ms;
};
/* In the order of the configuration. Any thread. */
void deliver_states(struct deliver *deliver,
                    void (*row)(void *context, const struct deliver_state *state), void *context);

/*
 * `assay alert test`: sends one message to the receiver now, without the outbox, and writes what
 * came of it as JSON: {"receiver","type","status","ms","answer","problem"}, status null when no
 * answer came. `url`: the page's. ERR_NOT_FOUND: no such receiver.
 */
int deliver_test(const struct receiver_set *receivers, const char *name, const char *url,
                 const struct clock *clock, struct buf *answer, struct err *err);
/* The same with the receivers that are in use now. Any thread. */
int deliver_test_now(struct deliver *deliver, const char *name, struct buf *answer,
                     struct err *err);
