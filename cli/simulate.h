/*
 * A credit model in production, simulated: what `assay demo` shows when nothing real is at hand.
 *
 * Shape    a stream of events in order of event time, as the JSON of contract §1. Traffic has a
 *          daily and a weekly rhythm; labels come seconds to minutes later, a few never, a few
 *          corrected. Version v2 serves, then v3. Three things go wrong, as in life: incomes shift
 *          in one city, in one country labels stop following the model, and v4, which takes the
 *          units that simulation_split says, times out once it takes a fifth of the traffic
 * Units    times: ms since the epoch · rate: predictions a second of event time · weight: percent
 * Owner    simulation_new gives, simulation_free takes; an event lives until the next call
 * Threads  one
 * Source   who is served v4: contract §6
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
    double rate;        /* predictions a second, averaged over a week */
    int64_t peak_ms;    /* any moment at the busiest time of the day */
    int64_t upgrade_ms; /* when v3 takes over from v2 */
    int64_t drift_ms;   /* when incomes in one city begin to shift */
    int64_t decay_ms;   /* when one country's labels stop following the model */
    const char *salt;   /* of the experiment that splits traffic between v3 and v4 */
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

/* From the next prediction on, v4 serves the units whose bucket is below weight / 100. */
void simulation_split(struct simulation *simulation, double weight);
