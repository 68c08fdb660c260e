/*
 * GET /models/M/drift: for each version and slice asked for, one walk over the windows; each
 * window's profile is compared with the reference as a whole, because the verdicts of its features
 * belong together. The points of a feature grow in a buf of their own.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "common/text.h"
#include "stats/drift_quality.h"
#include "storage/drift_components.h"
#include "storage/drift_judged.h"
#include "storage/drift_model.h"
#include "storage/series.h"
#include "web/completeness.h"
#include "web/handlers.h"
#include "web/pairs.h"

enum {
    DEFAULT_WINDOWS = 24,
    MAX_POINT_BYTES = 32 * 1024 * 1024, /* of one feature */
};

struct drifting {
    struct api_context *context;
    const struct api_input *input;
    struct api_answer *answer;
    struct store *store;
    const char *name;
    struct profile_model model;
    struct profile_query query;
    struct drift_rule rule;
    struct drift_cache *cache; /* the store's */
    struct drift_summary summary;
    struct pairs pairs;
    const struct pair *pair;
    struct buf *points;             /* by feature */
    struct buf references;          /* by window, where they follow a rhythm */
    bool *wanted;                   /* by feature */
    enum profile_kind *kinds;       /* by feature, as last seen */
    struct drift_feature *features; /* of the window at hand */
    double share;                   /* of the newest window that was judged */
    int64_t complete_ms, labels_complete_ms;
    size_t n_damaged, n_partial;
};

static void drifting_free(struct drifting *d)
{
    if (!d)
        return;
    for (uint32_t i = 0; d->points && i < d->model.n_features; i++)
        buf_finish(&d->points[i]);
    buf_finish(&d->references);
    profile_model_finish(&d->model);
    pairs_finish(&d->pairs);
    free(d->points);
    free(d->wanted);
    free(d->kinds);
    free(d->features);
    free(d);
}
DEFINE_FREEP(drifting)

static double rate(uint64_t part, uint64_t all)
{
    return all ? (double)part / (double)all : (double)NAN;
}

/* The largest bound of what the point shows; 0: all exact. */
static double bound_of(const struct drift_feature *feature)
{
    const struct drift_numeric *n = &feature->numeric;
    const struct drift_categorical *c = &feature->categorical;
    const struct drift_value *numeric[] = {&n->psi, &n->js_distance, &n->ks, &n->wasserstein_norm,
                                           &n->hellinger};
    const struct drift_value *categorical[] = {&c->psi, &c->js_distance, &c->hellinger,
                                               &c->l_infinity, &c->unseen_rate};
    const struct drift_value *distance = &feature->embedding.mean_distance_norm;
    bool embedding = !feature->why && feature->quality.kind == PROFILE_EMBEDDING;
    double bound = embedding && !distance->why ? distance->error_bound : 0;
    for (int i = 0; !feature->why && i < 5; i++) {
        const struct drift_value *value = feature->is_numeric ? numeric[i] : categorical[i];
        if (!value->why)
            bound = fmax(bound, value->error_bound);
    }
    return bound;
}

/* What only embeddings have. */
static void write_distance(struct buf *out, const struct drift_feature *feature)
{
    const struct drift_embedding *e = &feature->embedding;
    const char *why = feature->why ? feature->why : e->mean_distance_norm.why;
    out_key_double(out, "mean_distance", feature->why ? (double)NAN : e->mean_distance.value);
    out_key_double(out, "mean_distance_norm",
                   feature->why ? (double)NAN : e->mean_distance_norm.value);
    if (why)
        out_key_string(out, "mean_distance_why", why);
}

static void write_statistics(struct buf *out, const struct drift_feature *feature)
{
    double none = (double)NAN;
    bool number = !feature->why && feature->is_numeric;
    bool category = !feature->why && !feature->is_numeric;
    const struct drift_numeric *n = &feature->numeric;
    const struct drift_categorical *c = &feature->categorical;
    out_key_double(out, "unseen_rate", category ? c->unseen_rate.value : none);
    out_key_double(out, "outside_rate", number ? n->outside_rate : none);
    out_key_double(out, "psi", number ? n->psi.value : category ? c->psi.value : none);
    out_key_double(out, "js_distance",
                   number     ? n->js_distance.value
                   : category ? c->js_distance.value
                              : none);
    out_key_double(out, "ks", number ? n->ks.value : none);
    out_key_double(out, "ks_p", number ? n->ks_p : none);
    out_key_double(out, "wasserstein", number ? n->wasserstein.value : none);
    out_key_double(out, "wasserstein_norm", number ? n->wasserstein_norm.value : none);
    out_key_double(out, "hellinger",
                   number     ? n->hellinger.value
                   : category ? c->hellinger.value
                              : none);
    out_key_double(out, "chi2", category ? c->chi2.value : none);
    out_key_double(out, "chi2_p", category ? c->chi2_p : none);
    out_key_double(out, "l_infinity", category ? c->l_infinity.value : none);
    out_key_double(out, "mean", number ? n->mean : none);
    out_key_double(out, "std", number ? n->std : none);
}

static void write_invalid(struct buf *out, const struct profile_quality *quality)
{
    out_key(out, "invalid");
    out_open(out, '{');
    for (int i = 0; i < N_INVALID; i++)
        if (quality->invalid[i])
            out_key_int(out, profile_invalid_name((enum profile_invalid)i),
                        (int64_t)quality->invalid[i]);
    out_close(out, '}');
}

/* How rates changed since the reference; those that are 0 on both sides are left out. */
static void write_changes(struct buf *out, const struct reference_feature *known,
                          const struct drift_feature *feature)
{
    const struct profile_quality *now = &feature->quality;
    double outside = feature->is_numeric && !feature->why ? feature->numeric.outside_rate : 0;
    struct rate_change missing = rate_change(known->missing, known->n, now->missing, now->n);
    struct rate_change invalid = rate_change(known->n_invalid, known->n, now->n_invalid, now->n);
    struct rate_change beyond =
        rate_change(0, known->valid,
                    outside > 0 ? (uint64_t)llrint(outside * (double)now->valid) : 0, now->valid);
    out_key(out, "changes");
    out_open(out, '{');
    if (known->missing || now->missing)
        write_rate_change(out, "missing", &missing);
    if (known->n_invalid || now->n_invalid)
        write_rate_change(out, "invalid", &invalid);
    if (outside > 0)
        write_rate_change(out, "outside", &beyond);
    out_close(out, '}');
}

static void write_point(struct buf *out, const struct profile_point *point,
                        const struct reference_feature *known, const struct drift_feature *feature)
{
    const struct profile_quality *quality = &feature->quality;
    const struct drift_verdict *verdict = &feature->verdict;
    out_open(out, '{');
    out_key_int(out, "start", point->start_ms);
    out_key_int(out, "end", point->end_ms);
    out_key_int(out, "n", (int64_t)quality->valid);
    out_key_double(out, "missing_rate", rate(quality->missing, quality->n));
    out_key_double(out, "invalid_rate", rate(quality->n_invalid, quality->n));
    write_invalid(out, quality);
    if (known && quality->n)
        write_changes(out, known, feature);
    write_statistics(out, feature);
    if (quality->kind == PROFILE_EMBEDDING)
        write_distance(out, feature);
    out_key_double(out, "error_bound", bound_of(feature));
    out_key_string(out, "method", verdict->method);
    out_key_double(out, "statistic", verdict->statistic);
    out_key_double(out, "threshold", verdict->threshold);
    out_key_double(out, "p_value", verdict->p_value);
    out_key_double(out, "q_value", verdict->q_value);
    out_key_double(out, "effect", drift_effect(verdict));
    if (drift_by_p(verdict))
        out_key_string(out, "threshold_of", "p_value");
    out_key_bool(out, "drifted", verdict->drifted);
    if (point->partial)
        out_key_bool(out, "partial", true);
    if (feature->why || verdict->why)
        out_key_string(out, "why", feature->why ? feature->why : verdict->why);
    out_close(out, '}');
}

static struct drift_judging judging_of(const struct drifting *d)
{
    return (struct drift_judging){
        .cache = d->cache,
        .rule = &d->rule,
        .model = &d->model,
        .background = d->context->background != NULL,
        .stopping = d->context->background,
        .context = d->context->asker,
    };
}

static bool window_known(void *context, uint64_t fingerprint)
{
    struct drifting *d = context;
    const struct drift_judging judging = judging_of(d);
    return drift_judged_find(&judging, fingerprint, d->features, &d->summary);
}

/* Why a window has no reference where others, or the whole model's, have one. */
static void explain_gap(struct drifting *d)
{
    const struct profile_model *model = &d->model;
    const char *why = model->no_reference;
    if (model->reference.reference || (!model->rhythm && !why[0]))
        return;
    if (model->rhythm)
        why = model->n_spans ? "nothing is stored of the same hours before"
                             : "the window is as long as the reference's rhythm";
    for (uint32_t i = 0; i < model->n_features; i++)
        d->features[i].why = why;
}

static void no_window(struct drifting *d, bool partial)
{
    d->summary = (struct drift_summary){.share = (double)NAN};
    for (uint32_t i = 0; i < d->model.n_features; i++)
        d->features[i] = (struct drift_feature){
            .why = partial ? SERIES_KEPT_LONGER : "no event in the window",
            .quality.kind = d->kinds[i],
            .verdict = {.statistic = (double)NAN,
                        .threshold = (double)NAN,
                        .p_value = (double)NAN,
                        .q_value = (double)NAN},
        };
}

/* Who shares the work: nobody, where nobody waits. */
static struct crew *crew_of(const struct drifting *d)
{
    return d->context->background ? NULL : drift_cache_crew(d->cache);
}

struct writing {
    struct drifting *d;
    const struct profile_point *point;
};

static int write_feature(void *context, size_t i, struct err *err)
{
    const struct writing *writing = context;
    struct drifting *d = writing->d;
    (void)err;
    if (!d->wanted[i])
        return 0;
    struct buf points =
        d->points[i]; /* not where it lies: the next feature's is in the same line of the cache */
    write_point(&points, writing->point,
                reference_find(d->model.reference.reference, d->model.features[i].name_id),
                &d->features[i]);
    d->points[i] = points;
    return 0;
}

static int add_window(void *context, const struct profile_point *point, struct err *err)
{
    struct drifting *d = context;
    const struct drift_judging judging = judging_of(d);
    struct writing writing = {d, point};
    int rc = 0;
    d->n_partial += point->partial;
    if (point->profile)
        rc = drift_judged_make(&judging, point, d->features, &d->summary, err);
    else if (!point->known)
        no_window(d, point->partial);
    if (rc)
        return rc;
    if (point->profile || point->known)
        explain_gap(d);
    if (d->summary.n_judged)
        d->share = d->summary.share;
    for (uint32_t i = 0; i < d->model.n_features; i++)
        if (d->features[i].quality.kind != PROFILE_AUTO)
            d->kinds[i] = d->features[i].quality.kind;
    return crew_each(crew_of(d), d->model.n_features, write_feature, &writing, err);
}

static void write_window_reference(struct drifting *d, const struct profile_span *window)
{
    struct buf *out = &d->references;
    out_open(out, '{');
    out_key_int(out, "start", window->from_ms);
    out_key_int(out, "end", window->to_ms);
    write_reference(out, &d->model);
    out_close(out, '}');
}

/* One window after the other, each against the reference of its own hours. */
static int walk_rhythm(struct drifting *d, const struct profile_query *all, struct err *err)
{
    struct profile_query query = *all;
    int rc = 0;
    for (int64_t start = all->from_ms; !rc && start < all->to_ms; start += all->window_ms) {
        const struct profile_span window = {start, start + all->window_ms};
        size_t n_damaged = 0;
        query.from_ms = window.from_ms;
        query.to_ms = window.to_ms;
        rc = drift_model_move(d->store, d->context->config, d->name, &window, &d->model, err);
        if (!rc)
            rc = profiles_each(d->store, &d->model, &query, add_window, d, &n_damaged, err);
        if (d->pair == d->pairs.items)
            write_window_reference(d, &window);
        d->n_damaged += n_damaged;
    }
    return rc;
}

static int walk_windows(struct drifting *d, const struct profile_query *query, struct err *err)
{
    size_t n_damaged = 0;
    if (d->model.rhythm)
        return walk_rhythm(d, query, err);
    int rc = profiles_each(d->store, &d->model, query, add_window, d, &n_damaged, err);
    d->n_damaged += n_damaged;
    return rc;
}

/* What a series is compared with: a slice's own part of the reference, a version's own one. */
static int refer(struct drifting *d, const struct drift_slice *of, bool again, struct err *err)
{
    const struct config *config = d->context->config;
    const struct profile_span first = {d->query.from_ms, d->query.from_ms + d->query.window_ms};
    const struct profile_span newest = {d->query.to_ms - d->query.window_ms, d->query.to_ms};
    int rc = again ? drift_model_turn(d->store, config, of, &first, &d->model, err)
                   : drift_model_read(d->store, config, of, &first, &d->model, err);
    if (rc == 0) /* the answer names that of the newest window */
        rc = drift_model_move(d->store, config, d->name, &newest, &d->model, err);
    return rc;
}

static int walk_pair(struct drifting *d, const struct pair *pair, struct err *err)
{
    struct buf *out = &d->answer->body;
    struct profile_query query = d->query;
    char segment[SEGMENT_BYTES];
    query.version = pair->version;
    query.slice = pair->slice;
    query.crew = crew_of(d);
    d->pair = pair;
    for (uint32_t i = 0; i < d->model.n_features; i++)
        buf_clear(&d->points[i]);
    const struct drift_slice of = {d->name, pair->version, pair->slice};
    const bool several = d->pairs.n > 1;
    int rc = several ? refer(d, &of, true, err) : 0;
    if (!rc)
        rc = walk_windows(d, &query, err);
    if (rc)
        return rc;
    pair_segment(pair, segment);
    for (uint32_t i = 0; i < d->model.n_features; i++) {
        if (!d->wanted[i])
            continue;
        out->failed |= d->points[i].failed;
        out_open(out, '{');
        out_key_string(out, "feature", d->model.names[i]);
        out_key_string(out, "kind", profile_kind_name(d->kinds[i]));
        out_key_string(out, "version", pair->version);
        out_key_string(out, "segment", segment[0] ? segment : NULL);
        if (several)
            write_reference(out, &d->model);
        out_key(out, "points");
        out_open(out, '[');
        buf_bytes(out, d->points[i].data, d->points[i].size);
        out_close(out, ']');
        out_close(out, '}');
    }
    return 0;
}

static void write_domain(struct buf *out, const struct domain_drift *domain)
{
    out_key(out, "domain_classifier");
    out_open(out, '{');
    out_key_double(out, "auc", domain->auc);
    out_key_double(out, "threshold", domain->threshold);
    out_key_double(out, "p_value", domain->p_value);
    out_key_bool(out, "drifted", domain->drifted);
    if (domain->why)
        out_key_string(out, "why", domain->why);
    out_close(out, '}');
}

/* Of all events, as its rows were: also where a slice is asked for, which is not judged by it. */
static void write_fitted_on(struct buf *out, uint64_t id)
{
    char text[17];
    out_key(out, "reference");
    if (!id) {
        out_null(out);
        return;
    }
    snprintf(text, sizeof(text), "%016" PRIx64, id);
    out_open(out, '{');
    out_key_string(out, "id", text);
    out_key_string(out, "segment", NULL);
    out_close(out, '}');
}

static int add_components(void *context, const struct components_point *point, struct err *err)
{
    (void)err;
    const struct drifting *d = context;
    struct buf *out = &d->answer->body;
    char segment[SEGMENT_BYTES];
    pair_segment(d->pair, segment);
    out_open(out, '{');
    out_key_int(out, "start", point->start_ms);
    out_key_int(out, "end", point->end_ms);
    out_key_string(out, "version", d->pair->version);
    out_key_string(out, "segment", segment[0] ? segment : NULL);
    write_fitted_on(out, point->reference);
    out_key_int(out, "n", point->n);
    out_key_double(out, "reconstruction_error", point->drift.reconstruction_error);
    out_key_double(out, "lower", point->drift.lower);
    out_key_double(out, "threshold", point->drift.threshold);
    out_key_double(out, "p_value", point->drift.p_value);
    out_key_bool(out, "drifted", point->drift.drifted);
    write_domain(out, &point->domain);
    if (point->partial)
        out_key_bool(out, "partial", true);
    if (point->why)
        out_key_string(out, "why", point->why);
    out_close(out, '}');
    return 0;
}

static int write_multivariate(struct drifting *d, struct err *err)
{
    struct buf *out = &d->answer->body;
    char why[200] = "";
    int rc = 0;
    out_key(out, "multivariate");
    out_open(out, '[');
    for (size_t i = 0; rc == 0 && i < d->pairs.n; i++) {
        d->pair = &d->pairs.items[i];
        const struct series_query query = {
            .model = d->name,
            .version = d->pair->version,
            .slice = d->pair->slice,
            .from_ms = d->query.from_ms,
            .to_ms = d->query.to_ms,
            .window_ms = d->query.window_ms,
        };
        rc = components_each(d->store, &query, d->rule.false_alarm_rate, add_components, d, why,
                             err);
    }
    out_close(out, ']');
    out_key_string(out, "multivariate_why", why[0] ? why : NULL);
    return rc;
}

static int write_answer(struct drifting *d, struct err *err)
{
    struct buf *out = &d->answer->body;
    int rc = 0;
    out_open(out, '{');
    out_key_string(out, "model", d->name);
    out_key_string(out, "version", input_param(d->input, "version"));
    out_key_string(out, "segment", input_param(d->input, "segment"));
    out_key_int(out, "window", d->query.window_ms);
    out_key_int(out, "from", d->query.from_ms);
    out_key_int(out, "to", d->query.to_ms);
    write_reference(out, &d->model);
    out_key(out, "features");
    out_open(out, '[');
    for (size_t i = 0; rc == 0 && i < d->pairs.n; i++)
        rc = walk_pair(d, &d->pairs.items[i], err);
    out_close(out, ']');
    if (d->model.rhythm) {
        out_key(out, "references");
        out_open(out, '[');
        buf_bytes(out, d->references.data, d->references.size);
        out->failed |= d->references.failed;
        out_close(out, ']');
    }
    if (rc == 0)
        rc = write_multivariate(d, err);
    out_key_double(out, "drifted_share", d->share);
    out_key_time(out, "complete_up_to", d->complete_ms);
    out_key_time(out, "labels_complete_up_to", d->labels_complete_ms);
    const struct completeness lacks = {
        .what = "profiles",
        .n_damaged = d->n_damaged,
        .n_partial = d->n_partial,
        .reference = d->model.cut && d->model.reference.source &&
                     strcmp(d->model.reference.source, "range") == 0,
    };
    if (rc == 0)
        rc = completeness_write(&lacks, d->store, out, err);
    out_close(out, '}');
    return rc;
}

static int find_range(struct drifting *d, struct err *err)
{
    int64_t window = input_duration(d->input, "window", INT64_C(3600000));
    int64_t newest = d->complete_ms < 0 ? clock_wall_ms(d->context->clock) : d->complete_ms;
    int64_t to = input_time(d->input, "to", newest / window * window + window);
    int64_t span = DEFAULT_WINDOWS * window;
    int64_t from = input_time(d->input, "from", to > span ? to - span : 0);
    if (from > to)
        return api_refuse(d->answer, err, "from", "a time not after `to`",
                          "%" PRId64 " is after to (%" PRId64 ")", from, to);
    d->query = (struct profile_query){
        .model = d->name,
        .from_ms = from / window * window,
        .to_ms = (to + window - 1) / window * window,
        .window_ms = window,
        .level = PROFILE_HOUR,
        .known = window_known,
        .compared = d->rule.method != DRIFT_EVIDENTLY,
    };
    return 0;
}

int refuse_feature(struct api_answer *answer, struct err *err, const char *name,
                   const char *const *features, size_t n)
{
    const char *near = text_near(name, features, n);
    return near ? api_refuse(answer, err, "feature", "a feature of the model",
                             "the model has seen no feature %.100s; did you mean %.100s?", name,
                             near)
                : api_refuse(answer, err, "feature", "a feature of the model",
                             "the model has seen no feature %.100s", name);
}

/* Which features were asked for; an unknown one is refused. */
static int find_features(struct drifting *d, struct err *err)
{
    const char *at = input_param(d->input, "feature");
    uint32_t all = d->model.n_features;
    const char *name;
    size_t n;
    for (uint32_t i = 0; i < all; i++)
        d->wanted[i] = !at;
    while (list_next(&at, &name, &n)) {
        uint32_t i = 0;
        while (i < all &&
               (strlen(d->model.names[i]) != n || memcmp(d->model.names[i], name, n) != 0))
            i++;
        if (i == all && all == 0)
            continue; /* nothing has come yet: nothing can be misspelt */
        if (i == all) {
            char text[300];
            snprintf(text, sizeof(text), "%.*s", (int)(n < sizeof(text) ? n : 0), name);
            return refuse_feature(d->answer, err, text, (const char *const *)d->model.names, all);
        }
        d->wanted[i] = true;
    }
    return 0;
}

static int make_room(struct drifting *d, struct err *err)
{
    size_t n = (size_t)d->model.n_features + 1;
    d->points = calloc(n, sizeof(*d->points));
    d->wanted = calloc(n, sizeof(*d->wanted));
    d->kinds = calloc(n, sizeof(*d->kinds));
    d->features = calloc(n, sizeof(*d->features));
    if (!d->points || !d->wanted || !d->kinds || !d->features)
        return err_set(err, -ENOMEM, "no memory for %zu features", n);
    for (uint32_t i = 0; i < d->model.n_features; i++) {
        buf_init(&d->points[i], MAX_POINT_BYTES);
        d->kinds[i] = d->model.features[i].kind;
    }
    return store_drift_cache(d->store, &d->cache, err);
}

int api_drift(struct api_context *context, const struct api_input *input, struct api_answer *answer,
              struct err *err)
{
    AUTO(drifting) struct drifting *d = calloc(1, sizeof(*d));
    if (!d)
        return err_set(err, -ENOMEM, "no memory for a question");
    d->context = context;
    d->input = input;
    d->answer = answer;
    d->name = input_capture(input, "model");
    buf_init(&d->references, MAX_POINT_BYTES);
    d->rule = drift_rule_of(context->config, d->name);
    d->share = (double)NAN;
    const char *version = input_param(input, "version");
    int rc = context_store(context, &d->store, err);
    if (rc == 0)
        rc = series_complete(d->store, d->name, &d->complete_ms, &d->labels_complete_ms, err);
    if (rc == 0)
        rc = find_range(d, err);
    if (rc == 0)
        rc = pairs_find(&d->pairs, d->store, input, answer, err);
    const struct pair *only = d->pairs.n == 1 ? d->pairs.items : NULL;
    const bool named = version && strcmp(version, "*") != 0;
    const struct drift_slice of = {d->name,
                                   only    ? only->version
                                   : named ? version
                                           : NULL,
                                   only ? only->slice : NULL};
    if (rc == 0)
        rc = refer(d, &of, false, err);
    if (rc == 0)
        rc = make_room(d, err);
    if (rc == 0)
        rc = find_features(d, err);
    if (rc)
        return rc;
    if (context->background)
        return write_answer(d, err);
    drift_cache_question_begin(d->cache);
    rc = write_answer(d, err);
    drift_cache_question_end(d->cache);
    return rc;
}
