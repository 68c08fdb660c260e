#include "web/model_metrics.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "stats/custom_config.h"
#include "stats/metric_system.h"
#include "storage/catalog.h"
#include "web/routes.h"

const char *main_metrics(enum task task)
{
    switch (task) {
    case TASK_BINARY:
        return "count,roc_auc,f1,accuracy,log_loss,positive_rate,labelled_rate,error_rate,"
               "latency_p99";
    case TASK_MULTICLASS:
        return "count,accuracy,f1_macro,log_loss,confidence_mean,labelled_rate,error_rate,"
               "latency_p99";
    case TASK_REGRESSION:
        return "count,mae,rmse,r2,bias,prediction_mean,labelled_rate,error_rate,latency_p99";
    case TASK_RANKING:
        return "count,ndcg_10,mrr,hit_rate_10,map_10,labelled_rate,error_rate,latency_p99";
    case TASK_SEGMENTATION:
        return "count,mean_iou,dice,labelled_rate,error_rate,latency_p99";
    case N_TASKS:
        break;
    }
    return "count";
}

const char *better_word(enum better better)
{
    static const char *const words[] = {"none", "higher", "lower"};
    return words[better];
}

/* What an estimate, just resolved, is an estimate of. */
static int add_realised(struct model_metrics *out, enum task task, struct err *err)
{
    const char *of = metric_estimated(out->names[out->n]);
    struct metric_query *realised = NULL;
    if (of) {
        realised = calloc(1, sizeof(*realised));
        if (!realised)
            return err_set(err, -ENOMEM, "no memory for metrics");
        if (metric_resolve(realised, out->set, task, of, NULL)) {
            free(realised); /* a custom metric that only looks like an estimate */
            realised = NULL;
        }
    }
    out->realised[out->n] = realised;
    return 0;
}

static int add(struct model_metrics *out, enum task task, const char *name, size_t n,
               struct err *err)
{
    if (out->n == MODEL_METRICS_MAX)
        return err_set(err, ERR_USAGE, "more than %d metrics in one question", MODEL_METRICS_MAX);
    if (n == 0 || n >= sizeof(out->names[0]))
        return err_set(err, ERR_USAGE, "a metric's name has 1 to %zu bytes",
                       sizeof(out->names[0]) - 1);
    memcpy(out->names[out->n], name, n);
    out->names[out->n][n] = '\0';
    int rc = metric_resolve(&out->queries[out->n], out->set, task, out->names[out->n], err);
    if (rc == -EINVAL && err)
        err->code = ERR_USAGE; /* the same words: the name is the asker's */
    if (rc)
        return rc == -EINVAL ? ERR_USAGE : rc;
    rc = add_realised(out, task, err);
    out->n += rc == 0;
    return rc;
}

int model_metrics_open(struct model_metrics *out, enum task task, const struct config_model *config,
                       const char *names, struct err *err)
{
    *out = (struct model_metrics){
        .queries = calloc(MODEL_METRICS_MAX, sizeof(*out->queries)),
        .names = calloc(MODEL_METRICS_MAX, sizeof(*out->names)),
    };
    int rc = out->queries && out->names ? 0 : err_set(err, -ENOMEM, "no memory for metrics");
    if (!rc && config && config->n_metrics)
        rc = custom_set_of(&out->set, config, task, err);
    const char *at = names ? names : main_metrics(task);
    const char *name;
    size_t n;
    while (rc == 0 && list_next(&at, &name, &n))
        rc = add(out, task, name, n, err);
    for (size_t i = 0; rc == 0 && !names && i < custom_count(out->set); i++)
        rc = add(out, task, custom_name(out->set, i), strlen(custom_name(out->set, i)), err);
    if (rc)
        model_metrics_finish(out);
    return rc;
}

bool system_metric(char name[320], const char *value)
{
    struct buf text;
    if (!strchr(value, '{') && system_metric_is(value))
        return snprintf(name, 320, "%s", value) > 0;
    buf_init(&text, 319);
    buf_printf(&text, "system{name=\"");
    for (const char *c = value; *c; c++) {
        if (*c == '"' || *c == '\\' || *c == '\n')
            buf_u8(&text, '\\');
        buf_u8(&text, (uint8_t)(*c == '\n' ? 'n' : *c));
    }
    buf_printf(&text, "\"}");
    bool fits = !buf_failed(&text);
    if (fits)
        snprintf(name, 320, "%.*s", (int)text.size, (const char *)text.data);
    buf_finish(&text);
    return fits;
}

int model_metrics_add_estimates(struct model_metrics *metrics, enum task task, struct err *err)
{
    static const char *const names[N_TASKS] = {
        [TASK_BINARY] = "estimated_roc_auc,estimated_f1,estimated_accuracy",
        [TASK_MULTICLASS] = "estimated_accuracy,estimated_f1_macro",
        [TASK_REGRESSION] = "estimated_mae,estimated_rmse",
    };
    const char *at = names[task], *name;
    size_t n;
    int rc = 0;
    while (rc == 0 && at && list_next(&at, &name, &n))
        rc = add(metrics, task, name, n, err);
    return rc;
}

struct adding {
    struct model_metrics *metrics;
    enum task task;
};

static int add_system(void *context, uint64_t id, const char *text, struct err *err)
{
    (void)id;
    struct adding *adding = context;
    char name[320];
    return adding->metrics->n < MODEL_METRICS_MAX && system_metric(name, text)
               ? add(adding->metrics, adding->task, name, strlen(name), err)
               : 0;
}

int model_metrics_add_system(struct model_metrics *metrics, struct store *store, const char *model,
                             enum task task, struct err *err)
{
    struct adding adding = {metrics, task};
    return names_each(store, model, "system", add_system, &adding, err);
}

void model_metrics_finish(struct model_metrics *metrics)
{
    custom_set_free(metrics->set);
    for (size_t i = 0; i < metrics->n; i++)
        free(metrics->realised[i]);
    free(metrics->queries);
    free(metrics->names);
    *metrics = (struct model_metrics){0};
}
