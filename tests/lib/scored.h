/*
 * Scored events of a binary model for tests of storage: drawn from a seed, folded into states, and
 * written as panes of minutes.
 *
 * Owner    scored_states gives states that the caller frees
 */
#pragma once

#include "common/rng.h"
#include "stats/metric.h"
#include "storage/store.h"

struct scored {
    int64_t ts_ms;
    int version; /* "v0", "v1", … */
    double score;
    bool labelled;
    bool positive;
};

/* n events over [from, to), sorted by nothing. */
void scored_draw(struct scored *events, size_t n, struct rng *rng, int64_t from_ms, int64_t to_ms,
                 int n_versions);

/* What folding the events of [from, to) gives; version -1: all of them. NULL when there is none. */
struct states *scored_states(const struct scored *events, size_t n, int version, int64_t from_ms,
                             int64_t to_ms);

/* Commits them as panes of `level_ms` of model "credit", overall. */
void scored_commit(struct store *store, const struct scored *events, size_t n, int n_versions,
                   int64_t level_ms);

/* Fails the test unless both have the same bytes (NULL only equals NULL). */
void same_states(const struct states *got, const struct states *expected);
