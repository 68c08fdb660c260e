/* What is known of a version as a whole: facts that were registered, estimates without labels, and
   for people the quantiles of both arms. */
#include <math.h>
#include <string.h>

#include "abtest/run_item.h"
#include "stats/metric.h"
#include "storage/catalog.h"
#include "storage/series.h"

enum {
    MINUTE_MS = 60000,
    VALUE_MS = 3600000, /* an estimate or quantile is of the newest hour of the step, or less */
};

struct facts {
    struct item *item;
    int metric;
    const char *name;
};

static const char *version_of(const struct experiment *experiment, enum arm_served arm)
{
    return arm == ARM_TREATMENT ? experiment->treatment : experiment->control;
}

static int take_facts(void *context, const char *version, const char *facts_json, struct err *err)
{
    (void)err;
    struct facts *facts = context;
    json_t *json = facts_json ? json_loads(facts_json, 0, NULL) : NULL;
    json_t *value = json_object_get(json, facts->name);
    for (int a = 0; json_is_number(value) && a < N_ARMS; a++)
        if (strcmp(version, version_of(facts->item->experiment, (enum arm_served)a)) == 0)
            evidence_tell(facts->item->evidence, facts->metric, (enum arm_served)a,
                          json_number_value(value));
    json_decref(json);
    return 0;
}

static int tell_fact(struct run *run, struct item *item, int metric, struct err *err)
{
    struct facts facts = {item, metric, item->experiment->metrics[metric].metric};
    int rc = versions_each(run->options.store, item->experiment->model, take_facts, &facts, err);
    return rc == ERR_NOT_FOUND ? 0 : rc; /* no such model yet */
}

static int merge_all(const struct series_points *points, struct states **sum, struct err *err)
{
    int rc = states_new(sum, &points->setup, err);
    for (size_t i = 0; !rc && i < points->n; i++)
        if (points->points[i].states)
            rc = states_merge(*sum, points->points[i].states);
    return rc;
}

int run_value(struct run *run, const char *model, const char *version, const char *metric,
              int64_t from_ms, int64_t to_ms, struct metric_value *out, struct err *err)
{
    struct series_query query = {
        .model = model,
        .version = version,
        .from_ms = from_ms > 0 ? from_ms : 0,
        .to_ms = to_ms,
        .window_ms = MINUTE_MS,
        .step_ms = MINUTE_MS,
        .estimates = metric_estimated(metric) != NULL,
    };
    AUTO(states) struct states *sum = NULL;
    struct series_points points = {0};
    struct metric_ref ref;
    struct err why;
    *out = (struct metric_value){.value = (double)NAN};
    if (query.from_ms >= to_ms || series_read(run->options.store, &query, &points, &why))
        return 0; /* no such model yet */
    int rc = merge_all(&points, &sum, err);
    if (!rc && metric_find(&ref, metric, points.setup.task, &why) == 0)
        metric_result(sum, &ref, to_ms - query.from_ms, out);
    series_points_free(&points);
    return rc;
}

/* Of both versions, from their minutes in the step: the newest hour. */
static int tell_value(struct run *run, struct item *item, int metric, int64_t look_ms,
                      struct err *err)
{
    const struct experiment *experiment = item->experiment;
    int64_t begun_ms = item->ramp.since_ms + RUN_SETTLE_MS;
    int64_t from_ms = (begun_ms + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS;
    if (look_ms - from_ms > VALUE_MS)
        from_ms = look_ms - VALUE_MS;
    int rc = 0;
    for (int a = 0; !rc && a < N_ARMS; a++) {
        struct metric_value value;
        rc = run_value(run, experiment->model, version_of(experiment, (enum arm_served)a),
                       experiment->metrics[metric].metric, from_ms, look_ms, &value, err);
        if (!rc)
            evidence_tell(item->evidence, metric, (enum arm_served)a, value.value);
    }
    return rc;
}

int item_tell(struct run *run, struct item *item, int64_t look_ms, struct err *err)
{
    int64_t minute_ms = look_ms - look_ms % MINUTE_MS;
    int rc = 0;
    if (item->told_ms == minute_ms)
        return 0;
    item->told_ms = minute_ms;
    for (int i = 0; !rc && i < item->experiment->n_metrics; i++) {
        struct measure measure;
        if (measure_of(&measure, &item->experiment->metrics[i], NULL))
            continue;
        if (measure.kind == MEASURE_FACT)
            rc = tell_fact(run, item, i, err);
        else if (measure.kind == MEASURE_ESTIMATE || !isnan(measure.quantile))
            rc = tell_value(run, item, i, minute_ms, err);
        else
            continue;
        item->dirty = true;
    }
    return rc;
}
