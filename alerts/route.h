/*
 * Who is told: the tree of `route:`, with Alertmanager's words and meaning.
 *
 * Shape    a node has matchers, a receiver and children; an alert goes to the deepest nodes that
 *          match it, the first child that matches ends the search unless it says `continue: true`
 * Units    durations: ms, wall clock
 * Owner    route_parse gives, route_free takes
 * Errors   ERR_USAGE with file, line and key; unknown receivers with the near match
 * Threads  read-only after parsing
 * Source   Alertmanager, "Configuration: <route>" (group_by, group_wait, group_interval,
 *          repeat_interval, continue, matchers)
 */
#pragma once

#include "common/buf.h"
#include "common/cleanup.h"
#include "common/config.h"
#include "common/part.h"

struct label_set { /* sorted by key */
    const struct part_pair *pairs;
    size_t n;
};

struct route_timing {
    int64_t group_wait_ms;      /* default 10s */
    int64_t group_interval_ms;  /* default 1m */
    int64_t repeat_interval_ms; /* default 4h */
};

struct route;

/* `receivers`: the names that exist. */
int route_parse(struct route **out, const struct config *config, const char *const *receivers,
                size_t n_receivers, struct err *err);
void route_free(struct route *route);
DEFINE_FREEP(route)

struct route_target {
    const char *receiver; /* lives as long as the route */
    struct route_timing timing;
};

/*
 * Calls `target` for each node the alert goes to. `group_key` names the group: the receiver and
 * the values of group_by; the same for alerts that are told together. Stops at the first non-zero.
 */
int route_match(const struct route *route, const struct label_set *labels,
                int (*target)(void *context, const struct route_target *target,
                              const char *group_key),
                void *context);

/* One matcher, also of silences and inhibition: `severity="critical"`, `!=`, `=~`, `!~`. */
struct matcher;
int matcher_parse(struct matcher **out, const char *text, struct err *err);
void matcher_free(struct matcher *matcher);
DEFINE_FREEP(matcher)
bool matcher_matches(const struct matcher *matcher, const struct label_set *labels);
