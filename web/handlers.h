/*
 * The handlers that the table of routes points at, and the context they run in.
 *
 * Shape    a handler reads (input, context) and writes answer->body, content_type and, when it is
 *          not the route's, status. It knows no HTTP beyond the status
 * Errors   as in web/api.h; what a handler returns below 0 becomes problem+json
 * Threads  one worker, one context
 */
#pragma once

#include "storage/store.h"
#include "web/routes.h"

struct assigned;
struct changes;

struct api_context {
    const struct config *config; /* while a handler runs; may be NULL */
    struct config *(*config_now)(void *web);
    struct config *stored; /* where config is NULL: what the database keeps; the context's own */
    const struct clock *clock;
    struct web_commands commands;
    struct drift_cache *drift_cache; /* may be NULL */
    struct memo *memo;               /* may be NULL */
    char *store_path;
    struct store *store;       /* opened when first asked for */
    struct changes *changes;   /* NULL: none to wait for */
    struct assigned *assigned; /* made when first asked for */
    /* The server's own counters as OpenMetrics lines; NULL without a server. */
    void (*web_metrics)(void *web, struct buf *out);
    bool (*stopping)(void *web); /* whoever waits should end; NULL: never */
    void *web;
    /* Nobody waits for the answer: it is given up once this says so. NULL: somebody does. */
    bool (*background)(void *asker);
    void *asker;
};

/* The store, opened for reading. */
int context_store(struct api_context *context, struct store **out, struct err *err);
/* What the last window of an answer holds unless the question says: up to where events are complete,
   now before there are any. */
int64_t context_newest_ms(const struct api_context *context, int64_t complete_ms);

route_handler api_models, api_model, api_versions, api_put_version, api_delete_model, api_slices;
route_handler api_metrics, api_curves;
route_handler api_changes, api_drift, api_distribution, api_explain, api_put_reference,
    api_references, api_forget_reference;
route_handler api_events;
route_handler api_system;
route_handler api_dead_letters;
route_handler api_alerts, api_alert_rules, api_alert_history, api_silences, api_deliveries;
route_handler api_post_silence, api_delete_silence, api_ack_alert, api_send_again;
route_handler api_test_receiver;
route_handler alertmanager_silences, alertmanager_silence, alertmanager_post_silence;
/* What people do to alerts, by the word of web_commands.alert (api_alerts.c) */
int alert_operate(struct api_context *context, const struct api_input *input, const char *action,
                  const char *subject, struct api_answer *answer, struct err *err);
route_handler api_experiments, api_experiment, api_create_experiment, api_command_experiment;
route_handler api_experiment_history, api_experiment_looks, api_audit, api_assignment, api_verdict;
route_handler api_gate_experiment, api_gate_rollback, api_gate_model;
route_handler ofrep_flag, ofrep_flags;
/* "reference": {"id":…,"n":…,"segment":…,"source":…,"created":…} or null (api_reference.c) */
struct profile_model;
void write_reference(struct buf *out, const struct profile_model *model);
/* What a change in `slice` ("": the whole) was compared with; null: from before that was kept. What a
   slice has learned is of it alone, loaded events are all of them. */
struct change_reference;
void write_change_reference(struct buf *out, const struct change_reference *reference,
                            const char *slice);
/* "KEY": {"before":…,"now":…,"difference":…,"lower":…,"upper":…} (api_explain.c) */
struct rate_change;
void write_rate_change(struct buf *out, const char *key, const struct rate_change *change);

route_handler health_healthy, health_ready;
route_handler openmetrics;
route_handler openapi;

/* Of api_drift.c: the model never had that feature; the near one is named. */
int refuse_feature(struct api_answer *answer, struct err *err, const char *name,
                   const char *const *features, size_t n);
