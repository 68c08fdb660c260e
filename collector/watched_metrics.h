/*
 * The metrics of a model in which changes are looked for by the event: what each says of one
 * event.
 *
 * Shape    a row a metric; common/config_check.c knows the same names (tests/collector/
 *          test_changing.c compares)
 * Units    rates: 0 or 1 · means: the metric's own; NaN: the event says nothing of it
 */
#pragma once

#include "stats/metric.h"

enum {
    N_WATCHED_METRICS = 8
};

struct watched_metric {
    const char *name;
    unsigned tasks;     /* bits 1 << enum task */
    bool is_mean;       /* else a rate */
    bool of_labels;     /* known with the label, else with the prediction */
    bool only_if_named; /* else watched wherever `changes.metrics` names nothing */
    double (*value)(const struct metric_setup *setup, const struct sample *sample);
};

extern const struct watched_metric watched_metrics[N_WATCHED_METRICS];
