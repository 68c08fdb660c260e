/*
 * What the metrics are given: a sample, of an event as it came or of what the join remembers.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

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

static int compare_ids(const void *a, const void *b)
{
    const uint64_t *x = a, *y = b;
    return *x < *y ? -1 : *x > *y;
}

/* The items shown; each of them once, or its worth would count twice. */
static int take_ranking(struct collector *collector, const struct event *event,
                        struct sample *sample)
{
    const uint32_t n = event->n_ranking;
    uint64_t sorted[EVENT_MAX_ITEMS];
    if (!event->ranking)
        return event->failed ? 0 : REJECT_WRONG_TASK;
    for (uint32_t i = 0; i < n; i++)
        collector->shown[i] = class_id(event->ranking[i].data, event->ranking[i].size);
    memcpy(sorted, collector->shown, n * sizeof(sorted[0]));
    qsort(sorted, n, sizeof(sorted[0]), compare_ids);
    for (uint32_t i = 1; i < n; i++)
        if (sorted[i] == sorted[i - 1])
            return REJECT_DUPLICATE_KEY;
    sample->items = collector->shown;
    sample->n_items = n;
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
    case TASK_RANKING:
        return take_ranking(collector, event, sample);
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
    if (model->setup.task == TASK_RANKING)
        sample->n_items = record_items(record, &sample->items);
    if (!(record->flags & RECORD_LABELLED))
        return;
    if (record->flags & RECORD_LABEL_VALUE)
        sample->label_value = record->label.value;
    else
        sample->label_class = pending_class(collector->pending, record->label.class);
}
