#include "abtest/plan.h"

#include <errno.h>
#include <math.h>

#include "abtest/measure.h"
#include "stats/e_process.h"
#include "stats/sample_size.h"

static const double POWER = 0.8;

/* r = 1 + relative, or 1 + absolute margin over the base. */
static double ratio_of(double relative, double absolute, double base)
{
    double one = isnan(relative) ? 0 : relative, other = isnan(absolute) ? 0 : absolute / base;
    return 1 + one + other;
}

static struct plan_step plan_one(const struct experiment *e, int step,
                                 const struct experiment_metric *metric,
                                 const struct plan_question *q)
{
    const struct experiment_step *s = &e->steps[step];
    double share = experiment_share(e, step), base = q->base_rate;
    /* with control_share equal, only those inside the comparison count */
    double compared = experiment_weight(e, step) / 100 / share;
    double safe = sample_size_until_safe(
        base, base, share, ratio_of(metric->margin_relative, metric->margin, base), e->alpha);
    double harm = sample_size_until_harm(
        base, q->harm_rate, share,
        ratio_of(metric->harm_margin_relative, metric->harm_margin, base), e->alpha);
    safe = fmax(safe, (double)s->min_units / share);
    struct plan_step row = {
        .weight = experiment_weight(e, step),
        .share = share,
        .safe_units = safe,
        .harm_units = harm,
        .safe_ms = fmax(1000 * safe / (q->units_per_second * compared), (double)s->min_duration_ms),
        .harm_ms = 1000 * harm / (q->units_per_second * compared),
    };
    struct two_arms arms = two_arms_of_rates(base, base, share);
    double units = row.safe_ms / 1000 * q->units_per_second * compared;
    row.smallest_effect =
        share < 1 ? sample_size_smallest_effect(&arms, e->alpha, POWER, units) : (double)INFINITY;
    return row;
}

/* A share of units or events that is bad: its base says all of its variance. */
static bool is_bad_share(const struct experiment_metric *metric)
{
    struct measure measure;
    if (measure_of(&measure, metric, NULL))
        return false;
    return measure.kind == MEASURE_FAILURE ||
           (measure.kind == MEASURE_RATIO && measure.binary && metric->lower_is_better);
}

int plan_rates(const struct experiment *e, int index, const struct plan_question *q,
               struct plan_step *out, struct err *err)
{
    if (!is_bad_share(&e->metrics[index]))
        return err_set(err, -EINVAL,
                       "plan: %s is no rate of failures: what it needs hangs on its own variance",
                       e->metrics[index].metric);
    if (!(q->base_rate > 0 && q->base_rate < 1))
        return err_set(err, -EINVAL, "plan: base rate %g is not between 0 and 1", q->base_rate);
    if (!(q->harm_rate > 0 && q->harm_rate < 1))
        return err_set(err, -EINVAL, "plan: harm rate %g is not between 0 and 1", q->harm_rate);
    if (!(q->units_per_second > 0))
        return err_set(err, -EINVAL, "plan: %g units a second is not above 0", q->units_per_second);
    for (int s = 0; s < e->n_steps; s++)
        out[s] = plan_one(e, s, &e->metrics[index], q);
    return 0;
}
