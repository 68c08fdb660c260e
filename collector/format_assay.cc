/*
 * The event path: bytes → struct event, once over the bytes, no memory taken per event.
 *
 * Two kinds of complaint: what is wrong with the JSON itself ends the walk (`fail`). What is wrong
 * with a field is noted (`fault`) and judged at the end, when the event's type is known: a system
 * event may well have a `score` that means something to its sender.
 *
 * C behind, C in front: nothing here throws.
 */
#include <cassert>
#include <cerrno>
#include <new>

#include "collector/json_walk.hh"

extern "C" {
#include "common/err.h"
}

namespace
{

enum field {
    F_TYPE,
    F_ID,
    F_TS,
    F_MODEL,
    F_VERSION,
    F_UNIT,
    F_FEATURES,
    F_SCORE,
    F_SCORES,
    F_PREDICTION,
    F_RANKING,
    F_LATENCY_MS,
    F_ERROR,
    F_SEGMENT,
    F_LABEL,
    F_CONFUSION,
    F_NAME,
    F_VALUE,
    F_HOST,
    F_VALUES,
    N_FIELDS,
    F_UNKNOWN = N_FIELDS,
};

const char *const field_names[N_FIELDS] = {
    "type",  "id",        "ts",         "model",   "version",    "unit",   "features",
    "score", "scores",    "prediction", "ranking", "latency_ms", "error",  "segment",
    "label", "confusion", "name",       "value",   "host",       "values",
};

constexpr uint32_t bit(field f)
{
    return 1U << f;
}

constexpr uint32_t every_type = bit(F_TYPE) | bit(F_TS) | bit(F_MODEL);

/* Which fields belong to which event type (contract §1); the others are unknown there. */
constexpr uint32_t fields_of[] = {
    every_type | bit(F_ID) | bit(F_VERSION) | bit(F_UNIT) | bit(F_FEATURES) | bit(F_SCORE) |
        bit(F_SCORES) | bit(F_PREDICTION) | bit(F_RANKING) | bit(F_LATENCY_MS) | bit(F_ERROR) |
        bit(F_SEGMENT),
    every_type | bit(F_ID) | bit(F_LABEL) | bit(F_CONFUSION),
    every_type | bit(F_ID) | bit(F_NAME) | bit(F_VALUE),
    every_type | bit(F_VERSION) | bit(F_HOST) | bit(F_VALUES),
};

constexpr int64_t last_ts_ms = INT64_C(253402300799999); /* end of the year 9999 */

struct fault_note {
    field at;
    reject reason;
    view name; /* the feature, class or segment inside the field; data NULL: the field itself */
};

} // namespace

struct decoder : json_walk {
    named_value *features, *scores, *segment, *values, *relevance;
    class_confusion *confusion;
    view *ranking;

    uint32_t faulty; /* fields that have a fault */
    fault_note faults[N_FIELDS];
    uint32_t n_faults;
};

namespace
{

enum {
    MAX_RANKING = EVENT_MAX_BYTES / 2,
};

/* The first complaint about a field counts. Always true: the walk goes on. */
bool fault(decoder *d, field at, reject reason, view name = {nullptr, 0})
{
    if (!(d->faulty & bit(at))) {
        d->faulty |= bit(at);
        d->faults[d->n_faults++] = {at, reason, name};
    }
    return true;
}

/* Text that stands for what JSON cannot write. */
bool is_not_finite_text(view text)
{
    return is_literal(text, "NaN", 3) || is_literal(text, "Infinity", 8) ||
           is_literal(text, "-Infinity", 9) || is_literal(text, "+Infinity", 9);
}

bool skip_wrong(decoder *d, field at, view name = {nullptr, 0})
{
    return fault(d, at, REJECT_WRONG_TYPE, name) && skip(d);
}

/* ---- values ---- */

bool take_literal(decoder *d, value *out)
{
    const view token = take(d);
    if (is_literal(token, "true", 4) || is_literal(token, "false", 5)) {
        out->kind = VALUE_BOOL;
        out->number = token.data[0] == 't';
        out->text = token;
        return true;
    }
    if (is_literal(token, "null", 4)) {
        out->kind = VALUE_NULL;
        return true;
    }
    d->token--;
    return fail_at(d, REJECT_NOT_JSON, "neither a value nor a number");
}

enum class as {
    VALUE,
    CLASS /* numbers are wanted as text too */
};

/*
 * A string, number, bool or null. A text that says NaN or Infinity is VALUE_INVALID, and so is a
 * text beyond the size of a name. A number that is not finite is a fault of the field.
 */
bool take_scalar(decoder *d, field at, view name, as wanted, value *out)
{
    *out = {};
    switch (peek(d)) {
    case '"':
        out->text = take_string(d);
        if (!out->text.data)
            return false;
        out->kind = VALUE_TEXT;
        if (out->text.size > EVENT_MAX_NAME_BYTES || is_not_finite_text(out->text))
            out->kind = VALUE_INVALID;
        return true;
    case 't':
    case 'f':
    case 'n':
        return take_literal(d, out);
    case '{':
    case '[':
        out->kind = VALUE_INVALID;
        return skip_wrong(d, at, name);
    default: {
        const number number = take_number(d);
        if (!number.valid)
            return false;
        out->kind = VALUE_NUMBER;
        out->number = number.value;
        if (!number.finite)
            return fault(d, at, REJECT_NOT_FINITE, name);
        if (wanted == as::CLASS)
            out->text = number_class(d, number);
        return true;
    }
    }
}

/* Numbers of an embedding, however deep they are nested. */
struct embedding {
    double squares = 0, sum = 0;
    uint32_t n = 0;
    bool valid = true;
};

bool take_embedding_item(decoder *d, field at, view name, embedding *sums)
{
    if (peek(d) == '[')
        return each_item(d, [&]() { return take_embedding_item(d, at, name, sums); });
    value item;
    if (!take_scalar(d, at, name, as::VALUE, &item))
        return false;
    if (item.kind == VALUE_TEXT || item.kind == VALUE_BOOL)
        return fault(d, at, REJECT_WRONG_TYPE, name);
    sums->valid &= item.kind == VALUE_NUMBER;
    sums->squares += item.number * item.number;
    sums->sum += item.number;
    sums->n++;
    return true;
}

bool take_feature(decoder *d, field at, view name, value *out)
{
    if (peek(d) != '[')
        return take_scalar(d, at, name, as::VALUE, out);
    embedding sums;
    if (!take_embedding_item(d, at, name, &sums))
        return false;
    *out = {};
    out->kind = VALUE_INVALID;
    if (!sums.valid || sums.n == 0 || !std::isfinite(sums.squares))
        return true;
    out->kind = VALUE_ARRAY;
    out->number = std::sqrt(sums.squares);
    out->mean = sums.sum / sums.n;
    out->n = sums.n;
    return true;
}

/* ---- fields ---- */

/* A text within the limit; null is absent. */
bool take_text(decoder *d, field at, uint32_t max_bytes, view *out)
{
    if (peek(d) != '"') {
        value other;
        if (!take_scalar(d, at, {nullptr, 0}, as::VALUE, &other))
            return false;
        return other.kind == VALUE_NULL || fault(d, at, REJECT_WRONG_TYPE);
    }
    const view text = take_string(d);
    *out = text;
    if (!text.data)
        return false;
    return text.size <= max_bytes || fault(d, at, REJECT_TOO_LARGE);
}

/* A finite number in min..max; null is absent. */
bool take_double(decoder *d, field at, view name, double min, double max, double *out)
{
    value item;
    if (!take_scalar(d, at, name, as::VALUE, &item))
        return false;
    if (item.kind == VALUE_NULL)
        return true;
    if (item.kind == VALUE_INVALID && is_not_finite_text(item.text))
        return fault(d, at, REJECT_NOT_FINITE, name);
    if (item.kind != VALUE_NUMBER)
        return fault(d, at, REJECT_WRONG_TYPE, name);
    *out = item.number;
    return (item.number >= min && item.number <= max) || fault(d, at, REJECT_OUT_OF_RANGE, name);
}

bool take_ts(decoder *d, int64_t *out)
{
    if (peek(d) == '"') {
        const view text = take_string(d);
        if (!text.data)
            return false;
        if (time_parse(out, text.data, text.size) || *out < 0)
            return fault(d, F_TS, REJECT_OUT_OF_RANGE);
        return true;
    }
    double ms = NAN;
    if (!take_double(d, F_TS, {nullptr, 0}, 0, (double)last_ts_ms, &ms))
        return false;
    if (std::isnan(ms) || d->faulty & bit(F_TS))
        return true;
    if (ms != std::trunc(ms))
        return fault(d, F_TS, REJECT_OUT_OF_RANGE);
    *out = (int64_t)ms; /* below 2^53: exact */
    return true;
}

/* A class: text, number or bool. `number` stays NaN where it is none. */
bool take_class(decoder *d, field at, view name, view *text, double *number)
{
    value item;
    if (!take_scalar(d, at, name, as::CLASS, &item))
        return false;
    if (item.kind == VALUE_INVALID && item.text.data)
        return fault(d, at, is_not_finite_text(item.text) ? REJECT_NOT_FINITE : REJECT_TOO_LARGE,
                     name);
    *text = item.text; /* data NULL where it is null */
    if (item.kind == VALUE_NUMBER)
        *number = item.number;
    return true;
}

bool too_long(view name)
{
    return name.size > EVENT_MAX_NAME_BYTES;
}

/* An object name → value, each by `one`. Null is absent. */
template <typename One>
bool take_map(decoder *d, field at, named_value *items, uint32_t *n, One one)
{
    if (peek(d) != '{') {
        value other;
        if (!take_scalar(d, at, {nullptr, 0}, as::VALUE, &other))
            return false;
        return other.kind == VALUE_NULL || fault(d, at, REJECT_WRONG_TYPE);
    }
    return each_member(d, [&](view name) {
        if (too_long(name))
            return fault(d, at, REJECT_TOO_LARGE) && skip(d);
        items[*n].name = name;
        return one(name, &items[(*n)++].value);
    });
}

bool take_numbers(decoder *d, field at, double min, double max, named_value *items, uint32_t *n)
{
    return take_map(d, at, items, n, [&](view name, value *out) {
        double number = NAN;
        if (!take_double(d, at, name, min, max, &number))
            return false;
        *out = {};
        out->kind = std::isnan(number) ? VALUE_NULL : VALUE_NUMBER;
        out->number = std::isnan(number) ? 0 : number;
        return true;
    });
}

bool take_segment(decoder *d, named_value *items, uint32_t *n)
{
    return take_map(d, F_SEGMENT, items, n, [&](view name, value *out) {
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
    return each_item(d, [&]() {
        view item = {nullptr, 0};
        double ignored;
        if (!take_class(d, F_RANKING, {nullptr, 0}, &item, &ignored))
            return false;
        if (!item.data)
            return fault(d, F_RANKING, REJECT_WRONG_TYPE);
        d->ranking[out->n_ranking++] = item; /* fewer than MAX_RANKING: two bytes an item */
        return true;
    });
}

bool take_confusion_of(decoder *d, view name, class_confusion *out)
{
    double counts[3] = {0, 0, 0};
    int n = 0;
    if (peek(d) != '[')
        return skip_wrong(d, F_CONFUSION, name);
    if (!each_item(d, [&]() {
            double count = NAN;
            if (!take_double(d, F_CONFUSION, name, 0, HUGE_VAL, &count))
                return false;
            if (std::isnan(count))
                fault(d, F_CONFUSION, REJECT_WRONG_TYPE, name);
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
    return each_member(d, [&](view name) {
        if (too_long(name))
            return fault(d, F_CONFUSION, REJECT_TOO_LARGE) && skip(d);
        return take_confusion_of(d, name, &d->confusion[out->n_confusion++]);
    });
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
        return take_map(d, f, d->features, &out->n_features,
                        [&](view name, value *value) { return take_feature(d, f, name, value); });
    case F_SCORE:
        return take_double(d, f, none, 0, 1, &out->score);
    case F_SCORES:
        return take_numbers(d, f, 0, 1, d->scores, &out->n_scores);
    case F_PREDICTION:
        return take_class(d, f, none, &classes->prediction, &classes->prediction_number);
    case F_RANKING:
        return take_ranking(d, out);
    case F_LATENCY_MS:
        return take_double(d, f, none, 0, HUGE_VAL, &out->latency_ms);
    case F_ERROR:
        return take_error(d, out);
    case F_SEGMENT:
        return take_segment(d, d->segment, &out->n_segment);
    case F_LABEL:
        if (peek(d) == '{')
            return take_numbers(d, f, -HUGE_VAL, HUGE_VAL, d->relevance, &out->n_relevance);
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
        return take_numbers(d, f, -HUGE_VAL, HUGE_VAL, d->values, &out->n_values);
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
        out->n_ranking = all.n_ranking;
        out->n_features = all.n_features;
        out->n_segment = all.n_segment;
        break;
    case EVENT_LABEL:
        out->n_relevance = all.n_relevance;
        out->n_confusion = all.n_confusion;
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
        out->ranking = d->ranking;
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

extern "C" enum reject event_decode(struct decoder *d, const char *bytes, size_t n,
                                    struct event *out, const char **detail)
{
    event_clear(out);
    d->failure = REJECT_NONE;
    d->depth = 0;
    d->n_keys = d->n_faults = d->faulty = 0;
    if (detail)
        *detail = d->detail;
    if (n == 0 || n > EVENT_MAX_BYTES) {
        fail(d, n ? REJECT_TOO_LARGE : REJECT_EMPTY, n ? "more than 256 KiB" : "no bytes");
        return d->failure;
    }
    if (!walk_start(d, bytes, n))
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
        });
    if (!whole || !walk_at_end(d) || judge(d, out, classes.type, root.labelled))
        return d->failure;
    assert(classes.type >= 0); /* judge refuses it otherwise */
    out->type = (event_type)classes.type;
    if (root.seen & ~fields_of[out->type])
        event_strip(out, root.seen);
    event_finish(d, out, &classes);
    if (detail)
        *detail = nullptr;
    return REJECT_NONE;
}

namespace
{

bool decoder_allocate(decoder *d)
{
    return walk_init(d) && allocate(&d->features, EVENT_MAX_KEYS) &&
           allocate(&d->scores, EVENT_MAX_KEYS) && allocate(&d->segment, EVENT_MAX_KEYS) &&
           allocate(&d->values, EVENT_MAX_KEYS) && allocate(&d->relevance, EVENT_MAX_KEYS) &&
           allocate(&d->confusion, EVENT_MAX_KEYS) && allocate(&d->ranking, MAX_RANKING);
}

} // namespace

extern "C" int decoder_new(struct decoder **out, struct err *err)
{
    decoder *d = new (std::nothrow) decoder();
    if (!d || !decoder_allocate(d)) {
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
    free(d->features);
    free(d->scores);
    free(d->segment);
    free(d->values);
    free(d->relevance);
    free(d->confusion);
    free(d->ranking);
    delete d;
}
