/* What the numbers of a window mean for a rule: pure. */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "alerts/reading.h"
#include "stats/interval.h"
#include "stats/trend.h"

enum alert_sight reading_judge(const struct alert_rule *rule, double value, double lower,
                               double upper)
{
    if (isnan(value))
        return SIGHT_NO_DATA;
    bool has_interval = rule->interval && !isnan(lower) && !isnan(upper);
    double level = rule->level, clear = rule->clear;
    if (!rule->above) { /* the same, mirrored */
        value = -value;
        lower = -upper;
        level = -level;
        clear = -clear;
    }
    if ((has_interval ? lower : value) > level)
        return SIGHT_BAD;
    /* Well again: the value itself is back on the good side of the clear level. */
    return value <= clear ? SIGHT_CLEAR : SIGHT_BETWEEN;
}

/* In percent as people write them: a change that is not known to be bounded has no end. */
static void tell_change(const struct alert_rule *rule, struct reading *out)
{
    static const char *const against[] = {
        [RELATIVE_PREVIOUS] = "before",
        [RELATIVE_BACK] = "before",
        [RELATIVE_REFERENCE] = "in the reference",
        [RELATIVE_REALISED] = "as it came true",
    };
    snprintf(out->why, sizeof(out->why), "%s %.4g, %+.1f%% against %.4g %s", rule->metric,
             out->value, 100.0 * out->change, out->compared, against[rule->relative_to]);
    if (isfinite(out->change_lower) && isfinite(out->change_upper))
        snprintf(out->confidence, sizeof(out->confidence),
                 "95%% interval of the change %+.1f%% to %+.1f%%%s, n %" PRId64,
                 100.0 * out->change_lower, 100.0 * out->change_upper,
                 out->sight == SIGHT_BAD && rule->interval ? ", all of it beyond the level" : "",
                 out->n);
}

void reading_judge_change(const struct alert_rule *rule, const struct metric_value *now,
                          const struct metric_value *compared, struct reading *out)
{
    if (compared->value == 0.0) {
        snprintf(out->why, sizeof(out->why), "the value compared with is 0");
        return;
    }
    const struct estimate estimates[] = {{now->value, {now->lower, now->upper}},
                                         {compared->value, {compared->lower, compared->upper}}};
    const struct interval change = interval_change(estimates[0], estimates[1]);
    out->compared = compared->value;
    out->change = (now->value - compared->value) / fabs(compared->value);
    out->change_lower = change.lower;
    out->change_upper = change.upper;
    out->sight = reading_judge(rule, out->change, change.lower, change.upper);
    tell_change(rule, out);
}

/* Of the orders of independent values without a trend one falls each time. */
void reading_judge_declines(const struct alert_rule *rule, bool each_time, struct reading *out)
{
    const char *fell = rule->decreasing ? "fell" : "rose";
    out->sight = each_time ? SIGHT_BAD : SIGHT_CLEAR;
    snprintf(out->why, sizeof(out->why), "%s %s%s over %d windows, now %.4g", rule->metric,
             each_time ? fell : "has no trend", each_time ? " each time" : "", rule->points,
             out->value);
    snprintf(out->confidence, sizeof(out->confidence),
             "without a trend %d windows do so by chance once in %.6g times", rule->points,
             tgamma(rule->points + 1.0));
}

int reading_judge_trend(const struct alert_rule *rule, const double *values, size_t n_known,
                        struct reading *out, struct err *err)
{
    struct trend trend;
    /* Of 24 windows, the first six of a new model's life are none of what was asked for. */
    if (n_known < 3 || 2 * n_known < (size_t)rule->points ||
        trend_least_p(n_known) > rule->trend_rate) {
        snprintf(out->why, sizeof(out->why), "%zu of %d windows have data, too few", n_known,
                 rule->points);
        return 0;
    }
    AUTO_FREE double *times = calloc((size_t)rule->points, sizeof(*times));
    for (int i = 0; times && i < rule->points; i++)
        times[i] = i;
    if (!times || trend_of(times, values, (size_t)rule->points, &trend))
        return err_set(err, -ENOMEM, "alerts: no memory");
    bool that_way = rule->decreasing ? trend.s < 0 : trend.s > 0;
    double p = that_way ? trend.p_value / 2 : 1 - trend.p_value / 2;
    out->sight = p <= rule->trend_rate ? SIGHT_BAD : SIGHT_CLEAR;
    snprintf(out->why, sizeof(out->why),
             "%s %s by %.4g a window (%.4g to %.4g) over %d windows, now %.4g", rule->metric,
             trend.slope < 0 ? "falls" : "rises", fabs(trend.slope),
             trend.slope < 0 ? -trend.upper : trend.lower,
             trend.slope < 0 ? -trend.lower : trend.upper, rule->points, out->value);
    if (trend.n < (size_t)rule->points) {
        const size_t n = strlen(out->why);
        snprintf(out->why + n, sizeof(out->why) - n, " (%zu have data)", trend.n);
    }
    snprintf(out->confidence, sizeof(out->confidence),
             "p %.2g (Mann–Kendall); of series without a trend %.3g are called so", p,
             rule->trend_rate);
    return 0;
}
