/*
 * A simulated rollout through the real decision code: events by the second, evidence, a look at
 * every second, the ramp that follows, and what naive rules would have done beside it.
 *
 * Shape    a plan says how units come and fail; simulate_run plays one seed to its end
 * Units    rates: failures an event, fractions · seconds of event time
 * Owner    simulation_new gives, simulation_free takes; a result is a plain value
 * Errors   NULL without memory; the program is a bench and stops there
 * Threads  a simulation belongs to one thread
 */
#pragma once

#include "abtest/decide.h"

enum {
    SIMULATE_STEPS = 4
};

struct simulate_plan {
    const char *experiment;        /* JSON of the experiment object */
    double rate_a[SIMULATE_STEPS]; /* control's failure rate while in step s */
    double rate_b[SIMULATE_STEPS]; /* treatment's */
    int events_per_second;
    int seconds;      /* at most */
    int users;        /* 0: every event is a new unit; else so many, lognormal */
    double icc;       /* correlation of one user's outcomes */
    bool labels;      /* each event is labelled at once: wrong where it would have failed */
    double split_off; /* added to the share that is really served (SRM), fraction */
};

struct simulate_result {
    enum ramp_phase phase; /* at the end: running, promoted or rolled back */
    int step;
    int seconds;       /* when it ended */
    int64_t units;     /* treatment units until then */
    int64_t excess;    /* failures the treatment caused beyond control's rate */
    bool srm;          /* a look held for the sample ratio */
    int64_t srm_units; /* units of both arms at that look */
    bool naive_harm;   /* pooled z at 1.645 (or alpha's) at some look */
    bool naive_safe;   /* z for non-inferiority by the margin at some look */
    bool window_harm;  /* five windows of 60 s above 3 % */
};

struct simulation;
struct simulation *simulation_new(const struct simulate_plan *plan);
void simulation_free(struct simulation *simulation);
struct simulate_result simulate_run(struct simulation *simulation, uint64_t seed);
