#include "stats/custom_config.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static struct custom_rule rule_of(const struct config_metric *metric)
{
    const char *agg = metric->agg ? metric->agg : "rate";
    return (struct custom_rule){
        .name = metric->name,
        .outcome = metric->outcome,
        .expr = metric->expr,
        .agg = strcmp(agg, "sum") == 0    ? AGG_SUM
               : strcmp(agg, "mean") == 0 ? AGG_MEAN
                                          : AGG_RATE,
        .per = metric->per && strcmp(metric->per, "unit") == 0 ? PER_UNIT : PER_PREDICTION,
    };
}

/* The first `n` of them. */
static int set_of(struct custom_set **out, const struct config_model *model, enum task task,
                  size_t n, struct err *err)
{
    AUTO_FREE struct custom_rule *rules = calloc(n + 1, sizeof(*rules));
    if (!rules)
        return err_set(err, -ENOMEM, "no memory for the metrics of %s", model->name);
    for (size_t i = 0; i < n; i++)
        rules[i] = rule_of(&model->metrics[i]);
    return custom_set_new(out, task, rules, n, err);
}

int custom_set_of(struct custom_set **out, const struct config_model *model, enum task task,
                  struct err *err)
{
    return set_of(out, model, task, model->n_metrics, err);
}

static int check(const struct config *config, size_t at, struct err *err)
{
    const struct config_model *model = &config->models[at];
    const enum task task = (enum task)task_parse(model->task);
    for (size_t n = 1; n <= model->n_metrics; n++) {
        AUTO(custom_set) struct custom_set *set = NULL;
        struct err why = {0};
        int rc = set_of(&set, model, task, n, &why);
        if (rc == -ENOMEM)
            return err_set(err, rc, "%s", why.text);
        if (rc)
            return err_set(err, ERR_DATA, "%s:%d: models[%zu].metrics[%zu]: %s", config->path,
                           model->metrics[n - 1].line, at, n - 1, why.text);
    }
    return 0;
}

int customs_check(const struct config *config, struct err *err)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < config->n_models; i++)
        rc = check(config, i, err);
    return rc;
}
