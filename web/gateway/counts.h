/*
 * What a gateway counts, by version, and how /metrics shows it.
 *
 * Shape    one struct tally a version, kept by the version's name over reloads
 * Units    latencies: µs in, seconds out
 * Owner    counts_new gives, counts_free takes
 * Threads  any: atomics; new versions come under a lock
 */
#pragma once

#include <stdatomic.h>
#include <stdint.h>

#include "common/buf.h"
#include "web/gateway/settings.h"

enum failure {
    FAILURE_NONE,
    FAILURE_REFUSED,    /* the upstream's port is closed */
    FAILURE_TIMEOUT,    /* no whole answer in time */
    FAILURE_CONNECTION, /* any other end before the answer was whole */
    FAILURE_OVERLOADED, /* max_concurrent requests are under way already */
    FAILURE_STATUS,     /* an answer of error_status or above */
    N_FAILURES
};
const char *failure_name(enum failure failure);

enum {
    N_LATENCY_BUCKETS = 14,
    TALLIES_MAX = 64 /* reloads may bring new versions */
};

struct tally {
    char version[VERSION_MAX_BYTES + 1];
    atomic_int in_flight;
    atomic_llong by_class[6]; /* [2]: 2xx answers; [0]: no answer */
    atomic_llong failures[N_FAILURES];
    atomic_llong resends; /* tries of this version that control answered */
    atomic_llong latency[N_LATENCY_BUCKETS + 1];
    atomic_llong latency_us;
};

enum refusal {
    REFUSAL_FRAMING,   /* ambiguous or malformed */
    REFUSAL_METHOD,    /* CONNECT, TRACE, unknown */
    REFUSAL_TOO_LARGE, /* beyond max_body */
    REFUSAL_DRAINING,
    N_REFUSALS
};

struct gateway_counts {
    struct tally *tallies[TALLIES_MAX];
    atomic_int n_tallies;
    atomic_llong refusals[N_REFUSALS];
    atomic_llong events, events_lost;
    atomic_llong client_left; /* before the answer was whole */
};

/* The version's tally; never NULL: beyond the limit versions share the last one. */
struct tally *counts_find(struct gateway_counts *counts, const char *version, struct err *err);
void counts_finish(struct gateway_counts *counts);
void tally_latency(struct tally *tally, int64_t us);

struct counted {
    const char *name; /* the label `gateway` */
    const char *model;
    struct gateway_counts *counts;
    double share;
    int connections;
};
/* All families, each with the lines of every gateway together. */
void counts_print(struct buf *out, const struct counted *gateways, size_t n);
