/*
 * What a reference made of stored panes teaches: how scores are calibrated, from the score bins of
 * the metrics' states. Expected errors and components need rows, which panes do not keep.
 *
 * Shape    the span that `reference:` of the model's stored settings names, of all versions (or of
 *          the one it names, its last 400 days); trailing: the time before `before_ms`, whatever
 *          its rhythm. A span that is no whole hours is taken by minutes up to two hours, beyond by
 *          the whole hours in it
 * Owner    estimator_panes_read gives, estimator_free takes
 * Errors   as in storage/series.h
 * Threads  that of the store
 */
#pragma once

#include "stats/estimator.h"
#include "storage/store.h"

/* *out NULL: the model's reference is not made of panes, or they hold nothing. */
int estimator_panes_read(struct store *store, const char *model, int64_t before_ms,
                         struct estimator **out, struct err *err);
