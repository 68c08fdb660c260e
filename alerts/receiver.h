/*
 * The receivers of `receivers:`, parsed and checked: where notifications go.
 *
 * Owner    receiver_set_parse and receiver_set_hold give, receiver_set_free takes; the last one
 *          wipes the secrets: a request under way keeps its set over a reload
 * Errors   ERR_USAGE with file, line and key
 * Threads  read-only after parsing; hold and free: any
 */
#pragma once

#include "alerts/sign.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/part.h"

enum receiver_type {
    RECEIVER_WEBHOOK,
    RECEIVER_SLACK,
    RECEIVER_PAGERDUTY,
    RECEIVER_OPSGENIE,
    RECEIVER_ALERTMANAGER,
    RECEIVER_TEAMS,
    RECEIVER_TEMPLATE,
    N_RECEIVER_TYPES,
};
const char *receiver_type_name(enum receiver_type type);

struct receiver {
    const char *name;
    enum receiver_type type;
    const char *url;                     /* http or https */
    const char *proxy;                   /* NULL: none; the environment is not asked */
    const char *ca_file;                 /* NULL: the system's */
    bool allow_private;                  /* loopback and private addresses, after resolution */
    int64_t timeout_ms;                  /* of one attempt; default 15s */
    struct sign_key keys[SIGN_MAX_KEYS]; /* webhook: secret_file, one secret a line */
    size_t n_keys;
    const char *token;        /* pagerduty routing key, opsgenie key, bearer; NULL: none */
    const char *body;         /* template */
    const char *content_type; /* template; default application/json */
    const char *method;       /* template; default POST */
};

struct receiver_set;

int receiver_set_parse(struct receiver_set **out, const struct config *config, struct err *err);
struct receiver_set *receiver_set_hold(struct receiver_set *set); /* the same one */
void receiver_set_free(struct receiver_set *set);
DEFINE_FREEP(receiver_set)

size_t receiver_set_count(const struct receiver_set *set);
const struct receiver *receiver_set_at(const struct receiver_set *set, size_t index);
const struct receiver *receiver_set_find(const struct receiver_set *set, const char *name);
/* Their names, as route_parse wants them; live as long as the set. */
const char *const *receiver_set_names(const struct receiver_set *set);
