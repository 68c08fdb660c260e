/* What is known of a version as a whole: facts that were registered, and estimates without labels.
 */
#include <math.h>
#include <string.h>

#include "abtest/run_item.h"
#include "stats/metric.h"
#include "storage/catalog.h"
#include "storage/series.h"

enum {
    MINUTE_MS = 60000,
    ESTIMATE_MS = 3600000, /* an estimate is of the newest hour of the step, or less */
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

static int estimate(struct run *run, const struct item *item, int metric, enum arm_served arm,
                    int64_t to_ms, double *out, struct err *err)
{
    int64_t begun_ms = item->ramp.since_ms + RUN_SETTLE_MS;
    int64_t from_ms = (begun_ms + MINUTE_MS - 1) / MINUTE_MS * MINUTE_MS;
    if (to_ms - from_ms > ESTIMATE_MS)
        from_ms = to_ms - ESTIMATE_MS;
    struct series_query query = {
        .model = item->experiment->model,
        .version = version_of(item->experiment, arm),
        .from_ms = from_ms,
        .to_ms = to_ms,
        .window_ms = to_ms - from_ms,
        .step_ms = to_ms - from_ms,
    };
    struct series_points points = {0};
    struct metric_ref ref;
    struct metric_value value;
    struct err why;
    *out = (double)NAN;
    if (from_ms >= to_ms)
        return 0;
    int rc = series_read(run->options.store, &query, &points, err);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    const char *name = item->experiment->metrics[metric].metric;
    if (points.n == 1 && points.points[0].states &&
        metric_find(&ref, name, points.setup.task, &why) == 0) {
        metric_result(points.points[0].states, &ref, query.window_ms, &value);
        *out = value.value;
    }
    series_points_free(&points);
    return 0;
}

static int tell_estimate(struct run *run, struct item *item, int metric, int64_t look_ms,
                         struct err *err)
{
    int rc = 0;
    for (int a = 0; !rc && a < N_ARMS; a++) {
        double value;
        rc = estimate(run, item, metric, (enum arm_served)a, look_ms, &value, err);
        if (!rc)
            evidence_tell(item->evidence, metric, (enum arm_served)a, value);
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
        else if (measure.kind == MEASURE_ESTIMATE)
            rc = tell_estimate(run, item, i, minute_ms, err);
        else
            continue;
        item->dirty = true;
    }
    return rc;
}
