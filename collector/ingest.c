/*
 * One message: is its offset the next one, decode, check, join, fold, count.
 *
 * Messages are decoded some ahead of being applied, so that the index slot and the record that an
 * id leads to are on their way into the cache: a random label is two misses, not two stalls.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "collector/loop.h"

/* What one event comes to. */
struct verdict {
    enum taken taken;
    enum reject reason; /* TAKEN_DEAD */
    const char *detail;
};

static const struct verdict folded = {TAKEN_FOLDED, REJECT_NONE, NULL};

static struct verdict dead(enum reject reason, const char *detail)
{
    return (struct verdict){TAKEN_DEAD, reason, detail};
}

static void count_model(struct model *model, enum model_count count, int64_t by)
{
    model->counts[count] += by;
    model->counts_dirty = true;
}

static bool too_old(const struct collector *collector, const struct partition *partition,
                    int64_t ts_ms)
{
    int64_t oldest;
    return !__builtin_sub_overflow(partition->counts.newest_ts_ms,
                                   collector->options.config->retention_ms[2], &oldest) &&
           ts_ms < oldest;
}

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

/* Fills the sample of a prediction; REJECT_WRONG_TASK when the model's task cannot use it. */
static int sample_of_event(struct collector *collector, struct model *model,
                           const struct event *event, struct sample *sample, struct err *err)
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

/* The same from what the join remembers. */
static void sample_of_record(const struct collector *collector, const struct model *model,
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

static struct version *version_of(const struct collector *collector, const struct record *record)
{
    return collector->models->versions[record->series];
}

/* The low bit is free for "outside" (OBSERVED_OUTSIDE), which labels must find again. */
static uint64_t unit_of(struct view unit)
{
    return class_id(unit.data, unit.size) & ~UINT64_C(1);
}

/* Tells the observer of a prediction; OBSERVED_OUTSIDE, 0 or < 0. */
static int observe_prediction(struct collector *collector, const struct version *version,
                              const struct event *event, const struct sample *sample,
                              struct err *err)
{
    const struct observer *observer = collector->options.observer;
    struct view unit = event->unit.data ? event->unit : event->id;
    struct observed observed = {
        .kind = OBSERVED_PREDICTION,
        .model = version->model->name,
        .version = version->name,
        .ts_ms = event->ts_ms,
        .unit = unit,
        .unit_hash = unit_of(unit),
        .sign = 1,
        .setup = &version->model->setup,
        .sample = sample,
        .event = event,
    };
    return observer->observe(observer->context, &observed, err);
}

/* What is the same in labels and outcomes. The id of the event at hand is the prediction's. */
static struct observed observed_of(const struct collector *collector, const struct record *record,
                                   enum observed_kind kind, int sign)
{
    const struct version *version = version_of(collector, record);
    uint64_t unit = record_unit(record);
    return (struct observed){
        .kind = kind,
        .model = version->model->name,
        .version = version->name,
        .ts_ms = record->ts_ms,
        .unit = unit ? (struct view){NULL, 0} : collector->id,
        .unit_hash = unit ? unit & ~UINT64_C(1) : unit_of(collector->id),
        .outside = unit & 1,
        .sign = sign,
        .setup = &version->model->setup,
    };
}

static int observe_label(struct collector *collector, const struct record *record,
                         const struct sample *sample, int sign, struct err *err)
{
    if (!is_observed(collector))
        return 0;
    struct observed observed = observed_of(collector, record, OBSERVED_LABEL, sign);
    observed.sample = sample;
    const struct observer *observer = collector->options.observer;
    return observer->observe(observer->context, &observed, err);
}

static int observe_outcome(struct collector *collector, const struct record *record,
                           struct view name, double value, int sign, struct err *err)
{
    if (!is_observed(collector))
        return 0;
    struct observed observed = observed_of(collector, record, OBSERVED_OUTCOME, sign);
    observed.name = name;
    observed.value = value;
    const struct observer *observer = collector->options.observer;
    return observer->observe(observer->context, &observed, err);
}

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

/* Features, score and prediction of an event into the profiles. */
static int profile_event_of(struct collector *collector, struct model *model,
                            const struct fold_target *target, const struct event *event,
                            const struct sample *sample, struct err *err)
{
    const struct profiling *profiling = &model->profiling;
    if (!profiling->wanted && !profiling->reference && event->n_features == 0)
        return 0;
    int rc = model->feature_names.n ? 0 : model_own_features(collector->models, model, err);
    size_t n = profile_own_items(model->setup.task, sample, collector->items);
    for (uint32_t i = 0; !rc && i < event->n_features; i++) {
        const struct value *value = &event->features[i].value;
        uint32_t slot;
        if (collector->features[i] == FEATURE_NONE || value->kind == VALUE_ABSENT ||
            value->kind == VALUE_NULL)
            continue;
        rc = model_profile_slot(collector->models, model, collector->features[i], &slot, err);
        if (!rc && value->kind == VALUE_TEXT)
            rc = model_category(collector->models, model, value->text, err);
        collector->items[n++] = profile_item_of(value, slot);
    }
    return rc ? rc
              : fold_profile(collector->fold, target, sample->ts_ms, PROFILE_FEATURES,
                             collector->items, n, 1, err);
}

/* Gives a prediction a label, in place of the one it may have. 0, or REJECT_WRONG_TASK. */
static int apply_label(struct collector *collector, struct record *record, struct view text,
                       double number, struct err *err)
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

static int apply_outcome(struct collector *collector, const struct record *record, struct view name,
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

static int take_waiting(void *context, struct record *prediction, const struct record *waiting,
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

static void spec_of(const struct sample *sample, const struct event *event, struct id_hash id,
                    const struct version *version, uint32_t class, struct record_spec *spec)
{
    bool regression = version->model->setup.task == TASK_REGRESSION;
    *spec = (struct record_spec){
        .flags = sample->failed ? RECORD_FAILED : 0,
        .id = id,
        .ts_ms = sample->ts_ms,
        .number = regression ? sample->value : sample->score,
        .series = version->handle,
        .class = class,
        .unit = event->unit.data ? unit_of(event->unit) : 0,
        .scores = sample->scores,
        .n_scores = sample->n_scores,
    };
}

static int take_prediction(struct collector *collector, struct partition *partition,
                           struct event *event, struct id_hash id, struct verdict *verdict,
                           struct err *err)
{
    struct model *model;
    struct version *version;
    struct sample sample;
    int rc = models_admit(collector->models, event->model, &model, err);
    if (rc == 0)
        rc = sample_of_event(collector, model, event, &sample, err);
    if (rc > 0) {
        *verdict = dead((enum reject)rc, rc == REJECT_WRONG_TASK ? "prediction" : "model");
        if (rc == REJECT_WRONG_TASK)
            count_model(model, COUNT_REJECTED, 1);
    }
    if (rc)
        return rc < 0 ? rc : 0;
    event_validate(model->schema, event, collector->features);
    rc = model_version(collector->models, model, event->version, &version, err);
    uint16_t slices[MAX_SEGMENT_KEYS];
    uint32_t n_slices = 0;
    uint32_t class = 0;
    if (!rc)
        rc = model_slices(collector->models, model, event, slices, &n_slices, err);
    if (!rc)
        rc = pending_class_handle(collector->pending, sample.predicted, &class, err);
    if (!rc)
        rc = join_series(collector->join, version->handle, model->hash, model->label_horizon_ms,
                         err);
    if (rc)
        return rc;

    struct record_spec spec;
    struct record *record = NULL;
    bool has_waiting;
    spec_of(&sample, event, id, version, class, &spec);
    spec.slices = slices;
    spec.n_slices = (uint16_t)n_slices;
    rc = join_prediction(collector->join, &spec, partition->counts.newest_ts_ms, &record,
                         &has_waiting, err);
    if (rc < 0)
        return rc;
    if (rc == JOIN_DUPLICATE) {
        count_model(model, COUNT_DUPLICATES, 1);
        verdict->taken = TAKEN_DUPLICATE;
        return 0;
    }
    struct fold_target target;
    rc = fold_target(collector->models, version, slices, n_slices, &target, err);
    if (!rc)
        rc = fold_prediction(collector->fold, &target, &sample, err);
    if (rc >= 0)
        rc = profile_event_of(collector, model, &target, event, &sample, err);
    if (rc >= 0 && is_observed(collector)) {
        rc = observe_prediction(collector, version, event, &sample, err);
        if (rc == OBSERVED_OUTSIDE && record)
            record_stand_outside(record);
    }
    if (rc < 0)
        return rc;
    count_model(model, COUNT_PREDICTIONS, 1);
    count_model(model, COUNT_ERRORS, event->failed);
    count_model(model, COUNT_UNKNOWN_FIELDS, event->n_unknown_fields);
    if (event->ts_ms > model->counts[COUNT_LAST_EVENT])
        model->counts[COUNT_LAST_EVENT] = event->ts_ms;
    if (!record)
        return 0; /* a straggler: nobody waits for its label */
    rc = event->failed ? 0 : model_open(model, event->ts_ms, 1, err);
    if (!rc && has_waiting)
        rc = join_take_waiting(collector->join, record, take_waiting, collector, err);
    return rc;
}

/* Labels and outcomes: both look for their prediction. */
static int take_late(struct collector *collector, struct partition *partition,
                     const struct event *event, struct id_hash id, struct verdict *verdict,
                     struct err *err)
{
    bool label = event->type == EVENT_LABEL;
    struct join_event late = {
        .id = id,
        .ts_ms = event->ts_ms,
        .newest_ts_ms = partition->counts.newest_ts_ms,
        .model_hash = event->model.data ? class_id(event->model.data, event->model.size) : 0,
        .partition = id_set_find(&collector->partition_ids, partition->id),
        .number = label ? event->number : event->outcome_value,
        .text = label ? event->class_text : event->name,
    };
    struct record *record = NULL, *there = NULL;
    int rc = label ? join_label(collector->join, &late, &record, err)
                   : join_outcome(collector->join, &late, &record, &there, err);
    if (rc < 0)
        return rc;
    if (rc == JOIN_WAITS || rc == JOIN_ORPHAN) {
        verdict->taken = rc == JOIN_WAITS ? TAKEN_WAITING : TAKEN_ORPHANED;
        return 0;
    }
    struct model *model = version_of(collector, record)->model;
    if (too_old(collector, partition, record->ts_ms)) {
        count_model(model, COUNT_LATE, 1);
        verdict->taken = TAKEN_LATE;
        return 0;
    }
    if (label) {
        count_model(model, COUNT_LABELS, 1);
        rc = apply_label(collector, record, event->class_text, event->number, err);
        if (rc > 0) {
            count_model(model, COUNT_REJECTED, 1);
            *verdict = dead((enum reject)rc, "label");
            rc = 0;
        }
        return rc;
    }
    rc = apply_outcome(collector, record, event->name, event->outcome_value, there, err);
    return rc ? rc : join_set_outcome(collector->join, record, there, &late, err);
}

/* Values of a host: counted, and told to the observer. */
static int take_system(struct collector *collector, const struct event *event,
                       struct verdict *verdict, struct err *err)
{
    struct model *model;
    int rc = models_admit(collector->models, event->model, &model, err);
    if (rc > 0)
        *verdict = dead((enum reject)rc, "model");
    if (rc)
        return rc < 0 ? rc : 0;
    count_model(model, COUNT_SYSTEM, 1);
    struct version *version;
    if (!is_observed(collector))
        return 0;
    rc = model_version(collector->models, model, event->version, &version, err);
    if (rc)
        return rc;
    struct observed observed = {
        .kind = OBSERVED_SYSTEM,
        .model = model->name,
        .version = version->name,
        .ts_ms = event->ts_ms,
        .sign = 1,
        .setup = &model->setup,
        .event = event,
    };
    const struct observer *observer = collector->options.observer;
    rc = observer->observe(observer->context, &observed, err);
    return rc < 0 ? rc : 0;
}

static int take_event(struct collector *collector, struct partition *partition, struct event *event,
                      struct id_hash id, struct verdict *verdict, struct err *err)
{
    *verdict = folded;
    if (event->ts_ms > partition->counts.newest_ts_ms)
        partition->counts.newest_ts_ms = event->ts_ms;
    if (too_old(collector, partition, event->ts_ms)) {
        verdict->taken = TAKEN_LATE;
        struct model *model =
            event->model.data ? models_find(collector->models, event->model) : NULL;
        if (model)
            count_model(model, COUNT_LATE, 1);
        return 0;
    }
    collector->look_dirty = true;
    collector->id = event->id;
    if (event->type == EVENT_PREDICTION)
        return take_prediction(collector, partition, event, id, verdict, err);
    if (event->type != EVENT_SYSTEM)
        return take_late(collector, partition, event, id, verdict, err);
    return take_system(collector, event, verdict, err);
}

static void locate(struct collector *collector, struct decoded *decoded)
{
    decoded->id = (struct id_hash){0, 0};
    if (!decoded->event.id.data)
        return;
    decoded->id = pending_hash(collector->pending, decoded->event.id);
    pending_prefetch(collector->pending, decoded->id);
}

static void decode(struct collector *collector, struct format *format,
                   const struct message *message, struct decoded *out)
{
    struct format_message bytes = {message->payload, message->size, message->headers,
                                   message->n_headers};
    out->format = format;
    out->detail = NULL;
    out->n_events = 1;
    if (!message->payload || message->size == 0) {
        out->reason = REJECT_EMPTY;
        return;
    }
    out->reason = format_decode(format, &bytes, &out->event, &out->n_events, &out->detail);
    if (out->reason || out->n_events == 0)
        return;
    out->reason = event_time(&out->event, message->timestamp_ms);
    if (out->reason)
        out->detail = "ts";
    else
        locate(collector, out);
}

static void count_taken(struct partition *partition, const struct verdict *verdict)
{
    struct partition_counts *counts = &partition->counts;
    int64_t *const by_taken[N_TAKEN] = {
        [TAKEN_FOLDED] = &counts->folded,      [TAKEN_DUPLICATE] = &counts->duplicate,
        [TAKEN_DEAD] = &counts->dead_lettered, [TAKEN_LATE] = &counts->late,
        [TAKEN_ORPHANED] = &counts->orphaned,  [TAKEN_WAITING] = &counts->waiting,
    };
    counts->consumed++;
    (*by_taken[verdict->taken])++;
    if (verdict->taken == TAKEN_DEAD)
        counts->rejects[verdict->reason]++;
}

/* All events of a message. It counts once: as folded when one of them was. */
static int take_events(struct collector *collector, struct partition *partition,
                       const struct message *message, struct decoded *decoded,
                       struct verdict *verdict, struct err *err)
{
    *verdict = folded; /* a good message may hold nothing to count */
    for (size_t i = 0; i < decoded->n_events; i++) {
        struct verdict one;
        if (i > 0) {
            format_next(decoded->format, &decoded->event);
            if (event_time(&decoded->event, message->timestamp_ms))
                continue;
            locate(collector, decoded);
        }
        int rc = take_event(collector, partition, &decoded->event, decoded->id, &one, err);
        if (rc)
            return rc;
        if (i == 0 || one.taken == TAKEN_FOLDED)
            *verdict = one;
    }
    return 0;
}

static int apply(struct collector *collector, struct partition *partition,
                 const struct message *message, struct decoded *decoded, struct err *err)
{
    struct verdict verdict = dead(decoded->reason, decoded->detail);
    if (!decoded->reason) {
        int rc = take_events(collector, partition, message, decoded, &verdict, err);
        if (rc)
            return rc;
    }
    if (partition->next < 0) /* the first one, or the first of a log made anew */
        partition->counts.first = message->offset - partition->counts.consumed -
                                  partition->counts.holes - partition->counts.lost;
    count_taken(partition, &verdict);
    struct source *source = collector->options.sources[partition->source];
    if (source->taken)
        source->taken(source, message, verdict.taken, verdict.reason, verdict.detail);
    partition->next = message->offset + 1;
    collector->uncommitted++;
    if (verdict.taken != TAKEN_DEAD)
        return 0;
    return dead_add(collector, partition, message, verdict.reason, verdict.detail, err);
}

/* So that a topic made anew is recognised when we come back (failure-matrix.md, F12). */
static void take_fingerprint(struct partition *partition, const struct message *message)
{
    partition->counts.last_offset = message->offset;
    partition->counts.last_timestamp_ms = message->timestamp_ms;
    partition->counts.last_hash =
        message->payload ? XXH3_64bits(message->payload, message->size) : 0;
}

static bool same_fingerprint(const struct partition *partition, const struct message *message)
{
    return partition->counts.last_timestamp_ms == message->timestamp_ms &&
           partition->counts.last_hash ==
               (message->payload ? XXH3_64bits(message->payload, message->size) : 0);
}

/* Where a message stands to what is expected: 0 apply it, 1 skip it, 2 stop here. */
static int judge_offset(struct collector *collector, struct partition *partition,
                        const struct message *message)
{
    if (partition->verify && message->offset >= partition->counts.last_offset) {
        partition->verify = false;
        if (message->offset == partition->counts.last_offset) {
            if (same_fingerprint(partition, message))
                return 1;
            partition_recreated(collector, partition);
            return 2;
        }
    }
    if (partition->next < 0 || message->offset == partition->next)
        return 0;
    partition->changed = true;
    if (message->offset < partition->next) {
        partition->counts.redelivered++;
        return 1;
    }
    int64_t missing = message->offset - partition->next;
    const struct source *source = collector->options.sources[partition->source];
    if (partition->low > partition->next) { /* retention passed us */
        int64_t lost =
            partition->low < message->offset ? partition->low - partition->next : missing;
        partition_lost(collector, partition, lost);
        missing -= lost;
    } else if (source->checks_last && !partition->trusts_holes &&
               partition->hole_at != partition->next) {
        partition->hole_at = partition->next; /* ask once more: the client may have lost some */
        collector->restart |= UINT64_C(1) << partition->source;
        return 2;
    }
    partition->trusts_holes |= missing > 0;
    partition->counts.holes += missing;
    partition->next = message->offset;
    return 0;
}

int ingest_messages(struct collector *collector, struct partition *partition,
                    const struct message *messages, size_t n, size_t *done, struct err *err)
{
    struct decoded *ring = collector->ring;
    const struct message *last = NULL;
    size_t ahead = 0;
    int rc = 0;
    size_t i = 0;
    for (; i < n; i++) {
        for (; ahead < n && ahead < i + INGEST_AHEAD; ahead++)
            decode(collector, partition->format->ring[ahead % INGEST_AHEAD], &messages[ahead],
                   &ring[ahead % INGEST_AHEAD]);
        if (i + INGEST_AHEAD / 2 < ahead) {
            const struct decoded *soon = &ring[(i + INGEST_AHEAD / 2) % INGEST_AHEAD];
            if (!soon->reason && soon->n_events)
                pending_prefetch_record(collector->pending, soon->id);
        }
        struct decoded *decoded = &ring[i % INGEST_AHEAD];
        int place = judge_offset(collector, partition, &messages[i]);
        if (place == 2)
            break;
        if (place == 1)
            continue;
        if (wants_looks(collector) && !decoded->reason && decoded->n_events &&
            decoded->event.ts_ms >= collector->look_ms) {
            partition->blocked = true;
            partition->head_ts_ms = decoded->event.ts_ms;
            break;
        }
        rc = apply(collector, partition, &messages[i], decoded, err);
        if (rc)
            break;
        last = &messages[i];
    }
    if (last) {
        take_fingerprint(partition, last);
        partition->changed = true;
    }
    *done = i;
    return rc;
}
