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

#include "collector/ingest.h"

enum {
    CACHE_LINE = 64
};

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

static bool too_old(const struct collector *collector, const struct partition *partition,
                    int64_t ts_ms)
{
    int64_t oldest;
    return !__builtin_sub_overflow(partition->counts.newest_ts_ms,
                                   collector->options.config->retention_ms[2], &oldest) &&
           ts_ms < oldest;
}

/* The slot of a feature that was not asked for yet: there may be one more. */
static int ask_slot(struct collector *collector, struct model *model, uint32_t feature,
                    uint32_t *slot, struct err *err)
{
    int rc = panes_settle(collector->fold, err);
    return rc ? rc : model_profile_slot(collector->models, model, feature, slot, err);
}

/* Features, score and prediction of an event as items for the profiles, *n of them. 1: the model is
   not profiled. */
static int items_of(struct collector *collector, struct model *model, const struct event *event,
                    const struct sample *sample, size_t *n, struct err *err)
{
    const struct profiling *profiling = &model->profiling;
    *n = 0;
    if (!profiling->wanted && !profiling->reference && event->n_features == 0)
        return 1;
    int rc = model->feature_names.n ? 0 : model_own_features(collector->models, model, err);
    *n = profile_own_items(model->setup.task, sample, collector->items);
    for (uint32_t i = 0; !rc && i < event->n_features; i++) {
        const struct value *value = &event->features[i].value;
        if (collector->features[i] == FEATURE_NONE || value->kind == VALUE_ABSENT)
            continue;
        uint32_t slot = profiling_known_slot(profiling, collector->features[i]);
        if (slot == SLOT_NONE) /* also of a null: a feature that never had a value is missing */
            rc = ask_slot(collector, model, collector->features[i], &slot, err);
        if (value->kind == VALUE_NULL)
            continue;
        uint64_t category = value_category(value);
        if (!rc && value->kind == VALUE_TEXT)
            rc = model_category(collector->models, model, value->text, category, err);
        profile_item_set(&collector->items[(*n)++], value, slot, category);
    }
    return rc;
}

/* What the models fitted on the reference expect of the event, into the sample and the row. */
static int expect(struct collector *collector, struct version *version, size_t n_items,
                  struct id_hash id, struct sample *sample, struct row *row, struct err *err)
{
    struct model *model = version->model;
    if (model->expectations.n == 0)
        return 0;
    if (version->generation != model->expectations.generation) {
        version->expecting = expectations_of(&model->expectations, version->name);
        version->generation = model->expectations.generation;
    }
    return version->expecting ? expect_event(version->expecting, &model->profiling,
                                             collector->items, n_items, id.low, sample, row, err)
                              : 0;
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
        .unit = event->unit.data ? unit_of_text(event->unit) : 0,
        .scores = sample->scores,
        .n_scores = sample->n_scores,
        .items = sample->items,
        .n_items = sample->n_items,
    };
}

/* A prediction on its way in. */
struct newcomer {
    struct event *event;
    struct id_hash id;
    struct model *model;
    struct version *version;
    struct sample sample;
    uint16_t slices[MAX_SEGMENT_KEYS];
    uint32_t n_slices, class;
    struct record *record; /* NULL: a straggler, nobody waits for its label */
    bool has_waiting;
};

/* Its model, and what counts of it. REJECT_*: the verdict says why not. */
static int admit_prediction(struct collector *collector, struct newcomer *new,
                            struct verdict *verdict, struct err *err)
{
    int rc = models_admit(collector->models, new->event->model, &new->model, err);
    if (rc == 0)
        rc = sample_of_event(collector, new->model, new->event, &new->sample, err);
    if (rc <= 0)
        return rc;
    bool ours = rc == REJECT_WRONG_TASK || rc == REJECT_DUPLICATE_KEY;
    *verdict = dead((enum reject)rc, !ours                                    ? "model"
                                     : new->model->setup.task == TASK_RANKING ? "ranking"
                                                                              : "prediction");
    if (ours)
        count_model(new->model, COUNT_REJECTED, 1);
    return rc;
}

/* Its version, slices and class. */
static int place_prediction(struct collector *collector, struct newcomer *new, struct err *err)
{
    struct model *model = new->model;
    event_validate(model->schema, new->event, collector->features);
    int rc = model_version(collector->models, model, new->event->version, &new->version, err);
    if (!rc)
        rc = model_slices(collector->models, model, new->event, new->slices, &new->n_slices, err);
    if (!rc)
        rc = pending_class_handle(collector->pending, new->sample.predicted, &new->class, err);
    if (!rc)
        rc = join_series(collector->join, new->version->handle, model->hash,
                         model->label_horizon_ms, err);
    return rc;
}

/* Among those that wait for labels; JOIN_DUPLICATE: it is there already. */
static int join_newcomer(struct collector *collector, const struct partition *partition,
                         struct newcomer *new, struct err *err)
{
    struct record_spec spec;
    spec_of(&new->sample, new->event, new->id, new->version, new->class, &spec);
    spec.slices = new->slices;
    spec.n_slices = (uint16_t) new->n_slices;
    return join_prediction(collector->join, &spec, partition->counts.newest_ts_ms, &new->record,
                           &new->has_waiting, err);
}

/* Into its panes and profiles, and told to those who watch. */
static int fold_newcomer(struct collector *collector, struct newcomer *new, struct err *err)
{
    struct fold_target target;
    struct sample *sample = &new->sample;
    size_t n_items = 0;
    int rc = fold_target(collector->models, new->version, new->slices, new->n_slices, &target, err);
    if (!rc)
        rc = items_of(collector, new->model, new->event, sample, &n_items, err);
    const bool profiled = rc == 0;
    struct features features = {.items = collector->items, .n = n_items};
    if (profiled)
        rc = expect(collector, new->version, n_items, new->id, sample, &features.row, err);
    if (rc >= 0)
        rc = fold_prediction(collector->fold, &target, sample, err);
    if (rc >= 0 && profiled)
        rc = fold_features(collector->fold, &target, sample->ts_ms, &features, err);
    if (rc >= 0 && changing_watches(new->model))
        rc = changing_prediction(collector->changing, &target, new->event, sample, collector->items,
                                 n_items, err);
    if (rc >= 0 && is_observed(collector)) {
        rc = observe_prediction(collector, new->version, new->event, sample, err);
        if (rc == OBSERVED_OUTSIDE && new->record)
            record_stand_outside(new->record);
    }
    return rc < 0 ? rc : 0;
}

static void count_newcomer(const struct newcomer *new)
{
    struct model *model = new->model;
    count_model(model, COUNT_PREDICTIONS, 1);
    count_model(model, COUNT_ERRORS, new->event->failed);
    count_model(model, COUNT_UNKNOWN_FIELDS, new->event->n_unknown_fields);
    if (new->event->ts_ms > model->counts[COUNT_LAST_EVENT])
        model->counts[COUNT_LAST_EVENT] = new->event->ts_ms;
}

static int take_prediction(struct collector *collector, struct partition *partition,
                           struct event *event, struct id_hash id, struct verdict *verdict,
                           struct err *err)
{
    struct newcomer new;
    new.event = event;
    new.id = id;
    new.n_slices = new.class = 0;
    new.record = NULL;
    int rc = admit_prediction(collector, &new, verdict, err);
    if (rc)
        return rc < 0 ? rc : 0;
    rc = place_prediction(collector, &new, err);
    if (!rc)
        rc = join_newcomer(collector, partition, &new, err);
    if (rc < 0)
        return rc;
    if (rc == JOIN_DUPLICATE) {
        count_model(new.model, COUNT_DUPLICATES, 1);
        verdict->taken = TAKEN_DUPLICATE;
        return 0;
    }
    rc = fold_newcomer(collector, &new, err);
    if (rc)
        return rc;
    count_newcomer(&new);
    if (!new.record)
        return 0;
    rc = event->failed ? 0 : model_open(new.model, event->ts_ms, 1, err);
    if (!rc && new.has_waiting)
        rc = join_take_waiting(collector->join, new.record, take_waiting, collector, err);
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
    if (label && content_is(event)) {
        late.text = (struct view){(char *)collector->content, 0};
        late.is_content = true;
        enum reject reason = content_pack(event, collector->content, &late.text.size);
        if (reason) {
            *verdict = dead(reason, "label");
            return 0;
        }
    }
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
        rc = apply_label(collector, record, &late, err);
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

/* Values of a host: into the version's panes, and told to the observer. */
static int take_system(struct collector *collector, const struct event *event,
                       struct verdict *verdict, struct err *err)
{
    struct model *model;
    struct version *version;
    int rc = models_admit(collector->models, event->model, &model, err);
    if (rc > 0)
        *verdict = dead((enum reject)rc, "model");
    if (rc)
        return rc < 0 ? rc : 0;
    count_model(model, COUNT_SYSTEM, 1);
    rc = model_version(collector->models, model, event->version, &version, err);
    for (uint32_t i = 0; rc >= 0 && i < event->n_values; i++) {
        struct outcome value = {.value = event->values[i].value.number};
        if (event->values[i].value.kind != VALUE_NUMBER)
            continue;
        rc =
            model_system_name(collector->models, model, event->values[i].name, &value.name_id, err);
        if (!rc)
            rc =
                fold_system(collector->fold, collector->models, version, event->ts_ms, &value, err);
    }
    if (rc >= 0 && is_observed(collector))
        rc = observe_system(collector, version, event, err);
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
    collector->event_ms = event->ts_ms;
    if (event->type == EVENT_PREDICTION)
        return take_prediction(collector, partition, event, id, verdict, err);
    if (event->type != EVENT_SYSTEM)
        return take_late(collector, partition, event, id, verdict, err);
    return take_system(collector, event, verdict, err);
}

static void locate(struct collector *collector, struct decoded *decoded)
{
    decoded->id = (struct id_hash){0, 0};
    if (!decoded->event->id.data)
        return;
    decoded->id = pending_hash(collector->pending, decoded->event->id);
    pending_prefetch(collector->pending, decoded->id);
}

static void decode(struct collector *collector, struct format *format,
                   const struct message *message, struct decoded *out)
{
    struct format_message bytes = {message->payload, message->size, message->headers,
                                   message->n_headers};
    out->format = format;
    out->detail = NULL;
    out->refused_of = NULL;
    out->reason = REJECT_NONE;
    out->n_events = 1;
    if (!message->payload || message->size == 0) {
        out->reason = REJECT_EMPTY;
        return;
    }
    if (message->fault) {
        out->reason = REJECT_NOT_JSON;
        out->detail = message->fault;
        return;
    }
    out->event = message->event;
    if (!out->event) {
        out->event = &out->own;
        out->event->model = (struct view){0};
        out->reason = format_decode(format, &bytes, out->event, &out->n_events, &out->detail);
        if (!out->reason && out->n_events == 0)
            return;
    }
    if (!out->reason && (out->reason = event_time(out->event, message->timestamp_ms)))
        out->detail = "ts";
    if (out->reason) /* its text is only there until the next one is decoded */
        out->refused_of = models_find(collector->models, out->event->model);
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
            format_next(decoded->format, decoded->event);
            if (event_time(decoded->event, message->timestamp_ms))
                continue;
            locate(collector, decoded);
        }
        int rc = take_event(collector, partition, decoded->event, decoded->id, &one, err);
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
    } else if (decoded->refused_of) {
        count_model(decoded->refused_of, COUNT_REJECTED, 1);
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
    collector->unwritten++;
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

/* What another thread decoded is in its core's cache yet: on its way before it is looked at. */
static void fetch_event(const struct message *message)
{
    const char *event = (const char *)message->event;
    if (!event)
        return;
    for (size_t at = 0; at < sizeof(*message->event); at += CACHE_LINE)
        __builtin_prefetch(event + at);
    __builtin_prefetch(message->payload);
}

/* Nothing behind it is taken before the look that it waits for. */
static bool waits_for_look(const struct collector *collector, const struct decoded *decoded)
{
    return wants_looks(collector) && !decoded->reason && decoded->n_events &&
           decoded->event->ts_ms >= collector->look_ms;
}

/* Decodes as far ahead of message i as there is room; *last: it waits for a look, and what is
   behind it would be decoded in vain. */
static size_t decode_ahead(struct collector *collector, struct partition *partition,
                           const struct message *messages, size_t n, size_t i, size_t ahead)
{
    struct decoded *ring = collector->ring;
    for (; ahead < n && ahead < i + INGEST_AHEAD; ahead++) {
        if (ahead > i && waits_for_look(collector, &ring[(ahead - 1) % INGEST_AHEAD]))
            break;
        if (ahead + INGEST_AHEAD < n)
            fetch_event(&messages[ahead + INGEST_AHEAD]);
        decode(collector, partition->format->ring[ahead % INGEST_AHEAD], &messages[ahead],
               &ring[ahead % INGEST_AHEAD]);
    }
    if (i + INGEST_AHEAD / 2 < ahead) {
        const struct decoded *soon = &ring[(i + INGEST_AHEAD / 2) % INGEST_AHEAD];
        if (!soon->reason && soon->n_events)
            pending_prefetch_record(collector->pending, soon->id);
    }
    return ahead;
}

int ingest_messages(struct collector *collector, struct partition *partition,
                    const struct message *messages, size_t n, size_t *done, struct err *err)
{
    const struct message *last = NULL;
    size_t ahead = 0;
    int rc = 0;
    size_t i = 0;
    for (; i < n; i++) {
        ahead = decode_ahead(collector, partition, messages, n, i, ahead);
        struct decoded *decoded = &collector->ring[i % INGEST_AHEAD];
        int place = judge_offset(collector, partition, &messages[i]);
        if (place == 2)
            break;
        if (place == 1)
            continue;
        if (waits_for_look(collector, decoded)) {
            partition->blocked = true;
            partition->head_ts_ms = decoded->event->ts_ms;
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
