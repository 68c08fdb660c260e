/*
 * Business events tied to predictions: clicks, conversions, revenue; by the outcome's name.
 *
 * Shape    struct named_sums. Each (prediction, name) counts once: the join takes the earlier one
 *          out before it puts a later one in
 * Source   outcome_rate: predictions with a value other than 0, of all · outcome_mean: mean of the
 *          values that came
 */
#pragma once

#include "stats/metric_result.h"
#include "stats/named_sums.h"

extern const struct state_kind outcome_kind;

metric_result_fn outcome_rate, outcome_mean;
