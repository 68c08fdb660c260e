/*
 * GET /models/M/distribution: one feature's reference and window on the same edges, so that a chart
 * can lay them over each other. Numbers: the reference's Doane bins and what lies outside them;
 * without a reference the window's own. Categories: by name, the largest first
 * (by their shares); of a window with too many to count each, those that the reference counts for
 * itself and few others. What stands in no bar is outside.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_out.h"
#include "stats/drift_embedding.h"
#include "storage/catalog.h"
#include "storage/drift_model.h"
#include "storage/series.h"
#include "web/handlers.h"
#include "web/pairs.h"

enum {
    MAX_CATEGORIES = 50
};
#define HOUR_MS INT64_C(3600000)

struct picture {
    struct store *store;
    struct buf *out;
    const char *name;
    struct profile_model model;
    uint32_t feature;
    const struct reference_feature *known; /* NULL: the reference does not have it */
};

static void write_bin(struct buf *out, double from, double to, double reference, double current)
{
    out_open(out, '{');
    out_key_double(out, "from", from);
    out_key_double(out, "to", to);
    out_key_double(out, "reference", reference);
    out_key_double(out, "current", current);
    out_close(out, '}');
}

static void write_quantiles(struct picture *p, const struct cell *cells, size_t n)
{
    static const double levels[] = {0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99};
    struct buf *out = p->out;
    out_key(out, "quantiles");
    out_open(out, '[');
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        out_open(out, '{');
        out_key_double(out, "q", levels[i]);
        out_key_double(out, "reference",
                       p->known ? reference_quantile(p->known, levels[i]) : (double)NAN);
        out_key_double(out, "current", cells_quantile(cells, n, levels[i]));
        out_close(out, '}');
    }
    out_close(out, ']');
}

static void write_outside(struct buf *out, double reference, double current)
{
    out_key(out, "outside");
    out_open(out, '{');
    out_key_double(out, "reference", reference);
    out_key_double(out, "current", current);
    out_close(out, '}');
}

/* Bins of the window alone: Doane's edges of its own. */
static void write_own_bins(struct picture *p, const struct cell *cells, size_t n)
{
    double edges[GRID_MAX_DOANE + 1];
    double counts[GRID_MAX_DOANE] = {0};
    uint32_t n_bins = n ? doane_edges(cells, n, edges) : 0;
    for (size_t i = 0; n_bins && i < n; i++) {
        double middle = cells[i].low / 2 + cells[i].high / 2;
        uint32_t bin = 0;
        while (bin + 1 < n_bins && middle >= edges[bin + 1])
            bin++;
        counts[bin] += (double)cells[i].count;
    }
    out_key(p->out, "bins");
    out_open(p->out, '[');
    for (uint32_t i = 0; i < n_bins; i++)
        write_bin(p->out, edges[i], edges[i + 1], (double)NAN, counts[i]);
    out_close(p->out, ']');
    out_key(p->out, "outside");
    out_null(p->out);
}

static int write_numbers(struct picture *p, const struct numbers *numbers, struct err *err)
{
    struct buf *out = p->out;
    AUTO_FREE struct cell *cells =
        malloc(((numbers ? numbers_room(numbers) : 0) + 1) * sizeof(*cells));
    if (!cells)
        return err_set(err, -ENOMEM, "no memory for a distribution");
    const struct reference *reference = p->model.reference.reference;
    const struct grid *grid =
        p->known && numbers && reference && numbers->reference == reference->grids ? p->known->grid
                                                                                   : NULL;
    size_t n = numbers ? numbers_read(numbers, grid, cells) : 0;
    if (!p->known) {
        write_own_bins(p, cells, n);
    } else {
        struct drift_bin bins[GRID_MAX_DOANE + 1] = {{0, 0}};
        size_t n_bins = drift_doane_bins(p->known, cells, n, bins);
        size_t n_doane = p->known->grid->n_doane;
        out_key(out, "bins");
        out_open(out, '[');
        for (size_t i = 0; i < n_doane && i < n_bins; i++)
            write_bin(out, p->known->grid->doane[i], p->known->grid->doane[i + 1],
                      bins[i].reference, bins[i].window);
        out_close(out, ']');
        bool has_rest = n_bins > n_doane;
        write_outside(out, has_rest ? bins[n_doane].reference : 0,
                      has_rest ? bins[n_doane].window : 0);
    }
    write_quantiles(p, cells, n);
    return 0;
}

static void write_means(struct buf *out, const char *key, const double *means, uint32_t n)
{
    out_key(out, key);
    if (n == 0) {
        out_null(out);
        return;
    }
    out_open(out, '[');
    for (uint32_t i = 0; i < n; i++)
        out_double(out, means[i]);
    out_close(out, ']');
}

/* The mean of an embedding's vectors, by dimension or, beyond 32 of them, by bucket. */
static void write_mean_vector(struct picture *p, const struct mean_vector *window)
{
    struct buf *out = p->out;
    double mean[PROJECTION_BUCKETS];
    const struct reference_vector *known =
        p->known && p->known->vector.n ? &p->known->vector : NULL;
    uint32_t dimensions = window->n ? window->longest : known ? known->longest : 0;
    uint32_t shown = dimensions < PROJECTION_BUCKETS ? dimensions : PROJECTION_BUCKETS;
    const char *lack = p->model.no_reference;
    struct drift_embedding drift = {.mean_distance =
                                        drift_none(lack[0] ? lack : "the model has no reference"),
                                    .mean_distance_norm = drift_none(NULL)};
    if (p->known)
        drift_embedding(p->known, window, &drift);
    mean_vector_mean(window, mean);
    out_key(out, "mean_vector");
    out_open(out, '{');
    out_key_int(out, "dimensions", dimensions);
    out_key_bool(out, "exact", dimensions <= PROJECTION_BUCKETS);
    out_key_double(out, "mean_distance", drift.mean_distance.value);
    out_key_double(out, "mean_distance_norm", drift.mean_distance_norm.value);
    out_key_double(out, "error_bound", drift.mean_distance.error_bound);
    if (drift.mean_distance.why)
        out_key_string(out, "why", drift.mean_distance.why);
    write_means(out, "reference", known ? known->mean : mean, known ? shown : 0);
    write_means(out, "current", mean, window->n ? shown : 0);
    out_close(out, '}');
}

struct bar {
    uint64_t id;
    double reference, current;
    double share; /* the larger of both */
};

/* Bars, and what stands in none of them. */
struct bars {
    struct bar *items;
    size_t n;
    double reference, current; /* all events of each */
};

static int by_size(const void *a, const void *b)
{
    const struct bar *x = a, *y = b;
    if (x->share != y->share)
        return x->share > y->share ? -1 : 1;
    return x->id < y->id ? -1 : x->id > y->id;
}

/* Truths are not kept by name: there are two. */
static const char *truth_name(uint64_t id)
{
    static const char *const names[] = {"false", "true"};
    for (int i = 0; i < 2; i++)
        if (id == class_id(names[i], strlen(names[i])))
            return names[i];
    return NULL;
}

static int write_name(struct picture *p, uint64_t id, struct err *err)
{
    AUTO_FREE char *text = NULL;
    int rc = name_read(p->store, p->name, "category", id, &text, err);
    if (!rc && !text)
        rc = name_read(p->store, p->name, "class", id, &text, err);
    out_key_string(p->out, "category", text ? text : truth_name(id));
    return rc;
}

static int write_bars(struct picture *p, struct bars *bars, struct err *err)
{
    struct buf *out = p->out;
    double rest[2] = {bars->reference, bars->current};
    int rc = 0;
    for (size_t i = 0; i < bars->n; i++) {
        struct bar *bar = &bars->items[i];
        bar->share = fmax(bars->reference > 0 ? bar->reference / bars->reference : 0,
                          bars->current > 0 ? bar->current / bars->current : 0);
    }
    qsort(bars->items, bars->n, sizeof(*bars->items), by_size);
    out_key(out, "bins");
    out_open(out, '[');
    for (size_t i = 0; !rc && i < bars->n && i < MAX_CATEGORIES; i++) {
        const struct bar *bar = &bars->items[i];
        rest[0] -= bar->reference;
        rest[1] -= bar->current;
        out_open(out, '{');
        rc = write_name(p, bar->id, err);
        out_key_double(out, "reference", p->known ? bar->reference : (double)NAN);
        out_key_double(out, "current", bar->current);
        out_close(out, '}');
    }
    out_close(out, ']');
    write_outside(out, rest[0], rest[1]);
    out_key(out, "quantiles");
    out_open(out, '[');
    out_close(out, ']');
    return rc;
}

/* Of a category that the window does not have by name: NaN where it is not known how often it came,
   because the window had too many to count each of them. */
static double count_of_others(const struct picture *p, const struct categories *window, uint64_t id)
{
    const struct reference *reference = p->model.reference.reference;
    const struct categories_many *many = window ? window->many : NULL;
    if (!many)
        return 0;
    int bin = category_bin(p->known->bins, id);
    bool counted = many->tracked && many->reference == reference->id && bin >= 0 &&
                   (uint32_t)bin < category_bins_count(p->known->bins);
    return counted ? (double)many->tracked[bin] : (double)NAN;
}

static int write_categories(struct picture *p, const struct categories *categories, struct err *err)
{
    size_t n_window = categories ? categories_known(categories) : 0;
    size_t n_reference = p->known ? p->known->n_categories : 0;
    AUTO_FREE struct category *window = calloc(n_window + 1, sizeof(*window));
    AUTO_FREE struct bar *items = calloc(n_window + n_reference + 1, sizeof(*items));
    if (!window || !items)
        return err_set(err, -ENOMEM, "no memory for a distribution");
    struct bars bars = {.items = items,
                        .reference = p->known ? (double)p->known->valid : 0,
                        .current = categories ? (double)categories->n : 0};
    if (categories)
        n_window = categories_read(categories, window);
    for (size_t i = 0, k = 0; i < n_reference || k < n_window;) { /* both are sorted by id */
        bool has_reference = i < n_reference;
        bool has_window = k < n_window;
        uint64_t id = has_reference ? p->known->categories[i].id : window[k].id;
        if (has_window && window[k].id < id)
            id = window[k].id;
        struct bar bar = {.id = id};
        if (has_reference && p->known->categories[i].id == id)
            bar.reference = (double)p->known->categories[i++].count;
        if (has_window && window[k].id == id)
            bar.current = (double)window[k++].count;
        else
            bar.current = count_of_others(p, categories, id);
        if (!isnan(bar.current))
            bars.items[bars.n++] = bar;
    }
    return write_bars(p, &bars, err);
}

static void write_rates(struct buf *out, const char *key, uint64_t n, uint64_t missing,
                        uint64_t invalid)
{
    out_key(out, key);
    out_open(out, '{');
    out_key_int(out, "n", (int64_t)n);
    out_key_double(out, "missing_rate", n ? (double)missing / (double)n : (double)NAN);
    out_key_double(out, "invalid_rate", n ? (double)invalid / (double)n : (double)NAN);
    out_close(out, '}');
}

/* What did not become a value, in the reference and in the window. */
static void write_both_rates(struct picture *p, const struct profile_quality *quality)
{
    const struct reference_feature *known = p->known;
    out_key(p->out, "rates");
    out_open(p->out, '{');
    if (known) {
        write_rates(p->out, "reference", known->n, known->missing, known->n_invalid);
    } else {
        out_key(p->out, "reference");
        out_null(p->out);
    }
    write_rates(p->out, "current", quality->n, quality->missing, quality->n_invalid);
    out_close(p->out, '}');
}

static int draw(void *context, const struct profile_point *point, struct err *err)
{
    struct picture *p = context;
    const struct feature_state none = {0};
    bool known = p->feature < p->model.n_features;
    const struct feature_state *state =
        known && point->profile ? &point->profile->features[p->feature] : &none;
    struct profile_quality quality = {.kind = known ? p->model.features[p->feature].kind
                                                    : PROFILE_AUTO};
    if (known && point->profile)
        quality = profile_quality(point->profile, p->feature,
                                  p->model.features[p->feature].name_id == p->model.label_id);
    if (p->known)
        quality.kind = p->known->kind;
    out_key_string(p->out, "kind", profile_kind_name(quality.kind));
    out_key_int(p->out, "n", (int64_t)quality.valid);
    write_both_rates(p, &quality);
    if (quality.kind == PROFILE_CATEGORICAL)
        return write_categories(p, state->categories, err);
    if (quality.kind != PROFILE_EMBEDDING)
        return write_numbers(p, state->numeric, err);
    const struct mean_vector nothing = {0};
    const bool has_vector = state->embedding && state->embedding->vector;
    write_mean_vector(p, has_vector ? state->embedding->vector : &nothing);
    return write_numbers(p, state->embedding ? &state->embedding->norm : NULL, err);
}

static const char *feature_asked(const struct api_input *input)
{
    const char *feature = input_param(input, "feature");
    return feature ? feature : "@score";
}

static int find_feature(struct picture *p, const struct api_input *input, struct api_answer *answer,
                        struct err *err)
{
    const char *wanted = feature_asked(input);
    for (p->feature = 0; p->feature < p->model.n_features; p->feature++) {
        if (strcmp(p->model.names[p->feature], wanted) == 0) {
            p->known =
                reference_find(p->model.reference.reference, p->model.features[p->feature].name_id);
            return 0;
        }
    }
    if (p->model.n_features == 0)
        return 0; /* nothing has come yet: nothing can be misspelt */
    return refuse_feature(answer, err, wanted, (const char *const *)p->model.names,
                          p->model.n_features);
}

static int write_picture(struct picture *p, const struct api_input *input,
                         const struct pairs *pairs, struct profile_query *query, struct err *err)
{
    char segment[SEGMENT_BYTES];
    size_t n_damaged;
    const struct pair *pair = &pairs->items[0];
    pair_segment(pair, segment);
    query->version = pair->version;
    query->slice = pair->slice;
    out_open(p->out, '{');
    out_key_string(p->out, "model", p->name);
    out_key_string(p->out, "feature", feature_asked(input));
    out_key_string(p->out, "version", pair->version);
    out_key_string(p->out, "segment", segment[0] ? segment : NULL);
    out_key_int(p->out, "from", query->from_ms);
    out_key_int(p->out, "to", query->to_ms);
    write_reference(p->out, &p->model);
    int rc = profiles_each(p->store, &p->model, query, draw, p, &n_damaged, err);
    return rc;
}

int api_distribution(struct api_context *context, const struct api_input *input,
                     struct api_answer *answer, struct err *err)
{
    struct picture p = {.out = &answer->body, .name = input_capture(input, "model")};
    struct pairs pairs = {0};
    int64_t complete_ms, labels_ms;
    int rc = context_store(context, &p.store, err);
    if (rc == 0)
        rc = series_complete(p.store, p.name, &complete_ms, &labels_ms, err);
    if (rc)
        return rc;
    const int64_t newest = context_newest_ms(context, complete_ms);
    int64_t to = input_time(input, "to", newest / 60000 * 60000 + 60000) / 60000 * 60000;
    int64_t from = input_time(input, "from", to > HOUR_MS ? to - HOUR_MS : 0) / 60000 * 60000;
    if (from >= to)
        return api_refuse(answer, err, "from", "a time before `to`", "must be before to");
    struct profile_query query = {.model = p.name,
                                  .from_ms = from,
                                  .to_ms = to,
                                  .window_ms = to - from,
                                  .level = PROFILE_HOUR};
    const struct profile_span window = {from, to};
    rc = pairs_find(&pairs, p.store, input, answer, err);
    if (rc == 0 && pairs.n != 1)
        rc = api_refuse(answer, err, "version", "one version and one segment",
                        "one distribution at a time, not `*`");
    if (rc == 0) {
        const struct drift_slice of = {p.name, pairs.items[0].version, pairs.items[0].slice};
        rc = drift_model_read(p.store, context->config, &of, &window, &p.model, err);
    }
    if (rc == 0)
        rc = find_feature(&p, input, answer, err);
    if (rc == 0)
        rc = write_picture(&p, input, &pairs, &query, err);
    if (rc == 0) {
        out_key_time(p.out, "complete_up_to", complete_ms);
        out_key_time(p.out, "labels_complete_up_to", labels_ms);
        out_close(p.out, '}');
    }
    pairs_finish(&pairs);
    profile_model_finish(&p.model);
    return rc;
}
