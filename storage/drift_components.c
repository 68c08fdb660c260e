#include "storage/drift_components.h"

#include <stdio.h>

#include "stats/estimator.h"
#include "stats/metric_domain.h"
#include "stats/metric_estimated.h"
#include "storage/estimates.h"
#include "storage/reference_panes.h"

enum {
    WHY_BYTES = 200
};

struct judging {
    const struct multivariate *model;
    double false_alarm_rate;
    bool of_slice;
    int (*point)(void *context, const struct components_point *point, struct err *err);
    void *context;
};

static struct domain_drift judge_domain(const struct judging *judging, const struct states *states,
                                        uint64_t reference)
{
    const double none = (double)NAN;
    const struct domain *domain = judging->model->domain;
    const struct domain_sums *sums =
        states ? domain_sums_of(states_get(states, &domain_kind),
                                multivariate_domain_id(judging->model, reference))
               : NULL;
    if (domain && sums && sums->n_terms == domain->n_terms)
        return domain_result(domain, sums->sums, sums->n, judging->false_alarm_rate);
    return (struct domain_drift){
        none, none, none, false,
        domain ? "no event came since the reference has a domain classifier"
               : "the reference has no domain classifier: it has too few rows, or was loaded by an "
                 "earlier version"};
}

static void judge_not(struct components_point *point)
{
    static const char why[] = "all features together are judged for the whole model only; ask "
                              "without a segment, or look at the segment's features one by one";
    const double none = (double)NAN;
    point->drift.lower = point->drift.threshold = point->drift.p_value = none;
    point->domain.threshold = point->domain.p_value = none;
    point->drift.drifted = point->domain.drifted = false;
    if (!point->why)
        point->why = why;
    if (!point->domain.why)
        point->domain.why = why;
}

static int judge(void *context, const struct series_point *from, struct err *err)
{
    const struct judging *judging = context;
    const struct estimator *estimator = from->states ? states_setup(from->states)->estimator : NULL;
    const struct multivariate_window *window =
        estimator ? expected_reconstruction(states_get(from->states, &expected_kind),
                                            estimator->reference)
                  : NULL;
    const struct multivariate_window none = {0};
    struct components_point point = {
        .start_ms = from->start_ms,
        .end_ms = from->end_ms,
        .n = window ? window->n : 0,
        .reference = estimator ? estimator->reference : 0,
        .drift =
            multivariate_result(judging->model, window ? window : &none, judging->false_alarm_rate),
        .domain = judge_domain(judging, from->states, estimator ? estimator->reference : 0),
        .partial = from->partial,
    };
    if (!from->states)
        point.why = from->partial ? SERIES_KEPT_LONGER : "no event in the window";
    else if (point.n == 0)
        point.why = "no event came under this reference; it was loaded later";
    if (judging->of_slice)
        judge_not(&point);
    return judging->point(judging->context, &point, err);
}

int components_each(struct store *store, const struct series_query *query, double false_alarm_rate,
                    int (*point)(void *context, const struct components_point *point,
                                 struct err *err),
                    void *context, char *why, struct err *err)
{
    AUTO(multivariate) struct multivariate *model = NULL;
    struct series_query windows = *query;
    struct series_points about;
    windows.step_ms = windows.window_ms;
    why[0] = '\0';
    int rc = components_read(store, query->model, query->version, &model, why, WHY_BYTES, err);
    if (!rc && !model && !why[0])
        snprintf(why, WHY_BYTES, "%s", REFERENCE_WITHOUT_ROWS);
    if (rc || !model)
        return rc;
    const bool of_slice = query->slice && query->slice[0];
    struct judging judging = {model, false_alarm_rate, of_slice, point, context};
    return series_each(store, &windows, judge, &judging, &about, err);
}
