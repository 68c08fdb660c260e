#include "web/rule_data.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "storage/drift_components.h"
#include "storage/drift_model.h"
#include "storage/estimates.h"
#include "storage/series.h"
#include "web/model_metrics.h"

enum {
    SLICE_BYTES = 513
};

static const char *text_of(const json_t *rule, const char *key)
{
    return json_string_value(json_object_get(rule, key));
}

/* "country=de"; "": the rule is of everything. */
static void slice_of(const json_t *rule, char out[SLICE_BYTES])
{
    const char *key;
    json_t *value, *segment = json_object_get(rule, "segment");
    out[0] = '\0';
    json_object_foreach(segment, key, value)
    {
        if (json_is_string(value))
            snprintf(out, SLICE_BYTES, "%s=%s", key, json_string_value(value));
    }
}

static int64_t window_of(const json_t *rule)
{
    const char *window = text_of(rule, "window");
    int64_t window_ms = 3600000;
    if (window)
        (void)duration_parse(&window_ms, window, strlen(window)); /* checked at the start */
    return window_ms;
}

/* All features together are judged by what was fitted on the reference's rows. */
static int has_components(struct store *store, const json_t *rule, const char *model, bool *out,
                          struct err *err)
{
    AUTO(multivariate) struct multivariate *components = NULL;
    char why[200];
    int rc =
        components_read(store, model, text_of(rule, "version"), &components, why, sizeof(why), err);
    *out = components != NULL;
    return rc;
}

/* Drift is measured against a reference: a loaded one, or one made of stored panes. */
static int has_reference(struct store *store, const struct config *config, const json_t *rule,
                         const char *model, int64_t complete_ms, bool *out, struct err *err)
{
    const char *feature = text_of(rule, "feature");
    const int64_t end_ms = complete_ms - complete_ms % window_of(rule);
    const struct profile_span window = {end_ms - window_of(rule), end_ms};
    struct profile_model known;
    *out = false;
    if (is_of_components(feature))
        return has_components(store, rule, model, out, err);
    if (window.from_ms < 0)
        return 0;
    char slice[SLICE_BYTES];
    slice_of(rule, slice);
    const struct drift_slice of = {model, text_of(rule, "version"), slice};
    int rc = drift_model_read(store, config, &of, &window, &known, err);
    if (rc)
        return rc;
    *out = known.reference.reference != NULL;
    profile_model_finish(&known);
    return 0;
}

struct search {
    const struct config_model *model;
    const char *metric;
    int64_t window_ms;
    bool found;
};

static int take_point(void *context, const struct series_point *point, struct err *err)
{
    (void)err;
    struct search *search = context;
    struct model_metrics metrics;
    struct metric_value value;
    struct err why;
    if (search->found || !point->states)
        return 0;
    if (model_metrics_open(&metrics, states_setup(point->states)->task, search->model,
                           search->metric, &why) == 0 &&
        metrics.n == 1) {
        metric_evaluate(point->states, &metrics.queries[0], search->window_ms, &value);
        search->found = value.n > 0 && !isnan(value.value);
        model_metrics_finish(&metrics);
    }
    return 0;
}

static int has_value(struct store *store, const struct config *config, const json_t *rule,
                     const char *model, int64_t complete_ms, bool *out, struct err *err)
{
    char slice[SLICE_BYTES];
    struct search search = {
        .model = config_model_find(config, model),
        .metric = text_of(rule, "metric"),
        .window_ms = window_of(rule),
    };
    slice_of(rule, slice);
    /* the aligned windows around its end: together they hold all of it */
    int64_t start_ms = complete_ms - complete_ms % search.window_ms;
    struct series_query query = {
        .model = model,
        .version = text_of(rule, "version"),
        .slice = slice,
        .from_ms = start_ms > search.window_ms ? start_ms - search.window_ms : 0,
        .to_ms = start_ms + search.window_ms,
        .window_ms = search.window_ms,
        .step_ms = search.window_ms,
        .estimates = metric_estimated(search.metric) != NULL,
    };
    struct series_points about; /* keeps no points */
    int rc = series_each(store, &query, take_point, &search, &about, err);
    *out = search.found;
    return rc;
}

int rule_has_data(struct store *store, const struct config *config, const json_t *rule,
                  const char *model, int64_t complete_ms, bool *out, struct err *err)
{
    *out = true;
    if (json_object_get(rule, "drift"))
        return has_reference(store, config, rule, model, complete_ms, out, err);
    if (!text_of(rule, "metric"))
        return 0; /* `absent` judges just that */
    *out = false;
    return complete_ms < 0 ? 0 : has_value(store, config, rule, model, complete_ms, out, err);
}
