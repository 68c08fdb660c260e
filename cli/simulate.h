/*
 * A credit model in production, simulated: what `assay demo` shows when nothing real is at hand.
 *
 * Shape    a stream of events in order of event time, as the JSON of contract §1. Version v3
 * serves; v4 joins on a small share. Traffic has a daily and a weekly rhythm; labels come seconds
 *          to minutes later, a few never, a few corrected. Then three things go wrong, as in life:
 *          incomes shift in one city, the relation of inputs to label changes in one country, and
 *          v4 turns slow and failing.
 * Units    times: ms since the epoch · rate: predictions a second of event time
 * Owner    simulation_new gives, simulation_free takes; an event lives until the next call
 * Threads  one
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "common/cleanup.h"
#include "common/err.h"

struct simulation;

struct simulation_plan {
    uint64_t seed;
    int64_t start_ms;
    double rate;          /* predictions a second, averaged over a week */
    int64_t drift_ms;     /* when incomes in one city begin to shift */
    int64_t decay_ms;     /* when one country's labels stop following the model */
    int64_t release_ms;   /* when v4 begins to take release_share of the traffic */
    double release_share; /* 0..1 */
    int64_t harm_ms;      /* when v4 turns slow and failing */
};

struct simulated_event {
    int64_t ts_ms;
    const char *topic; /* "predictions" or "labels" */
    const char *key;   /* the id, so that a label lands in its prediction's partition */
    const char *json;
    size_t n; /* bytes of json */
};

int simulation_new(struct simulation **out, const struct simulation_plan *plan, struct err *err);
void simulation_free(struct simulation *simulation);
DEFINE_FREEP(simulation)

/* The next event in order of time; the stream never ends. */
int simulation_next(struct simulation *simulation, struct simulated_event *out, struct err *err);
