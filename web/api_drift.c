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
#include "storage/drift_components.h"
#include "storage/drift_judged.h"
#include "storage/drift_model.h"
#include "storage/series.h"
#include "web/completeness.h"
#include "web/drift_point.h"
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
    drift_point_write(&points, writing->point,
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
    const int64_t newest = context_newest_ms(d->context, d->complete_ms);
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
