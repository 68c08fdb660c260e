/*
 * The life of one alert (one rule on one series): a pure state machine.
 *
 * Shape    inactive → pending (true, but not yet for `for_ms`) → firing → inactive again
 *          ("resolved"); no data is a state of its own, reached only under the policy `alert`
 * Units    times: event time, ms since the epoch · durations: ms
 * Owner    plain values; saved as columns by storage/alert_rows
 * Source   Prometheus's alerting rules (`for`, `keep_firing_for`), Grafana's no-data policies
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

enum alert_phase {
    ALERT_INACTIVE,
    ALERT_PENDING,
    ALERT_FIRING,
    ALERT_NO_DATA
};
const char *alert_phase_name(enum alert_phase phase);

enum no_data_policy {
    NO_DATA_KEEP,   /* stay as it was, and say so */
    NO_DATA_ALERT,  /* its own alert */
    NO_DATA_IGNORE, /* as if the condition were false */
};

struct alert_timing {
    int64_t for_ms;             /* true this long before it fires */
    int64_t keep_firing_for_ms; /* clear this long before it resolves */
    enum no_data_policy no_data;
};

/* What a look at the series said. Between the level and the separate clear level nothing moves. */
enum alert_sight {
    SIGHT_CLEAR,
    SIGHT_BETWEEN,
    SIGHT_BAD,
    SIGHT_NO_DATA
};

struct alert_state {
    enum alert_phase phase;
    int64_t since_ms;       /* when this phase began */
    int64_t bad_since_ms;   /* when the condition last became true; what "since when" means */
    int64_t clear_since_ms; /* while firing: since when it has been clear; -1: it is not */
    int64_t last_change_ms; /* of firing/not firing, for flap detection */
    int64_t flap_score;     /* changes of firing/not firing within the flap window */
    bool flapping;
    bool no_data; /* the last look saw nothing (policy keep: the phase stays) */
};

enum alert_event {
    ALERT_NOTHING,
    ALERT_BECAME_PENDING,
    ALERT_FIRED,
    ALERT_RESOLVED,
    ALERT_WENT_SILENT, /* no data, policy alert */
    ALERT_CAME_BACK,   /* data again after ALERT_WENT_SILENT */
    ALERT_WITHDRAWN,   /* pending, then clear: nobody was told, nobody is told */
};

struct alert_state alert_start(int64_t now_ms);

/* One look at `now_ms` (never before the last one). Changes `state`; tells what happened. */
enum alert_event alert_step(struct alert_state *state, const struct alert_timing *timing,
                            enum alert_sight sight, int64_t now_ms);

/* More changes than this within the window: flapping, told once instead of each time. */
enum {
    ALERT_FLAP_CHANGES = 6,
    ALERT_FLAP_WINDOW_MS = 3600000
};
