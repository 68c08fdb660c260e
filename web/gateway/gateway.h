/*
 * `gateway:` of the configuration: reverse proxies that serve each unit by the version that its
 * experiment wants, and tell what happened as prediction events.
 *
 * Shape    gateways_start → (gateways_reload …) → gateways_stop, which lets requests end first →
 *          gateways_free
 * Owner    gateways_start gives, gateways_free takes (NULL is fine, also for stop); the options'
 *          things are borrowed, the configuration only during the call
 * Errors   ERR_DATA names file, line and key; ERR_USAGE: an address that is taken, a certificate
 * Threads  any. `emit` is called on the gateways' threads and must not wait
 */
#pragma once

#include <stdbool.h>

#include "common/buf.h"
#include "common/clock.h"
#include "common/config.h"
#include "common/err.h"
#include "common/log.h"
#include "storage/changes.h"

struct gateways;

/* What `assay check` says of the part; with running ones also whether they can take it. */
int gateways_check(const struct gateways *running, const struct config *config, struct err *err);

struct gateways_options {
    const char *store_path; /* opened for reading */
    struct changes *changes;
    const struct clock *clock; /* NULL: the system's */
    const struct log *log;
    void *context;
    /* An event for `topic` (NULL: there is no Kafka); false: there is no room for it. */
    bool (*emit)(void *context, const char *topic, const char *key, const void *event, size_t n);
};

int gateways_start(struct gateways **out, const struct config *config,
                   const struct gateways_options *options, struct err *err);
/*
 * New settings for the same addresses, for requests from now on. Addresses, threads, certificates
 * and connection limits stay: a change of `listen` is refused.
 */
int gateways_reload(struct gateways *all, const struct config *config, struct err *err);
/* No request is taken or under way any more, no event comes; counts can still be read. */
void gateways_stop(struct gateways *all);
void gateways_free(struct gateways *all);

/* OpenMetrics lines; nothing without gateways. */
void gateways_metrics(struct gateways *all, struct buf *out);
size_t gateways_n(const struct gateways *all);
/* "http://127.0.0.1:8501" */
const char *gateways_url(const struct gateways *all, size_t i);
