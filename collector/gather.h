/*
 * Values of the events of one pane, side by side by feature, until they go into its profile: of 64
 * events at once a feature costs a fraction of what it costs one by one, as its grid and its counts
 * are in the cache then.
 *
 * Shape    a column of numbers or of categories for each slot of the profile, of fixed size; a
 *          value that has no place in its column goes into the profile at once. The profile does
 *          not depend on the order, so nothing can be told from when it was that values went in
 * Owner    gathered_new gives, free takes
 * Errors   -ENOMEM, from which nobody goes on with the profile: some values are in
 * Threads  one
 */
#pragma once

#include "collector/expect.h"
#include "collector/profiling.h"
#include "stats/metric.h"

enum {
    GATHER_EVENTS = 64,
    GATHER_VALUES = 1024,
    GATHER_SLOTS = 128 /* a profile of more is not gathered: there would be few events at once */
};

struct folding;

/* Where what is gathered ends. */
struct gathered_into {
    struct profile *profile;
    struct states *states;   /* what the components say */
    struct folding *folding; /* settled before either is touched at once; NULL: no need to */
};

struct gathered {
    uint32_t n_slots;
    uint32_t room; /* events */
    uint32_t n_events;
    uint8_t n[GATHER_SLOTS];       /* values of each column */
    bool categories[GATHER_SLOTS]; /* what the column holds, if not numbers */
    union {                        /* columns of `room` values */
        double numbers[GATHER_VALUES];
        uint64_t ids[GATHER_VALUES];
    };
    /* rows of the components as they came, a column of `row_room` a feature */
    struct row row; /* whose components they are */
    uint32_t n_rows, row_room;
    double rows[GATHER_VALUES];
    struct gathered_into into; /* its owner's, as is the next one */
    struct gathered *next;
};

/* For profiles of n_slots features, at most GATHER_SLOTS. */
void gathered_start(struct gathered *gathered, uint32_t n_slots);

/* What a pane keeps of a prediction beside its metrics. */
struct features {
    const struct profile_item *items;
    size_t n;
    struct row row;
};

/* One event more; there is room for it. */
int gathered_put(struct gathered *gathered, const struct gathered_into *into,
                 const struct features *features);
static inline bool gathered_is_full(const struct gathered *gathered)
{
    return gathered->n_events == gathered->room ||
           (gathered->n_rows && gathered->n_rows == gathered->row_room);
}

/* All of them: it is empty again. */
int gathered_fold(struct gathered *gathered, const struct gathered_into *into);

/* One event that does not wait. */
int features_fold(const struct features *features, const struct gathered_into *into);
/* Its row alone. */
int row_fold(const struct row *row, struct states *states);
