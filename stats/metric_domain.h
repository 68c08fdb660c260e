/*
 * Sums for the domain classifier: of the terms of a window's events (stats/drift_domain.h).
 *
 * Shape    for each reference under which events came, up to DOMAIN_MODELS of them, those of the
 *          lowest ids: so the state depends on the set of events alone
 */
#pragma once

#include "stats/drift_domain.h"
#include "stats/metric.h"

enum {
    DOMAIN_MODELS = 4
};

struct domain_sums {
    uint64_t model; /* id of the reference; 0: free */
    int64_t n;      /* events */
    uint32_t n_terms;
    int64_t *sums; /* DOMAIN_TERMS */
};

struct domain_state {
    struct domain_sums models[DOMAIN_MODELS]; /* ascending by model, free ones last */
    int64_t *spare[DOMAIN_MODELS];            /* memory for those that come next */
    uint32_t n_spare;
};

extern const struct state_kind domain_kind;

/* The sums under a reference; NULL: there are none. */
const struct domain_sums *domain_sums_of(const struct domain_state *state, uint64_t model);
