/*
 * The streams that are watched for changes, and which of them an event of a version concerns.
 *
 * Shape    a stream's number is its place in `streams`, for the life of the process. What is
 *          watched of a series (a version, or a slice of it) is made anew when the configuration or
 *          the reference is another one; a stream whose reference or expected run changed starts
 *          anew. Slices, those of the keys in `changes.segments`, have metrics, and the features that
 *          `changes.segment_features` names: a slice is not what the model's reference is, so these
 *          learn from their own stream
 * Owner    watched_streams_finish frees all; store is borrowed; `feature` belongs to the model's
 *          reference
 * Errors   -ENOMEM; what storage gives
 * Threads  the writer's. Another may be at the states of streams and read the rest of them
 *          (collector/detecting.h): `settle` is called before either changes, so that it is done
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
    bool is_mean;                            /* numbers, learned by their ranks */
    bool is_mix;                             /* categories, learned by their shares */
    bool of_outcomes;                        /* zeros are predictions, ones outcomes */
    bool dirty;                              /* its state differs from the stored one */
    const struct reference_feature *feature; /* NULL: a metric, or not in the reference */
    struct change_reference reference;       /* the feature's; source "": none */
    uint64_t one; /* of a feature with two categories: that whose share is watched */
    struct change_stream state;
};

/* What of an event goes into a feature's stream. */
enum watched_values {
    WATCHED_UNASKED, /* not asked for yet */
    WATCHED_NONE,
    WATCHED_NUMBERS,
    WATCHED_CATEGORIES
};

struct watched_slot {
    uint32_t stream;
    enum watched_values values;
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
    bool features;              /* are watched against the reference */
    bool learns_features;       /* of a slice: those that are named are watched */
    struct watched_slot *slots; /* by slot of the profile */
    size_t n_slots;
};

struct watched_streams {
    struct store *store;
    int (*settle)(void *context, struct err *err);
    void *context;
    struct watched_stream **streams;
    size_t n, capacity;
    struct id_set by_key;
    struct watched *series; /* by number */
    size_t n_series;
};

void watched_streams_init(struct watched_streams *streams, struct store *store,
                          int (*settle)(void *context, struct err *err), void *context);
void watched_streams_finish(struct watched_streams *streams);

/* What is watched of a series whose model is (changing_watches). */
int watched_of(struct watched_streams *streams, struct series *series, struct watched **out,
               struct err *err);
/* Of which values of an event's features there are streams, from then on; `items` of the event. */
int watched_features(struct watched_streams *streams, struct watched *watched,
                     const struct event *event, const struct profile_item *items, size_t n_items,
                     struct err *err);
static inline struct watched_slot watched_slot(const struct watched *watched, uint32_t slot)
{
    return slot < watched->n_slots ? watched->slots[slot] : (struct watched_slot){0};
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
