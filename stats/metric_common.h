/*
 * What every task is measured by, whatever it predicts: how many, how many failed, how many have
 * their label, how fast.
 *
 * Shape    latencies: sums (cut to 2^-50 ms) and a histogram of 0.4%
 * Units    latency: ms; one above 2^40 counts as that
 * Source   count, labelled_rate, error_rate: shares · latency quantiles: numpy linear
 */
#pragma once

#include "stats/distinct.h"
#include "stats/exact_sum.h"
#include "stats/histogram.h"
#include "stats/metric_result.h"

struct common_state {
    struct fixed_sum latency, latency_squares;
    int64_t count;    /* predictions, failed ones too */
    int64_t failed;   /* of them */
    int64_t labelled; /* labels of those that did not fail */
    int64_t timed;    /* with a latency */
    struct histogram latencies;
    struct distinct units; /* where samples carry one */
};

extern const struct state_kind common_kind;

metric_result_fn common_count, common_labelled_rate, common_error_rate, common_throughput;
metric_result_fn common_latency_mean, common_latency_p50, common_latency_p90, common_latency_p99;
/* For metrics of every task in tasks that have no such thing. */
metric_result_fn common_no_value, common_no_classes, common_no_confidence;
