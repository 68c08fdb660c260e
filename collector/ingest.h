/*
 * The parts of taking one event: its sample (samples.c), what a label or an outcome changes
 * (apply.c), what the observer is told (observe.c). ingest.c puts them together.
 *
 * Shape    a record is what the join remembers of a prediction
 * Errors   < 0 as in common/err.h; > 0 where said
 * Threads  the writer's
 */
#pragma once

#include "collector/loop.h"
#include "collector/observer.h"

static inline void count_model(struct model *model, enum model_count count, int64_t by)
{
    model->counts[count] += by;
    model->counts_dirty = true;
}

static inline struct version *version_of(const struct collector *collector,
                                         const struct record *record)
{
    return collector->models->versions[record->series];
}

/* The low bit is free for "outside" (OBSERVED_OUTSIDE), which labels must find again. */
static inline uint64_t unit_of_text(struct view unit)
{
    return class_id(unit.data, unit.size) & ~UINT64_C(1);
}

/* samples.c */
/* Fills the sample of a prediction; REJECT_WRONG_TASK when the model's task cannot use it,
   REJECT_DUPLICATE_KEY when a ranking shows an item twice. */
int sample_of_event(struct collector *collector, struct model *model, const struct event *event,
                    struct sample *sample, struct err *err);
/* The same from what the join remembers. */
void sample_of_record(const struct collector *collector, const struct model *model,
                      const struct record *record, struct sample *sample);

/* observe.c: sign -1 takes back what was told. */
/* OBSERVED_OUTSIDE, 0 or < 0. */
int observe_prediction(struct collector *collector, const struct version *version,
                       const struct event *event, const struct sample *sample, struct err *err);
int observe_label(struct collector *collector, const struct record *record,
                  const struct sample *sample, int sign, struct err *err);
int observe_outcome(struct collector *collector, const struct record *record, struct view name,
                    double value, int sign, struct err *err);
int observe_system(struct collector *collector, const struct version *version,
                   const struct event *event, struct err *err);

/* apply.c */
/* Gives a prediction a label, in place of the one it may have. 0, or REJECT_WRONG_TASK. */
int apply_label(struct collector *collector, struct record *record, const struct join_event *label,
                struct err *err);
/* Gives it an outcome, in place of `there` (NULL: none of that name yet). */
int apply_outcome(struct collector *collector, const struct record *record, struct view name,
                  double value, const struct record *there, struct err *err);
/* Callback of join_take_waiting; context: the collector. */
int take_waiting(void *context, struct record *prediction, const struct record *waiting,
                 enum waiting_end end, struct err *err);
