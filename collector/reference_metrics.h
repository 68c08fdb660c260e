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
#include "collector/reference_file.h"
#include "stats/fitted.h"

struct reference_metrics;

int reference_metrics_new(struct reference_metrics **out, const struct reference_source *source,
                          enum task task, struct err *err);
void reference_metrics_free(struct reference_metrics *metrics);
DEFINE_FREEP(reference_metrics)

/* `sample` as metric states take it, without the slices, which are found in the event. */
int reference_metrics_prediction(struct reference_metrics *metrics, const struct event *event,
                                 const struct sample *sample, struct err *err);
int reference_metrics_label(struct reference_metrics *metrics, const struct event *event,
                            const struct sample *sample, struct err *err);

/* The states go into `fitted`. Called once, at the end. */
int reference_metrics_finish(struct reference_metrics *metrics, struct fitted *fitted,
                             struct err *err);
