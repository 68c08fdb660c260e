#include "stats/profile.h"

#include <errno.h>
#include <stdlib.h>

#include "stats/profile_parts.h"

static const uint32_t category_limit[] = {
    [PROFILE_MINUTE] = 96, [PROFILE_HOUR] = 1024, [PROFILE_REFERENCE] = 65536};

#define MEAN_UNIT 1048576.0 /* 2^20 */

const char *profile_kind_name(enum profile_kind kind)
{
    static const char *const names[] = {"auto", "numeric", "categorical", "embedding"};
    return names[kind];
}

const char *profile_invalid_name(enum profile_invalid reason)
{
    static const char *const names[] = {"type", "range", "category", "not_finite"};
    return names[reason];
}

static void embedding_free(struct embedding_state *state)
{
    if (!state)
        return;
    numbers_finish(&state->norm);
    if (state->vector)
        mean_vector_finish(state->vector);
    free(state->vector);
    free(state);
}

static void feature_finish(struct feature_state *feature)
{
    if (feature->numeric) {
        numbers_finish(feature->numeric);
        free(feature->numeric);
    }
    if (feature->categories) {
        categories_finish(feature->categories);
        free(feature->categories);
    }
    embedding_free(feature->embedding);
    *feature = (struct feature_state){0};
}

int profile_new(struct profile **out, const struct profile_layout *layout, enum profile_level level,
                struct err *err)
{
    AUTO(profile) struct profile *profile = calloc(1, sizeof(*profile));
    if (!profile)
        return err_set(err, -ENOMEM, "profile: no memory");
    profile->layout = layout;
    profile->level = level;
    profile->n_features = layout->n_features;
    profile->features = calloc(layout->n_features + 1, sizeof(*profile->features));
    if (!profile->features)
        return err_set(err, -ENOMEM, "profile: no memory for %u features", layout->n_features);
    *out = profile;
    profile = NULL; /* the caller owns it now */
    return 0;
}

int profile_fit(struct profile *profile)
{
    uint32_t n = profile->layout->n_features;
    if (n <= profile->n_features)
        return 0;
    struct feature_state *features = realloc(profile->features, (n + 1) * sizeof(*features));
    if (!features)
        return -ENOMEM;
    for (uint32_t i = profile->n_features; i < n; i++)
        features[i] = (struct feature_state){0};
    profile->features = features;
    profile->n_features = n;
    return 0;
}

void profile_free(struct profile *profile)
{
    if (!profile)
        return;
    for (uint32_t i = 0; profile->features && i < profile->n_features; i++)
        feature_finish(&profile->features[i]);
    free(profile->features);
    free(profile);
}

/* --- events --- */

static inline struct numbers_grid grid_of(const struct profile *profile,
                                          const struct profile_feature *spec)
{
    return (struct numbers_grid){spec->grid, profile->layout->reference};
}

struct numbers *profile_numeric_part(const struct profile *profile, struct feature_state *feature)
{
    if (!feature->numeric) {
        feature->numeric = calloc(1, sizeof(*feature->numeric));
        if (feature->numeric)
            numbers_init(feature->numeric, profile->level);
    }
    return feature->numeric;
}

struct categories *profile_categories_part(const struct profile *profile,
                                           struct feature_state *feature)
{
    if (!feature->categories) {
        feature->categories = calloc(1, sizeof(*feature->categories));
        if (feature->categories)
            categories_init(feature->categories, category_limit[profile->level]);
    }
    return feature->categories;
}

struct embedding_state *profile_embedding_part(const struct profile *profile,
                                               struct feature_state *feature)
{
    if (feature->embedding)
        return feature->embedding;
    struct embedding_state *state = calloc(1, sizeof(*state));
    if (!state)
        return NULL;
    numbers_init(&state->norm, profile->level);
    /* aligned for 128-bit numbers, as calloc's memory is */
    state->vector = calloc(1, sizeof(*state->vector));
    if (!state->vector ||
        (profile->level == PROFILE_REFERENCE && mean_vector_scatter(state->vector))) {
        embedding_free(state);
        return NULL;
    }
    feature->embedding = state;
    return state;
}

/* The same for a value that comes: a part that is new takes room from those that were there. */
static struct numbers *numbers_for(struct profile *profile, uint32_t index)
{
    struct feature_state *feature = &profile->features[index];
    if (feature->numeric || !profile_numeric_part(profile, feature))
        return feature->numeric;
    if (profile_squeeze(profile, index, profile_ids(feature))) {
        free(feature->numeric);
        feature->numeric = NULL;
    }
    return feature->numeric;
}

static struct categories *categories_for(struct profile *profile, uint32_t index)
{
    struct feature_state *feature = &profile->features[index];
    if (feature->categories || !profile_categories_part(profile, feature))
        return feature->categories;
    if (profile_squeeze(profile, index, 0)) {
        free(feature->categories);
        feature->categories = NULL;
    }
    return feature->categories;
}

static struct embedding_state *embedding_for(struct profile *profile, uint32_t index)
{
    struct feature_state *feature = &profile->features[index];
    if (feature->embedding || !profile_embedding_part(profile, feature))
        return feature->embedding;
    if (profile_squeeze(profile, index, profile_ids(feature))) {
        embedding_free(feature->embedding);
        feature->embedding = NULL;
    }
    return feature->embedding;
}

static bool has_others(const struct feature_state *feature)
{
    return feature->numeric || feature->embedding;
}

/* Makes room for an id beside other parts, where it may be one that crosses a step. */
static int room_for(struct profile *profile, uint32_t index, uint64_t id)
{
    const struct feature_state *feature = &profile->features[index];
    const uint32_t ids = profile_ids(feature);
    if (!has_others(feature) || !profile_step(profile, ids) ||
        categories_has(feature->categories, id))
        return 0;
    return profile_squeeze(profile, index, ids + 1);
}

/* The reference's categories to count on: in a minute there is no room for them beside others. */
static const struct category_bins *bins_of(const struct profile *profile, uint32_t index)
{
    const struct category_bins *bins = profile->layout->features[index].bins;
    return bins && profile->level == PROFILE_MINUTE && has_others(&profile->features[index]) ? NULL
                                                                                             : bins;
}

void profile_invalid(struct profile *profile, uint32_t feature, enum profile_invalid reason,
                     int sign)
{
    profile->features[feature].present += (uint64_t)(int64_t)sign;
    profile->features[feature].invalid[reason] += (uint64_t)(int64_t)sign;
}

static bool takes_numbers(const struct profile_feature *spec)
{
    return spec->kind == PROFILE_NUMERIC || spec->kind == PROFILE_AUTO;
}

int profile_number(struct profile *profile, uint32_t index, double value, int sign)
{
    const struct profile_feature *spec = &profile->layout->features[index];
    struct feature_state *feature = &profile->features[index];
    if (!takes_numbers(spec)) {
        profile_invalid(profile, index, INVALID_TYPE, sign);
        return 0;
    }
    if (!isfinite(value)) {
        profile_invalid(profile, index, INVALID_NUMBER, sign);
        return 0;
    }
    if (value < spec->min || value > spec->max) {
        profile_invalid(profile, index, INVALID_RANGE, sign);
        return 0;
    }
    struct numbers *state = numbers_for(profile, index);
    if (!state)
        return -ENOMEM;
    int rc = numbers_update(state, grid_of(profile, spec), value, sign);
    if (rc == 0)
        feature->present += (uint64_t)(int64_t)sign;
    return rc;
}

/* Whether each of them is finite and within the bounds. */
static bool all_valid(const struct profile_feature *spec, const double *values, size_t n)
{
    int outside = 0;
    for (size_t i = 0; i < n; i++)
        outside |= !isfinite(values[i]) | (values[i] < spec->min) | (values[i] > spec->max);
    return !outside;
}

int profile_number_column(struct profile *profile, uint32_t index, const double *values, size_t n)
{
    const struct profile_feature *spec = &profile->layout->features[index];
    struct feature_state *feature = &profile->features[index];
    int rc = 0;
    if (!takes_numbers(spec) || !all_valid(spec, values, n)) {
        for (size_t i = 0; !rc && i < n; i++)
            rc = profile_number(profile, index, values[i], 1);
        return rc;
    }
    struct numbers *state = n ? numbers_for(profile, index) : NULL;
    if (n && !state)
        return -ENOMEM;
    rc = n ? numbers_add(state, grid_of(profile, spec), values, n) : 0;
    if (rc == 0)
        feature->present += n;
    return rc;
}

static bool is_allowed(const struct profile_feature *spec, uint64_t id)
{
    uint32_t low = 0, high = spec->n_allowed;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (spec->allowed[middle] < id)
            low = middle + 1;
        else
            high = middle;
    }
    return low < spec->n_allowed && spec->allowed[low] == id;
}

int profile_category(struct profile *profile, uint32_t index, uint64_t class_id, int sign)
{
    const struct profile_feature *spec = &profile->layout->features[index];
    struct feature_state *feature = &profile->features[index];
    if ((spec->kind != PROFILE_CATEGORICAL && spec->kind != PROFILE_AUTO) || class_id == 0) {
        profile_invalid(profile, index, INVALID_TYPE, sign);
        return 0;
    }
    if (spec->allowed && !is_allowed(spec, class_id)) {
        profile_invalid(profile, index, INVALID_CATEGORY, sign);
        return 0;
    }
    struct categories *categories = categories_for(profile, index);
    if (!categories)
        return -ENOMEM;
    int rc = room_for(profile, index, class_id);
    if (rc == 0)
        rc = categories_update(categories, class_id, sign, bins_of(profile, index),
                               profile->layout->reference);
    if (rc == 0)
        feature->present += (uint64_t)(int64_t)sign;
    return rc;
}

int profile_category_column(struct profile *profile, uint32_t index, const uint64_t *class_ids,
                            size_t n)
{
    int rc = 0;
    for (size_t i = 0; !rc && i < n; i++)
        rc = profile_category(profile, index, class_ids[i], 1);
    return rc;
}

static int64_t mean_fixed(double x)
{
    x = x > 4096 ? 4096 : x < -4096 ? -4096 : x; /* so that 2^31 of them fit 64 bits */
    return (int64_t)rint(x * MEAN_UNIT);
}

int profile_embedding(struct profile *profile, uint32_t index, const struct embedding *value,
                      int sign)
{
    const struct profile_feature *spec = &profile->layout->features[index];
    struct feature_state *feature = &profile->features[index];
    if (spec->kind != PROFILE_EMBEDDING && spec->kind != PROFILE_AUTO) {
        profile_invalid(profile, index, INVALID_TYPE, sign);
        return 0;
    }
    if (!isfinite(value->norm) || !isfinite(value->mean)) {
        profile_invalid(profile, index, INVALID_NUMBER, sign);
        return 0;
    }
    struct embedding_state *state = embedding_for(profile, index);
    if (!state)
        return -ENOMEM;
    int rc = numbers_update(&state->norm, grid_of(profile, spec), value->norm, sign);
    if (rc)
        return rc;
    feature->present += (uint64_t)(int64_t)sign;
    state->mean += sign * mean_fixed(value->mean);
    if (value->dimensions > state->dimensions)
        state->dimensions = value->dimensions;
    if (value->projected && state->vector)
        mean_vector_update(state->vector, value->projected, value->dimensions, sign);
    return 0;
}

/* --- merge --- */

static int feature_merge(struct profile *into, uint32_t i, const struct feature_state *from)
{
    struct feature_state *feature = &into->features[i];
    const struct profile_feature *spec = &into->layout->features[i];
    int rc = 0;
    if (from->numeric) {
        if (!profile_numeric_part(into, feature))
            return -ENOMEM;
        rc = numbers_merge(feature->numeric, from->numeric, grid_of(into, spec));
    }
    if (rc == 0 && from->categories) {
        if (!profile_categories_part(into, feature))
            return -ENOMEM;
        rc = categories_merge(feature->categories, from->categories, bins_of(into, i),
                              into->layout->reference);
    }
    if (rc == 0 && from->embedding) {
        struct embedding_state *state = profile_embedding_part(into, feature);
        if (!state)
            return -ENOMEM;
        rc = numbers_merge(&state->norm, &from->embedding->norm, grid_of(into, spec));
        /* wraps, as only what is damaged does */
        state->mean = (int64_t)((uint64_t)state->mean + (uint64_t)from->embedding->mean);
        if (state->vector && from->embedding->vector)
            mean_vector_merge(state->vector, from->embedding->vector);
        if (from->embedding->dimensions > state->dimensions)
            state->dimensions = from->embedding->dimensions;
    }
    feature->present += from->present;
    for (int r = 0; r < N_INVALID; r++)
        feature->invalid[r] += from->invalid[r];
    return rc ? rc : profile_squeeze(into, i, profile_ids(feature));
}

int profile_merge(struct profile *into, const struct profile *from)
{
    if (into->n_features != from->n_features)
        return -EINVAL;
    for (uint32_t i = 0; i < into->n_features; i++) {
        if (into->layout->features[i].name_id != from->layout->features[i].name_id)
            return -EINVAL;
    }
    for (uint32_t i = 0; i < into->n_features; i++) {
        int rc = feature_merge(into, i, &from->features[i]);
        if (rc)
            return rc;
    }
    into->events += from->events;
    return 0;
}

struct profile_quality profile_quality(const struct profile *profile, uint32_t feature,
                                       bool only_present)
{
    const struct feature_state *state = &profile->features[feature];
    struct profile_quality out = {.n = only_present ? state->present : profile->events};
    uint64_t numbers = state->numeric ? state->numeric->n : 0;
    uint64_t categories = state->categories ? state->categories->n : 0;
    uint64_t vectors = state->embedding ? state->embedding->norm.n : 0;
    out.missing = out.n > state->present ? out.n - state->present : 0;
    for (int r = 0; r < N_INVALID; r++) {
        out.invalid[r] = state->invalid[r];
        out.n_invalid += state->invalid[r];
    }
    out.kind = profile->layout->features[feature].kind;
    if (out.kind == PROFILE_AUTO && numbers + categories + vectors > 0) {
        out.kind = categories > numbers ? PROFILE_CATEGORICAL : PROFILE_NUMERIC;
        if (vectors > numbers && vectors > categories)
            out.kind = PROFILE_EMBEDDING;
    }
    out.valid = out.kind == PROFILE_CATEGORICAL ? categories
                : out.kind == PROFILE_EMBEDDING ? vectors
                                                : numbers;
    /* taken as they came, before it was known what the feature is */
    uint64_t other_kinds = numbers + categories + vectors - out.valid;
    out.invalid[INVALID_TYPE] += other_kinds;
    out.n_invalid += other_kinds;
    return out;
}

size_t profile_bytes(const struct profile *profile, uint32_t feature)
{
    const struct feature_state *state = &profile->features[feature];
    size_t n = sizeof(*state);
    if (state->numeric)
        n += numbers_bytes(state->numeric);
    if (state->categories)
        n += sizeof(*state->categories) + categories_bytes(state->categories);
    if (state->embedding)
        n += sizeof(*state->embedding) - sizeof(state->embedding->norm) +
             numbers_bytes(&state->embedding->norm) +
             (state->embedding->vector ? mean_vector_bytes(state->embedding->vector) : 0);
    return n;
}
