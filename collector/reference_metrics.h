/*
 * The metrics of a reference's events: what accuracy, AUC and the like were when all was well.
 *
 * Shape    predictions and labels meet by id in any order; of predictions the first counts, of
 *          labels the last, however late it is. One state for all events, and one for each slice
 * Owner    reference_metrics_new gives, reference_metrics_free takes; reference_metrics_finish hands
 *          the states over
 * Errors   -ENOMEM; ERR_DATA: events that are more than can be kept at once
 * Threads  any, one at a time
 */
#pragma once

#include "collector/event.h"
#include "collector/models.h"
#include "collector/reference_file.h"
#include "collector/reference_slices.h"
#include "stats/fitted.h"

struct reference_metrics;

int reference_metrics_new(struct reference_metrics **out, const struct reference_source *source,
                          enum task task, struct err *err);
void reference_metrics_free(struct reference_metrics *metrics);
DEFINE_FREEP(reference_metrics)

/* Numbers of an event's slices, overall left out. */
struct reference_slicing {
    uint16_t numbers[MAX_SEGMENT_KEYS];
    uint32_t n;
};
int reference_metrics_slices(struct reference_metrics *metrics, const struct event *event,
                             struct reference_slicing *out, struct err *err);
/* Names of slices by their number, and the keys of the model's segments. */
struct reference_slice_names {
    char *const *slices;
    uint32_t n_keys;
    const char *keys[MAX_SEGMENT_KEYS];
};
struct reference_slice_names reference_metrics_names(const struct reference_metrics *metrics);

/* `sample` as metric states take it. */
int reference_metrics_prediction(struct reference_metrics *metrics, const struct event *event,
                                 const struct reference_slicing *slicing,
                                 const struct sample *sample, struct err *err);
int reference_metrics_label(struct reference_metrics *metrics, const struct event *event,
                            const struct sample *sample, struct err *err);

/* The states go into `fitted`, the labels into their slices. Called once, at the end. */
int reference_metrics_finish(struct reference_metrics *metrics, struct reference_slices *slices,
                             struct fitted *fitted, struct err *err);
