#include "abtest/weigh_inside.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "stats/confseq.h"
#include "stats/e_process.h"

/* Burn-in of the asymptotic sequence (docs/abtest.md): earlier looks are not valid. */
static const double BURN_IN_EVENTS = 20;        /* expected rare events in the smaller arm */
static const double BURN_IN_OBSERVATIONS = 100; /* … and observations */
enum {
    BURN_IN_BUCKETS = 20
};
static const double BOUND_SHARE = 0.1;     /* of alpha, for the bound of the control's rate */
static const double ASYMPTOTIC_SHARE = .2; /* from this share on absolute margins by sequence */
static const double DEFAULT_UNITS = 2000;  /* treatment units the interval is tuned for */
static const double CERTAIN = 700;         /* ln E of what has no chance in it; e^700 is finite */

/* --- the asymptotic side --- */

/* n_b wanted · (1 - w): on the scale n_a n_b/(n_a + n_b), from the first step, never changed. */
static double tuning_of(const struct experiment *experiment)
{
    double units = (double)experiment->steps[0].min_units;
    return (units > 0 ? units : DEFAULT_UNITS) * (1 - experiment_share(experiment, 0));
}

struct ratio_estimate weighing_estimate(const struct weighing *w, int step, enum arm_served arm,
                                        enum failure_side side, double theta)
{
    switch (w->measure.kind) {
    case MEASURE_AUC:
    case MEASURE_AREAS:
        return evidence_auc(w->evidence, step, w->index, arm);
    case MEASURE_TALLY:
        return evidence_tally(w->evidence, step, w->index, arm, side);
    case MEASURE_TAIL:
        return evidence_tail(w->evidence, step, w->index, arm, side);
    case MEASURE_FLOW: {
        const double shares[N_ARMS] = {experiment_control_share(w->experiment, step),
                                       experiment_weight(w->experiment, step) / 100};
        return evidence_flow(w->evidence, step, w->index, arm, shares);
    }
    case MEASURE_FACT:
    case MEASURE_ESTIMATE:
        return (struct ratio_estimate){(double)NAN, (double)NAN, 0, 0, 0};
    case MEASURE_FAILURE:
    case MEASURE_RATIO:
        break;
    }
    struct ratio_estimate e = evidence_adjusted(w->evidence, step, w->index, arm, theta);
    if (w->measure.square_root && e.value >= 0) {
        /* delta method: Var(sqrt R) = Var(R)/(4R) */
        e.variance = e.value > 0 ? e.variance / (4 * e.value) : (double)NAN;
        e.value = sqrt(e.value);
    }
    return e;
}

/* The arms pooled say how noisy one observation is: no arm may claim to be quieter by luck. */
static void floor_variances(struct ratio_estimate *a, struct ratio_estimate *b)
{
    double noise = (a->variance * a->n * a->n + b->variance * b->n * b->n) / (a->n + b->n);
    a->variance = fmax(a->variance, noise / a->n);
    b->variance = fmax(b->variance, noise / b->n);
}

static double rare_share(const struct weighing *w, double nonzero, double n)
{
    double p = nonzero / n;
    return w->measure.binary || w->measure.kind == MEASURE_AUC ? fmin(p, 1 - p) : p;
}

static bool burnt_in(const struct weighing *w, const struct ratio_estimate *a,
                     const struct ratio_estimate *b)
{
    if (!(a->variance >= 0) || !(b->variance >= 0) || a->buckets < BURN_IN_BUCKETS ||
        b->buckets < BURN_IN_BUCKETS)
        return false;
    double less = fmin(a->n, b->n);
    return less >= BURN_IN_OBSERVATIONS &&
           less * rare_share(w, a->nonzero + b->nonzero, a->n + b->n) >= BURN_IN_EVENTS;
}

void weighing_strata(const struct weighing *w, enum failure_side side, double factor,
                     struct strata *out)
{
    out->n = 0;
    out->side = side;
    out->factor = factor;
    for (int s = 0; s < w->experiment->n_steps; s++) {
        double theta = evidence_theta(w->evidence, s, w->index);
        struct ratio_estimate a = weighing_estimate(w, s, ARM_CONTROL, side, theta / factor);
        struct ratio_estimate b = weighing_estimate(w, s, ARM_TREATMENT, side, theta);
        if (!burnt_in(w, &a, &b))
            continue;
        floor_variances(&a, &b);
        out->a[out->n] = a;
        out->b[out->n++] = b;
    }
}

struct contrast weighing_contrast(const struct strata *strata)
{
    struct contrast sum = {0, 0, 0};
    double factor = strata->factor;
    for (int i = 0; i < strata->n; i++) {
        const struct ratio_estimate *a = &strata->a[i], *b = &strata->b[i];
        double weight = a->n * b->n / (a->n + b->n);
        sum.value += weight * (b->value - factor * a->value);
        sum.variance += weight * weight * (b->variance + factor * factor * a->variance);
        sum.information += weight;
    }
    if (sum.information > 0) {
        sum.value /= sum.information;
        sum.variance /= sum.information * sum.information;
    }
    return sum;
}

double weighing_sign(const struct weighing *w)
{
    return w->metric->lower_is_better || w->measure.kind == MEASURE_TAIL ? 1 : -1;
}

/* ln E against "worse (in the metric's bad direction) by at most `distance` of factor · control".
 */
static double log_e_worse(const struct weighing *w, const struct strata *strata, double distance)
{
    struct contrast c = weighing_contrast(strata);
    double sign = weighing_sign(w);
    return confseq_log_e_above(sign * c.value, c.variance, c.information, w->experiment->alpha,
                               w->tuning, distance);
}

/* ln E against "worse by `distance` or more". */
static double log_e_within(const struct weighing *w, const struct strata *strata, double distance)
{
    struct contrast c = weighing_contrast(strata);
    double sign = -weighing_sign(w);
    return confseq_log_e_above(sign * c.value, c.variance, c.information, w->experiment->alpha,
                               w->tuning, -distance);
}

/* Is an arm read in another way for each question? */
static bool is_sided(const struct weighing *w)
{
    return w->measure.kind == MEASURE_TAIL ||
           (w->measure.kind == MEASURE_TALLY && w->measure.compound == COMPOUND_ECE);
}

/* Mostly the arms are the same whatever the question: they are not read again. */
static struct strata strata_at(const struct weighing *w, const struct strata *known,
                               enum failure_side side, double factor)
{
    struct strata strata = *known;
    strata.factor = factor;
    if (is_sided(w) || (w->metric->covariate && factor != known->factor))
        weighing_strata(w, side, factor, &strata);
    return strata;
}

static double or_zero(double margin)
{
    return isnan(margin) ? 0 : margin;
}

/* 1 ± the relative margin, towards the bad side. */
static double factor_of(const struct weighing *w, double relative)
{
    if (!isnan(w->measure.quantile))
        return 1; /* the margin is in the threshold */
    return 1 + (w->metric->lower_is_better ? 1 : -1) * or_zero(relative);
}

static bool has_margin(const struct experiment_metric *metric)
{
    return !isnan(metric->margin) || !isnan(metric->margin_relative);
}

static void unknown_quantile(const struct weighing *w, char why[VERDICT_WHY_BYTES])
{
    if (w->measure.quantile < 1)
        snprintf(why, VERDICT_WHY_BYTES, "control's %g-quantile before the step is not known",
                 w->measure.quantile);
    else
        snprintf(why, VERDICT_WHY_BYTES, "control's maximum before the step is not known");
}

/* Enough of both arms, and not one observation unlike the others: no burn-in ever ends then. */
static bool all_equal(const struct weighing *w)
{
    struct ratio_estimate a = weighing_estimate(w, w->step, ARM_CONTROL, SIDE_NONE, 0);
    struct ratio_estimate b = weighing_estimate(w, w->step, ARM_TREATMENT, SIDE_NONE, 0);
    return a.n >= BURN_IN_OBSERVATIONS && b.n >= BURN_IN_OBSERVATIONS && !(a.variance > 0) &&
           !(b.variance > 0) && a.value == b.value;
}

/* What keeps the sequence from speaking; false: nothing. */
static bool find_why(const struct weighing *w, const struct contrast *c,
                     char why[VERDICT_WHY_BYTES])
{
    const char *text = NULL;
    if (w->measure.kind == MEASURE_TAIL &&
        isnan(evidence_threshold(w->evidence, w->step, w->index))) {
        unknown_quantile(w, why);
        return true;
    }
    if (!evidence_complete(w->evidence, w->index))
        text = "counts per unit, and there are more units than are kept";
    else if (!(c->information > 0))
        text = all_equal(w) ? "no variance: all observations are equal so far"
                            : "not enough observations in both arms yet";
    else if (!(c->variance > 0))
        text = "no variance between units";
    if (text)
        snprintf(why, VERDICT_WHY_BYTES, "%s", text);
    return text != NULL;
}

/* A distance that is not in the threshold already. */
static double distance_of(const struct weighing *w, double margin)
{
    return isnan(w->measure.quantile) ? or_zero(margin) : 0;
}

static void weigh_sequence(const struct weighing *w, struct metric_verdict *out)
{
    const struct experiment_metric *m = w->metric;
    struct strata plain;
    weighing_strata(w, SIDE_NONE, 1, &plain);
    struct contrast c = weighing_contrast(&plain);
    if (find_why(w, &c, out->why)) {
        out->status = STATUS_UNDEFINED;
        return;
    }
    struct strata harm = strata_at(w, &plain, SIDE_HARM, factor_of(w, m->harm_margin_relative));
    out->log_e_harm = log_e_worse(w, &harm, distance_of(w, m->harm_margin));
    if (has_margin(m)) {
        struct strata safe = strata_at(w, &plain, SIDE_SAFE, factor_of(w, m->margin_relative));
        out->log_e_safe = log_e_within(w, &safe, distance_of(w, m->margin));
    }
    bool moved = w->measure.kind == MEASURE_TAIL; /* … by a margin, that is not in question here */
    struct strata better = strata_at(w, &plain, moved ? SIDE_NONE : SIDE_SAFE, 1);
    out->log_e_superior = log_e_within(w, &better, 0);
    out->safe_now = true;
}

/* --- one number a version --- */

/* Is b worse than what `margin` allows over control's a? */
static bool beyond(const struct weighing *w, double a, double b, double margin, double relative)
{
    double allowed = a * factor_of(w, relative);
    return w->metric->lower_is_better ? b > allowed + or_zero(margin)
                                      : b < allowed - or_zero(margin);
}

/* Numbers without chance in them: what they say is certain, and more of them say no more. */
static void weigh_fact(const struct weighing *w, struct metric_verdict *out)
{
    const struct experiment_metric *m = w->metric;
    double a = evidence_told(w->evidence, w->index, ARM_CONTROL);
    double b = evidence_told(w->evidence, w->index, ARM_TREATMENT);
    bool estimate = out->estimate;
    if (isnan(a) || isnan(b)) {
        out->status = STATUS_UNDEFINED;
        snprintf(out->why, sizeof(out->why), "%s of %s is not %s", m->metric,
                 isnan(b) ? w->experiment->treatment : w->experiment->control,
                 estimate ? "estimated yet" : "registered");
        return;
    }
    bool over =
        !isnan(m->hard_limit) && (m->lower_is_better ? b > m->hard_limit : b < m->hard_limit);
    bool worse = beyond(w, a, b, has_margin(m) ? m->margin : 0, m->margin_relative);
    out->poor = estimate && (over || (has_margin(m) && worse));
    if (out->poor)
        snprintf(out->why, sizeof(out->why), "estimated without labels: %s its %s",
                 over ? "beyond" : "outside", over ? "hard_limit" : "margin");
    out->log_e_safe = has_margin(m) && !worse ? CERTAIN : 0;
    out->log_e_superior = m->lower_is_better ? b < a : b > a;
    out->log_e_superior *= CERTAIN;
    out->safe_now = !worse;
    if (estimate)
        return; /* it may hold, never roll back */
    out->log_e_harm = beyond(w, a, b, m->harm_margin, m->harm_margin_relative) ? CERTAIN : 0;
    out->log_e_limit = over ? CERTAIN : 0;
}

/* --- the exact side --- */

/* r of a question about step `s`: 1 + relative, or 1 + margin over a bound of control's rate. */
static double ratio_of(const struct weighing *w, const struct rate_counts *rate,
                       enum failure_side side, bool *known)
{
    double absolute = side == SIDE_HARM ? w->metric->harm_margin : or_zero(w->metric->margin);
    double relative =
        side == SIDE_HARM ? w->metric->harm_margin_relative : or_zero(w->metric->margin_relative);
    *known = true;
    if (!isnan(w->measure.quantile))
        return 1; /* the margin is in the threshold */
    if (!(absolute > 0))
        return 1 + relative;
    double alpha = w->experiment->alpha * BOUND_SHARE / w->experiment->n_steps;
    double bound = side == SIDE_HARM
                       ? rate_lower_bound(rate->failures.control, rate->trials_control, alpha)
                       : rate_upper_bound(rate->failures.control, rate->trials_control, alpha);
    *known = bound > 0;
    return 1 + absolute / bound;
}

static double step_log_e(const struct weighing *w, int s, enum failure_side side)
{
    bool known = true;
    struct rate_counts rate = evidence_rate(w->evidence, s, w->index, side);
    double ratio = ratio_of(w, &rate, side, &known), share = experiment_share(w->experiment, s);
    if (!known)
        return 0;
    return side == SIDE_HARM ? e_process_harm(rate.failures, share, ratio, E_PROCESS_CONCENTRATION)
                             : e_process_safe(rate.failures, share, ratio, E_PROCESS_CONCENTRATION);
}

/* What was spent on the bound of control's rate is missing here: E must reach 1/(0.9 alpha). */
static double spent(const struct weighing *w, enum failure_side side)
{
    double absolute = side == SIDE_HARM ? w->metric->harm_margin : or_zero(w->metric->margin);
    return isnan(w->measure.quantile) && absolute > 0 ? log1p(-BOUND_SHARE) : 0;
}

static double log_e_better(const struct weighing *w)
{
    double sum = 0;
    const struct experiment_metric *m = w->metric;
    if (!isnan(w->measure.quantile) && (m->harm_margin > 0 || m->harm_margin_relative > 0))
        return 0; /* the threshold was moved: nothing was counted against the quantile itself */
    for (int s = 0; s < w->experiment->n_steps; s++) {
        struct rate_counts rate = evidence_rate(w->evidence, s, w->index, SIDE_HARM);
        sum += e_process_safe(rate.failures, experiment_share(w->experiment, s), 1,
                              E_PROCESS_CONCENTRATION);
    }
    return sum;
}

/* Absolute margins: at balanced shares the sequence is two to three times as fast. */
static bool by_sequence(const struct weighing *w, double absolute)
{
    if (!(absolute > 0) || !isnan(w->measure.quantile))
        return false;
    for (int s = 0; s < w->experiment->n_steps; s++) {
        double share = experiment_share(w->experiment, s);
        if (share < 1 && fmin(share, 1 - share) < ASYMPTOTIC_SHARE)
            return false;
    }
    return true;
}

static void weigh_rate(const struct weighing *w, struct metric_verdict *out)
{
    int64_t failures = 0;
    for (int s = 0; s < w->experiment->n_steps; s++) {
        struct rate_counts rate = evidence_rate(w->evidence, s, w->index, SIDE_HARM);
        failures += rate.failures.control + rate.failures.treatment;
        double safe = step_log_e(w, s, SIDE_SAFE);
        out->log_e_harm += step_log_e(w, s, SIDE_HARM);
        out->log_e_safe += has_margin(w->metric) ? safe : 0;
        if (s == w->step)
            out->safe_now = safe >= 0;
    }
    /* superiority is asked for only where safety is not in question any more */
    if (!has_margin(w->metric) || out->log_e_safe >= -log(w->experiment->alpha))
        out->log_e_superior = log_e_better(w);
    out->log_e_harm += spent(w, SIDE_HARM);
    out->log_e_safe += has_margin(w->metric) ? spent(w, SIDE_SAFE) : 0;
    bool harm = by_sequence(w, w->metric->harm_margin);
    bool safe = by_sequence(w, or_zero(w->metric->margin));
    if (harm || safe) {
        struct strata strata;
        weighing_strata(w, SIDE_NONE, 1, &strata);
        if (harm)
            out->log_e_harm = log_e_worse(w, &strata, w->metric->harm_margin);
        if (safe)
            out->log_e_safe = log_e_within(w, &strata, w->metric->margin);
    }
    if (!isnan(w->measure.quantile) && isnan(evidence_threshold(w->evidence, w->step, w->index))) {
        out->status = STATUS_UNDEFINED;
        unknown_quantile(w, out->why);
    } else if (failures == 0) {
        snprintf(out->why, sizeof(out->why), "no failure in either arm yet");
    }
}

/* --- hard limit: one sample, against the limit --- */

/* One value beyond it makes the maximum: there is no chance in that. */
static double log_e_maximum(const struct weighing *w)
{
    double beyond = 0;
    for (int s = 0; s < w->experiment->n_steps; s++)
        beyond += evidence_beyond_limit(w->evidence, s, w->index, ARM_TREATMENT).nonzero;
    return beyond > 0 ? CERTAIN : 0;
}

static double log_e_limit(const struct weighing *w)
{
    double limit = w->metric->hard_limit, beyond = w->measure.quantile;
    bool tail = !isnan(beyond);
    double sign = w->metric->lower_is_better || tail ? 1 : -1;
    double allowed = !tail ? limit : w->metric->lower_is_better ? 1 - beyond : beyond;
    double weight = 0, value = 0, variance = 0, nonzero = 0;
    int buckets = 0;
    if (isnan(limit))
        return 0;
    if (allowed == 0 && tail)
        return log_e_maximum(w);
    for (int s = 0; s < w->experiment->n_steps; s++) {
        struct ratio_estimate b =
            tail ? evidence_beyond_limit(w->evidence, s, w->index, ARM_TREATMENT)
                 : weighing_estimate(w, s, ARM_TREATMENT, SIDE_NONE, 0);
        if (!(b.n > 0) || isnan(b.value) || isnan(b.variance))
            continue;
        if (w->measure.binary && allowed > 0 && allowed < 1)
            b.variance = fmax(b.variance, allowed * (1 - allowed) / b.n);
        weight += b.n;
        value += b.n * b.value;
        variance += b.n * b.n * b.variance;
        nonzero += b.nonzero;
        buckets = b.buckets > buckets ? b.buckets : buckets;
    }
    double seen = w->measure.binary ? fmin(nonzero, fmax(0, weight - nonzero)) : nonzero;
    if (weight < BURN_IN_OBSERVATIONS || buckets < BURN_IN_BUCKETS ||
        fmax(seen, w->measure.binary ? weight * fmin(allowed, 1 - allowed) : 0) < BURN_IN_EVENTS)
        return 0;
    double tuning = w->experiment->steps[0].min_units > 0
                        ? (double)w->experiment->steps[0].min_units
                        : DEFAULT_UNITS;
    return confseq_log_e_above(sign * value / weight, variance / (weight * weight), weight,
                               w->experiment->alpha, tuning, sign * allowed);
}

/*
 * Units still missing until ln E reaches `wanted`: evidence grows in proportion to the units while
 * it grows at all; before that, by the divergence of the failures' share from what is refuted.
 */
static double units_missing(const struct weighing *w, double log_e, double wanted)
{
    double units = 0, failures = 0, treated = 0;
    for (int s = 0; s < w->experiment->n_steps; s++) {
        units += (double)evidence_arm(w->evidence, s, ARM_CONTROL).units +
                 (double)evidence_arm(w->evidence, s, ARM_TREATMENT).units;
    }
    if (log_e >= wanted)
        return 0;
    if (log_e > 0)
        return ceil(units * (wanted - log_e) / log_e);
    if (w->measure.kind != MEASURE_FAILURE)
        return (double)NAN;
    struct rate_counts rate = evidence_rate(w->evidence, w->step, w->index, SIDE_SAFE);
    bool known = true;
    double share = experiment_share(w->experiment, w->step);
    double ratio = ratio_of(w, &rate, SIDE_SAFE, &known);
    failures = (double)(rate.failures.control + rate.failures.treatment);
    treated = (double)rate.failures.treatment;
    double in_step = (double)(rate.trials_control + rate.trials_treatment);
    double theta0 = e_process_theta(share, ratio);
    if (!known || share >= 1 || failures < 1 || treated / failures >= theta0)
        return (double)NAN;
    double growth = e_process_growth(treated / failures, theta0) * failures / in_step;
    return ceil((wanted - log_e) / growth);
}

struct weighing weighing_of(const struct experiment *experiment, const struct evidence *evidence,
                            int metric, int step)
{
    struct weighing w = {
        .experiment = experiment,
        .evidence = evidence,
        .metric = &experiment->metrics[metric],
        .index = metric,
        .step = step,
        .tuning = tuning_of(experiment),
    };
    /* the object was checked: its metrics resolve */
    measure_of(&w.measure, w.metric, NULL);
    return w;
}

void weigh_metric(const struct experiment *experiment, const struct evidence *evidence, int metric,
                  int step, struct metric_verdict *out)
{
    struct weighing w = weighing_of(experiment, evidence, metric, step);
    double none = (double)NAN;
    *out = (struct metric_verdict){
        .status = STATUS_OPEN,
        .control_value = none,
        .treatment_value = none,
        .difference = none,
        .lower = none,
        .upper = none,
        .chance_to_win = none,
        .expected_loss = none,
    };
    out->estimate = w.measure.kind == MEASURE_ESTIMATE;
    out->certain = out->estimate || w.measure.kind == MEASURE_FACT;
    if (out->certain) {
        weigh_fact(&w, out);
    } else {
        if (w.measure.kind == MEASURE_FAILURE)
            weigh_rate(&w, out);
        else
            weigh_sequence(&w, out);
        out->log_e_limit = log_e_limit(&w);
    }
    out->p_value = always_valid_p(out->log_e_harm);
    out->samples_needed = units_missing(
        &w, has_margin(w.metric) ? out->log_e_safe : out->log_e_superior, -log(experiment->alpha));
}
