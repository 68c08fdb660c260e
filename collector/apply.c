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
    return n ? fold_profile(collector->fold, target, sample->ts_ms, PROFILE_LABEL, collector->items,
                            n, sign, err)
             : 0;
}

int apply_label(struct collector *collector, struct record *record, struct view text, double number,
                struct err *err)
{
    struct model *model = version_of(collector, record)->model;
    bool is_value = model->setup.task == TASK_REGRESSION;
    uint64_t class = 0;
    if (is_value && isnan(number))
        return REJECT_WRONG_TASK;
    if (!is_value && !text.data && model->setup.task <= TASK_MULTICLASS)
        return REJECT_WRONG_TASK;
    int rc = is_value || !text.data ? 0 : model_class(collector->models, model, text, &class, err);
    struct fold_target target;
    if (!rc)
        rc = target_of(collector, record, &target, err);
    if (rc)
        return rc;

    struct sample sample;
    bool had = record->flags & RECORD_LABELLED;
    sample_of_record(collector, model, record, &sample);
    if (had && (is_value ? sample.label_value == number : sample.label_class == class))
        return 0; /* the same again */
    if (had)
        rc = fold_label(collector->fold, &target, &sample, -1, err);
    if (rc >= 0 && had)
        rc = observe_label(collector, record, &sample, -1, err);
    if (rc >= 0 && had)
        rc = profile_label(collector, model, &target, &sample, -1, err);
    if (rc >= 0) {
        sample.label_value = is_value ? number : (double)NAN;
        sample.label_class = class;
        rc = fold_label(collector->fold, &target, &sample, 1, err);
    }
    if (rc >= 0)
        rc = observe_label(collector, record, &sample, 1, err);
    if (rc >= 0)
        rc = profile_label(collector, model, &target, &sample, 1, err);
    if (rc >= 0)
        rc = join_set_label(collector->join, record, is_value, number, class, err);
    if (rc < 0)
        return rc;
    count_model(model, had ? COUNT_CORRECTIONS : COUNT_JOINED, 1);
    return had || (record->flags & RECORD_FAILED) ? 0 : model_open(model, record->ts_ms, -1, err);
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
    if (end == WAITING_ORPHANED) {
        count_model(model, COUNT_ORPHANED, 1);
        end_waiting(collector, waiting, TAKEN_ORPHANED);
        return 0;
    }
    int rc = 0;
    if (waiting->kind == RECORD_LABEL)
        count_model(model, COUNT_LABELS, 1);
    if (end == WAITING_APPLIES)
        rc = waiting->kind == RECORD_LABEL
                 ? apply_label(collector, prediction, record_text(waiting), waiting->number, err)
                 : apply_outcome(collector, prediction, record_text(waiting), waiting->number, NULL,
                                 err);
    if (rc != REJECT_WRONG_TASK) {
        end_waiting(collector, waiting, TAKEN_FOLDED);
        return rc;
    }
    struct partition *partition = collector->partitions[waiting->series];
    struct view text = record_text(waiting);
    struct message message = {text.data, text.size, -1, waiting->ts_ms, NULL, NULL, 0};
    partition->counts.rejects[REJECT_WRONG_TASK]++;
    count_model(model, COUNT_REJECTED, 1);
    end_waiting(collector, waiting, TAKEN_DEAD);
    return dead_add(collector, partition, &message, REJECT_WRONG_TASK, "label", err);
}
