/*
 * Rankings: how good the shown order is, by the relevance that the label gives to the items.
 *
 * Shape    the rank of the first relevant item, counted by rank; and for each k up to 100 by how
 *          much an event's NDCG and average precision change when the k-th place is looked at, so
 *          that any k is one prefix sum. k above 100 is null for those two
 * Rules    relevant = relevance above 0; items that the label does not name have 0. An event
 *          without relevant items counts as 0 in all of them
 * Source   ndcg_k: sklearn.metrics.ndcg_score (gain = relevance, discount log2(rank + 1)), mean
 *          over events · map_k: mean of sum P(i) over the hits up to k / min(relevant items, k)
 *          · mrr: mean of 1 / rank of the first hit · hit_rate_k: events with a hit up to k
 */
#pragma once

#include "stats/bins.h"
#include "stats/exact_sum.h"
#include "stats/metric_result.h"

enum {
    RANKING_MAX_K = 100
};

struct ranking_step { /* what the k-th place adds, over all events */
    struct fixed_sum ndcg, ndcg_squares, map, map_squares;
};

struct ranking_state {
    int64_t judged;
    struct bins first_hits; /* rank from 1 → events */
    struct ranking_step *steps;
    uint32_t n, capacity;
};

extern const struct state_kind ranking_kind;

enum ranking_value {
    RANKING_NDCG,
    RANKING_MRR,
    RANKING_HIT_RATE,
    RANKING_MAP
};

/* What one labelled list adds to the mean; NaN: k is above what is kept. k is unused by mrr. */
double ranking_of_list(const struct sample *sample, enum ranking_value value, uint32_t k);

metric_result_fn ranking_ndcg, ranking_mrr, ranking_hit_rate, ranking_map;
