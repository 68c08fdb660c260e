#include "abtest/experiment_metric.h"

#include <errno.h>
#include <math.h>
#include <string.h>

#include "abtest/compound.h"

static int check_formula(const struct experiment_metric *m, int index, struct err *err)
{
    AUTO(compound) struct compound *compound = NULL;
    struct measure measure = measure_of_formula(), known;
    if (measure_resolve(&known, m->metric, NULL) == 0)
        return err_set(err, ERR_DATA,
                       "metrics[%d].expr: %s is a metric of its own; give the formula another name",
                       index, m->metric);
    int rc = compound_new(&compound, &measure, m->expr, err);
    if (rc == -EINVAL) /* how the formula is written */
        rc = ERR_DATA;
    return rc ? err_prefix(err, rc, "metrics[%d].expr", index) : 0;
}

/* What some kinds of metrics cannot be asked for. */
static int check_kind(const struct experiment_metric *m, const struct measure *measure, bool strict,
                      int index, struct err *err)
{
    bool apart = measure->kind != MEASURE_RATIO || measure->stage == STAGE_SYSTEM;
    if (m->covariate && (apart || measure->square_root))
        return err_set(err, ERR_DATA,
                       "metrics[%d].covariate: %s takes none; means and shares of units do", index,
                       m->metric);
    bool bare = isnan(m->margin) && isnan(m->margin_relative);
    if (measure->quantile == 1 && m->role != ROLE_MONITOR && (strict || m->role == ROLE_PRIMARY))
        return err_set(err, ERR_DATA,
                       "metrics[%d]: no number of events shows that a maximum is no larger: %s can "
                       "be a monitor, or a guardrail under noninferiority lenient (its hard_limit "
                       "is sure from the first value beyond it)",
                       index, m->metric);
    if (measure->kind == MEASURE_FAILURE && !isnan(measure->quantile) && bare &&
        m->role == ROLE_PRIMARY && (m->harm_margin > 0 || m->harm_margin_relative > 0))
        return err_set(err, ERR_DATA,
                       "metrics[%d]: %s with a harm margin needs margin or margin_relative", index,
                       m->metric);
    if (measure->kind == MEASURE_ESTIMATE && m->role == ROLE_PRIMARY)
        return err_set(err, ERR_DATA,
                       "metrics[%d]: %s is estimated without labels: it may hold a rollout, never "
                       "promote it; make it a guardrail or a monitor",
                       index, m->metric);
    if (measure->kind == MEASURE_ESTIMATE && m->role == ROLE_GUARDRAIL && bare &&
        isnan(m->hard_limit))
        return err_set(err, ERR_DATA, "metrics[%d]: %s needs margin, margin_relative or hard_limit",
                       index, m->metric);
    return 0;
}

int experiment_metric_check(const struct experiment *e, int index, struct err *err)
{
    const struct experiment_metric *m = &e->metrics[index];
    if (!m->metric)
        return err_set(err, ERR_DATA, "metrics[%d].metric: is missing", index);
    struct measure measure;
    int rc = m->expr ? check_formula(m, index, err) : 0;
    if (rc)
        return rc;
    rc = measure_of(&measure, m, err);
    if (rc)
        return err_prefix(err, rc, "metrics[%d]", index);
    rc = check_kind(m, &measure, e->strict, index, err);
    if (rc)
        return rc;
    for (int i = 0; i < index; i++)
        if (strcmp(e->metrics[i].metric, m->metric) == 0)
            return err_set(err, ERR_DATA, "metrics[%d].metric: %s is already metrics[%d]", index,
                           m->metric, i);
    if (!isnan(m->margin) && !isnan(m->margin_relative))
        return err_set(err, ERR_DATA, "metrics[%d]: give margin or margin_relative, not both",
                       index);
    if (m->harm_margin > 0 && m->harm_margin_relative > 0)
        return err_set(err, ERR_DATA,
                       "metrics[%d]: give harm_margin or harm_margin_relative, not both", index);
    if (m->margin == 0 || m->margin_relative == 0)
        return err_set(err, ERR_DATA,
                       "metrics[%d]: margin must be above 0: equality can never be shown", index);
    if (!m->lower_is_better && (m->margin_relative >= 1 || m->harm_margin_relative >= 1))
        return err_set(err, ERR_DATA,
                       "metrics[%d]: a relative margin of a metric where higher is better must "
                       "be below 1",
                       index);
    if (m->role == ROLE_GUARDRAIL && e->strict && isnan(m->margin) && isnan(m->margin_relative))
        return err_set(err, ERR_DATA,
                       "metrics[%d] (%s): a guardrail under noninferiority strict needs margin or "
                       "margin_relative above 0 (or choose lenient)",
                       index, m->metric);
    return 0;
}
