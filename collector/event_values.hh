/*
 * The values of an event's fields: texts, numbers, classes, features, each with its limits. C++,
 * included by format_assay.cc alone.
 *
 * Two kinds of complaint: what is wrong with the JSON itself ends the walk (`fail`). What is wrong
 * with a field is noted (`fault`) and judged at the end, when the event's type is known: a system
 * event may well have a `score` that means something to its sender.
 */
#pragma once

#include "collector/json_walk.hh"
#include "stats/projection.h"

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

struct values_walk : json_walk {
    double *projections; /* PROJECTION_BUCKETS of each array of the event */
    uint32_t n_projections;
    uint32_t faulty; /* fields that have a fault */
    fault_note faults[N_FIELDS];
    uint32_t n_faults;
};

/* The first complaint about a field counts. Always true: the walk goes on. */
bool fault(values_walk *d, field at, reject reason, view name = {nullptr, 0})
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

bool skip_wrong(values_walk *d, field at, view name = {nullptr, 0})
{
    return fault(d, at, REJECT_WRONG_TYPE, name) && skip(d);
}

/* ---- values ---- */

bool take_literal(values_walk *d, value *out)
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

/* A number of any kind. */
bool take_scalar_number(values_walk *d, field at, view name, as wanted, value *out)
{
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

/*
 * A string, number, bool or null. A text that says NaN or Infinity is VALUE_INVALID, and so is a
 * text beyond the size of a name. A number that is not finite is a fault of the field.
 */
bool take_scalar(values_walk *d, field at, view name, as wanted, value *out)
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
    default:
        if (wanted == as::VALUE && plain_value(look(d), &out->number)) {
            out->kind = VALUE_NUMBER;
            d->token++;
            return true;
        }
        return take_scalar_number(d, at, name, wanted, out);
    }
}

/* Numbers of an embedding, however deep they are nested. */
struct embedding_sums {
    double *projected;
    double squares = 0, sum = 0;
    uint32_t n = 0;
    bool valid = true;
};

bool take_embedding_item(values_walk *d, field at, view name, embedding_sums *sums)
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
    projection_add(sums->projected, sums->n, item.number);
    sums->n++;
    return true;
}

/* Room for one more array: there are no more of them than keys. */
double *projection_new(values_walk *d)
{
    double *const room = d->projections + PROJECTION_BUCKETS * d->n_projections++;
    memset(room, 0, PROJECTION_BUCKETS * sizeof(*room));
    return room;
}

bool take_feature(values_walk *d, field at, view name, value *out)
{
    if (peek(d) != '[')
        return take_scalar(d, at, name, as::VALUE, out);
    embedding_sums sums = {projection_new(d)};
    if (!take_embedding_item(d, at, name, &sums))
        return false;
    *out = {};
    out->kind = VALUE_INVALID;
    out->projected = sums.projected;
    out->n = sums.n;
    if (!sums.valid || sums.n == 0 || !std::isfinite(sums.squares))
        return true;
    out->kind = VALUE_ARRAY;
    out->number = std::sqrt(sums.squares);
    out->mean = sums.sum / sums.n;
    return true;
}

/* ---- fields ---- */

/* A text within the limit; null is absent. */
bool take_text(values_walk *d, field at, uint32_t max_bytes, view *out)
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
bool take_double(values_walk *d, field at, view name, double min, double max, double *out)
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

bool take_ts(values_walk *d, int64_t *out)
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
bool take_class(values_walk *d, field at, view name, view *text, double *number)
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

} // namespace
