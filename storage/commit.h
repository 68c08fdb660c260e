/*
 * The one writer's transaction: panes, pending predictions, dead letters, counters AND offsets go
 * in together or not at all; that is what "exactly once" rests on (failure-matrix.md, promise 1).
 *
 *     commit_begin → commit_series/names/pane/pending/… → commit_offset (each partition) →
 * commit_end
 *
 * While many looks are caught up with, several such commits share one durable transaction:
 *
 *     commit_share → (commit_begin → … → commit_end) × n → commit_share_end
 *
 * This connection reads what each of them wrote; no other sees any of it before commit_share_end.
 * They stand or fall together: a commit_rollback in between undoes all since commit_share.
 *
 * Units    level_ms: 60000, 3600000 or 86400000 · start_ms: multiple of level_ms since the epoch
 * Owner    nothing is kept of what is passed in
 * Errors   after any failure call commit_rollback; ERR_FENCED: the offsets in the database are not
 *          those we started from, so all memory is to be dropped and loaded again
 * Threads  the writer's
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/err.h"
#include "common/view.h"
#include "storage/store.h"

int commit_begin(struct store *store, struct err *err);
int commit_end(struct store *store,
               struct err *err); /* COMMIT; the change counter goes up by one */
void commit_rollback(struct store *store);

int commit_share(struct store *store, struct err *err);
/* COMMIT of all of it; the change counter goes up by one. -ECANCELED: it was undone before. */
int commit_share_end(struct store *store, struct err *err);
/* The same, but where much was written another thread waits for the disk (storage/lend.h): then COMMIT_SENT. Whether it
   is durable is known once the store is recalled: else it was undone (commit_share_is_lost). */
enum {
    COMMIT_SENT = 1
};
int commit_share_send(struct store *store, struct err *err);
/* Undoes what is left of it, and ends it; also after commit_share_end has failed. */
void commit_share_undo(struct store *store);
/* Is one open? Also when it was undone from within and not yet ended. */
bool commit_is_shared(const struct store *store);
/* A commit in it was rolled back, and all with it: only commit_share_undo is left. */
bool commit_share_is_lost(const struct store *store);

/* The model as known: its setup as canonical text, so that a reader can load its states. */
struct model_row {
    const char *name;
    const char *task;
    const char *positive;
    double threshold;
    int64_t label_horizon_ms;
};
int commit_model(struct store *store, const struct model_row *row, struct err *err);

/* Facts of a version as registered (contract §4, PUT …/versions/V): a JSON object's text. */
int commit_version(struct store *store, const char *model, const char *version,
                   const char *facts_json, struct err *err);

/* The number of (model, version, slice); made when new. slice: "" overall, else "country=de". */
int commit_series(struct store *store, const char *model, const char *version, const char *slice,
                  int64_t *series_id, struct err *err);

/* The text behind a class, category or outcome id (stats/sample.h: class_id) of a model. */
int commit_name(struct store *store, const char *model, const char *kind, uint64_t id,
                struct view text, struct err *err);

/* Replaces the state of one pane (bytes of states_save); revision + 1. Refused where the level is
   rolled up already (storage/retention.h). */
int commit_pane(struct store *store, int64_t series_id, int64_t level_ms, int64_t start_ms,
                const void *state, size_t n, struct err *err);

/* Pending predictions (collector/pending.h says what the bytes are; opaque here). */
int commit_pending_append(struct store *store, uint32_t segment, const void *bytes, size_t n,
                          struct err *err);
int commit_pending_replace(struct store *store, uint32_t segment, const void *bytes, size_t n,
                           struct err *err); /* all rows of the segment become this one */
int commit_pending_drop(struct store *store, uint32_t segment, struct err *err);

/* What a partition has seen, exported and checked: consumed = folded + … + waiting. */
struct partition_counts {
    int64_t consumed, folded, duplicate, dead_lettered, late, orphaned, waiting;
    int64_t redelivered, holes, lost;
    int64_t first;                          /* first offset ever read */
    int64_t newest_ts_ms;                   /* event time of its newest message */
    int64_t last_offset, last_timestamp_ms; /* fingerprint of the last applied record … */
    uint64_t last_hash;                     /* … to recognise a recreated topic */
    int64_t rejects[32];                    /* by enum reject */
};

/* Moves next from lo to hi (lo -1: the row must not exist yet). ERR_FENCED when it is not lo. */
int commit_offset(struct store *store, const char *topic, int32_t partition, int64_t lo, int64_t hi,
                  const struct partition_counts *counts, struct err *err);

struct dead_letter_row {
    const char *topic;
    int32_t partition;
    int64_t offset;
    int64_t at_ms; /* when it was refused, wall clock */
    const char *reason;
    const char *detail;  /* may be NULL */
    struct view payload; /* cut to 4 KiB */
};
/* Bounded: the oldest rows beyond 10,000 go. */
int commit_dead_letter(struct store *store, const struct dead_letter_row *row, struct err *err);

/* Counters of a model: predictions, labels, joined, … as one blob of name → int64 (JSON text). */
int commit_model_counts(struct store *store, const char *model, const char *json, struct err *err);

/*
 * Small facts that must be in the same transaction. Keys that others read:
 *     "watermark_ms"               event time up to which predictions are in (series_complete)
 *     "labels_complete_ms/MODEL"   the same for the labels of a model
 *     "rolled_up_to/LEVEL_MS"      panes of the level that start before it are gone
 *                                  (storage/retention.h; 86400000: gone for good)
 *     "look_ms"                    the look that is to be taken, or was being taken: after a crash
 *                                  looks go on there. Whoever writes what a look came to writes
 *                                  this with it (COMMIT_LOOK)
 *     "erased_series"              no series up to this number is given again (COMMIT_ERASED_SERIES)
 *     "changes"                    the change counter; commit_end writes it
 */
int commit_fact(struct store *store, const char *key, int64_t value, struct err *err);
#define COMMIT_LOOK "look_ms"
#define COMMIT_ERASED_SERIES "erased_series"
