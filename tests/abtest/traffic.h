/*
 * An experiment with evidence, a situation and traffic in event time, for the tests of what is
 * decided by them.
 *
 * Owner    world_of gives, world_end takes
 */
#pragma once

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "abtest/decide.h"
#include "common/rng.h"
#include "stats/bucket.h"
#include "tests/test.h"

#define SECOND INT64_C(1000)

struct world {
    struct experiment *experiment;
    struct evidence *evidence;
    struct situation now;
    struct rng rng;
    int next_unit;
};

static inline struct world world_of(const char *more)
{
    char text[2048];
    snprintf(text, sizeof(text),
             "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
             "\"steps\":[{\"weight\":50,\"min_duration\":\"1m\",\"min_units\":100},"
             "{\"weight\":100,\"min_duration\":\"1m\"}],%s}",
             more);
    struct world w = {.rng = rng_of(8)};
    struct err err;
    if (experiment_parse_text(&w.experiment, text, strlen(text), &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(evidence_new(&w.evidence, w.experiment, 0, NULL), 0);
    w.now.ramp = ramp_draft();
    w.now.now = (struct ramp_now){1000 * SECOND, 1000 * SECOND};
    ramp_command(&w.now.ramp, w.experiment, COMMAND_START, 0, w.now.now, NULL);
    return w;
}

static inline void world_end(struct world *w)
{
    experiment_free(w->experiment);
    evidence_free(w->evidence);
}

#define ERROR_RATE "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}]"

/* One event of a new unit, in the arm its bucket says. */
static inline enum arm_served event(struct world *w, const struct observation *control,
                                    const struct observation *treatment)
{
    char unit[32];
    size_t n = (size_t)snprintf(unit, sizeof(unit), "u%d", w->next_unit++);
    int step = w->now.ramp.step;
    enum arm_served arm = experiment_arm(w->experiment, step, bucket_of("e", 1, unit, n));
    struct exposure x = {step, arm, false, bucket_unit_hash("e", 1, unit, n), w->now.now.event_ms};
    const struct observation *o = arm == ARM_TREATMENT ? treatment : control;
    assert_int_equal(evidence_observe(w->evidence, &x, o, 1, NULL), 0);
    if (arm == ARM_TREATMENT)
        w->now.last_treatment_ms = x.ts_ms;
    else
        w->now.last_control_ms = x.ts_ms;
    return arm;
}

static inline struct observation prediction(bool failed)
{
    return (struct observation){.stage = STAGE_PREDICTION,
                                .failed = failed,
                                .latency_ms = (double)NAN,
                                .score = (double)NAN,
                                .value = (double)NAN,
                                .covariate = (double)NAN};
}

/* n events a second for some seconds; failure rates of control and treatment. */
static inline void traffic(struct world *w, int seconds, int n, double rate_a, double rate_b)
{
    for (int s = 0; s < seconds; s++) {
        w->now.now.event_ms += SECOND;
        w->now.now.wall_ms += SECOND;
        for (int i = 0; i < n; i++) {
            struct observation a = prediction(rng_uniform(&w->rng) < rate_a);
            struct observation b = prediction(rng_uniform(&w->rng) < rate_b);
            event(w, &a, &b);
        }
    }
}

static inline struct verdict decide(struct world *w)
{
    struct verdict verdict;
    ab_decide(w->experiment, w->evidence, &w->now, &verdict);
    return verdict;
}

/* AUC by scores: treatment's tell less apart. */
static inline void scores(struct world *w, int seconds, double gap_a, double gap_b)
{
    for (int i = 0; i < seconds * 100; i++) {
        if (i % 100 == 0)
            w->now.now.event_ms += SECOND;
        bool positive = rng_uniform(&w->rng) < 0.3;
        double noise = rng_normal(&w->rng);
        struct observation a = prediction(false), b;
        a.stage = STAGE_LABEL;
        a.positive = positive;
        b = a;
        a.score = 1 / (1 + exp(-noise - (positive ? gap_a : 0)));
        b.score = 1 / (1 + exp(-noise - (positive ? gap_b : 0)));
        event(w, &a, &b);
    }
}
