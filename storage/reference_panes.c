#include "storage/reference_panes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/catalog.h"
#include "storage/drift_cache.h"
#include "storage/series.h"

#define MINUTE_MS INT64_C(60000)
#define HOUR_MS (60 * MINUTE_MS)

struct from_panes {
    struct profile_model *model;
    struct drift_cache *cache;
    uint64_t key;
};

static bool reference_known_by(void *context, uint64_t fingerprint)
{
    struct from_panes *from = context;
    from->key = fingerprint ^ UINT64_C(0x6a09e667f3bcc908); /* another kind of key than an id */
    from->model->reference.reference = drift_cache_reference(from->cache, from->key);
    return from->model->reference.reference != NULL;
}

static int build_reference(void *context, const struct profile_point *point, struct err *err)
{
    struct from_panes *from = context;
    from->model->cut = point->partial;
    if (point->known || !point->profile)
        return 0;
    struct reference **out = &from->model->reference.reference;
    AUTO(reference) struct reference *made = NULL;
    int rc = reference_build(&made, point->profile, from->model->label_id, err);
    if (rc || made->n_features == 0) /* panes without a value are no reference */
        return rc;
    drift_cache_keep_reference(from->cache, from->key, made);
    *out = made;
    made = NULL; /* the caller owns it now */
    return 0;
}

int reference_panes_read(struct store *store, struct profile_model *model,
                         const struct profile_query *span, const char *source, struct err *err)
{
    struct profile_query query = *span;
    struct from_panes from = {.model = model};
    size_t n_damaged;
    query.from_ms = query.from_ms / MINUTE_MS * MINUTE_MS;
    query.to_ms = query.to_ms / MINUTE_MS * MINUTE_MS;
    query.window_ms = query.to_ms - query.from_ms;
    query.level = PROFILE_REFERENCE;
    query.known = reference_known_by;
    if (query.window_ms <= 0)
        return 0;
    reference_row_finish(&model->reference);
    reference_layout(NULL, &model->layout, model->features);
    int rc = store_drift_cache(store, &from.cache, err);
    if (!rc)
        rc = profiles_each(store, model, &query, build_reference, &from, &n_damaged, err);
    if (rc || !model->reference.reference)
        return rc;
    reference_layout(model->reference.reference, &model->layout, model->features);
    snprintf(model->reference.id, sizeof(model->reference.id), "%016" PRIx64,
             model->reference.reference->id);
    model->reference.created_ms = query.to_ms;
    model->reference.source = strdup(source);
    return model->reference.source ? 0 : err_set(err, -ENOMEM, "profile: no memory");
}

/* --- all that is kept of one --- */

struct making {
    struct store *store;
    const struct range_wanted *wanted;
    struct profile_model model;
    struct profile_span span; /* whole minutes */
    struct fitted *fitted;
};

static int no_memory(const struct making *making, struct err *err)
{
    return err_set(err, -ENOMEM, "model %s: no memory for its reference", making->wanted->model);
}

static int read_whole(struct making *making, struct err *err)
{
    const struct profile_query query = {.model = making->wanted->model,
                                        .from_ms = making->span.from_ms,
                                        .to_ms = making->span.to_ms};
    struct profile_model *model = &making->model;
    int rc = profile_model_read(making->store, making->wanted->model, NULL, model, err);
    if (rc)
        return rc;
    for (uint32_t i = 0; i < model->n_features; i++) /* of one that was loaded */
        model->features[i].kind = PROFILE_AUTO;
    return reference_panes_read(making->store, model, &query, "range", err);
}

/* The panes of parts have counted on no grid of the whole's yet. */
static void leave_grids(struct profile_model *model)
{
    for (uint32_t i = 0; i < model->n_features; i++)
        model->features[i].grid = NULL, model->features[i].bins = NULL;
    model->layout.reference = 0;
}

static int merge_stretch(const struct making *making, const char *slice, struct profile_span span,
                         int64_t step_ms, struct states **merged, struct err *err)
{
    const struct series_query query = {.model = making->wanted->model,
                                       .slice = slice,
                                       .from_ms = span.from_ms,
                                       .to_ms = span.to_ms,
                                       .window_ms = step_ms,
                                       .step_ms = step_ms};
    struct series_points about;
    return span.from_ms < span.to_ms
               ? series_each(making->store, &query, series_merge, merged, &about, err)
               : 0;
}

/* Whole hours by the hour, since those may be kept as one, and what is left of the ends by minutes. */
static int read_states(const struct making *making, const char *slice, struct states **out,
                       struct err *err)
{
    const struct profile_span all = making->span;
    const int64_t first = (all.from_ms + HOUR_MS - 1) / HOUR_MS * HOUR_MS;
    const int64_t last = all.to_ms / HOUR_MS * HOUR_MS;
    const struct profile_span begin = {all.from_ms, first < all.to_ms ? first : all.to_ms};
    const struct profile_span end = {first < last ? last : begin.to_ms, all.to_ms};
    int rc = merge_stretch(making, slice, begin, MINUTE_MS, out, err);
    if (!rc)
        rc = merge_stretch(making, slice, (struct profile_span){first, last}, HOUR_MS, out, err);
    return rc ? rc : merge_stretch(making, slice, end, MINUTE_MS, out, err);
}

static int keep_states(struct making *making, const char *slice, struct err *err)
{
    struct fitted *fitted = making->fitted;
    AUTO(states) struct states *states = NULL;
    struct slice_states *more = reallocarray(fitted->metrics, fitted->n_metrics + 1, sizeof(*more));
    if (!more)
        return no_memory(making, err);
    fitted->metrics = more;
    int rc = read_states(making, slice, &states, err);
    if (rc || !states)
        return rc;
    char *name = strdup(slice);
    if (!name)
        return no_memory(making, err);
    more[fitted->n_metrics++] = (struct slice_states){name, states};
    states = NULL; /* fitted owns it now */
    return 0;
}

static int take_part(void *context, const struct profile_point *point, struct err *err)
{
    struct making *making = context;
    struct slice_reference *out = &making->fitted->slices[making->fitted->n_slices];
    if (!point->profile || point->profile->events == 0)
        return 0;
    const int rc = reference_build_part(&out->reference, point->profile, making->model.label_id,
                                        making->model.reference.reference, err);
    return rc == ERR_CORRUPT ? 0 : rc; /* what is damaged in the whole: as if it were not there */
}

static int keep_part(struct making *making, const char *slice, struct err *err)
{
    struct fitted *fitted = making->fitted;
    struct slice_reference *more =
        reallocarray(fitted->slices, fitted->n_slices + 1, sizeof(*more));
    if (!more)
        return no_memory(making, err);
    fitted->slices = more;
    more[fitted->n_slices] = (struct slice_reference){0};
    const struct profile_query query = {
        .model = making->wanted->model,
        .slice = slice,
        .from_ms = making->span.from_ms,
        .to_ms = making->span.to_ms,
        .window_ms = making->span.to_ms - making->span.from_ms,
        .level = PROFILE_REFERENCE,
    };
    size_t n_damaged;
    int rc =
        profiles_each(making->store, &making->model, &query, take_part, making, &n_damaged, err);
    struct slice_reference *part = &fitted->slices[fitted->n_slices];
    if (rc || !part->reference)
        return rc;
    part->slice = strdup(slice);
    if (!part->slice) {
        reference_free(part->reference);
        return no_memory(making, err);
    }
    fitted->n_slices++;
    return 0;
}

struct slice_names {
    const struct profile_span *span;
    char **names;
    size_t n;
};

/* Rows come by slice: another version's of the same follows it. */
static int add_slice(void *context, const struct series_known *row, struct err *err)
{
    struct slice_names *all = context;
    const bool apart = row->first_ms < 0 || row->first_ms >= all->span->to_ms ||
                       row->last_ms <= all->span->from_ms;
    if (!row->slice[0] || apart || (all->n && strcmp(all->names[all->n - 1], row->slice) == 0))
        return 0;
    char **more = reallocarray(all->names, all->n + 1, sizeof(*more));
    if (more)
        all->names = more;
    if (!more || !(more[all->n] = strdup(row->slice)))
        return err_set(err, -ENOMEM, "reference: no memory for its slices");
    all->n++;
    return 0;
}

static int keep_slices(struct making *making, struct err *err)
{
    const struct range_wanted *wanted = making->wanted;
    struct slice_names all = {.span = &making->span};
    int rc = series_list(making->store, wanted->model, NULL, NULL, add_slice, &all, err);
    for (size_t i = 0; !rc && i < all.n; i++) {
        if (wanted->stop && atomic_load(wanted->stop))
            rc = err_set(err, -ECANCELED, "model %s: its reference is not made", wanted->model);
        if (!rc)
            rc = keep_part(making, all.names[i], err);
        if (!rc)
            rc = keep_states(making, all.names[i], err);
    }
    for (size_t i = 0; i < all.n; i++)
        free(all.names[i]);
    free(all.names);
    return rc;
}

static int keep_keys(struct making *making, struct err *err)
{
    const struct range_wanted *wanted = making->wanted;
    making->fitted->slice_keys = calloc(wanted->n_segments + 1, sizeof(char *));
    if (!making->fitted->slice_keys)
        return no_memory(making, err);
    for (size_t i = 0; i < wanted->n_segments; i++) {
        char *key = strdup(wanted->segments[i]);
        if (!key)
            return no_memory(making, err);
        making->fitted->slice_keys[making->fitted->n_slice_keys++] = key;
    }
    return 0;
}

static int keep_all(struct making *making, struct err *err)
{
    struct fitted *fitted = making->fitted;
    const struct reference *whole = making->model.reference.reference;
    snprintf(fitted->no_components, sizeof(fitted->no_components), "%s", REFERENCE_WITHOUT_ROWS);
    int rc = keep_keys(making, err);
    if (!rc)
        rc = keep_states(making, "", err);
    if (!rc && fitted->n_metrics)
        rc = estimator_of_states(&fitted->estimator, fitted->metrics[0].states, whole->id, err);
    leave_grids(&making->model);
    if (!rc)
        rc = keep_slices(making, err);
    if (!rc)
        rc = fitted_bound_slices(fitted, FITTED_SLICE_BYTES, err);
    return rc;
}

static int make(struct making *making, struct range_made *out, struct err *err)
{
    struct profile_model *model = &making->model;
    int rc = read_whole(making, err);
    if (rc)
        return rc == ERR_NOT_FOUND ? 0 : rc;
    out->cut = model->cut;
    if (!model->reference.reference || model->cut)
        return 0;
    making->fitted = calloc(1, sizeof(*making->fitted));
    rc = making->fitted ? keep_all(making, err) : no_memory(making, err);
    if (rc)
        return rc;
    out->reference = reference_share(model->reference.reference);
    out->fitted = making->fitted;
    making->fitted = NULL; /* the caller owns it now */
    return 0;
}

int reference_panes_make(struct store *store, const struct range_wanted *wanted,
                         struct range_made *out, struct err *err)
{
    struct making making = {
        .store = store,
        .wanted = wanted,
        .span = {wanted->from_ms / MINUTE_MS * MINUTE_MS, wanted->to_ms / MINUTE_MS * MINUTE_MS},
    };
    *out = (struct range_made){0};
    int rc = store_read_begin(store, err); /* one commit's panes */
    if (rc)
        return rc;
    rc = make(&making, out, err);
    store_read_end(store);
    profile_model_finish(&making.model);
    fitted_free(making.fitted);
    return rc;
}

void range_made_finish(struct range_made *made)
{
    reference_free(made->reference);
    fitted_free(made->fitted);
    *made = (struct range_made){0};
}
