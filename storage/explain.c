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
    const struct drift_verdict *verdict = &feature->drift.verdict;
    double drift = verdict->statistic / verdict->threshold;
    if (verdict->fixed && !isnan(verdict->p_value)) /* the threshold is one of p */
        drift = log(fmax(verdict->p_value, 1e-300)) / log(verdict->threshold);
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

static int by_effect(const void *a, const void *b)
{
    const struct explained_feature *x = a, *y = b;
    if (x->effect != y->effect)
        return x->effect > y->effect ? -1 : 1;
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
        *feature = (struct explained_feature){.name = model->names[i], .drift = drift[i]};
        feature->missing = rate_change(known ? known->missing : 0, known ? known->n : 0,
                                       quality->missing, quality->n);
        feature->invalid = rate_change(known ? known->n_invalid : 0, known ? known->n : 0,
                                       quality->n_invalid, quality->n);
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
    int rc = drift_model_read(store, config, query->model, query->version, &span, &out->model, err);
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

/* --- the sentence --- */

/* The slice that moved the metric, when it did so beyond its share of the traffic. */
static const struct explained_slice *leading_slice(const struct explanation *e)
{
    for (size_t i = 0; i < e->n_slices; i++) {
        const struct explained_slice *slice = &e->slices[i];
        double w0 = (double)slice->before.n / (double)e->before.n;
        double w1 = (double)slice->now.n / (double)e->now.n;
        if (slice->share >= 0.5 && slice->share >= 1.5 * fmax(w0, w1))
            return slice;
    }
    return NULL;
}

static void tell_slice(const struct explanation *e, char *out, size_t n)
{
    const struct explained_slice *slice = leading_slice(e);
    if (!slice)
        return;
    const char *name = slice->version ? slice->version : slice->slice;
    const char *value = slice->version ? NULL : strchr(name, '=');
    int key = value ? (int)(value - name) : 0;
    char of[160];
    if (value)
        snprintf(of, sizeof(of), "%.*s:%.80s", key > 60 ? 60 : key, name, value + 1);
    else
        snprintf(of, sizeof(of), "version %.80s", name);
    char share[40] = "more than twice"; /* of a change so small how often says nothing */
    if (slice->share <= 2)
        snprintf(share, sizeof(share), "%.0f%% of", 100 * slice->share);
    snprintf(out, n,
             "%s carries %s the change of %.60s (%.3g to %.3g there, with %.0f%% of the "
             "predictions)",
             of, share, e->metric, slice->before.value, slice->now.value,
             100.0 * (double)slice->now.n / (double)e->now.n);
}

static void tell_feature(const struct explanation *e, char *out, size_t n)
{
    const struct explained_feature *f = e->n_features ? &e->features[0] : NULL;
    if (!f || (f->by == BY_DRIFT ? !f->drift.verdict.drifted : f->effect < 1))
        return;
    const struct drift_verdict *verdict = &f->drift.verdict;
    if (f->by == BY_DRIFT && isfinite(verdict->threshold))
        snprintf(out, n, "%.80s drifted most: %s %.3g, threshold %.3g", f->name, verdict->method,
                 verdict->statistic, verdict->threshold);
    else if (f->by == BY_DRIFT)
        snprintf(out, n, "%.80s drifted most: %s %.3g", f->name, verdict->method,
                 verdict->statistic);
    else
        snprintf(out, n, "%.80s is %s in %.3g%%, %.3g%% in the reference", f->name,
                 explain_by_name(f->by), 100 * (f->by == BY_MISSING ? f->missing : f->invalid).now,
                 100 * (f->by == BY_MISSING ? f->missing : f->invalid).before);
}

/* One part of the sentence more, if it fits as a whole. */
static void append(struct explanation *e, const char *part)
{
    const size_t used = strlen(e->cause), room = sizeof(e->cause) - used;
    if (part[0] && strlen(part) + 2 < room)
        snprintf(e->cause + used, room, "%s%s", used ? "; " : "", part);
}

/* The strongest part first. */
static void tell(struct explanation *e)
{
    char changes[sizeof(e->cause)], slice[512] = "", feature[200] = "";
    explained_changes_tell(&e->changes, changes, sizeof(changes));
    tell_slice(e, slice, sizeof(slice));
    tell_feature(e, feature, sizeof(feature));
    append(e, changes);
    append(e, slice);
    append(e, feature);
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
        tell(out);
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
        tell_feature(&explanation, feature, sizeof(feature));
    snprintf(out, n, "%s", feature[0] ? feature : explanation.cause);
    explanation_finish(&explanation);
    return 0;
}
