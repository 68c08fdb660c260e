/*
 * Is a metric's series going up or down? The last whole windows of a series, and what stats/trend.h
 * says of them, for the answer of /metrics.
 *
 * Shape    windows that stand side by side, at most the last 168; those that are still filling, and
 *          series of rolling windows, which repeat each other's events, have no trend
 * Units    slope: the metric's own a window
 */
#pragma once

#include "common/buf.h"
#include "common/err.h"

enum {
    TRENDING_MOST = 168 /* a week of hours */
};

struct trending {
    double values[TRENDING_MOST]; /* a ring */
    size_t n;                     /* that were ever put in */
};

void trending_add(struct trending *trending, double value);
/* "trend": {"n","slope","lower","upper","p_value","declines"}, or null below 3 values. */
int trending_write(const struct trending *trending, struct buf *out, struct err *err);
