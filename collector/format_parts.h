/*
 * What the formats share: rows (events in Assay's own JSON) and how to make them from foreign JSON.
 * For collector/format*.c alone.
 *
 * Shape    a kind fills format->rows through row_add; format.c then decodes them one by one
 * Owner    json_t by jansson's rules, as each function says
 * Errors   REJECT_*, the detail set by format_refuse
 */
#pragma once

#include <jansson.h>

#include "collector/format.h"
#include "common/buf.h"

enum {
    FORMAT_MAX_ROWS = 4096, /* of one batch */
    FORMAT_ROW_BYTES = 16 << 20,
    FORMAT_MAX_MAPPED = 64,
};

/* `mapping: {features.income: /req/income}`, compiled. */
struct mapped {
    const char *field;   /* "features" */
    const char *name;    /* "income"; NULL: the field itself */
    const char *pointer; /* NULL: `text` is the value */
    const char *text;
    double factor; /* 1, or 1000 for …_seconds */
    bool is_text;  /* numbers become text: ids, names */
};

struct format_kind {
    const char *name;
    bool wants_headers;
    enum reject (*decode)(struct format *format, const struct format_message *message);
};

struct format {
    const struct format_kind *kind;
    const struct config_topic *topic;
    const struct config *config;
    struct decoder *decoder;
    struct mapped mapped[FORMAT_MAX_MAPPED];
    size_t n_mapped;
    const char *default_type; /* of mapped events that name none */

    struct buf rows;
    size_t starts[FORMAT_MAX_ROWS + 1];
    size_t n_rows, next_row;
    struct buf clean; /* tfserving: the text with its NaN tokens quoted */
    char detail[256];
};

enum reject format_refuse(struct format *format, enum reject reason, const char *form, ...)
    __attribute__((format(printf, 3, 4)));

/* Foreign bytes as JSON, held to the limits of events. The caller owns *out. */
enum reject foreign_parse(struct format *format, const char *bytes, size_t n, json_t **out);

/* `event` as the next row: its text is written, the object stays the caller's. */
enum reject row_add(struct format *format, json_t *event);

/* Sets a member unless the event has one (or value is NULL). Takes over `value`. */
void event_default(json_t *event, const char *field, json_t *value);
/* Model and version of the topic's configuration, where the event has none. */
void event_topic_defaults(const struct format *format, json_t *event);
/* The mapping of the topic, from `message` into `event`; what a pointer does not find is left out.
 */
void event_map(const struct format *format, json_t *message, json_t *event);
int mapping_compile(struct format *format, struct err *err);

/* A CloudEvent of either mode; data is owned by the caller, the rest borrowed from it or from the
 * message. */
struct cloud_event {
    json_t *envelope; /* structured: the whole message; else NULL */
    json_t *data;
    struct view id, type, time, model, version, endpoint;
};
enum reject cloud_event_read(struct format *format, const struct format_message *message,
                             struct cloud_event *out);
void cloud_event_finish(struct cloud_event *event);

/* What all rows of a batch share. */
struct batch_facts {
    const char *id;  /* NULL: none; a batch of n > 1 gives ID/0 … */
    json_t *message; /* what the mapping looks into */
    json_t *common;  /* members of every event: ts, model, version */
};
/* Rows of an inference request and its answer (V1, V2, columns); request may be NULL. */
enum reject inference_rows(struct format *format, json_t *request, json_t *answer,
                           const struct batch_facts *facts);

enum reject format_json_decode(struct format *format, const struct format_message *message);
enum reject format_cloudevents_decode(struct format *format, const struct format_message *message);
enum reject format_kserve_decode(struct format *format, const struct format_message *message);
enum reject format_tfserving_decode(struct format *format, const struct format_message *message);
