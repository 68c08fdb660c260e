/*
 * A log of a binary model: predictions, labels, outcomes, corrections, duplicates, labels that
 * come first, orphans and rubbish, the same for a seed.
 */
#pragma once

#include "tests/lib/sim_source.h"

#define CREDIT_START INT64_C(1700000000000) /* ms, event time of the first event */

struct credit_log {
    int n_predictions;
    int n_partitions; /* of each of the topics predictions, labels */
    uint64_t seed;
};

/* Events of one id lie in the partitions of one number, labels delayed by seconds to minutes. */
void credit_log_fill(struct sim_log *log, const struct credit_log *plan);
