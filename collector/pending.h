/*
 * The memory of the join: what a late label needs of its prediction, and labels and outcomes that
 * came before theirs, by the hash of their id.
 *
 * Shape    records of 56 bytes and up, appended to segments of 256 KiB; a 32-bit address (segment
 *          and 8-byte unit) names a record; a hash index leads from the id to the address. One
 *          open segment for each class of life time, so that a segment can be dropped whole once
 *          its last record has expired.
 * Units    ts_ms, expires_ms: milliseconds since the epoch (event time)
 * Owner    pending_new gives, pending_free takes. A record's pointer is valid until the next
 *          pending_saved (evicts) or pending_expire (drops).
 * Errors   -ENOMEM; whatever `load` gives when an evicted segment is read back
 * Threads  one
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/pending_index.h"
#include "common/buf.h"
#include "common/cleanup.h"
#include "common/err.h"
#include "common/view.h"
#include "stats/sample.h"

struct pending;

enum record_kind {
    RECORD_PREDICTION,
    RECORD_LABEL,   /* came before its prediction */
    RECORD_OUTCOME, /* waits for its prediction, or belongs to one */
};

enum record_flag {
    RECORD_FAILED = 1 << 0,      /* prediction: the request failed */
    RECORD_LABELLED = 1 << 1,    /* prediction: its label is known */
    RECORD_LABEL_VALUE = 1 << 2, /* … and is label.value, not label.class */
    RECORD_UNIT = 1 << 3,        /* prediction: carries the hash of its unit */
    RECORD_SCORES = 1 << 4,      /* prediction: carries scores by class, or the items shown */
    RECORD_CONTENT = 1 << 4,     /* label: its text is a content (collector/content.h) */
    RECORD_WAITING = 1 << 5,     /* label, outcome: no prediction yet */
    RECORD_DEAD = 1 << 6,        /* used up, replaced or orphaned: only holds its place */
    RECORD_CHANGED = 1 << 7,     /* changed since it was last saved (never saved itself) */
};

/*
 * prediction: series = handle of (model, version), class = handle of the predicted class,
 *             number = score or value, slices = numbers of its slices, tail = unit, scores
 * label, outcome: series = index of the partition it came from, class = bytes of text in the tail,
 *             number = value; waiting: label.hash = model's hash or 0, tail = newest ts of its
 *             partition on arrival, then the text (class, content or name); outcome of a
 *             prediction: label.hash = id of the name; label of a prediction: only where it is a
 *             content, which is the text
 */
struct record {
    struct id_hash id;
    int64_t ts_ms;
    double number; /* NaN: absent */
    union {
        double value;
        uint32_t class;
        uint64_t hash;
    } label;
    uint32_t chain; /* address of the next waiting record or outcome; 0 ends */
    uint32_t series;
    uint32_t class; /* 0: absent */
    uint8_t kind;
    uint8_t flags;
    uint16_t n_slices;
    uint64_t tail[]; /* slices, 4 a unit; then the rest */
};

/* What a new record is made of; parts that its kind does not have stay 0. */
struct record_spec {
    enum record_kind kind;
    uint8_t flags;
    struct id_hash id;
    int64_t ts_ms;
    int64_t expires_ms; /* event time after which nobody can ask for it */
    int64_t life_ms;    /* how long such records live: records of like life share segments */
    double number;
    uint64_t label_hash;
    uint32_t series;
    uint32_t class;
    const uint16_t *slices;
    uint16_t n_slices;
    uint64_t unit;
    const struct class_score *scores;
    uint32_t n_scores;
    const uint64_t *items; /* instead of scores: what a ranking showed, in order */
    uint32_t n_items;
    int64_t newest_ts_ms;
    struct view text;
};

/* Handles are the process's own; on disk stand the numbers that storage gave. */
struct pending_names {
    void *context;
    /* The stored number of (version handle, slice number); slice -1: overall. */
    int64_t (*series_id)(void *context, uint32_t series, int slice);
    /* And back; non-zero when it is unknown (the model was erased). */
    int (*series_of)(void *context, int64_t series_id, uint32_t *series, int *slice);
    /* (topic, partition) of a waiting record as stored, and back. */
    int64_t (*partition_id)(void *context, uint32_t partition);
    int (*partition_of)(void *context, int64_t partition_id, uint32_t *partition);
};

struct pending_options {
    uint64_t seed;       /* of the id hash; kept with the data */
    size_t memory_limit; /* bytes of segments in memory; 0: no limit */
    struct pending_names names;
    void *context;
    /* Reads an evicted segment: calls pending_read for each of its rows. */
    int (*load)(void *context, struct pending *pending, uint32_t segment, struct err *err);
};

int pending_new(struct pending **out, const struct pending_options *options, struct err *err);
void pending_free(struct pending *pending);
DEFINE_FREEP(pending)

struct id_hash pending_hash(const struct pending *pending, struct view id);
void pending_prefetch(struct pending *pending, struct id_hash id);
/* The same one step later: the records behind the slots. */
void pending_prefetch_record(struct pending *pending, struct id_hash id);

/* Walks the records of an id. Start with {UINT32_MAX}; 0: *out is one, PENDING_NONE: no more. */
enum {
    PENDING_NONE = 1
};
int pending_next(struct pending *pending, struct id_hash id, uint32_t *position,
                 struct record **out, struct err *err);

/*
 * Appends a record. Predictions and waiting records are found by id from then on: a waiting one is
 * put before those that wait already (chain, newest first). An outcome or a label's content of a
 * prediction is put into the chain of `owner`; else owner is NULL.
 */
int pending_add(struct pending *pending, const struct record_spec *spec, struct record *owner,
                struct record **out, struct err *err);

/* The record that `chain` names, or PENDING_NONE at the end. */
int pending_chain(struct pending *pending, struct id_hash id, uint32_t chain, struct record **out,
                  struct err *err);

/* Says that a record's label, flags or number were changed, so that it is saved again. */
int pending_changed(struct pending *pending, struct record *record, struct err *err);

/*
 * A waiting chain was walked and some of its records are no longer waiting: takes those out, moves
 * outcomes that now have `owner` into its chain.
 */
int pending_settle(struct pending *pending, struct id_hash id, struct record *owner,
                   struct err *err);

/* Handles of classes, so that a record keeps 4 bytes for 8. 0 is "absent". */
uint64_t pending_class(const struct pending *pending, uint32_t handle);
int pending_class_handle(struct pending *pending, uint64_t class_id, uint32_t *handle,
                         struct err *err);

static inline const uint16_t *record_slices(const struct record *record)
{
    return (const uint16_t *)record->tail;
}
uint64_t record_unit(const struct record *record); /* 0: none */
/* Sets the lowest bit of the unit's hash in a record that was just added; without one: nothing. */
void record_stand_outside(struct record *record);
uint32_t record_scores(const struct record *record, const struct class_score **scores);
uint32_t record_items(const struct record *record, const uint64_t **items);
int64_t record_newest_ts(const struct record *record);
struct view record_text(const struct record *record);

/*
 * Forgets whole segments whose every record has expired before watermark_ms, at most `max` of
 * them. `each` (may be NULL) is told of each live record that goes.
 */
int pending_expire(struct pending *pending, int64_t watermark_ms, int max,
                   void (*each)(void *context, const struct record *record), void *context,
                   struct err *err);

/* Where pending_save puts what changed (storage/commit.h's functions). */
struct pending_writer {
    void *context;
    int (*append)(void *context, uint32_t segment, const void *bytes, size_t n, struct err *err);
    int (*replace)(void *context, uint32_t segment, const void *bytes, size_t n, struct err *err);
    int (*drop)(void *context, uint32_t segment, struct err *err);
};

/* Writes all changes into the open transaction; nothing counts as saved until pending_saved. */
int pending_save(struct pending *pending, const struct pending_writer *writer, struct err *err);
/* The transaction is durable; evicts what is over the memory limit. */
void pending_saved(struct pending *pending);

/* Takes a saved row of segment `number` back: all of a segment in order, then pending_read_end. */
int pending_read(struct pending *pending, uint32_t number, const void *bytes, size_t n,
                 struct err *err);
int pending_read_end(struct pending *pending, struct err *err);

/* Every live record in memory or not, for rebuilding counters after pending_read_end. */
int pending_each(struct pending *pending,
                 int (*each)(void *context, const struct record *record, struct err *err),
                 void *context, struct err *err);

struct pending_size {
    int64_t predictions; /* remembered */
    int64_t waiting;     /* labels and outcomes without a prediction */
    int64_t bytes;       /* in memory: segments in use, index */
    int64_t segments, segments_in_memory;
    int64_t unsaved; /* records added or changed since the last save */
};
void pending_size(const struct pending *pending, struct pending_size *out);
