/*
 * assay.yaml, checked: every key of contract §2 as plain structs, one table of keys behind it
 * (name, type, range, default, one line of help) in common/config_keys.c.
 *
 * Units    durations: ms · sizes: bytes · rates: fractions · weights: percent 0..100
 * Owner    config_read gives, config_free takes; everything inside lives as long as the config.
 *          Objects whose meaning belongs to a room (experiments, alerts, receivers, route,
 *          gateway, actuators, sinks) are kept as JSON text with their line, checked by that room.
 *          Paths (also of *_file keys) are relative to the configuration file
 * Errors   `FILE:LINE: models[0].threshold: 1.7 is not in 0..1`: unknown key (with the near
 *          match), wrong type, out of range, missing environment variable, unreadable *_file
 * Threads  read-only after reading; a share may be taken and given back by any
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

struct config_pair {
    const char *key;
    const char *value;
    int line;
};

/* What is kept of an event that was refused. */
enum dead_letter_payload {
    PAYLOAD_WHOLE, /* its first 4 KiB */
    PAYLOAD_MASKED,
    PAYLOAD_NONE,
};

enum on_recreated {
    RECREATED_STOP,
    RECREATED_EARLIEST
};

struct config_topic {
    const char *name;
    const char *format; /* assay | kserve | tfserving | cloudevents | json */
    bool start_latest;  /* `start: latest`; only used the first time */
    enum on_recreated on_recreated;
    const char *model; /* formats that carry no model name */
    const char *version;
    const struct config_pair *mapping; /* format json: field → JSON pointer */
    size_t n_mapping;
};

struct config_kafka {
    const char *brokers; /* NULL: no kafka section, events by HTTP alone */
    const char *group;
    const struct config_pair *properties; /* librdkafka properties, passed through */
    size_t n_properties;
    const struct config_topic *topics;
    size_t n_topics;
    const char *dead_letter; /* topic; NULL: the dead_letter table */
};

enum feature_type {
    FEATURE_AUTO,
    FEATURE_NUMERIC,
    FEATURE_CATEGORICAL,
    FEATURE_EMBEDDING
};

struct config_feature {
    const char *name;
    enum feature_type type;
    double min, max; /* NaN: no bound */
    bool required;
    const char *const *values; /* allowed categories; n_values 0: any */
    size_t n_values;
};

struct config_metric { /* custom metric: exactly one of outcome and expr */
    const char *name;
    const char *outcome;
    const char *expr;
    const char *per; /* prediction | unit */
    const char *agg; /* rate | sum | mean */
    int line;
};

struct config_drift {
    const char *method; /* auto, … as in contract §2 */
    double false_alarm_rate;
    double min_effect;
};

struct config_changes {
    int64_t expected_run_time;  /* events between two false alarms; 0: nothing is watched */
    const char *const *metrics; /* n_metrics 0: the rates, mae, and the model's own of outcomes */
    size_t n_metrics;
    const char *const *segments; /* keys whose slices are watched, too */
    size_t n_segments;
    const char *const *segment_features; /* that are watched in these slices */
    size_t n_segment_features;
    bool features;
};

struct config_reference {
    const char *file;       /* or */
    int64_t from_ms, to_ms; /* or */
    const char *version;    /* or */
    int64_t trailing_ms;    /* 0: none */
    const char *rhythm;     /* of trailing: none | day | week */
};

struct config_model {
    const char *name;
    const char *task;         /* binary | multiclass | regression | ranking | segmentation */
    const char *positive;     /* canonical text of the positive class; default "1" */
    double threshold;         /* default 0.5 */
    int64_t label_horizon_ms; /* default 7d */
    int64_t window_ms;        /* 1m */
    const char *timezone;     /* for rhythms; default UTC */
    const struct config_feature *features;
    size_t n_features;
    const char *const *segments;
    size_t n_segments;
    const struct config_metric *metrics;
    size_t n_metrics;
    struct config_reference reference;
    struct config_drift drift;
    struct config_changes changes;
    int line;
};

struct config_auto_models {
    const char *task; /* NULL: unknown models are rejected */
    int64_t max;
    int64_t label_horizon_ms;
};

/* A part of the file that its own room checks, as JSON text. */
struct config_part {
    const char *json; /* an array or object; "[]" or "{}" when absent */
    int line;
    const int *item_lines; /* of an array: the line of each item */
    size_t n_items;
};

struct config_http {
    const char *address;            /* 127.0.0.1 */
    int port;                       /* 8080; 0: any free one */
    const char *tls_cert, *tls_key; /* paths; NULL: no TLS */
    const char *tokens;             /* path; NULL: no tokens */
    bool insecure;
    const char *const *hosts; /* names that Host may have besides our own */
    size_t n_hosts;
    const char *public_url; /* of the page, for links; NULL: the address it listens on */
    int64_t max_connections, max_per_address, max_streams_per_token, max_rate;
    int line; /* 0: the section is not there */
};

struct config_scrape {
    const char *url, *model;
    const char *version;         /* or */
    const char *version_label;   /* the label whose value tells it, */
    const char *version_pattern; /* where `{version}` stands; NULL: the whole value */
    int64_t interval_ms, timeout_ms;
    bool allow_private;
    const char *token_file, *ca_file; /* NULL: none */
    const struct config_pair *values; /* system value → series, or rate(series) */
    size_t n_values;
    int line;
};

struct config_limits {
    int64_t models, slices, categories;
    int64_t pending_memory; /* bytes */
};

struct config {
    const char *path;
    const char *storage_path;
    int64_t retention_ms[3];          /* 1m, 1h, 1d panes */
    int64_t dead_letter_retention_ms; /* default 7d */
    enum dead_letter_payload dead_letter_payload;
    struct config_http http;
    struct config_kafka kafka;
    const struct config_model *models;
    size_t n_models;
    struct config_auto_models auto_models;
    const struct config_scrape *scrape;
    size_t n_scrape;
    struct config_limits limits;
    struct config_part alerts, receivers, route, experiments, gateway, actuators, sinks;
};

int config_read(struct config **out, const char *path, struct err *err);
/* The same from text; `path` is only for messages. Tests and demo use it. */
int config_parse(struct config **out, const char *path, const char *yaml, size_t n,
                 struct err *err);
/* What a database keeps of one, maybe of another machine: its time zones need not be here. */
int config_parse_stored(struct config **out, const char *path, const char *json, size_t n,
                        struct err *err);
void config_free(struct config *config); /* the last owner's frees it */
/* One owner more; any thread may be that. */
struct config *config_share(const struct config *config);
DEFINE_FREEP(config)

/* `assay check`: as config_read, but tells every complaint, not only the first. */
int config_check(const char *path, void (*tell)(void *context, const char *complaint),
                 void *context, struct err *err);

/*
 * A secret from a file: its text without the newline at its end, at most 64 KiB. The caller frees
 * it, and wipes it first. Messages name the file, never what is in it.
 */
int config_secret_read(char **out, const char *path, struct err *err);

const struct config_model *config_model_find(const struct config *config, const char *name);
