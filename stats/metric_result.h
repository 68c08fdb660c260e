/*
 * What a metric's result function answers with: a value, with or without interval and bound, or
 * the reason why there is none.
 *
 * Shape    metric_result hands the function an answer that holds n and labelled, all else NaN
 */
#pragma once

#include "stats/histogram.h"
#include "stats/interval.h"
#include "stats/metric.h"
#include "stats/quantile.h"

/* Every result function has this type: `metric_result_fn binary_f1;` declares one. */
typedef void metric_result_fn(const struct metric_input *in, struct metric_value *out);

void result_none(struct metric_value *out, const char *why);
/* An exact value; infinite or NaN: there is none. */
void result_exact(struct metric_value *out, double value, struct interval interval);
/* a of n, exact, with Wilson's interval; n = 0: `why`. */
void result_share(struct metric_value *out, int64_t a, int64_t n, const char *why);
/* The mean of n values from the sums of them and of their squares, with Student's interval. */
void result_mean(struct metric_value *out, double sum, double squares, int64_t n, const char *why);
void result_quantile(struct metric_value *out, struct quantile quantile, const char *why);
void result_histogram(struct metric_value *out, const struct histogram *h, double q,
                      const char *why);
