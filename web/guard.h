/*
 * Keeps the server up when clients are slow, many or greedy: deadlines of each connection, how
 * many there may be, and how often an address may ask.
 *
 * Shape    new connection → guard_admit → guard_open → (guard_phase …) → guard_close. When an
 *          address, or all together, hold as many as they may, the connection that has waited
 *          longest without a complete request makes room for the newcomer: a thousand slow ones
 *          cannot keep a quick one out
 * Units    ms on a clock that only goes forward
 * Owner    guard_new gives, guard_free takes; a struct guarded belongs to the guard
 * Threads  any; one lock
 * Source   failure-matrix.md F48: the HTTP library's own time-out counts idle time only, so one
 *          byte a second would pass it; these deadlines are absolute
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "common/cleanup.h"
#include "common/clock.h"
#include "common/err.h"

struct guard;
struct guarded;

struct guard_limits {
    int connections, per_address;
    int rate; /* requests a second of one address, with bursts of twice that; 0: no limit */
    int64_t header_ms, body_ms, idle_ms, answer_ms;
};

enum guard_phase {
    GUARD_HEADER,  /* from the first byte expected to the end of the header */
    GUARD_BODY,    /* … to the end of the body */
    GUARD_WORKING, /* the request is whole; ours to be quick */
    GUARD_ANSWER,  /* the answer is on its way; the client has to take it */
    GUARD_STREAM,  /* as long as it wants */
    GUARD_IDLE,    /* answered; may ask again */
};

int guard_new(struct guard **out, const struct guard_limits *limits, const struct clock *clock,
              struct err *err);
void guard_free(struct guard *guard);
DEFINE_FREEP(guard)

/* May one more connection from this address come in? May end another one to make room. */
bool guard_admit(struct guard *guard, const struct sockaddr *address);
/* NULL: no memory; such a connection must not be served. */
struct guarded *guard_open(struct guard *guard, int fd, const struct sockaddr *address);
void guard_phase(struct guard *guard, struct guarded *connection, enum guard_phase phase);
void guard_close(struct guard *guard, struct guarded *connection);

/* 0: go on; else the whole seconds to wait before the next request of this address. */
int guard_rate(struct guard *guard, const struct guarded *connection);
/* The same of whoever has this token (its SHA-256), from whatever address. */
int guard_rate_token(struct guard *guard, const unsigned char sha256[32]);
/* The same for something rarer, such as a failed sign-in: at most `n` a minute of one address. */
int guard_rate_failures(struct guard *guard, const struct guarded *connection, int n_a_minute);

/* Ends the connections whose deadline is over; call a few times a second. Returns how many. */
int guard_sweep(struct guard *guard);

struct guard_counts {
    int open;
    int64_t evicted, expired, refused;
};
struct guard_counts guard_counts(struct guard *guard);
