/*
 * The event path: bytes → struct event, once over the bytes, no memory taken per event.
 *
 * C behind, C in front: nothing here throws.
 */
#include <cassert>
#include <cerrno>
#include <new>

#include "collector/event_values.hh"

extern "C" {
#include "collector/event_room.h"
#include "common/err.h"
}

struct decoder : values_walk {
    char *copy; /* of an event that is not decoded where it lies */
    event_room *own;
    char *arrays_next; /* where the next array of the event at hand goes */
    named_value *features, *scores, *segment, *values, *relevance;
    class_confusion *confusion;
    key_hints feature_names;
};

namespace
{

/* An array starts where the last one ended, and ends where array_end says. One at a time. */
template <typename T> inline void array_begin(const decoder *d, T **out)
{
    *out = (T *)(void *)d->arrays_next;
}

template <typename T> inline bool array_end(decoder *d, T *end)
{
    d->arrays_next = (char *)(void *)end;
    return true;
}

/* An object name → value, each by `one`. Null is absent. */
template <typename Members, typename One>
inline bool take_members(decoder *d, field at, named_value **array, uint32_t *n, Members each,
                         One one)
{
    if (peek(d) != '{') {
        value other;
        if (!take_scalar(d, at, {nullptr, 0}, as::VALUE, &other))
            return false;
        return other.kind == VALUE_NULL || fault(d, at, REJECT_WRONG_TYPE);
    }
    array_begin(d, array);
    named_value *const items = *array;
    return each([&](view name) {
               if (too_long(name))
                   return fault(d, at, REJECT_TOO_LARGE) && skip(d);
               items[*n].name = name;
               return one(name, &items[(*n)++].value);
           }) &&
           array_end(d, items + *n);
}

template <typename One>
bool take_map(decoder *d, field at, named_value **array, uint32_t *n, One one)
{
    return take_members(
        d, at, array, n, [&](auto member) { return each_member(d, member); }, one);
}

bool take_features(decoder *d, event *out)
{
    return take_members(
        d, F_FEATURES, &d->features, &out->n_features,
        [&](auto member) { return each_member(d, &d->feature_names, member); },
        [&](view name, value *value) { return take_feature(d, F_FEATURES, name, value); });
}

bool take_numbers(decoder *d, field at, double min, double max, named_value **array, uint32_t *n)
{
    return take_map(d, at, array, n, [&](view name, value *out) {
        double number = NAN;
        if (!take_double(d, at, name, min, max, &number))
            return false;
        *out = {};
        out->kind = std::isnan(number) ? VALUE_NULL : VALUE_NUMBER;
        out->number = std::isnan(number) ? 0 : number;
        return true;
    });
}

bool take_segment(decoder *d, named_value **array, uint32_t *n)
{
    return take_map(d, F_SEGMENT, array, n, [&](view name, value *out) {
        if (!take_scalar(d, F_SEGMENT, name, as::CLASS, out))
            return false;
        if (out->kind != VALUE_INVALID || !out->text.data)
            return true;
        out->kind = VALUE_TEXT; /* a segment may well be called NaN */
        return !too_long(out->text) || fault(d, F_SEGMENT, REJECT_TOO_LARGE, name);
    });
}

bool take_ranking(decoder *d, event *out)
{
    if (peek(d) != '[') {
        value other;
        if (!take_scalar(d, F_RANKING, {nullptr, 0}, as::VALUE, &other))
            return false;
        return other.kind == VALUE_NULL || fault(d, F_RANKING, REJECT_WRONG_TYPE);
    }
    view *ranking;
    array_begin(d, &ranking);
    out->ranking = ranking;
    return each_item(d,
                     [&]() {
                         view item = {nullptr, 0};
                         double ignored;
                         if (!take_class(d, F_RANKING, {nullptr, 0}, &item, &ignored))
                             return false;
                         if (!item.data)
                             return fault(d, F_RANKING, REJECT_WRONG_TYPE);
                         if (out->n_ranking == EVENT_MAX_ITEMS)
                             return fault(d, F_RANKING, REJECT_TOO_LARGE);
                         ranking[out->n_ranking++] = item;
                         return true;
                     }) &&
           array_end(d, ranking + out->n_ranking);
}

bool take_confusion_of(decoder *d, view name, class_confusion *out)
{
    double counts[3] = {0, 0, 0};
    int n = 0;
    if (peek(d) != '[')
        return skip_wrong(d, F_CONFUSION, name);
    if (!each_item(d, [&]() {
            double count = NAN;
            if (!take_double(d, F_CONFUSION, name, 0, EVENT_MAX_PIXELS, &count))
                return false;
            if (std::isnan(count))
                fault(d, F_CONFUSION, REJECT_WRONG_TYPE, name);
            else if (count != std::trunc(count))
                fault(d, F_CONFUSION, REJECT_OUT_OF_RANGE, name);
            if (n < 3)
                counts[n] = count;
            n++;
            return true;
        }))
        return false;
    *out = {name, counts[0], counts[1], counts[2]};
    return n == 3 || fault(d, F_CONFUSION, REJECT_WRONG_TYPE, name);
}

bool take_confusion(decoder *d, event *out)
{
    if (peek(d) != '{') {
        value other;
        if (!take_scalar(d, F_CONFUSION, {nullptr, 0}, as::VALUE, &other))
            return false;
        return other.kind == VALUE_NULL || fault(d, F_CONFUSION, REJECT_WRONG_TYPE);
    }
    out->is_confusion = true;
    array_begin(d, &d->confusion);
    return each_member(d,
                       [&](view name) {
                           if (too_long(name))
                               return fault(d, F_CONFUSION, REJECT_TOO_LARGE) && skip(d);
                           return take_confusion_of(d, name, &d->confusion[out->n_confusion++]);
                       }) &&
           array_end(d, d->confusion + out->n_confusion);
}

/* What `prediction` and `label` share the struct's class for; only one of them is kept. */
struct classes {
    view prediction = {nullptr, 0}, label = {nullptr, 0};
    double prediction_number = NAN, label_number = NAN;
    int type = -1;
};

bool take_type(decoder *d, int *type)
{
    view text = {nullptr, 0};
    if (!take_text(d, F_TYPE, EVENT_MAX_BYTES, &text))
        return false;
    *type = view_is(text, "prediction") ? EVENT_PREDICTION
            : view_is(text, "label")    ? EVENT_LABEL
            : view_is(text, "outcome")  ? EVENT_OUTCOME
            : view_is(text, "system")   ? EVENT_SYSTEM
                                        : -1;
    return true;
}

bool take_error(decoder *d, event *out)
{
    if (!take_text(d, F_ERROR, EVENT_MAX_BYTES, &out->error))
        return false;
    out->failed = out->error.data != nullptr;
    return true;
}

field field_of(view key)
{
    switch (key.size) {
    case 2:
        return memcmp(key.data, "id", 2) == 0   ? F_ID
               : memcmp(key.data, "ts", 2) == 0 ? F_TS
                                                : F_UNKNOWN;
    case 4:
        return memcmp(key.data, "type", 4) == 0   ? F_TYPE
               : memcmp(key.data, "unit", 4) == 0 ? F_UNIT
               : memcmp(key.data, "name", 4) == 0 ? F_NAME
               : memcmp(key.data, "host", 4) == 0 ? F_HOST
                                                  : F_UNKNOWN;
    case 5:
        return memcmp(key.data, "model", 5) == 0   ? F_MODEL
               : memcmp(key.data, "score", 5) == 0 ? F_SCORE
               : memcmp(key.data, "error", 5) == 0 ? F_ERROR
               : memcmp(key.data, "label", 5) == 0 ? F_LABEL
               : memcmp(key.data, "value", 5) == 0 ? F_VALUE
                                                   : F_UNKNOWN;
    case 6:
        return memcmp(key.data, "scores", 6) == 0   ? F_SCORES
               : memcmp(key.data, "values", 6) == 0 ? F_VALUES
                                                    : F_UNKNOWN;
    case 7:
        return memcmp(key.data, "version", 7) == 0   ? F_VERSION
               : memcmp(key.data, "segment", 7) == 0 ? F_SEGMENT
               : memcmp(key.data, "ranking", 7) == 0 ? F_RANKING
                                                     : F_UNKNOWN;
    case 8:
        return memcmp(key.data, "features", 8) == 0 ? F_FEATURES : F_UNKNOWN;
    case 9:
        return memcmp(key.data, "confusion", 9) == 0 ? F_CONFUSION : F_UNKNOWN;
    case 10:
        return memcmp(key.data, "prediction", 10) == 0   ? F_PREDICTION
               : memcmp(key.data, "latency_ms", 10) == 0 ? F_LATENCY_MS
                                                         : F_UNKNOWN;
    default:
        return F_UNKNOWN;
    }
}

bool take_field(decoder *d, field f, event *out, classes *classes)
{
    const view none = {nullptr, 0};
    switch (f) {
    case F_TYPE:
        return take_type(d, &classes->type);
    case F_ID:
        return take_text(d, f, EVENT_MAX_ID_BYTES, &out->id);
    case F_TS:
        return take_ts(d, &out->ts_ms);
    case F_MODEL:
        return take_text(d, f, EVENT_MAX_NAME_BYTES, &out->model);
    case F_VERSION:
        return take_text(d, f, EVENT_MAX_NAME_BYTES, &out->version);
    case F_UNIT:
        return take_text(d, f, EVENT_MAX_ID_BYTES, &out->unit);
    case F_FEATURES:
        return take_features(d, out);
    case F_SCORE:
        return take_double(d, f, none, 0, 1, &out->score);
    case F_SCORES:
        return take_numbers(d, f, 0, 1, &d->scores, &out->n_scores);
    case F_PREDICTION:
        return take_class(d, f, none, &classes->prediction, &classes->prediction_number);
    case F_RANKING:
        return take_ranking(d, out);
    case F_LATENCY_MS:
        return take_double(d, f, none, 0, HUGE_VAL, &out->latency_ms);
    case F_ERROR:
        return take_error(d, out);
    case F_SEGMENT:
        return take_segment(d, &d->segment, &out->n_segment);
    case F_LABEL:
        if (peek(d) == '{') {
            out->is_relevance = true;
            return take_numbers(d, f, -HUGE_VAL, HUGE_VAL, &d->relevance, &out->n_relevance);
        }
        return take_class(d, f, none, &classes->label, &classes->label_number);
    case F_CONFUSION:
        return take_confusion(d, out);
    case F_NAME:
        return take_text(d, f, EVENT_MAX_NAME_BYTES, &out->name);
    case F_VALUE:
        return take_double(d, f, none, -HUGE_VAL, HUGE_VAL, &out->outcome_value);
    case F_HOST:
        return take_text(d, f, EVENT_MAX_NAME_BYTES, &out->host);
    case F_VALUES:
        return take_numbers(d, f, -HUGE_VAL, HUGE_VAL, &d->values, &out->n_values);
    case N_FIELDS:
        break;
    }
    out->n_unknown_fields++;
    return skip(d);
}

/* ---- the event ---- */

reject reject_at(decoder *d, reject reason, field at, const char *what, view name = {nullptr, 0})
{
    d->failure = reason;
    if (name.data)
        snprintf(d->detail, sizeof(d->detail), "%s.%.*s", field_names[at], (int)name.size,
                 name.data);
    else
        snprintf(d->detail, sizeof(d->detail), "%s%s", field_names[at], what);
    return reason;
}

/* Now that the type is known: the faults that matter to it, and what it must have. */
reject judge(decoder *d, const event *out, int type, bool labelled)
{
    const uint32_t mine = type < 0 ? bit(F_TYPE) : fields_of[type];
    for (uint32_t i = 0; i < d->n_faults; i++)
        if (mine & bit(d->faults[i].at))
            return reject_at(d, d->faults[i].reason, d->faults[i].at, "", d->faults[i].name);
    if (type < 0)
        return reject_at(d, REJECT_UNKNOWN_TYPE, F_TYPE, "");
    if (type != EVENT_SYSTEM && out->id.size == 0)
        return reject_at(d, REJECT_MISSING_ID, F_ID, "");
    if ((type == EVENT_PREDICTION || type == EVENT_SYSTEM) && out->model.size == 0)
        return reject_at(d, REJECT_MISSING_MODEL, F_MODEL, "");
    if (type == EVENT_OUTCOME && out->name.size == 0)
        return reject_at(d, REJECT_WRONG_TYPE, F_NAME, " is missing");
    if (type == EVENT_OUTCOME && std::isnan(out->outcome_value))
        return reject_at(d, REJECT_WRONG_TYPE, F_VALUE, " is missing");
    if (type == EVENT_LABEL && !labelled)
        return reject_at(d, REJECT_WRONG_TYPE, F_LABEL, " is missing");
    return REJECT_NONE;
}

void event_clear(event *out)
{
    *out = {};
    out->ts_ms = EVENT_NO_TS;
    out->score = out->latency_ms = out->number = out->outcome_value = NAN;
}

/* Takes out what another type of event would have had: unknown fields here. */
void event_strip(event *out, uint32_t seen)
{
    const uint32_t foreign = seen & ~fields_of[out->type];
    const event all = *out;
    event_clear(out);
    out->type = all.type;
    out->ts_ms = all.ts_ms;
    out->model = all.model;
    out->n_unknown_fields = all.n_unknown_fields + (uint32_t)__builtin_popcount(foreign);
    if (out->type != EVENT_SYSTEM)
        out->id = all.id;
    if (out->type == EVENT_PREDICTION || out->type == EVENT_SYSTEM)
        out->version = all.version;
    switch (out->type) {
    case EVENT_PREDICTION:
        out->unit = all.unit;
        out->score = all.score;
        out->latency_ms = all.latency_ms;
        out->failed = all.failed;
        out->error = all.error;
        out->n_scores = all.n_scores;
        out->ranking = all.ranking;
        out->n_ranking = all.n_ranking;
        out->n_features = all.n_features;
        out->n_segment = all.n_segment;
        break;
    case EVENT_LABEL:
        out->n_relevance = all.n_relevance;
        out->n_confusion = all.n_confusion;
        out->is_relevance = all.is_relevance;
        out->is_confusion = all.is_confusion;
        break;
    case EVENT_OUTCOME:
        out->name = all.name;
        out->outcome_value = all.outcome_value;
        break;
    case EVENT_SYSTEM:
        out->host = all.host;
        out->n_values = all.n_values;
        break;
    }
}

/* Points the event at its arrays and its class; an empty text is an absent one. */
void event_finish(const decoder *d, event *out, const classes *classes)
{
    if (out->model.size == 0)
        out->model = {nullptr, 0};
    if (out->unit.size == 0)
        out->unit = {nullptr, 0};
    switch (out->type) {
    case EVENT_PREDICTION:
        out->class_text = classes->prediction;
        out->number = classes->prediction_number;
        out->scores = d->scores;
        out->features = d->features;
        out->segment = d->segment;
        break;
    case EVENT_LABEL:
        out->class_text = classes->label;
        out->number = classes->label_number;
        out->relevance = d->relevance;
        out->confusion = d->confusion;
        break;
    case EVENT_OUTCOME:
        break;
    case EVENT_SYSTEM:
        out->values = d->values;
        break;
    }
}

/* The event's own object. */
struct root {
    uint32_t seen; /* fields, as bits: finds the duplicates of known keys at no cost */
    uint32_t n_keys;
    field now;
    bool labelled; /* something was given as the label */
};

inline bool root_key_is_new(decoder *d, key_scope *scope, view key, root *root)
{
    root->now = field_of(key);
    if (++root->n_keys > EVENT_MAX_KEYS)
        return fail(d, REJECT_TOO_MANY_KEYS, "more than 1024 keys in one object");
    if (root->now == F_UNKNOWN)
        return key_is_new(d, scope, key);
    if (root->seen & bit(root->now))
        return fail(d, REJECT_DUPLICATE_KEY, "the same key twice in one object");
    root->seen |= bit(root->now);
    return true;
}

} // namespace

extern "C" enum reject event_decode_here(struct decoder *d, struct event_room *room, char *bytes,
                                         size_t n, struct event *out, const char **detail)
{
    event_clear(out);
    d->failure = REJECT_NONE;
    d->depth = 0;
    d->n_keys = d->n_faults = d->faulty = d->n_projections = 0;
    d->arrays_next = room->arrays_next;
    d->projections = room->projections_next;
    if (detail)
        *detail = d->detail;
    if (n == 0 || n > EVENT_MAX_BYTES) {
        fail(d, n ? REJECT_TOO_LARGE : REJECT_EMPTY, n ? "more than 256 KiB" : "no bytes");
        return d->failure;
    }
    assert(event_room_has(room, n));
    if (!walk_start(d, bytes, n, room->texts_next))
        return d->failure;
    if (peek(d) != '{') {
        if (skip(d) && walk_at_end(d))
            fail(d, REJECT_WRONG_TYPE, "the event is not an object");
        return d->failure;
    }

    classes classes;
    root root = {};
    const bool whole = each_member(
        d, [&](key_scope *scope, view key) { return root_key_is_new(d, scope, key, &root); },
        [&](view) {
            if ((root.now == F_LABEL || root.now == F_CONFUSION) && peek(d) != 'n')
                root.labelled = true;
            return take_field(d, root.now, out, &classes);
        },
        [](const key_scope *) {});
    if (!whole || !walk_at_end(d) || judge(d, out, classes.type, root.labelled))
        return d->failure;
    assert(classes.type >= 0); /* judge refuses it otherwise */
    out->type = (event_type)classes.type;
    if (root.seen & ~fields_of[out->type])
        event_strip(out, root.seen);
    event_finish(d, out, &classes);
    room->arrays_next = d->arrays_next;
    room->projections_next += PROJECTION_BUCKETS * d->n_projections;
    room->texts_next = d->texts_next;
    if (detail)
        *detail = nullptr;
    return REJECT_NONE;
}

extern "C" enum reject event_decode(struct decoder *d, const char *bytes, size_t n,
                                    struct event *out, const char **detail)
{
    event_room_clear(d->own);
    if (n > 0 && n <= EVENT_MAX_BYTES) {
        memcpy(d->copy, bytes, n);
        memset(d->copy + n, 0, EVENT_PADDING);
    }
    return event_decode_here(d, d->own, d->copy, n, out, detail);
}

extern "C" int decoder_new(struct decoder **out, struct err *err)
{
    decoder *d = new (std::nothrow) decoder();
    if (!d || !walk_init(d) || !allocate(&d->copy, EVENT_MAX_BYTES + EVENT_PADDING) ||
        event_room_new(&d->own, 0, nullptr)) {
        decoder_free(d);
        return err_set(err, -ENOMEM, "decoder: no memory");
    }
    *out = d; /* the caller owns it now */
    return 0;
}

extern "C" void decoder_free(struct decoder *d)
{
    if (!d)
        return;
    walk_finish(d);
    free(d->copy);
    event_room_free(d->own);
    delete d;
}
