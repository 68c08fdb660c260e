/*
 * The rules by which predictions, labels and outcomes meet by id, in either order (contract §1):
 * the first prediction wins, the last label, of outcomes the last of each name.
 *
 * Shape    pure decisions over collector/pending; nothing here knows panes or storage.
 *          "Alive": a record is asked for while its asker's partition has seen no ts beyond
 *          record.ts + label_horizon + slack. The partition's own log decides, never the clock nor
 *          how far other partitions are, so that batch size and speed change nothing; memory goes
 *          by the watermark, which is never ahead of it.
 * Units    ms of event time; slack = max(1 h, label_horizon / 8): what a log may be out of order by
 * Owner    join_new gives, join_free takes; pending stays the caller's
 * Errors   those of pending
 * Threads  one
 */
#pragma once

#include "collector/pending.h"

struct join;

int join_new(struct join **out, struct pending *pending, struct err *err);
void join_free(struct join *join);
DEFINE_FREEP(join)

/* What the rules must know of a series (model, version); again when the configuration changes. */
int join_series(struct join *join, uint32_t series, uint64_t model_hash, int64_t label_horizon_ms,
                struct err *err);
/* The longest horizon of all models: how long a label waits for its prediction. */
void join_longest_horizon(struct join *join, int64_t label_horizon_ms);

int64_t join_slack_ms(int64_t label_horizon_ms);

enum {
    JOIN_MATCHED = 0,
    JOIN_DUPLICATE = 1, /* prediction: the first one counts */
    JOIN_STRAGGLER = 2, /* prediction: so late in its log that it is counted, but meets no label */
    JOIN_WAITS = 3,     /* label, outcome: no prediction yet */
    JOIN_ORPHAN = 4,    /* label, outcome: beyond the horizon, or too late in its log */
};

/*
 * A prediction: `spec` with id, ts, number, class, slices, unit, scores, series and RECORD_FAILED;
 * the rest is filled in here. newest_ts_ms: of its partition, itself included. On 0 *out is its
 * record, and *has_waiting says whether join_take_waiting is to be called.
 */
int join_prediction(struct join *join, struct record_spec *spec, int64_t newest_ts_ms,
                    struct record **out, bool *has_waiting, struct err *err);

enum waiting_end {
    WAITING_APPLIES,    /* the label or outcome that counts */
    WAITING_SUPERSEDED, /* a later one of the same kind came: folded without effect */
    WAITING_ORPHANED,   /* beyond the horizon of this prediction */
};
/*
 * Tells of each label and outcome that waited for this prediction, newest first. For an applying
 * label the callback then calls join_set_label. Outcomes are put into the prediction's chain.
 */
int join_take_waiting(struct join *join, struct record *prediction,
                      int (*each)(void *context, struct record *prediction,
                                  const struct record *waiting, enum waiting_end end,
                                  struct err *err),
                      void *context, struct err *err);

/* A label or an outcome as it came. */
struct join_event {
    struct id_hash id;
    int64_t ts_ms;
    int64_t newest_ts_ms; /* of its partition, itself included */
    uint64_t model_hash;  /* class_id of `model`; 0: not given */
    uint32_t partition;
    double number;    /* label as a number, or the outcome's value */
    struct view text; /* label as a class or a content, or the outcome's name */
    bool is_content;
};

/* On JOIN_MATCHED *out is its prediction; JOIN_WAITS: it was put aside. */
int join_label(struct join *join, const struct join_event *event, struct record **out,
               struct err *err);
/* The same; *there is the outcome of that name that the prediction has already, or NULL. */
int join_outcome(struct join *join, const struct join_event *event, struct record **out,
                 struct record **there, struct err *err);

/* Gives the prediction its label: a class (0: none) or, with is_value, a number. */
int join_set_label(struct join *join, struct record *prediction, bool is_value, double value,
                   uint64_t class_id, struct err *err);
/* The content that a prediction has as its label; PENDING_NONE: none. */
int join_content(struct join *join, const struct record *prediction, struct view *out,
                 struct err *err);
/* Gives it another one: the text of `event`. */
int join_set_content(struct join *join, struct record *prediction, const struct join_event *event,
                     struct err *err);
/* Gives it an outcome, or `there` another value. */
int join_set_outcome(struct join *join, struct record *prediction, struct record *there,
                     const struct join_event *event, struct err *err);

/* Walks the outcomes that a prediction has: start with prediction->chain; PENDING_NONE ends. */
int join_next_outcome(struct join *join, const struct record *prediction, uint32_t *chain,
                      struct record **out, struct err *err);
