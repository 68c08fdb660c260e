/*
 * What the metrics are given: a sample, of an event as it came or of what the join remembers.
 */
#include <math.h>
#include <stdlib.h>

#include "collector/ingest.h"

static int compare_scores(const void *a, const void *b)
{
    const struct class_score *x = a, *y = b;
    return x->class_id < y->class_id ? -1 : x->class_id > y->class_id;
}

/* Scores by class, sorted; the class of the highest where the event names none. */
static int take_scores(struct collector *collector, struct model *model, const struct event *event,
                       struct sample *sample, struct err *err)
{
    for (uint32_t i = 0; i < event->n_scores; i++) {
        uint64_t id;
        uint32_t handle;
        int rc = model_class(collector->models, model, event->scores[i].name, &id, err);
        if (!rc) /* the record writes classes by their handles */
            rc = pending_class_handle(collector->pending, id, &handle, err);
        if (rc)
            return rc;
        collector->scores[i] = (struct class_score){id, event->scores[i].value.number};
    }
    qsort(collector->scores, event->n_scores, sizeof(*collector->scores), compare_scores);
    sample->scores = collector->scores;
    sample->n_scores = event->n_scores;
    double best = -1;
    for (uint32_t i = 0; !event->class_text.data && i < event->n_scores; i++) {
        if (collector->scores[i].score > best) {
            best = collector->scores[i].score;
            sample->predicted = collector->scores[i].class_id;
        }
    }
    return 0;
}

int sample_of_event(struct collector *collector, struct model *model, const struct event *event,
                    struct sample *sample, struct err *err)
{
    *sample = (struct sample){
        .ts_ms = event->ts_ms,
        .latency_ms = event->latency_ms,
        .score = NAN,
        .value = NAN,
        .failed = event->failed,
        .label_value = NAN,
    };
    int rc = 0;
    switch (model->setup.task) {
    case TASK_BINARY:
        sample->score = event->score;
        break;
    case TASK_MULTICLASS:
        rc = take_scores(collector, model, event, sample, err);
        break;
    case TASK_REGRESSION:
        if (event->class_text.data && isnan(event->number))
            return REJECT_WRONG_TASK;
        sample->value = event->number;
        return 0;
    default:
        return 0;
    }
    if (!rc && event->class_text.data)
        rc = model_class(collector->models, model, event->class_text, &sample->predicted, err);
    return rc;
}

void sample_of_record(const struct collector *collector, const struct model *model,
                      const struct record *record, struct sample *sample)
{
    bool regression = model->setup.task == TASK_REGRESSION;
    *sample = (struct sample){
        .ts_ms = record->ts_ms,
        .latency_ms = NAN,
        .score = regression ? (double)NAN : record->number,
        .value = regression ? record->number : (double)NAN,
        .predicted = pending_class(collector->pending, record->class),
        .failed = record->flags & RECORD_FAILED,
        .label_value = NAN,
    };
    sample->n_scores = record_scores(record, &sample->scores);
    if (!(record->flags & RECORD_LABELLED))
        return;
    if (record->flags & RECORD_LABEL_VALUE)
        sample->label_value = record->label.value;
    else
        sample->label_class = pending_class(collector->pending, record->label.class);
}
