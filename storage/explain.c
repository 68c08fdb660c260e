#include "storage/explain.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats/explain.h"
#include "storage/catalog.h"
#include "storage/drift_judged.h"
#include "storage/explain_slices.h"
#include "storage/explain_tell.h"
#include "storage/series.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS INT64_C(3600000)
#define RATE_EFFECT 0.05 /* a change of a missing rate that counts as much as an alarm */

const char *explain_split_name(enum explain_split split)
{
    static const char *const names[] = {"mean", "sum", "replace"};
    return names[split];
}

const char *explain_by_name(enum explain_by by)
{
    static const char *const names[] = {"drift", "missing", "invalid"};
    return names[by];
}

/* --- the metric --- */

/* What the task is judged by; the second needs no labels. */
static const char *const first_metrics[N_TASKS][2] = {
    [TASK_BINARY] = {"accuracy", "positive_rate"},
    [TASK_MULTICLASS] = {"accuracy", "confidence_mean"},
    [TASK_REGRESSION] = {"mae", "prediction_mean"},
    [TASK_RANKING] = {"ndcg_10", "count"},
    [TASK_SEGMENTATION] = {"mean_iou", "count"},
};

struct two_windows {
    struct explained_window before, now;
};

static void evaluate(const struct states *states, const struct metric_query *metric,
                     int64_t length_ms, struct metric_value *out)
{
    *out = (struct metric_value){.value = NAN, .lower = NAN, .upper = NAN};
    if (!states)
        return;
    metric_evaluate(states, metric, length_ms, out);
    out->n = states_count(states);
    out->labelled = states_labelled(states);
}

/* Quality is of labels; what everybody has (latency, error_rate) and estimates are not. */
static bool is_of_labels(const struct metric_query *metric)
{
    const struct metric_def *def = metric->builtin.def;
    size_t n;
    return def && def->better != BETTER_NONE && def->state != metric_kinds(&n)[0] &&
           !metric_estimated(def->name);
}

static int evaluate_named(const struct explain_query *query, const char *name, enum task task,
                          const struct two_windows *whole, struct metric_query *metric,
                          struct explanation *out, struct err *err)
{
    int rc = metric_resolve(metric, query->customs, task, name, err);
    if (rc)
        return rc;
    snprintf(out->metric, sizeof(out->metric), "%s", name);
    evaluate(whole->before.states, metric, query->before_to_ms - query->before_from_ms,
             &out->before);
    evaluate(whole->now.states, metric, query->to_ms - query->from_ms, &out->now);
    out->change = out->now.value - out->before.value;
    out->of_labels = is_of_labels(metric);
    return 0;
}

static int explain_metric(struct store *store, const struct explain_query *query,
                          struct explanation *out, struct err *err)
{
    struct model_known known = {0};
    struct two_windows whole = {0};
    struct metric_query metric;
    struct explain_window window = {
        .model = query->model,
        .version = query->version,
        .slice = query->slice,
        .from_ms = query->before_from_ms,
        .to_ms = query->before_to_ms,
        .estimates = query->metric && metric_estimated(query->metric),
    };
    int rc = model_read(store, query->model, &known, err);
    if (rc)
        return rc;
    enum task task = known.setup.task;
    model_finish(&known);
    if (window.to_ms > window.from_ms)
        rc = explain_states(store, &window, out, &whole.before, err);
    window.from_ms = query->from_ms;
    window.to_ms = query->to_ms;
    if (!rc)
        rc = explain_states(store, &window, out, &whole.now, err);
    out->change = (double)NAN;
    if (!rc && query->metric)
        rc = evaluate_named(query, query->metric, task, &whole, &metric, out, err);
    for (int i = 0; !rc && !query->metric && i < 2 && isnan(out->change); i++)
        rc = evaluate_named(query, first_metrics[task][i], task, &whole, &metric, out, err);
    if (!rc)
        rc = explain_split_slices(store, query, &metric, out, err);
    series_points_free(&whole.before.points);
    series_points_free(&whole.now.points);
    return rc;
}

/* --- features --- */

struct featuring {
    struct drift_judging judging;
    struct drift_feature *drift; /* of the window */
    struct drift_summary summary;
    struct explanation *out;
};

static bool features_known(void *context, uint64_t fingerprint)
{
    struct featuring *featuring = context;
    return drift_judged_find(&featuring->judging, fingerprint, featuring->drift,
                             &featuring->summary);
}

static void weigh(struct explained_feature *feature)
{
    double drift = drift_effect(&feature->drift.verdict);
    double rates[] = {feature->missing.lower > 0 ? feature->missing.difference / RATE_EFFECT : 0,
                      feature->invalid.lower > 0 ? feature->invalid.difference / RATE_EFFECT : 0};
    feature->effect = !feature->drift.why && isfinite(drift) ? drift : 0;
    for (int i = 0; i < 2; i++) {
        if (rates[i] > feature->effect) {
            feature->effect = rates[i];
            feature->by = i == 0 ? BY_MISSING : BY_INVALID;
        }
    }
}

/* Of equals what the model made ("@score") comes behind what it was given. */
static int by_effect(const void *a, const void *b)
{
    const struct explained_feature *x = a, *y = b;
    if (x->effect != y->effect)
        return x->effect > y->effect ? -1 : 1;
    if ((x->name[0] == '@') != (y->name[0] == '@'))
        return x->name[0] == '@' ? 1 : -1;
    return strcmp(x->name, y->name);
}

static int take_features(void *context, const struct profile_point *point, struct err *err)
{
    struct featuring *featuring = context;
    struct explanation *out = featuring->out;
    const struct profile_model *model = &out->model;
    const struct drift_feature *drift = featuring->drift;
    int rc = 0;
    out->partial |= point->partial;
    if (!point->profile && !point->known)
        return 0;
    out->features = calloc(model->n_features + 1, sizeof(*out->features));
    if (!out->features)
        return err_set(err, -ENOMEM, "explain: no memory");
    if (!point->known)
        rc = drift_judged_make(&featuring->judging, point, featuring->drift, &featuring->summary,
                               err);
    double all = 0;
    for (uint32_t i = 0; !rc && i < model->n_features; i++) {
        const struct reference_feature *known =
            reference_find(model->reference.reference, model->features[i].name_id);
        struct explained_feature *feature = &out->features[out->n_features++];
        const struct profile_quality *quality = &drift[i].quality;
        *feature =
            (struct explained_feature){.name = model->names[i], .known = known, .drift = drift[i]};
        feature->missing = rate_change(known ? known->missing : 0, known ? known->n : 0,
                                       quality->missing, quality->n);
        feature->invalid = rate_change(known ? known->n_invalid : 0, known ? known->n : 0,
                                       quality->n_invalid, quality->n);
        if (model->no_reference[0])
            feature->drift.why = model->no_reference;
        weigh(feature);
        all += feature->effect;
    }
    for (size_t i = 0; i < out->n_features; i++)
        out->features[i].share = all > 0 ? out->features[i].effect / all : 0;
    if (!rc)
        out->n_drifted = featuring->summary.n_drifted;
    if (out->n_features)
        qsort(out->features, out->n_features, sizeof(*out->features), by_effect);
    return rc;
}

static int explain_features_of(struct store *store, const struct config *config,
                               const struct explain_query *query, struct explanation *out,
                               struct err *err)
{
    const struct drift_rule rule = drift_rule_of(config, query->model);
    struct featuring featuring = {.judging = {.rule = &rule, .model = &out->model}, .out = out};
    struct profile_query window = {
        .model = query->model,
        .version = query->version,
        .slice = query->slice,
        .from_ms = query->from_ms,
        .to_ms = query->to_ms,
        .window_ms = query->to_ms - query->from_ms,
        .level = PROFILE_HOUR,
        .known = features_known,
    };
    size_t n_damaged = 0;
    const struct profile_span span = {query->from_ms, query->to_ms};
    const struct drift_slice slice = {query->model, query->version, query->slice};
    int rc = drift_model_read(store, config, &slice, &span, &out->model, err);
    if (!rc)
        rc = store_drift_cache(store, &featuring.judging.cache, err);
    AUTO_FREE struct drift_feature *drift = featuring.drift =
        calloc(out->model.n_features + 1, sizeof(*drift));
    if (!rc && !drift)
        rc = err_set(err, -ENOMEM, "explain: no memory");
    if (!rc)
        rc = profiles_each(store, &out->model, &window, take_features, &featuring, &n_damaged, err);
    out->n_damaged += n_damaged;
    return rc;
}

/* --- all of it --- */

static int64_t down(int64_t ms, int64_t to)
{
    return ms / to * to;
}

static int64_t up(int64_t ms, int64_t to)
{
    return (ms + to - 1) / to * to;
}

static int check_windows(struct explain_query *query, struct err *err)
{
    int64_t *ends[2][2] = {{&query->from_ms, &query->to_ms},
                           {&query->before_from_ms, &query->before_to_ms}};
    for (int i = 0; i < 2; i++) {
        int64_t *from = ends[i][0], *to = ends[i][1];
        if (i == 1 && *to == 0) { /* as long, just before; the epoch has no before */
            *to = query->from_ms;
            *from = *to > query->to_ms - query->from_ms ? 2 * *to - query->to_ms : 0;
        }
        int64_t grain = *to - *from > SERIES_MAX_WINDOW_STEPS * MINUTE_MS ? HOUR_MS : MINUTE_MS;
        *from = down(*from, grain);
        *to = up(*to, grain);
        if (*from < 0 || *from > *to || (i == 0 && *from == *to))
            return err_set(err, ERR_USAGE, "from and to are no range of time");
    }
    return 0;
}

static int explain_changes_of(struct store *store, const struct explain_query *query,
                              struct explanation *out, struct err *err)
{
    const struct change_query changes = {
        .model = query->model,
        .version = query->version,
        .slice = query->slice && query->slice[0] ? query->slice : NULL,
        .from_ms = query->from_ms,
        .to_ms = query->to_ms,
    };
    return explained_changes_read(store, &changes, &out->changes, err);
}

int explain_read(struct store *store, const struct config *config,
                 const struct explain_query *asked, struct explanation *out, struct err *err)
{
    struct explain_query query = *asked;
    *out = (struct explanation){.change = NAN};
    int rc = check_windows(&query, err);
    if (rc)
        return rc;
    out->from_ms = query.from_ms;
    out->to_ms = query.to_ms;
    out->before_from_ms = query.before_from_ms;
    out->before_to_ms = query.before_to_ms;
    rc = explain_metric(store, &query, out, err);
    if (!rc)
        rc = explain_features_of(store, config, &query, out, err);
    if (!rc)
        rc = explain_changes_of(store, &query, out, err);
    if (rc)
        explanation_finish(out);
    else
        explanation_tell(out);
    return rc;
}

void explanation_finish(struct explanation *explanation)
{
    for (size_t i = 0; i < explanation->n_slices; i++) {
        free(explanation->slices[i].version);
        free(explanation->slices[i].slice);
    }
    free(explanation->slices);
    free(explanation->features);
    explained_changes_finish(&explanation->changes);
    profile_model_finish(&explanation->model);
    *explanation = (struct explanation){0};
}

int explain_cause(struct store *store, const struct config *config,
                  const struct explain_query *query, char *out, size_t n, struct err *err)
{
    struct explanation explanation;
    out[0] = '\0';
    int rc = explain_read(store, config, query, &explanation, err);
    if (rc)
        return rc;
    char feature[200] = "";
    if (!query->metric && explanation.changes.n == 0) /* the features are what it is about */
        explanation_tell_feature(&explanation, feature, sizeof(feature));
    snprintf(out, n, "%s", feature[0] ? feature : explanation.cause);
    explanation_finish(&explanation);
    return 0;
}
