/*
 * Labels and outcomes that have met their prediction: into the panes, the profiles and the record,
 * and what they replace out of them.
 */
#include <math.h>

#include "collector/ingest.h"

static int target_of(struct collector *collector, const struct record *record,
                     struct fold_target *target, struct err *err)
{
    return fold_target(collector->models, version_of(collector, record), record_slices(record),
                       record->n_slices, target, err);
}

/* The label of the sample into the profiles, or (sign -1) out of them. */
static int profile_label(struct collector *collector, struct model *model,
                         const struct fold_target *target, const struct sample *sample, int sign,
                         struct err *err)
{
    if (!profiling_active(&model->profiling))
        return 0;
    size_t n = profile_label_items(model->setup.task, sample, collector->items);
    return n ? fold_label_value(collector->fold, target, sample->ts_ms, collector->items, sign, err)
             : 0;
}

/* The label of a sample into everything that counts it, or (sign -1) out of it. */
static int put_label(struct collector *collector, const struct record *record,
                     const struct fold_target *target, const struct sample *sample, int sign,
                     struct err *err)
{
    int rc = fold_label(collector->fold, target, sample, sign, err);
    if (rc >= 0)
        rc = observe_label(collector, record, sample, sign, err);
    if (rc >= 0)
        rc = profile_label(collector, version_of(collector, record)->model, target, sample, sign,
                           err);
    return rc;
}

/* The record has its label: the first, or another one than it had. */
static int count_label(struct model *model, const struct record *record, bool had, struct err *err)
{
    count_model(model, had ? COUNT_CORRECTIONS : COUNT_JOINED, 1);
    return had || (record->flags & RECORD_FAILED) ? 0 : model_open(model, record->ts_ms, -1, err);
}

/* What is kept of a content once its model is known, into *kept; REJECT_WRONG_TASK. */
static int settle(struct collector *collector, struct model *model, const struct join_event *label,
                  struct view *kept, struct err *err)
{
    unsigned char *bytes = collector->content + CONTENT_MAX_BYTES;
    const bool ranking = model->setup.task == TASK_RANKING;
    struct content content;
    if (!label->is_content || !content_read(label->text, &content) ||
        !(ranking ? content.is_relevance : content.is_confusion))
        return REJECT_WRONG_TASK;
    if (ranking) {
        *kept = (struct view){(char *)bytes, content_keep_relevances(&content, bytes)};
        return 0;
    }
    uint64_t ids[EVENT_MAX_KEYS];
    const unsigned char *place = content.names;
    int rc = 0;
    for (uint32_t i = 0; !rc && i < content.n_pixels; i++)
        rc = model_class(collector->models, model, content_name(&content, &place), &ids[i], err);
    *kept = (struct view){(char *)bytes, rc ? 0 : content_keep_pixels(&content, ids, bytes)};
    return rc;
}

static void sample_content(struct sample *sample, struct view kept)
{
    struct content content;
    (void)content_read(kept, &content); /* none: a label that says nothing */
    sample->relevances = content.relevances;
    sample->n_relevances = content.n_relevances;
    sample->pixels = content.pixels;
    sample->n_pixels = content.n_pixels;
}

/* The label of a ranking or a segmentation. */
static int apply_content(struct collector *collector, struct record *record,
                         const struct join_event *label, struct err *err)
{
    struct model *model = version_of(collector, record)->model;
    struct view old = {NULL, 0};
    struct join_event kept = *label;
    struct fold_target target;
    bool had = record->flags & RECORD_LABELLED;
    int rc = settle(collector, model, label, &kept.text, err);
    if (!rc)
        rc = target_of(collector, record, &target, err);
    if (!rc && had)
        rc = join_content(collector->join, record, &old, err);
    if (rc && rc != PENDING_NONE)
        return rc;
    if (had && old.data && view_equal(old, kept.text))
        return 0; /* the same again */

    struct sample sample;
    sample_of_record(collector, model, record, &sample);
    sample_content(&sample, old);
    rc = had ? put_label(collector, record, &target, &sample, -1, err) : 0;
    sample_content(&sample, kept.text);
    if (rc >= 0)
        rc = put_label(collector, record, &target, &sample, 1, err);
    if (rc >= 0)
        rc = join_set_content(collector->join, record, &kept, err);
    return rc < 0 ? rc : count_label(model, record, had, err);
}

int apply_label(struct collector *collector, struct record *record, const struct join_event *label,
                struct err *err)
{
    struct model *model = version_of(collector, record)->model;
    bool is_value = model->setup.task == TASK_REGRESSION;
    struct content content;
    struct view text = label->text;
    uint64_t class = 0;
    if (model->setup.task > TASK_REGRESSION)
        return apply_content(collector, record, label, err);
    if (label->is_content) /* it may have a class beside */
        text = content_read(label->text, &content) ? content.text : (struct view){NULL, 0};
    if (is_value ? isnan(label->number) : !text.data)
        return REJECT_WRONG_TASK;
    int rc = is_value ? 0 : model_class(collector->models, model, text, &class, err);
    struct fold_target target;
    if (!rc)
        rc = target_of(collector, record, &target, err);
    if (rc)
        return rc;

    struct sample sample;
    bool had = record->flags & RECORD_LABELLED;
    sample_of_record(collector, model, record, &sample);
    if (had && (is_value ? sample.label_value == label->number : sample.label_class == class))
        return 0; /* the same again */
    if (had)
        rc = put_label(collector, record, &target, &sample, -1, err);
    if (rc >= 0) {
        sample.label_value = is_value ? label->number : (double)NAN;
        sample.label_class = class;
        rc = put_label(collector, record, &target, &sample, 1, err);
    }
    if (rc >= 0 && !had && changing_watches(model))
        rc = changing_label(collector->changing, &target, collector->id, &sample, err);
    if (rc >= 0)
        rc = join_set_label(collector->join, record, is_value, label->number, class, err);
    return rc < 0 ? rc : count_label(model, record, had, err);
}

int apply_outcome(struct collector *collector, const struct record *record, struct view name,
                  double value, const struct record *there, struct err *err)
{
    struct model *model = version_of(collector, record)->model;
    struct fold_target target;
    uint64_t id;
    int rc = model_outcome_name(collector->models, model, name, &id, err);
    if (!rc)
        rc = target_of(collector, record, &target, err);
    if (!rc && there) {
        struct outcome old = {id, there->number};
        rc = fold_outcome(collector->fold, &target, record->ts_ms, &old, -1, err);
        if (rc >= 0)
            rc = observe_outcome(collector, record, name, there->number, -1, err);
    }
    struct outcome new = {id, value};
    if (rc >= 0)
        rc = fold_outcome(collector->fold, &target, record->ts_ms, &new, 1, err);
    if (rc >= 0)
        rc = observe_outcome(collector, record, name, value, 1, err);
    if (rc >= 0 && !there && changing_watches(model))
        rc = changing_outcome(collector->changing, &target, collector->id, collector->event_ms,
                              name, value, err);
    count_model(model, COUNT_OUTCOMES, there ? 0 : 1);
    return rc < 0 ? rc : 0;
}

/* Moves one event of its partition from `waiting` to where it ended. */
static void end_waiting(struct collector *collector, const struct record *waiting, enum taken taken)
{
    struct partition *partition = collector->partitions[waiting->series];
    partition->changed = true;
    partition->counts.waiting--;
    if (taken == TAKEN_FOLDED)
        partition->counts.folded++;
    else if (taken == TAKEN_DEAD)
        partition->counts.dead_lettered++;
    else
        partition->counts.orphaned++;
}

int take_waiting(void *context, struct record *prediction, const struct record *waiting,
                 enum waiting_end end, struct err *err)
{
    struct collector *collector = context;
    struct model *model = version_of(collector, prediction)->model;
    collector->event_ms = waiting->ts_ms; /* whichever came first, it is the same event */
    if (end == WAITING_ORPHANED) {
        count_model(model, COUNT_ORPHANED, 1);
        end_waiting(collector, waiting, TAKEN_ORPHANED);
        return 0;
    }
    int rc = 0;
    if (waiting->kind == RECORD_LABEL)
        count_model(model, COUNT_LABELS, 1);
    const struct join_event late = {
        .ts_ms = waiting->ts_ms,
        .partition = waiting->series,
        .number = waiting->number,
        .text = record_text(waiting),
        .is_content = waiting->kind == RECORD_LABEL && (waiting->flags & RECORD_CONTENT),
    };
    if (end == WAITING_APPLIES)
        rc = waiting->kind == RECORD_LABEL
                 ? apply_label(collector, prediction, &late, err)
                 : apply_outcome(collector, prediction, late.text, late.number, NULL, err);
    if (rc != REJECT_WRONG_TASK) {
        end_waiting(collector, waiting, TAKEN_FOLDED);
        return rc;
    }
    struct partition *partition = collector->partitions[waiting->series];
    struct view text = late.is_content ? (struct view){"", 0} : late.text;
    struct message message = {
        .payload = text.data, .size = text.size, .offset = -1, .timestamp_ms = waiting->ts_ms};
    partition->counts.rejects[REJECT_WRONG_TASK]++;
    count_model(model, COUNT_REJECTED, 1);
    end_waiting(collector, waiting, TAKEN_DEAD);
    return dead_add(collector, partition, &message, REJECT_WRONG_TASK, "label", err);
}
