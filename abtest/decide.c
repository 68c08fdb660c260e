/*
 * Rollback reads the mean of all e-values of harm against 1/alpha. The mean of e-values is one
 * under any dependence, and whenever one of m reaches m/alpha the mean has reached 1/alpha: it
 * contains Bonferroni and is stronger when several metrics move together. Going on needs every
 * required metric safe at alpha, without correction: all must pass (intersection–union).
 */
#include "abtest/decide.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "abtest/weigh.h"
#include "common/text.h"
#include "stats/confseq.h"
#include "stats/distribution.h"
#include "stats/srm.h"

static const char *const statuses[] = {"continue", "harmed",    "limit_crossed", "non_inferior",
                                       "superior", "undefined", "monitored"};

const char *metric_status_name(enum metric_status status)
{
    return statuses[status];
}

static void give(struct verdict *out, enum verdict_kind kind, enum hold_cause cause,
                 const char *format, ...) __attribute__((format(printf, 4, 5)));
static void give(struct verdict *out, enum verdict_kind kind, enum hold_cause cause,
                 const char *format, ...)
{
    va_list arguments;
    out->kind = kind;
    out->cause = cause;
    va_start(arguments, format);
    vsnprintf(out->reason, sizeof(out->reason), format, arguments);
    va_end(arguments);
}

/* --- what is known --- */

static void weigh_srm(const struct experiment *experiment, const struct evidence *evidence,
                      int step, struct srm_verdict *out)
{
    double log_bf = 0;
    *out = (struct srm_verdict){.chi2_p_value = 1};
    for (int s = 0; s < experiment->n_steps; s++) {
        double share = experiment_share(experiment, s);
        int64_t counts[N_ARMS] = {evidence_arm(evidence, s, ARM_CONTROL).new_units,
                                  evidence_arm(evidence, s, ARM_TREATMENT).new_units};
        const double shares[N_ARMS] = {1 - share, share};
        if (share >= 1)
            continue; /* no concurrent control: nothing to compare */
        log_bf += srm_log_bayes_factor(counts, shares, N_ARMS, SRM_CONCENTRATION);
        if (s == step && counts[0] + counts[1] >= SRM_MIN_UNITS)
            out->chi2_p_value = srm_chi_squared(counts, shares, N_ARMS).p;
    }
    out->p_value = always_valid_p(log_bf);
    out->mismatch = out->p_value < SRM_THRESHOLD;
}

static bool decides(const struct experiment_metric *metric)
{
    return metric->role != ROLE_MONITOR;
}

static bool has_margin(const struct experiment_metric *metric)
{
    return !isnan(metric->margin) || !isnan(metric->margin_relative);
}

/* E-values of harm and of hard limits that are averaged; what is certain takes no share of them. */
static int count_tests(const struct experiment *experiment, const struct verdict *verdict)
{
    int tests = 0;
    for (int i = 0; i < experiment->n_metrics; i++)
        if (decides(&experiment->metrics[i]) && !verdict->metrics[i].certain)
            tests += isnan(experiment->metrics[i].hard_limit) ? 1 : 2;
    return tests > 0 ? tests : 1;
}

/* `harm`: ln E from which a metric is called harmed; less once the mean has decided. */
static void set_status(const struct experiment *experiment, int index, double harm,
                       struct metric_verdict *m)
{
    const struct experiment_metric *metric = &experiment->metrics[index];
    double wanted = -log(experiment->alpha);
    if (m->log_e_limit >= harm)
        m->status = STATUS_LIMIT;
    else if (m->log_e_harm >= harm)
        m->status = STATUS_HARMED;
    else if (m->status == STATUS_UNDEFINED)
        return;
    else if (m->log_e_superior >= wanted)
        m->status = STATUS_SUPERIOR;
    else if (has_margin(metric) && m->log_e_safe >= wanted)
        m->status = STATUS_SAFE;
    else if (!decides(metric))
        m->status = STATUS_MONITORED;
}

static void set_statuses(const struct experiment *experiment, double harm, struct verdict *out)
{
    for (int i = 0; i < experiment->n_metrics; i++)
        set_status(experiment, i, harm, &out->metrics[i]);
}

/* --- hold --- */

static bool stale(const struct situation *now, const struct experiment *experiment, int64_t last_ms)
{
    int64_t from = last_ms > now->ramp.since_ms ? last_ms : now->ramp.since_ms;
    return now->now.event_ms - from > experiment->stale_after_ms;
}

/* Nothing may be known for so long; then the release goes, whoever keeps us in the dark. */
static void hold_without_data(const struct experiment *experiment, const struct situation *now,
                              struct verdict *out)
{
    int64_t since = now->ramp.silent_since_ms;
    out->no_data = true;
    if (since == 0 || now->now.wall_ms - since <= experiment->max_hold_ms)
        return;
    out->wall_clock = true;
    give(out, VERDICT_ROLLBACK, CAUSE_NONE, "no data");
}

/* The world's watermark stands still when nothing comes: then the wall clock speaks by the caller.
 */
static bool find_silence(const struct experiment *experiment, const struct situation *now,
                         struct verdict *out)
{
    char text[TEXT_DURATION_BYTES];
    bool alone = experiment_share(experiment, now->ramp.step) >= 1;
    bool control = !alone && stale(now, experiment, now->last_control_ms);
    bool treatment = stale(now, experiment, now->last_treatment_ms);
    duration_print(text, experiment->stale_after_ms);
    if (!control && !treatment)
        return false;
    if (control && treatment)
        give(out, VERDICT_HOLD, CAUSE_SILENT_BOTH, "no telemetry from either arm for %s", text);
    else
        give(out, VERDICT_HOLD, control ? CAUSE_SILENT_CONTROL : CAUSE_SILENT_TREATMENT,
             "no telemetry from %s %s for %s", control ? "control" : "treatment",
             control ? experiment->control : experiment->treatment, text);
    hold_without_data(experiment, now, out);
    return true;
}

static bool must_hold(const struct experiment *experiment, const struct situation *now,
                      struct verdict *out)
{
    if (now->input_stale) {
        give(out, VERDICT_HOLD, CAUSE_INPUT, "own input is stale: the consumer lags behind");
        hold_without_data(experiment, now, out);
        return true;
    }
    /* Before all others that hold: only want of data ends by max_hold. */
    if (find_silence(experiment, now, out))
        return true;
    if (now->data_lost) {
        give(out, VERDICT_HOLD, CAUSE_INPUT, "events of this step were lost on their way in");
        return true;
    }
    if (out->srm.mismatch) {
        give(out, VERDICT_HOLD, CAUSE_SRM,
             "sample ratio mismatch: %" PRId64 " control and %" PRId64
             " treatment units at a share of %g%% (p %.2g)",
             out->units_control, out->units_treatment,
             100 * experiment_share(experiment, now->ramp.step), out->srm.p_value);
        return true;
    }
    return false;
}

/* --- rollback --- */

/* ln of the mean of all e-values of harm and limits; *worst is the metric with the largest. */
static double mean_harm(const struct experiment *experiment, const struct verdict *verdict,
                        int *worst)
{
    double sum = -(double)INFINITY, largest = -(double)INFINITY;
    *worst = -1;
    for (int i = 0; i < experiment->n_metrics; i++) {
        const struct metric_verdict *m = &verdict->metrics[i];
        if (!decides(&experiment->metrics[i]) ||
            (m->certain && !(m->log_e_harm > 0 || m->log_e_limit > 0)))
            continue;
        bool limited = !isnan(experiment->metrics[i].hard_limit);
        double one = limited ? log_sum(m->log_e_harm, m->log_e_limit) : m->log_e_harm;
        sum = log_sum(sum, one);
        if (one > largest) {
            largest = one;
            *worst = i;
        }
    }
    return sum - log(count_tests(experiment, verdict));
}

static bool must_roll_back(const struct experiment *experiment, const struct situation *now,
                           struct verdict *out)
{
    int worst = -1;
    if (mean_harm(experiment, out, &worst) >= -log(experiment->alpha) && worst >= 0) {
        const struct experiment_metric *metric = &experiment->metrics[worst];
        const struct metric_verdict *m = &out->metrics[worst];
        const char *role = metric->role == ROLE_PRIMARY ? "primary" : "guardrail";
        set_statuses(experiment, -log(experiment->alpha), out);
        if (m->log_e_limit > m->log_e_harm)
            give(out, VERDICT_ROLLBACK, CAUSE_NONE, "%s %s: beyond hard_limit %g", role,
                 metric->metric, metric->hard_limit);
        else
            give(out, VERDICT_ROLLBACK, CAUSE_NONE, "%s %s: harm beyond harm_margin", role,
                 metric->metric);
        return true;
    }
    if (now->now.event_ms - now->ramp.started_ms >= experiment->max_duration_ms &&
        experiment->on_timeout == ON_TIMEOUT_ROLLBACK) {
        give(out, VERDICT_ROLLBACK, CAUSE_NONE, "inconclusive at max_duration");
        return true;
    }
    return false;
}

/* --- going on --- */

static bool metric_passes(const struct experiment *experiment, const struct metric_verdict *m,
                          int index, bool last_step)
{
    const struct experiment_metric *metric = &experiment->metrics[index];
    double wanted = -log(experiment->alpha);
    bool safe =
        m->status != STATUS_UNDEFINED &&
        (has_margin(metric) ? m->log_e_safe >= wanted && m->safe_now : m->log_e_superior >= wanted);
    switch (metric->role) {
    case ROLE_MONITOR:
        return true;
    case ROLE_PRIMARY:
        return !last_step || safe;
    case ROLE_GUARDRAIL:
        if (m->estimate) /* a poor one holds what could go on */
            return m->status != STATUS_UNDEFINED;
        return safe || !experiment->strict;
    }
    return false;
}

/* First metric that is not shown safe, or -1. */
static int first_open(const struct experiment *experiment, const struct verdict *verdict,
                      bool last_step)
{
    for (int i = 0; i < experiment->n_metrics; i++)
        if (!metric_passes(experiment, &verdict->metrics[i], i, last_step))
            return i;
    return -1;
}

static bool may_go_on(const struct experiment *experiment, const struct situation *now, int open,
                      struct verdict *out)
{
    const struct experiment_step *step = &experiment->steps[now->ramp.step];
    int64_t lasted = now->now.event_ms - now->ramp.since_ms;
    bool last = now->ramp.step + 1 == experiment->n_steps;
    const char *shown = experiment->strict ? "" : " (not harmed for min_duration; not shown safe)";
    const char *bare =
        experiment_share(experiment, now->ramp.step) >= 1 ? "; this step is not randomised" : "";
    if (lasted < step->min_duration_ms || out->units_treatment < step->min_units || open >= 0)
        return false;
    for (int i = 0; i < experiment->n_metrics; i++)
        if (out->metrics[i].poor && decides(&experiment->metrics[i])) {
            give(out, VERDICT_HOLD, CAUSE_ESTIMATE, "%s, estimated without labels, is poor",
                 experiment->metrics[i].metric);
            return true;
        }
    if (now->behind) {
        out->waits = true;
        give(out, VERDICT_CONTINUE, CAUSE_NONE,
             "every metric passed step %d; it is left once our own input is read", now->ramp.step);
        return true;
    }
    if (last) {
        give(out, VERDICT_PROMOTE, CAUSE_NONE, "every metric passed the last step%s%s", shown,
             bare);
        return true;
    }
    int next = now->ramp.step + 1;
    if (experiment->steps[next].approval && now->ramp.approved < next) {
        give(out, VERDICT_HOLD, CAUSE_APPROVAL, "step %d (%g%%) waits for approval", next,
             experiment_weight(experiment, next));
        return true;
    }
    give(out, VERDICT_ADVANCE, CAUSE_NONE, "every metric passed step %d%s", now->ramp.step, shown);
    return true;
}

static void wait_for(const struct experiment *experiment, const struct situation *now, int open,
                     struct verdict *out)
{
    const struct experiment_step *step = &experiment->steps[now->ramp.step];
    bool over = now->now.event_ms - now->ramp.started_ms >= experiment->max_duration_ms;
    if (over && experiment->on_timeout == ON_TIMEOUT_PROMOTE) {
        give(out, VERDICT_PROMOTE, CAUSE_NONE, "inconclusive at max_duration, on_timeout promote");
    } else if (over) {
        give(out, VERDICT_HOLD, CAUSE_TIMEOUT, "inconclusive at max_duration");
    } else if (open >= 0 && out->metrics[open].status == STATUS_UNDEFINED &&
               now->now.event_ms - now->ramp.since_ms >= step->min_duration_ms) {
        give(out, VERDICT_HOLD, CAUSE_UNDEFINED, "%s: %s", experiment->metrics[open].metric,
             out->metrics[open].why);
    } else if (now->now.event_ms - now->ramp.since_ms < step->min_duration_ms) {
        char text[TEXT_DURATION_BYTES];
        duration_print(text, step->min_duration_ms);
        give(out, VERDICT_CONTINUE, CAUSE_NONE, "step %d has not lasted %s", now->ramp.step, text);
    } else if (out->units_treatment < step->min_units) {
        give(out, VERDICT_CONTINUE, CAUSE_NONE, "step %d has %" PRId64 " of %" PRId64 " units",
             now->ramp.step, out->units_treatment, step->min_units);
    } else {
        give(out, VERDICT_CONTINUE, CAUSE_NONE, "%s is not shown non-inferior yet",
             open >= 0 ? experiment->metrics[open].metric : "a metric");
    }
}

static void set_samples_needed(const struct experiment *experiment, int open, struct verdict *out)
{
    double most = 0;
    for (int i = 0; i < experiment->n_metrics; i++) {
        bool last = out->step + 1 == experiment->n_steps;
        if (metric_passes(experiment, &out->metrics[i], i, last))
            continue;
        double one = out->metrics[i].samples_needed;
        most = isnan(one) || isnan(most) ? (double)NAN : fmax(most, one);
    }
    double missing = (double)(experiment->steps[out->step].min_units - out->units_treatment);
    double share = experiment_share(experiment, out->step);
    out->samples_needed = open < 0 && !(missing > 0) ? 0 : fmax(most, ceil(missing / share));
    if (isnan(most))
        out->samples_needed = (double)NAN;
}

void ab_decide(const struct experiment *experiment, const struct evidence *evidence,
               const struct situation *situation, struct verdict *out)
{
    const struct situation *now = situation;
    int step = now->ramp.step;
    bool last = step + 1 == experiment->n_steps;
    memset(out, 0, sizeof(*out));
    out->step = step;
    out->weight = ramp_weight(&now->ramp, experiment);
    out->units_control = evidence_arm(evidence, step, ARM_CONTROL).units;
    out->units_treatment = evidence_arm(evidence, step, ARM_TREATMENT).units;
    out->detected_units = evidence_treated(evidence);
    out->detected_ms = now->now.event_ms - now->ramp.since_ms;
    out->crossovers = evidence_crossovers(evidence);
    out->n_metrics = experiment->n_metrics;
    for (int i = 0; i < experiment->n_metrics; i++)
        weigh_metric(experiment, evidence, i, step, &out->metrics[i]);
    set_statuses(experiment, log(count_tests(experiment, out) / experiment->alpha), out);
    weigh_srm(experiment, evidence, step, &out->srm);
    int open = first_open(experiment, out, last);
    set_samples_needed(experiment, open, out);

    if (now->ramp.phase != RAMP_RUNNING && now->ramp.phase != RAMP_PAUSED) {
        give(out, VERDICT_CONTINUE, CAUSE_NONE, "%s", ramp_phase_name(now->ramp.phase));
        return;
    }
    if (now->ramp.frozen) {
        give(out, VERDICT_HOLD, CAUSE_PAUSED, "frozen");
        return;
    }
    if (must_hold(experiment, now, out) || must_roll_back(experiment, now, out))
        return;
    if (now->reconcile_failed) { /* after harm: no actuator may stand in the way of a rollback */
        give(out, VERDICT_HOLD, CAUSE_RECONCILE, "an actuator does not confirm %g%%%s%s",
             out->weight, *now->actuator ? ": " : "", now->actuator);
        return;
    }
    if (now->ramp.phase == RAMP_PAUSED) {
        give(out, VERDICT_HOLD, CAUSE_PAUSED, "paused");
        return;
    }
    if (!may_go_on(experiment, now, open, out))
        wait_for(experiment, now, open, out);
}

void ab_show(const struct experiment *experiment, const struct evidence *evidence,
             struct verdict *verdict)
{
    for (int i = 0; i < experiment->n_metrics; i++)
        weigh_show(experiment, evidence, i, verdict->step, &verdict->metrics[i]);
}
