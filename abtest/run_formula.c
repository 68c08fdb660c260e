/*
 * A model's own metrics (`metrics:` of the configuration) as formulas in an experiment's object, so
 * that the object says all that its decisions were made of.
 */
#include <stdio.h>
#include <string.h>

#include "abtest/run_item.h"
#include "stats/metric.h"

enum {
    MAX_FORMULA_BYTES = 1000
};

static const struct config_metric *metric_of(const struct config_model *model, const char *name)
{
    for (size_t i = 0; model && i < model->n_metrics; i++)
        if (strcmp(model->metrics[i].name, name) == 0)
            return &model->metrics[i];
    return NULL;
}

/* An outcome rule is the formula of one metric. Arms differ in size: a sum counts by prediction, as
   the mean does. */
static int print_outcome(char out[MAX_FORMULA_BYTES], const struct config_metric *metric,
                         struct err *err)
{
    bool rate = !metric->agg || strcmp(metric->agg, "rate") == 0;
    bool per_unit = metric->per && strcmp(metric->per, "unit") == 0;
    int n = snprintf(out, MAX_FORMULA_BYTES, "outcome_%s%s{name=\"%s\"}", rate ? "rate" : "sum",
                     per_unit ? "_per_unit" : "", metric->outcome);
    return n < MAX_FORMULA_BYTES
               ? 0
               : err_set(err, ERR_DATA, "metric %s: its outcome's name is too long", metric->name);
}

static int fill_one(json_t *metric, const struct config_model *model, struct err *err)
{
    const char *name = json_string_value(json_object_get(metric, "metric"));
    struct measure known;
    char formula[MAX_FORMULA_BYTES];
    const struct config_metric *custom = name ? metric_of(model, name) : NULL;
    if (!custom || json_object_get(metric, "expr") || measure_resolve(&known, name, NULL) == 0)
        return 0;
    int rc = custom->expr ? 0 : print_outcome(formula, custom, err);
    if (!rc &&
        json_object_set_new(metric, "expr", json_string(custom->expr ? custom->expr : formula)))
        rc = err_set(err, ERR_DATA, "metric %s: its formula is no text", name);
    return rc;
}

int run_fill_formulas(json_t *object, const struct config *config, struct err *err)
{
    const char *name = json_string_value(json_object_get(object, "model"));
    const struct config_model *model = config && name ? config_model_find(config, name) : NULL;
    size_t i;
    json_t *metric;
    int rc = 0;
    json_array_foreach(json_object_get(object, "metrics"), i, metric)
    {
        rc = rc ? rc : fill_one(metric, model, err);
    }
    return rc;
}

/* A metric that the model's task does not have would be undefined for ever. */
int run_check_metrics(const struct experiment *experiment, const struct config *config,
                      struct err *err)
{
    const struct config_model *model = config ? config_model_find(config, experiment->model) : NULL;
    int task = model && model->task ? task_parse(model->task) : -1;
    for (int i = 0; task >= 0 && i < experiment->n_metrics; i++) {
        const struct experiment_metric *metric = &experiment->metrics[i];
        struct metric_ref ref;
        struct err why = {0};
        if (metric->expr || metric_find(&ref, metric->metric, (enum task)task, &why) == 0)
            continue;
        if (strstr(why.text, " is one of ")) /* others are no metric of the collector */
            return err_set(err, ERR_DATA, "metrics[%d]: %s", i, why.text);
    }
    return 0;
}
