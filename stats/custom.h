/*
 * Custom metrics of a model: outcome rules (`{name: ctr, outcome: click, per: prediction}`) and
 * formulas (`{name: net_value, expr: "100*tp - 20*fp"}`), and the one call that resolves any
 * metric name of a model, built-in or custom.
 *
 * Shape    custom_set holds the parsed rules of one model; read-only afterwards
 * Owner    custom_set_new gives, custom_set_free takes; a metric_query borrows from the set
 * Errors   a bad formula names the column; an unknown name lists near matches
 * Threads  a set may be read by many
 * Rules    rate, per prediction: share of predictions with that outcome and a value other than 0;
 *          mean, per prediction: their values' sum by all predictions; per unit: the same by
 *          different units (exact up to 1,024 of them in the window); sum: the sum of the values
 *          A formula has an estimate of the same name with `estimated_` before it, made of the
 *          estimates of the metrics in it; those that need no labels stand for themselves
 * Source   contract §7 ("expr: + - * / ( ), min, max, numbers, metric names; x/0 is null";
 *          "custom outcomes: agg: rate|sum|mean, per: prediction|unit")
 */
#pragma once

#include "stats/metric.h"

enum outcome_agg {
    AGG_RATE,
    AGG_SUM,
    AGG_MEAN
};
enum outcome_per {
    PER_PREDICTION,
    PER_UNIT
};

/* One rule as the configuration gives it; exactly one of outcome and expr is set. */
struct custom_rule {
    const char *name;
    const char *outcome;
    const char *expr;
    enum outcome_agg agg;
    enum outcome_per per;
};

struct custom_set;

int custom_set_new(struct custom_set **out, enum task task, const struct custom_rule *rules,
                   size_t n_rules, struct err *err);
void custom_set_free(struct custom_set *set);
DEFINE_FREEP(custom_set)

/* A resolved metric, built-in or custom. `set` may be NULL: built-ins only. */
struct metric_query {
    struct metric_ref builtin;    /* builtin.def NULL: a custom one */
    const struct custom_set *set; /* borrowed */
    int custom;                   /* index into the set */
    bool expected;                /* the formula over estimates: `estimated_` before its name */
    const char *name;             /* for answers; lives as long as the query and the set */
    const char *unit;
    enum better better;
};

int metric_resolve(struct metric_query *out, const struct custom_set *set, enum task task,
                   const char *name, struct err *err);
void metric_evaluate(const struct states *states, const struct metric_query *query,
                     int64_t window_ms, struct metric_value *out);

/* Does a metric count per unit? Only then need samples carry their unit. */
bool custom_needs_units(const struct custom_set *set);

/* Names of the set's own metrics, for lists. */
size_t custom_count(const struct custom_set *set);
const char *custom_name(const struct custom_set *set, size_t index);
