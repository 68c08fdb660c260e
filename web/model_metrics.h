/*
 * The metrics of one model, built-in and its own: names into queries, for /metrics of the API and
 * for the OpenMetrics page.
 *
 * Owner    model_metrics_open gives, model_metrics_finish takes; queries borrow from it
 * Errors   ERR_USAGE with near matches when a name is unknown
 */
#pragma once

#include "common/config.h"
#include "stats/custom.h"
#include "storage/store.h"

enum {
    MODEL_METRICS_MAX = 64, /* names in one question */
};

struct model_metrics {
    struct custom_set *set; /* NULL: none */
    struct metric_query *queries;
    char (*names)[320];
    size_t n;
    /* Of an estimate: what came true, once labels are there; NULL: of no estimate. */
    struct metric_query *realised[MODEL_METRICS_MAX];
};

/* The names that a chart of this task begins with, separated by commas. */
const char *main_metrics(enum task task);
/* "higher", "lower" or "none" */
const char *better_word(enum better better);

/* `names`: separated by commas; NULL: the main ones and those of the model's own. `config`: NULL
   when the model is not configured. */
int model_metrics_open(struct model_metrics *out, enum task task, const struct config_model *config,
                       const char *names, struct err *err);

/* How the mean of a system value is called: gpu_utilization, or `system{name="x"}`. False: its name
   is too long for a metric. */
bool system_metric(char name[320], const char *value);
/* What is expected of the task's main metrics before the labels come. */
int model_metrics_add_estimates(struct model_metrics *metrics, enum task task, struct err *err);
/* Adds those that hosts told of this model, as far as there is room. */
int model_metrics_add_system(struct model_metrics *metrics, struct store *store, const char *model,
                             enum task task, struct err *err);
void model_metrics_finish(struct model_metrics *metrics);
