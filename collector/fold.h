/*
 * Open panes: the states of (series, level, start) that events are folded into, and those that late
 * labels still reach.
 *
 * Shape    a pane that changed stays in memory until it is written; written ones are kept, least
 *          recently used first out, within a bound. One that is asked for and not here comes back
 *          from storage. A ts whose minute is rolled up belongs to its hour, then to its day.
 * Units    ms since the epoch; levels 60000, 3600000, 86400000 ms
 * Owner    panes_new gives, panes_free takes; the store stays the caller's
 * Errors   -ENOMEM: the state may hold the event in some of its slices only, so memory must be
 *          dropped; what storage gives. FOLD_DAMAGED: the stored pane is damaged and stays as it is
 * Threads  one; beside it another puts gathered values into panes (collector/folding.h)
 */
#pragma once

#include "collector/gather.h"
#include "collector/models.h"
#include "stats/metric.h"
#include "storage/profiles.h"
#include "storage/store.h"

struct panes;

enum {
    FOLD_DAMAGED = 1
};

struct panes_options {
    struct store *store;
    size_t memory_limit; /* bytes that written panes may take */
};

int panes_new(struct panes **out, const struct panes_options *options, struct err *err);
void panes_free(struct panes *fold);
DEFINE_FREEP(panes)

/* After a step of retention: forgets the panes that it may have changed. All must be written. */
void panes_rolled_up(struct panes *fold);

/* The overall series of a version and those of its slices: what one event goes into. */
struct fold_target {
    struct series *series[1 + MAX_SEGMENT_KEYS];
    uint32_t n;
};
int fold_target(struct models *models, struct version *version, const uint16_t *slices, uint32_t n,
                struct fold_target *out, struct err *err);

/* sample->ts_ms names the pane: the prediction's time, also for labels and outcomes. */
int fold_prediction(struct panes *fold, const struct fold_target *target,
                    const struct sample *sample, struct err *err);
int fold_label(struct panes *fold, const struct fold_target *target, const struct sample *sample,
               int sign, struct err *err);
/* What a prediction holds beside its metrics, and the label of one. */
int fold_features(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                  const struct features *features, struct err *err);
int fold_label_value(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                     const struct profile_item *item, int sign, struct err *err);
int fold_outcome(struct panes *fold, const struct fold_target *target, int64_t ts_ms,
                 const struct outcome *outcome, int sign, struct err *err);

/* A value of a host: into the version as a whole, for it has no segment. */
int fold_system(struct panes *fold, struct models *models, struct version *version, int64_t ts_ms,
                const struct outcome *value, struct err *err);

/* What predictions hold is gathered and goes into their pane many at once (collector/gather.h), by a
   thread of its own (collector/folding.h): all of it now, before what it is judged by changes and
   before a model's profiles get a slot more. panes_write does so itself. */
int panes_settle(struct panes *fold, struct err *err);

/* Writes every changed pane into the open transaction. */
int panes_write(struct panes *fold, struct err *err);
/* The transaction is durable: they are clean, and the oldest leave beyond the bound. */
void panes_written(struct panes *fold);

struct panes_size {
    size_t n_panes, n_changed;
    size_t bytes;         /* of written panes, estimated by what they took on disk */
    size_t changed_bytes; /* estimate of what the next panes_write has to write */
};
void panes_size(const struct panes *fold, struct panes_size *out);
