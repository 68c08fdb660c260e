/*
 * One event as decoded: a prediction, label, outcome or system event of contract §1.
 *
 * Shape    plain values and views; which fields are set depends on `type`
 * Units    ts_ms: milliseconds since the epoch, EVENT_NO_TS when the event has none ·
 *          latency_ms: milliseconds · scores: probabilities
 * Owner    views and arrays live in the decoder: valid until its next event_decode; with
 *          event_decode_here, in the bytes and in a room
 * Threads  one decoder, one thread
 */
#pragma once

#include <math.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/view.h"

enum event_type {
    EVENT_PREDICTION,
    EVENT_LABEL,
    EVENT_OUTCOME,
    EVENT_SYSTEM
};

#define EVENT_NO_TS INT64_MIN
#define EVENT_MAX_PIXELS 1e12 /* of a class: a million by a million */

/* Limits of the contract and of the security checklist (failure-matrix.md, line 6). */
enum {
    EVENT_MAX_BYTES = 256 * 1024,
    EVENT_MAX_ID_BYTES = 256,
    EVENT_MAX_NAME_BYTES = 256, /* model, version, feature, class, segment … */
    EVENT_MAX_KEYS = 1024,
    EVENT_MAX_DEPTH = 16,
    EVENT_MAX_ITEMS = 1024, /* of a ranking */
};

enum value_kind {
    VALUE_ABSENT,
    VALUE_NULL,   /* missing on purpose */
    VALUE_NUMBER, /* finite */
    VALUE_TEXT,
    VALUE_BOOL,  /* number is 0 or 1, text is "true" or "false" */
    VALUE_ARRAY, /* an embedding: norm, mean, n, projected */
    /* "NaN", "Infinity", a text over 256 bytes, an array with such a part (n: how many parts) or
       without any (n 0, projected), …: invalid in this feature only */
    VALUE_INVALID,
};

struct value {
    enum value_kind kind;
    uint32_t n;              /* ARRAY: how many numbers */
    double number;           /* NUMBER, BOOL; ARRAY: its Euclidean norm */
    double mean;             /* ARRAY: mean of its numbers */
    const double *projected; /* ARRAY: the vector in the buckets of stats/projection.h */
    struct view text;        /* TEXT, BOOL; NUMBER: empty unless it was asked for as a class */
};

struct named_value {
    struct view name;
    struct value value;
};

/*
 * A class as text: the number 1, 1.0 and "1" give "1"; true gives "true" (contract §7).
 * Fields stand by meaning, at the price of 32 bytes. NOLINTNEXTLINE(clang-analyzer-optin.*)
 */
struct event {
    enum event_type type;
    int64_t ts_ms;
    struct view id;
    struct view model;   /* label, outcome: data NULL when absent */
    struct view version; /* data NULL when absent */
    struct view unit;    /* data NULL: absent */

    double score;      /* NaN: absent */
    double latency_ms; /* NaN: absent */
    bool failed;       /* `error` was given and not null */
    struct view error;

    /* prediction or label */
    struct view class_text; /* `prediction` / `label` as a class; data NULL: absent */
    double number;          /* the same as a number; NaN: not a number */

    const struct named_value *scores; /* multiclass: class → p (NUMBER) */
    uint32_t n_scores;
    const struct view *ranking; /* items in shown order; NULL: absent, not empty */
    uint32_t n_ranking;
    const struct named_value *relevance; /* label of a ranking: item → relevance (NUMBER) */
    uint32_t n_relevance;
    const struct class_confusion *confusion; /* label of a segmentation */
    uint32_t n_confusion;
    bool is_relevance, is_confusion; /* they were given, be they empty */

    struct named_value *features; /* event_validate strikes bad values out */
    uint32_t n_features;
    const struct named_value *segment;
    uint32_t n_segment;

    struct view name;                 /* outcome: its name */
    double outcome_value;             /* outcome */
    struct view host;                 /* system */
    const struct named_value *values; /* system: name → NUMBER */
    uint32_t n_values;

    uint32_t n_unknown_fields; /* counted, never an error */
};

struct class_confusion {
    struct view name;
    double tp, fp, fn; /* pixels: whole ones, up to EVENT_MAX_PIXELS */
};

/* Why an event was not taken: the words in metrics, dead letters and API answers. */
enum reject {
    REJECT_NONE,
    REJECT_NOT_JSON,        /* not_json: not valid JSON, bad UTF-8, a bare NaN, too deep */
    REJECT_WRONG_TYPE,      /* wrong_type: a field of another JSON type than the contract says */
    REJECT_UNKNOWN_TYPE,    /* unknown_type: `type` is none of the four */
    REJECT_NOT_FINITE,      /* not_finite: NaN or Infinity where a number must be finite */
    REJECT_MISSING_ID,      /* missing_id */
    REJECT_MISSING_MODEL,   /* missing_model */
    REJECT_TOO_LARGE,       /* too_large: event, id or name over the limits */
    REJECT_TOO_MANY_KEYS,   /* too_many_keys */
    REJECT_DUPLICATE_KEY,   /* duplicate_key */
    REJECT_OUT_OF_RANGE,    /* out_of_range: score not in 0..1, latency < 0, ts not a time */
    REJECT_FUTURE,          /* future: ts more than 5 minutes after the message's timestamp */
    REJECT_UNKNOWN_MODEL,   /* unknown_model: not configured and not admitted */
    REJECT_TOO_MANY_MODELS, /* too_many_models: limits.models or auto_models.max reached */
    REJECT_WRONG_TASK,      /* wrong_task: e.g. a label that is no number for a regression */
    REJECT_EMPTY,           /* empty: a message without a payload */
    REJECT_BAD_FORMAT,      /* bad_format: the topic's `format` cannot read it */
    N_REJECTS
};
const char *reject_name(enum reject reason);
const char *event_type_name(enum event_type type);

struct decoder;
struct err;

int decoder_new(struct decoder **out, struct err *err);
void decoder_free(struct decoder *decoder);
DEFINE_FREEP(decoder)

/*
 * Decodes one event of the `assay` format. Returns REJECT_NONE (0) or the reason; `detail`
 * (may be NULL) then names the field, for the dead letter: static text or in the decoder.
 * The bytes are copied (simdjson wants padding) and may go away after the call.
 */
enum reject event_decode(struct decoder *decoder, const char *bytes, size_t n, struct event *out,
                         const char **detail);

struct event_room;

enum {
    EVENT_PADDING = 64 /* bytes behind an event that is decoded where it lies: may be read */
};

/*
 * As event_decode, but where the bytes lie: they must stay as long as the event, and bytes[n]
 * becomes NUL. What the event is made of besides goes into the room, which must have place for it.
 */
enum reject event_decode_here(struct decoder *decoder, struct event_room *room, char *bytes,
                              size_t n, struct event *out, const char **detail);
