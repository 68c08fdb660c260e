/*
 * A metric's change, split over the values of each segment key and over versions: the part of
 * storage/explain.h that reads metric states.
 */
#pragma once

#include "storage/explain.h"

/* The merged states of one window; *out NULL when nothing is in it, else the caller's. */
struct explain_window {
    const char *model, *version, *slice;
    int64_t from_ms, to_ms;
};
int explain_states(struct store *store, const struct explain_window *window,
                   struct explanation *about, struct states **out, struct err *err);

/* about->before and about->now are known; fills about->slices and ->n_slices. */
int explain_split_slices(struct store *store, const struct explain_query *query,
                         const struct metric_query *metric, struct explanation *about,
                         struct err *err);
