/*
 * Changes by the event: feeds the detectors of each (model, version), and keeps their states with
 * the offsets.
 *
 * Shape    what is folded between two looks waits; at the look it is put into the order (event
 *          time, hash of the id, value) and the detectors take it, one event after the other. A
 *          look covers the same events in every run, so that partitions may interleave as they
 *          like, and a crash or a replay finds the same changes to the bit. What waits for a look
 *          is saved with the offsets, too
 * Streams  the metrics of collector/watched_metrics.h, rates and means of outcomes, also in slices;
 *          features with a reference, @score and @prediction. A label stands at its prediction's
 *          time; one that is corrected counts as it came first
 * Rates of outcomes  the stream is of predictions (0) and outcomes (1) as they come, for nobody
 *          tells that an outcome will not come any more; means are turned back into rates
 * Cost     nothing where a model has no `changes`
 * Owner    changing_new gives, changing_free takes; store is borrowed
 * Errors   -ENOMEM; what storage gives
 * Threads  the writer's; the detectors take what looks cover beside it (collector/detecting.h) and
 *          are waited for where somebody needs what they found
 */
#pragma once

#include "collector/fold.h"
#include "collector/models.h"
#include "storage/store.h"

struct changing;

int changing_new(struct changing **out, struct models *models, struct store *store,
                 struct err *err);
void changing_free(struct changing *changing);

/* Is any model's stream watched? Again when the configuration changes, settled before. */
void changing_configure(struct changing *changing, const struct config *config);
bool changing_active(const struct changing *changing);

static inline bool changing_watches(const struct model *model)
{
    return model->config && model->config->changes.expected_run_time > 0;
}

/* `target`: the series that the event goes into; `id`: of the prediction; `items`: what goes into
   the profiles. */
int changing_prediction(struct changing *changing, const struct fold_target *target,
                        const struct event *event, const struct sample *sample,
                        const struct profile_item *items, size_t n_items, struct err *err);
int changing_label(struct changing *changing, const struct fold_target *target, struct view id,
                   const struct sample *sample, struct err *err);
int changing_outcome(struct changing *changing, const struct fold_target *target, struct view id,
                     int64_t ts_ms, struct view name, double value, struct err *err);

/* The look covers what waits: the detectors take it, here or beside us. */
int changing_look(struct changing *changing, int64_t look_ms, struct err *err);
/* They have taken all that looks cover; nothing refers to references or to the configuration any
   more: before either changes. */
int changing_settle(struct changing *changing, struct err *err);
/* References are others now; it was settled before. */
void changing_references_changed(struct changing *changing);
/* What waits of that model is dropped. */
int changing_forget(struct changing *changing, const char *model, struct err *err);
/* Does anything wait for a look? */
bool changing_waits(const struct changing *changing);

/* Into the open transaction at each look: what was found. It is settled, too. */
bool changing_has_news(
    const struct changing *changing); /* perhaps: what was looked at may be news */
int changing_write_found(struct changing *changing, struct err *err);
void changing_found_written(struct changing *changing);
/* Behind it, where that becomes durable: the detectors' states, and what waits. */
bool changing_is_dirty(const struct changing *changing);
int changing_write(struct changing *changing, struct err *err);
void changing_written(struct changing *changing);
