/*
 * The streams that are watched for changes, and which of them an event of a version concerns.
 *
 * Shape    a stream's number is its place in `streams`, for the life of the process. What is
 *          watched of a series (a version, or a slice of it) is made anew when the configuration or
 *          the reference is another one; a stream whose reference or expected run changed starts
 *          anew. Slices have metrics alone, those of the keys in `changes.segments`
 * Owner    watched_streams_finish frees all; store is borrowed; `feature` belongs to the model's
 *          reference
 * Errors   -ENOMEM; what storage gives
 * Threads  one
 */
#pragma once

#include "collector/models.h"
#include "collector/watched_metrics.h"
#include "stats/change_stream.h"
#include "storage/change_points.h"

enum {
    WATCHED_MAX_NAME = 1024
};

struct watched_stream {
    struct series *series;
    const char *kind; /* "metric", "feature" */
    char *name;
    uint32_t number;
    bool is_mean;                            /* a metric of numbers */
    bool of_outcomes;                        /* zeros are predictions, ones outcomes */
    bool dirty;                              /* its state differs from the stored one */
    const struct reference_feature *feature; /* NULL: a metric, or not in the reference */
    uint64_t one; /* of a feature with two categories: that whose share is watched */
    struct change_stream state;
};

struct watched {
    const struct config_model *config; /* that it was made by */
    struct series *series;
    uint64_t reference;
    struct watched_stream *metrics[N_WATCHED_METRICS]; /* NULL: not watched */
    struct watched_outcome {
        uint64_t name_id;
        struct watched_stream *stream;
    } * outcomes;
    size_t n_outcomes;
    bool features;                   /* are watched at all */
    struct watched_stream **by_slot; /* of the profile; NULL: not asked for yet */
    size_t n_slots;
};

struct watched_streams {
    struct store *store;
    struct watched_stream **streams;
    size_t n, capacity;
    struct id_set by_key;
    struct watched *series; /* by number */
    size_t n_series;
};

void watched_streams_init(struct watched_streams *streams, struct store *store);
void watched_streams_finish(struct watched_streams *streams);

/* What is watched of a series whose model is (changing_watches). */
int watched_of(struct watched_streams *streams, struct series *series, struct watched **out,
               struct err *err);
/* The stream of a feature's slot that was not asked for before; `event` tells its name. *out NULL: it
   has none. */
int watched_feature_new(struct watched_streams *streams, struct watched *watched, uint32_t slot,
                        const struct event *event, struct watched_stream **out, struct err *err);
static inline int watched_feature(struct watched_streams *streams, struct watched *watched,
                                  uint32_t slot, const struct event *event,
                                  struct watched_stream **out, struct err *err)
{
    *out = slot < watched->n_slots ? watched->by_slot[slot] : NULL;
    return *out ? 0 : watched_feature_new(streams, watched, slot, event, out, err);
}
/* *out NULL: it is not watched any more. */
int watched_by_key(struct watched_streams *streams, struct models *models,
                   const struct change_key *key, struct watched_stream **out, struct err *err);

static inline struct change_key watched_key(const struct watched_stream *stream)
{
    const struct version *version = stream->series->version;
    return (struct change_key){version->model->name, version->name,
                               version->model->slices[stream->series->slice], stream->kind,
                               stream->name};
}
