/*
 * A metric's change, split over the values of each segment key and over versions: the part of
 * storage/explain.h that reads metric states.
 */
#pragma once

#include "storage/explain.h"
#include "storage/series.h"

struct explain_window {
    const char *model, *version, *slice;
    int64_t from_ms, to_ms;
    bool estimates; /* as in struct series_query */
};
/* The merged states of one window, and what they refer to. */
struct explained_window {
    struct series_points points; /* the caller's */
    const struct states *states; /* theirs; NULL: nothing is in it */
};
int explain_states(struct store *store, const struct explain_window *window,
                   struct explanation *about, struct explained_window *out, struct err *err);

/* about->before and about->now are known; fills about->slices and ->n_slices. */
int explain_split_slices(struct store *store, const struct explain_query *query,
                         const struct metric_query *metric, struct explanation *about,
                         struct err *err);
