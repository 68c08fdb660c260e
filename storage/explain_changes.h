/*
 * The changes that detectors found by the event within an explained window: which stream moved
 * first, from when, by how much.
 *
 * Shape    by when they began; of equal ones that found sooner first. A stream that was found more
 *          than once stands with its first change
 * Units    *_ms: event time, ms since the epoch · before, after: means of the stream
 * Owner    explained_changes_read gives, explained_changes_finish takes
 * Errors   as in storage/change_points.h
 * Threads  that of the store
 */
#pragma once

#include "storage/change_points.h"

enum {
    EXPLAINED_CHANGES = 100 /* newest that are looked at */
};

struct explained_change {
    char *version, *slice, *name; /* slice "": the whole */
    bool of_feature;
    char direction[8]; /* up, down, shape */
    int64_t began_ms, at_ms;
    double before, after; /* NaN: there is no mean */
    int64_t n_after;      /* events from when it began until it was found */
    struct change_reference reference;
};

struct explained_changes {
    struct explained_change *rows;
    size_t n;
};

/* `name` NULL: any stream. */
int explained_changes_read(struct store *store, const struct change_query *query,
                           struct explained_changes *out, struct err *err);
void explained_changes_finish(struct explained_changes *changes);

enum {
    CHANGE_WHERE_BYTES = 80
};
/* " in country:de"; "" of the whole. */
void change_where(const char *slice, char out[CHANGE_WHERE_BYTES]);
/* One sentence; "" when there are none. */
void explained_changes_tell(const struct explained_changes *changes, char *out, size_t n);
