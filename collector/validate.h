/*
 * A model's features, compiled: what the schema in assay.yaml says of each, and a number for every
 * feature that was ever seen. A value that violates the schema is struck out and counted by
 * (feature, reason); the rest of the event counts.
 *
 * Shape    feature numbers are dense, from 0: first those of the configuration in its order, then
 *          others as they come (or as feature_register gives them), up to max_features
 * Units    min, max: the feature's own
 * Owner    feature_schema_new gives, feature_schema_free takes; it copies what it needs of the
 *          configuration. Names live as long as the schema; texts that event_validate makes, until
 *          its next call
 * Errors   as in common/err.h; the hot path takes no memory but for a feature never seen before
 * Threads  one at a time
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "collector/event.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/err.h"

enum {
    VALIDATE_MAX_FEATURES = 1000, /* of one model, where nothing else is said */
};
#define FEATURE_NONE UINT32_MAX /* no number: beyond max_features, or a reserved name */

enum violation {
    VIOLATION_TYPE,     /* type: a text for a number, an array without any … */
    VIOLATION_RANGE,    /* range: below min or above max */
    VIOLATION_CATEGORY, /* category: none of the values that are allowed */
    VIOLATION_NAN,      /* nan: "NaN", "Infinity", an embedding with such a part */
    VIOLATION_REQUIRED, /* required: absent or null */
    N_VIOLATIONS
};
const char *violation_name(enum violation violation);

struct feature_schema;

/* `model` may be NULL: nothing is known of its features (auto_models). */
int feature_schema_new(struct feature_schema **out, const struct config_model *model,
                       uint32_t max_features, struct err *err);
void feature_schema_free(struct feature_schema *schema);
DEFINE_FREEP(feature_schema)

uint32_t feature_count(const struct feature_schema *schema);
struct view feature_name(const struct feature_schema *schema, uint32_t feature);
enum feature_type feature_type(const struct feature_schema *schema, uint32_t feature);

/* The feature's number; it gets one when it is new and there is room. FEATURE_NONE: there is none
 * (or no memory for it). */
uint32_t feature_register(struct feature_schema *schema, struct view name);

/*
 * Checks the event's features in place: a value that violates the schema becomes VALUE_INVALID,
 * its reason in value.n; a categorical number becomes VALUE_TEXT. features[i] is the number of the
 * i-th feature (room for n_features of them), FEATURE_NONE where it has none: that counts as an
 * unknown field.
 */
void event_validate(struct feature_schema *schema, struct event *event, uint32_t *features);

/* How often since the schema was made, or since violations_clear. */
uint64_t violation_count(const struct feature_schema *schema, uint32_t feature,
                         enum violation violation);
void violations_clear(struct feature_schema *schema);

/*
 * The event's time: its own ts, else the message's. REJECT_FUTURE when ts is more than 5 minutes
 * after message_ms; message_ms of EVENT_NO_TS judges nothing (files), and an event that has no
 * time from anywhere is REJECT_OUT_OF_RANGE.
 */
enum reject event_time(struct event *event, int64_t message_ms);

/* Refused events by reason. */
struct reject_counts {
    uint64_t n[N_REJECTS];
};
static inline void reject_count(struct reject_counts *counts, enum reject reason)
{
    counts->n[reason]++;
}
