/*
 * Changes that detectors found by the event, and the detectors' states.
 *
 * Shape    a stream is (model, version, slice, kind, name): slice "" or "country=de", kind `metric` or
 *          `feature`
 * Compared with  a reference that was loaded (its source is file or api), or what the detector
 *          itself learned on the stream (learned)
 * Units    *_ms: event time, ms since the epoch; created_ms: wall clock · run, n_after, expected: events of the stream
 * Owner    texts and bytes of callbacks live until they return
 * Errors   as in storage/store.h; ERR_CORRUPT: bytes that are not those that were written
 * Threads  commit_*: the writer's, inside a commit · the others: that of the store
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "storage/store.h"

struct change_key {
    const char *model, *version, *slice, *kind, *name;
};

int commit_change_detector(struct store *store, const struct change_key *key, const void *bytes,
                           size_t n, struct err *err);
/* *bytes is malloc'd, the caller's; NULL: none is stored. */
int change_detector_read(struct store *store, const struct change_key *key, void **bytes, size_t *n,
                         struct err *err);
/* Detectors of a model, by version, slice, kind and name; version NULL: of all; slice as
   in struct change_query. */
int change_detectors_each(struct store *store, const char *model, const char *version,
                          const char *slice,
                          int (*each)(void *context, const struct change_key *key,
                                      const void *bytes, size_t n, struct err *err),
                          void *context, struct err *err);

/* Events that wait for the next look: a piece more, or none any more. */
int commit_change_waiting(struct store *store, const void *bytes, size_t n, struct err *err);
int commit_change_waiting_none(struct store *store, struct err *err);
/* As they came. */
int change_waiting_each(struct store *store,
                        int (*each)(void *context, const void *bytes, size_t n, struct err *err),
                        void *context, struct err *err);

struct change_reference {
    char source[16]; /* "": from before it was kept */
    char id[17];     /* of a loaded one; "" else */
    int64_t n;       /* its events; of the stream, where it was learned */
    int64_t created_ms;
    int64_t from_ms, to_ms; /* learned: of its first and last event; INT64_MIN: not known */
};
#define REFERENCE_LEARNED "learned"

struct change_row {
    int64_t seq;
    struct change_key key;
    int64_t at_ms, began_ms;
    const char *direction;          /* up, down, shape */
    double mean_before, mean_after; /* NaN: there is no mean */
    int64_t run, n_after;
    double expected, statistic, threshold;
    struct change_reference reference;
};

/* Older ones of the model, from before keep_from_ms, go. */
int commit_change_point(struct store *store, const struct change_row *row, int64_t keep_from_ms,
                        struct err *err);

struct change_query {
    const char *model;
    const char *version, *kind, *name; /* NULL: any */
    const char *slice;                 /* NULL: any; "country=*": each of the key */
    int64_t from_ms, to_ms;            /* from_ms <= at_ms < to_ms */
    int64_t before_seq;                /* 0: from the newest */
    int limit;
};
/* Newest first. */
int change_points_each(struct store *store, const struct change_query *query,
                       int (*each)(void *context, const struct change_row *row, struct err *err),
                       void *context, struct err *err);
