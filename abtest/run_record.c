/*
 * Looks that are kept for people: when intervals narrowed, and to what. Chosen by event time alone,
 * so that a replay keeps the same ones: every ten seconds at first, later each hundredth of the
 * experiment's age, which makes some hundred rows of a day and some thousand of a year.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "abtest/run_item.h"
#include "common/json_print.h"
#include "storage/commit.h"
#include "storage/looks.h"

enum {
    RECORD_MS = 10000,
    RECORD_PART = 100
};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

static json_t *print_metrics(const struct item *item)
{
    const struct verdict *verdict = &item->verdict;
    json_t *metrics = json_array();
    for (int i = 0; metrics && i < verdict->n_metrics; i++) {
        const struct metric_verdict *m = &verdict->metrics[i];
        json_array_append_new(
            metrics,
            json_pack("{s:s,s:o,s:o,s:o,s:o,s:o,s:s,s:o,s:o}", "metric",
                      item->experiment->metrics[i].metric, "control", number(m->control_value),
                      "treatment", number(m->treatment_value), "difference", number(m->difference),
                      "lower", number(m->lower), "upper", number(m->upper), "status",
                      metric_status_name(m->status), "log_e_harm", number(m->log_e_harm),
                      "log_e_non_inferior", number(m->log_e_safe)));
    }
    return metrics;
}

static char *print_look(const struct item *item)
{
    const struct verdict *verdict = &item->verdict;
    json_t *json = json_pack(
        "{s:s,s:{s:I,s:I},s:o,s:o,s:o}", "verdict", verdict_name(verdict->kind), "units", "control",
        (json_int_t)verdict->units_control, "treatment", (json_int_t)verdict->units_treatment,
        "srm", number(verdict->srm.p_value), "samples_needed", number(verdict->samples_needed),
        "metrics", print_metrics(item));
    char *text = json ? json_print(json) : NULL;
    json_decref(json);
    return text;
}

bool record_due(const struct item *item, int64_t look_ms)
{
    int64_t age_ms = look_ms - item->ramp.started_ms;
    int64_t gap_ms = age_ms / RECORD_PART > RECORD_MS ? age_ms / RECORD_PART : RECORD_MS;
    return item->recorded_ms == INT64_MIN || look_ms - item->recorded_ms >= gap_ms;
}

int record_look(struct item *item, struct store *store, int64_t look_ms, struct err *err)
{
    AUTO_FREE char *detail = print_look(item);
    if (!detail)
        return err_set(err, -ENOMEM, "experiment %s: no memory", item->experiment->name);
    struct look_row row = {
        .experiment = item->experiment->name,
        .at_ms = look_ms,
        .step = item->verdict.step,
        .weight = item->verdict.weight,
        .detail = detail,
    };
    int rc = commit_look(store, &row, err);
    if (!rc)
        item->recorded_ms = look_ms;
    return rc;
}

int record_apart(struct item *item, struct store *store, int64_t look_ms, struct err *err)
{
    ab_show(item->experiment, item->evidence, &item->verdict);
    int rc = commit_begin(store, err);
    if (rc)
        return rc;
    rc = record_look(item, store, look_ms, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}
