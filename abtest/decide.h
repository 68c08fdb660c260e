/*
 * The decision: evidence and situation in, verdict out. Pure and deterministic; the same inputs
 * give the same bits, so that a verdict can be computed again from its audit row.
 *
 * Shape    ab_decide reads; ramp_step (abtest/ramp.h) then makes the next state of the verdict.
 *          The first rule that applies wins: hold (own input stale, silent arm, sample ratio) ·
 *          rollback (harm, hard limit, no data for max_hold, time-out) · hold (an actuator does not
 *          confirm, paused) · advance or promote · hold (undefined guardrail, approval) · continue
 * Feeding  run.c, after a commit, for each whole second of event time (a look):
 *            1. evidence_observe for the look's events; 2. a struct situation of now;
 *            3. ab_decide; 4. ramp_step; 5. when state or verdict changed: one transaction with
 *            the new state, situation_save + evidence_save bytes, verdict_print's JSON
 * Units    logarithms are natural · n: units for error and latency rates (first failures count
 *          once a unit), observations elsewhere · samples_needed: more units of both arms
 * Errors   none; what cannot be known is STATUS_UNDEFINED with `why`
 * Threads  any
 * Source   docs/abtest.md: rules, error rates as measured by bench_ab
 */
#pragma once

#include <jansson.h>

#include "abtest/evidence.h"
#include "abtest/ramp.h"

enum {
    DECIDE_ENGINE = 4, /* kept with each decision; raise it when the same evidence gives others */
    VERDICT_REASON_BYTES = 256,
    VERDICT_WHY_BYTES = 96
};

struct situation {
    struct ramp_state ramp;
    struct ramp_now now;
    int64_t last_control_ms, last_treatment_ms; /* newest event of each version; 0: none yet */
    bool input_stale;      /* own consumer lag beyond its limit, or no event at all for stale_after
                              on the wall clock (the watermark then stands still) */
    bool behind;           /* the log holds events that we have not read: they were served by the
                              weight of now, and a step that begins must not have them */
    bool data_lost;        /* events of the step are known to be missing */
    bool reconcile_failed; /* an actuator does not confirm the weight */
    char actuator[VERDICT_WHY_BYTES]; /* which, and why; "" */
};
void situation_save(const struct situation *situation, struct buf *out);
int situation_load(struct situation *situation, struct reader *in, struct err *err);

enum hold_cause {
    CAUSE_NONE,
    CAUSE_SILENT_CONTROL,
    CAUSE_SILENT_TREATMENT,
    CAUSE_SILENT_BOTH,
    CAUSE_INPUT,
    CAUSE_SRM,
    CAUSE_RECONCILE,
    CAUSE_PAUSED,
    CAUSE_UNDEFINED,
    CAUSE_APPROVAL,
    CAUSE_TIMEOUT,
    CAUSE_ESTIMATE
};

enum metric_status {
    STATUS_OPEN,      /* "continue": neither harm nor safety is shown yet */
    STATUS_HARMED,    /* "harmed" */
    STATUS_LIMIT,     /* "limit_crossed" */
    STATUS_SAFE,      /* "non_inferior" */
    STATUS_SUPERIOR,  /* "superior" */
    STATUS_UNDEFINED, /* "undefined" */
    STATUS_MONITORED, /* "monitored" */
};

struct metric_verdict {
    enum metric_status status;
    double control_n, control_value;
    double treatment_n, treatment_value;
    double difference, lower, upper;     /* always valid at alpha; NaN: not defined */
    double log_e_harm;                   /* against "not harmed beyond harm_margin" */
    double log_e_safe;                   /* against "worse by margin or more" */
    double log_e_limit;                  /* against "within hard_limit" */
    double log_e_superior;               /* against "not better" */
    double p_value;                      /* always valid, of harm */
    double samples_needed;               /* NaN: unknown; 0: answered */
    double chance_to_win, expected_loss; /* Bayesian, for people; NaN: not defined */
    /* For a pipeline that looks once, at an end fixed beforehand: the present step alone. */
    const char *fixed_test; /* "pooled z" or "Welch t"; NULL: not defined */
    double fixed_statistic, fixed_dof, fixed_p_value, fixed_lower, fixed_upper; /* two-sided */
    bool safe_now; /* the evidence of this step alone does not speak against safety */
    bool certain;  /* one number a version: no chance in it */
    bool estimate; /* made without labels: it may hold, never decide … */
    bool poor;     /* … and is outside its margin or limit */
    char why[VERDICT_WHY_BYTES];
};

struct srm_verdict {
    double p_value;      /* always valid: decides */
    double chi2_p_value; /* of the present step, fixed horizon: shown */
    bool mismatch;
};

struct verdict {
    enum verdict_kind kind;
    enum hold_cause cause;
    bool no_data;    /* it holds for want of data: max_hold runs */
    bool wall_clock; /* the wall clock caused it: replay is not held to it */
    bool waits;      /* it would go on, were our own input not behind */
    int step;
    double weight;
    char reason[VERDICT_REASON_BYTES];
    int64_t units_control, units_treatment; /* of the step */
    int64_t detected_units, detected_ms;    /* treatment units in all; event time in the step */
    int64_t crossovers;
    double samples_needed;
    int n_metrics;
    struct metric_verdict metrics[EXPERIMENT_MAX_METRICS];
    struct srm_verdict srm;
};

void ab_decide(const struct experiment *experiment, const struct evidence *evidence,
               const struct situation *situation, struct verdict *out);

/*
 * Fills what only people read (values, intervals, Bayesian figures); a verdict without it prints
 * null there. Dear beside ab_decide: call it when a verdict is shown or written, not at each look.
 */
void ab_show(const struct experiment *experiment, const struct evidence *evidence,
             struct verdict *verdict);

const char *metric_status_name(enum metric_status status);

/*
 * The contract's verdict object. `after` is the state that ramp_step made of it, so that state,
 * step and weight are those that hold now. A new reference; NULL without memory.
 */
json_t *verdict_print(const struct verdict *verdict, const struct experiment *experiment,
                      const struct ramp_state *after, int64_t decided_at_ms);
