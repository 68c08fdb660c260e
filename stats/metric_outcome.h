/*
 * Business events tied to predictions: clicks, conversions, revenue; by the outcome's name.
 *
 * Shape    each (prediction, name) counts once: the join takes the earlier one out before it puts
 *          a later one in. Up to 256 names a state, those of the lowest ids; more are left out
 * Source   outcome_rate: predictions with a value other than 0, of all · outcome_mean: mean of
 *          the values that came
 */
#pragma once

#include "stats/exact_sum.h"
#include "stats/metric_result.h"

struct outcome_sums {
    uint64_t name_id;
    int64_t n, n_not_zero;
    struct wide_sum sum, squares;
};

struct outcome_state {
    struct outcome_sums *names; /* by ascending id */
    uint32_t n, capacity;
    uint64_t cutoff; /* ids from here on are left out; 0: none */
};

extern const struct state_kind outcome_kind;

/* NULL: none of that name. */
const struct outcome_sums *outcome_find(const struct outcome_state *state, uint64_t name_id);

metric_result_fn outcome_rate, outcome_mean;
