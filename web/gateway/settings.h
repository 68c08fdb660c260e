/*
 * One item of `gateway:`, checked, with its defaults.
 *
 * Shape    gateway_settings_read gives all items of a configuration, in order
 * Units    *_ms: milliseconds · *_bytes: bytes
 * Owner    counted references: settings_take, settings_drop; texts live as long as the settings.
 *          gateway_settings_read gives one reference of each item
 * Errors   `FILE:LINE: gateway[0].timeout: …`, ERR_DATA
 * Threads  read-only after reading; references may be dropped anywhere
 * Defaults default: the first upstream · timeout 5s · idempotent false · max_body 8MiB ·
 *          max_concurrent 256 an upstream · connections 1000 · error_status 400 · threads 2 ·
 *          methods POST · topic: the first of `kafka.topics` with format assay · drain 10s
 */
#pragma once

#include <jansson.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "common/config.h"
#include "common/err.h"
#include "web/gateway/place.h"

enum {
    GATEWAYS_MAX = 16,
    UPSTREAMS_MAX = 16,
    FIELDS_MAX = 256,
    VERSION_MAX_BYTES = 128,
    UNIT_MAX_BYTES = 256, /* units and ids, as events have them */
};

struct upstream {
    const char *version;
    char *base;       /* "http://host:8501/prefix", no slash at its end */
    const char *path; /* replaces the request's path; NULL: the request's own */
};

/* A member of the event and the pointer to what it is made of. */
struct field {
    const char *name;
    const char *pointer;
};

struct fields {
    const char *pointer; /* one pointer to the whole object; NULL: items */
    struct field *items;
    size_t n;
};

struct gateway_settings {
    atomic_int references;
    json_t *json; /* the item; texts are borrowed from it */
    const char *listen;
    char address[256];
    int port; /* 0: any free one */
    const char *tls_cert, *tls_key;
    const char *ca; /* whom upstreams' certificates are believed from; NULL: the system's */
    const char *model;
    const char *experiment; /* NULL: the newest of the model */
    struct place unit, id;
    struct upstream upstreams[UPSTREAMS_MAX];
    size_t n_upstreams;
    int standard; /* index of `default` */
    int64_t timeout_ms, drain_ms;
    int64_t max_body_bytes;
    int64_t max_concurrent, connections, threads;
    int64_t error_status; /* an upstream's status from here on is an error */
    bool idempotent;
    const char *topic;
    const char *methods[8]; /* of which events are made */
    size_t n_methods;
    struct fields features, segment;         /* in the request */
    const char *prediction, *score, *scores; /* pointers into the answer; NULL: none */
    const char *rows; /* pointer to the request's list of rows; NULL: a request is one prediction */
};

struct gateway_list {
    struct gateway_settings *items[GATEWAYS_MAX];
    size_t n;
};

int gateway_settings_read(struct gateway_list *out, const struct config *config, struct err *err);
void gateway_list_finish(struct gateway_list *list);

struct gateway_settings *settings_take(struct gateway_settings *settings);
void settings_drop(struct gateway_settings *settings);

/* The upstream of a version, or -1. */
int upstream_find(const struct gateway_settings *settings, const char *version);
