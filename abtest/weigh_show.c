/* Figures that only people read: values, intervals, Bayesian summary, a test with a fixed end. */
#include <math.h>

#include "abtest/weigh_inside.h"
#include "stats/bayes.h"
#include "stats/confseq.h"
#include "stats/e_process.h"
#include "stats/fixed_horizon.h"

static void show_told(const struct weighing *w, struct metric_verdict *out)
{
    out->control_value = evidence_told(w->evidence, w->index, ARM_CONTROL);
    out->treatment_value = evidence_told(w->evidence, w->index, ARM_TREATMENT);
    out->difference = out->treatment_value - out->control_value;
}

static void show_quantiles(const struct weighing *w, struct metric_verdict *out)
{
    show_told(w, out);
    out->lower = out->upper = out->expected_loss = (double)NAN;
}

static void show_arms(const struct weighing *w, struct metric_verdict *out)
{
    bool units = w->measure.kind == MEASURE_FAILURE;
    double shown[N_ARMS] = {0, 0}, counted[N_ARMS] = {0, 0}, sum[N_ARMS] = {0, 0};
    for (int s = 0; s < w->experiment->n_steps; s++)
        for (int a = 0; a < N_ARMS; a++) {
            struct ratio_estimate e = weighing_estimate(w, s, (enum arm_served)a, SIDE_NONE, 0);
            bool any = e.n > 0 && !isnan(e.value);
            counted[a] += any ? e.n : 0;
            sum[a] += any ? e.n * e.value : 0;
            shown[a] += units ? (double)evidence_arm(w->evidence, s, (enum arm_served)a).units
                        : any ? e.n
                              : 0;
        }
    double none = (double)NAN;
    out->control_n = shown[ARM_CONTROL];
    out->treatment_n = shown[ARM_TREATMENT];
    out->control_value = counted[ARM_CONTROL] > 0 ? sum[ARM_CONTROL] / counted[ARM_CONTROL] : none;
    out->treatment_value =
        counted[ARM_TREATMENT] > 0 ? sum[ARM_TREATMENT] / counted[ARM_TREATMENT] : none;
}

/* Both rates of each step within their time-uniform bounds at once: exact from the first unit on. */
static void show_exact(const struct weighing *w, struct metric_verdict *out)
{
    double alpha = w->experiment->alpha / (N_ARMS * w->experiment->n_steps);
    double information = 0, difference = 0, lower = 0, upper = 0;
    for (int s = 0; s < w->experiment->n_steps; s++) {
        struct rate_counts rate = evidence_rate(w->evidence, s, w->index, SIDE_HARM);
        int64_t x = rate.failures.control, a = rate.trials_control;
        int64_t y = rate.failures.treatment, b = rate.trials_treatment;
        if (a == 0 || b == 0)
            continue;
        double n_a = (double)a, n_b = (double)b, weight = n_a * n_b / (n_a + n_b);
        information += weight;
        difference += weight * ((double)y / n_b - (double)x / n_a);
        lower += weight * (rate_lower_bound(y, b, alpha) - rate_upper_bound(x, a, alpha));
        upper += weight * (rate_upper_bound(y, b, alpha) - rate_lower_bound(x, a, alpha));
    }
    if (!(information > 0))
        return;
    out->difference = difference / information;
    out->lower = lower / information;
    out->upper = upper / information;
}

static void show_effect(const struct weighing *w, struct metric_verdict *out)
{
    struct strata strata;
    weighing_strata(w, SIDE_NONE, 1, &strata);
    struct contrast c = weighing_contrast(&strata);
    out->difference = out->lower = out->upper = (double)NAN;
    out->chance_to_win = out->expected_loss = (double)NAN;
    if (!(c.information > 0) || !(c.variance > 0)) {
        out->difference = out->treatment_value - out->control_value;
        if (w->measure.kind == MEASURE_FAILURE && evidence_complete(w->evidence, w->index))
            show_exact(w, out);
        return;
    }
    struct confseq cs =
        confseq_two_sided(c.value, c.variance, c.information, w->experiment->alpha, w->tuning);
    out->difference = c.value;
    out->lower = cs.lower;
    out->upper = cs.upper;
    struct effect effect = {true, c.value, c.variance, (double)INFINITY, c.information};
    struct bayes_summary bayes = bayes_normal(&effect, NULL, weighing_sign(w) > 0, 0.05);
    out->chance_to_win = bayes.chance_to_win;
    out->expected_loss = bayes.loss_treatment;
}

/* Satterthwaite's degrees of freedom; the buckets are what varies. */
static double welch_dof(const struct ratio_estimate *a, const struct ratio_estimate *b)
{
    double sum = a->variance + b->variance;
    return sum * sum /
           (a->variance * a->variance / (a->buckets - 1) +
            b->variance * b->variance / (b->buckets - 1));
}

/* The same data as a test with a fixed end reads them; never used to decide. */
static void show_fixed(const struct weighing *w, struct metric_verdict *out)
{
    struct test_result result = {.defined = false};
    double alpha = w->experiment->alpha;
    if (w->measure.kind == MEASURE_FAILURE) {
        struct rate_counts rate = evidence_rate(w->evidence, w->step, w->index, SIDE_HARM);
        result = test_proportions(rate.trials_control, (double)rate.failures.control,
                                  rate.trials_treatment, (double)rate.failures.treatment, alpha)
                     .z;
        out->fixed_test = "pooled z";
    } else {
        double theta = evidence_theta(w->evidence, w->step, w->index);
        struct ratio_estimate a = weighing_estimate(w, w->step, ARM_CONTROL, SIDE_NONE, theta);
        struct ratio_estimate b = weighing_estimate(w, w->step, ARM_TREATMENT, SIDE_NONE, theta);
        double variance = a.variance + b.variance;
        if (a.buckets > 1 && b.buckets > 1 && variance > 0) {
            struct effect effect = {true, b.value - a.value, variance, welch_dof(&a, &b),
                                    a.n + b.n};
            result = test_effect(&effect, alpha);
        }
        out->fixed_test = "Welch t";
    }
    if (!result.defined) {
        out->fixed_test = NULL;
        return;
    }
    out->fixed_statistic = result.statistic;
    out->fixed_dof = result.dof;
    out->fixed_p_value = result.p_two_sided;
    out->fixed_lower = result.lower;
    out->fixed_upper = result.upper;
}

void weigh_show(const struct experiment *experiment, const struct evidence *evidence, int metric,
                int step, struct metric_verdict *out)
{
    struct weighing w = weighing_of(experiment, evidence, metric, step);
    if (out->certain) {
        show_told(&w, out);
        return;
    }
    show_arms(&w, out);
    show_effect(&w, out);
    if (!isnan(w.measure.quantile)) /* what was compared are shares beyond a quantile */
        show_quantiles(&w, out);
    show_fixed(&w, out);
}
