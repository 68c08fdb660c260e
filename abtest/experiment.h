/*
 * The experiment object of contract §4: what a person asks for, checked, with its defaults.
 *
 * Shape    experiment_parse reads JSON (REST, configuration file, storage), experiment_print gives
 *          the same object back with every default filled in; parse(print(e)) equals e
 * Units    weight, holdback: percent 0..100 · margins and alpha: fractions · *_ms: milliseconds,
 *          in JSON `500ms`, `30s`, `5m`, `1h`, `7d`. An absent number is NaN
 * Owner    experiment_parse gives, experiment_free takes; texts live as long as the experiment
 * Errors   ERR_DATA: the message names the key, the value and what would be right. What needs the
 *          world (unknown versions, overlap with another experiment) is checked where it is started
 * Threads  read-only after parsing
 * Defaults salt = name · alpha .05 · steps 5 (10m, 2000 units), 50 (30m, 5000), 100 (30m) ·
 *          min_duration 10m, min_units 0 · role guardrail · direction by the metric ·
 *          harm_margin 0 · control_share rest · assignment hash · holdback 0 · noninferiority
 * strict · max_duration 24h · on_timeout hold · stale_after 2m · max_hold 1h · maturity 0s
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "abtest/measure.h"
#include "common/cleanup.h"
#include "common/err.h"

enum {
    EXPERIMENT_MAX_STEPS = 20,
    EXPERIMENT_MAX_METRICS = 16,
    EXPERIMENT_MAX_NAME_BYTES = 128
};

enum role {
    ROLE_GUARDRAIL,
    ROLE_PRIMARY,
    ROLE_MONITOR
};

enum on_timeout {
    ON_TIMEOUT_HOLD,
    ON_TIMEOUT_ROLLBACK,
    ON_TIMEOUT_PROMOTE
};

struct experiment_step {
    double weight;           /* percent of traffic that the treatment serves */
    int64_t min_duration_ms; /* event time in the step before it may be left upwards */
    int64_t min_units;       /* treatment units in the step before it may be left upwards */
    bool approval;           /* a person must approve before the step is entered */
};

struct experiment_metric {
    char *metric;
    enum role role;
    bool lower_is_better;
    double margin, margin_relative;           /* non-inferior within; NaN: none */
    double harm_margin, harm_margin_relative; /* harm beyond; at most one is not NaN or 0 */
    double hard_limit;                        /* in the metric's unit; NaN: none */
    char *covariate;                          /* a feature's name, for CUPED; NULL: none */
    char *expr;                               /* a formula of other metrics; NULL: none */
};

struct experiment {
    char *name, *model, *control, *treatment, *salt;
    double alpha;
    struct experiment_step steps[EXPERIMENT_MAX_STEPS];
    int n_steps;
    struct experiment_metric metrics[EXPERIMENT_MAX_METRICS];
    int n_metrics;
    bool control_equal; /* control_share: equal */
    bool by_served;     /* assignment: served: another hash or none splits the traffic; a unit's arm
                           is the one that served it first in the step */
    double holdback;
    bool strict; /* noninferiority: strict */
    int64_t max_duration_ms;
    enum on_timeout on_timeout;
    int64_t stale_after_ms, max_hold_ms;
    int64_t maturity_ms; /* labels count once their prediction is this old; same in both arms */
    bool start;          /* `start: true` in the configuration file */
};

int experiment_parse(struct experiment **out, json_t *json, struct err *err);
int experiment_parse_text(struct experiment **out, const char *text, size_t n, struct err *err);
void experiment_free(struct experiment *experiment);
DEFINE_FREEP(experiment)

/* What the metric is made of, whether its name is known or it brings a formula. */
int measure_of(struct measure *out, const struct experiment_metric *metric, struct err *err);

/* A new reference, or NULL without memory. */
json_t *experiment_print(const struct experiment *experiment);

/* The weight a step really has: never above 100 - holdback. */
double experiment_weight(const struct experiment *experiment, int step);
/* The treatment's share of the units that are compared in a step; 1 without concurrent control. */
double experiment_share(const struct experiment *experiment, int step);
/* Control's share of the whole traffic, as far as it is compared. */
double experiment_control_share(const struct experiment *experiment, int step);

enum arm_served {
    ARM_CONTROL,
    ARM_TREATMENT,
    N_ARMS,
    ARM_OUTSIDE = N_ARMS /* served control, not compared (control_share: equal) */
};
/* Which arm a unit of this bucket (stats/bucket.h) belongs to while the step is on. */
enum arm_served experiment_arm(const struct experiment *experiment, int step, double bucket);
