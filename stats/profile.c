/*
 * Saved bytes:
 *
 *     u8 version · u8 level · varint events · varint n_features · features … · u64 XXH64
 *     feature: u64 name_id · varint size · varint present · varint invalid[4] · u8 parts ·
 *              [numeric] [categories] [embedding]
 */
#include "stats/profile.h"

#include <errno.h>
#include <stdlib.h>
#include <xxhash.h>

enum {
    SAVED_VERSION = 1, /* where no feature has a mean vector */
    SAVED_VERSION_VECTORS = 2,
    PART_NUMERIC = 1,
    PART_CATEGORIES = 2,
    PART_EMBEDDING = 4
};

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
    if (feature->embedding) {
        numbers_finish(&feature->embedding->norm);
        mean_vector_finish(&feature->embedding->vector);
        free(feature->embedding);
    }
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

static struct numbers *numeric_part(const struct profile *profile, struct feature_state *feature)
{
    if (!feature->numeric) {
        feature->numeric = calloc(1, sizeof(*feature->numeric));
        if (feature->numeric)
            numbers_init(feature->numeric, profile->level);
    }
    return feature->numeric;
}

static struct categories *category_part(const struct profile *profile,
                                        struct feature_state *feature)
{
    if (!feature->categories) {
        feature->categories = calloc(1, sizeof(*feature->categories));
        if (feature->categories)
            categories_init(feature->categories, category_limit[profile->level]);
    }
    return feature->categories;
}

static struct embedding_state *embedding_part(const struct profile *profile,
                                              struct feature_state *feature)
{
    if (feature->embedding)
        return feature->embedding;
    struct embedding_state *state = calloc(1, sizeof(*state));
    if (!state)
        return NULL;
    numbers_init(&state->norm, profile->level);
    if (profile->level == PROFILE_REFERENCE && mean_vector_scatter(&state->vector)) {
        free(state);
        return NULL;
    }
    feature->embedding = state;
    return state;
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
    struct numbers *state = numeric_part(profile, feature);
    if (!state)
        return -ENOMEM;
    int rc = numbers_update(state, grid_of(profile, spec), profile->level, value, sign);
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
    struct numbers *state = n ? numeric_part(profile, feature) : NULL;
    if (n && !state)
        return -ENOMEM;
    rc = n ? numbers_add(state, grid_of(profile, spec), profile->level, values, n) : 0;
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
    struct categories *categories = category_part(profile, feature);
    if (!categories)
        return -ENOMEM;
    int rc = categories_update(categories, class_id, sign, spec->bins, profile->layout->reference);
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
    struct embedding_state *state = embedding_part(profile, feature);
    if (!state)
        return -ENOMEM;
    int rc =
        numbers_update(&state->norm, grid_of(profile, spec), profile->level, value->norm, sign);
    if (rc)
        return rc;
    feature->present += (uint64_t)(int64_t)sign;
    state->mean += sign * mean_fixed(value->mean);
    if (value->dimensions > state->dimensions)
        state->dimensions = value->dimensions;
    if (value->projected)
        mean_vector_update(&state->vector, value->projected, value->dimensions, sign);
    return 0;
}

/* --- merge --- */

static int feature_merge(struct profile *into, uint32_t i, const struct feature_state *from)
{
    struct feature_state *feature = &into->features[i];
    const struct profile_feature *spec = &into->layout->features[i];
    int rc = 0;
    if (from->numeric) {
        if (!numeric_part(into, feature))
            return -ENOMEM;
        rc = numbers_merge(feature->numeric, from->numeric, grid_of(into, spec), into->level);
    }
    if (rc == 0 && from->categories) {
        if (!category_part(into, feature))
            return -ENOMEM;
        rc = categories_merge(feature->categories, from->categories, spec->bins,
                              into->layout->reference);
    }
    if (rc == 0 && from->embedding) {
        struct embedding_state *state = embedding_part(into, feature);
        if (!state)
            return -ENOMEM;
        rc = numbers_merge(&state->norm, &from->embedding->norm, grid_of(into, spec), into->level);
        state->mean += from->embedding->mean;
        mean_vector_merge(&state->vector, &from->embedding->vector);
        if (from->embedding->dimensions > state->dimensions)
            state->dimensions = from->embedding->dimensions;
    }
    feature->present += from->present;
    for (int r = 0; r < N_INVALID; r++)
        feature->invalid[r] += from->invalid[r];
    return rc;
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
    return out;
}

/* --- bytes --- */

static void embedding_save(const struct embedding_state *state, struct buf *out)
{
    numbers_save(&state->norm, out);
    buf_zigzag(out, state->mean);
    buf_varint(out, state->dimensions);
    mean_vector_save(&state->vector, out);
}

static int embedding_load(struct embedding_state *state, enum profile_level level,
                          struct reader *in, struct err *err)
{
    int rc = numbers_load(&state->norm, level, in, err);
    if (rc)
        return rc;
    state->mean = reader_zigzag(in);
    state->dimensions = (uint32_t)reader_varint(in);
    mean_vector_finish(&state->vector);
    rc = mean_vector_load(&state->vector, in, err);
    if (rc == 0 && level == PROFILE_REFERENCE && mean_vector_scatter(&state->vector))
        rc = err_set(err, -ENOMEM, "profile: no memory for a mean vector");
    return rc;
}

static void feature_save(const struct feature_state *feature, struct buf *out)
{
    buf_varint(out, feature->present);
    for (int r = 0; r < N_INVALID; r++)
        buf_varint(out, feature->invalid[r]);
    buf_u8(out, (uint8_t)((feature->numeric ? PART_NUMERIC : 0) |
                          (feature->categories ? PART_CATEGORIES : 0) |
                          (feature->embedding ? PART_EMBEDDING : 0)));
    if (feature->numeric)
        numbers_save(feature->numeric, out);
    if (feature->categories)
        categories_save(feature->categories, out);
    if (feature->embedding)
        embedding_save(feature->embedding, out);
}

/* The grid that numbers are compared on, where the profile is for nothing else. */
static struct numbers_grid compared_on(const struct profile *profile, uint32_t i, bool compared)
{
    const struct profile_layout *layout = profile->layout;
    return compared ? (struct numbers_grid){layout->features[i].grid, layout->reference}
                    : (struct numbers_grid){0};
}

static int feature_load(struct profile *profile, uint32_t i, bool compared, struct reader *in,
                        struct err *err)
{
    struct feature_state *feature = &profile->features[i];
    feature->present = reader_varint(in);
    for (int r = 0; r < N_INVALID; r++)
        feature->invalid[r] = reader_varint(in);
    unsigned parts = reader_u8(in);
    int rc = 0;
    if (parts & PART_NUMERIC)
        rc = numeric_part(profile, feature)
                 ? numbers_load_compared(feature->numeric, compared_on(profile, i, compared),
                                         profile->level, in, err)
                 : err_set(err, -ENOMEM, "profile: no memory");
    if (rc == 0 && parts & PART_CATEGORIES)
        rc = category_part(profile, feature) ? categories_load(feature->categories, in, err)
                                             : err_set(err, -ENOMEM, "profile: no memory");
    if (rc == 0 && parts & PART_EMBEDDING)
        rc = embedding_part(profile, feature)
                 ? embedding_load(feature->embedding, profile->level, in, err)
                 : err_set(err, -ENOMEM, "profile: no memory");
    if (rc == 0 && reader_failed(in))
        rc = err_set(err, ERR_CORRUPT, "profile: feature %u ends early", i);
    return rc;
}

static bool is_empty(const struct feature_state *feature)
{
    return !feature->numeric && !feature->categories && !feature->embedding &&
           feature->present == 0;
}

struct saved_slot {
    uint64_t name_id;
    uint32_t slot;
};

static int by_name(const void *a, const void *b)
{
    const struct saved_slot *x = a, *y = b;
    return x->name_id < y->name_id ? -1 : x->name_id > y->name_id;
}

/* Slots that hold something, by name_id: the order in which features came does not matter. */
static struct saved_slot *saved_slots(const struct profile *profile, uint32_t *n)
{
    struct saved_slot *slots = calloc(profile->n_features + 1, sizeof(*slots));
    *n = 0;
    for (uint32_t i = 0; slots && i < profile->n_features; i++) {
        if (!is_empty(&profile->features[i]))
            slots[(*n)++] = (struct saved_slot){profile->layout->features[i].name_id, i};
    }
    if (slots)
        qsort(slots, *n, sizeof(*slots), by_name);
    return slots;
}

static uint8_t saved_version(const struct profile *profile)
{
    for (uint32_t i = 0; i < profile->n_features; i++) {
        const struct embedding_state *state = profile->features[i].embedding;
        if (state && state->vector.n)
            return SAVED_VERSION_VECTORS;
    }
    return SAVED_VERSION;
}

void profile_save(const struct profile *profile, struct buf *out)
{
    size_t start = out->size;
    uint32_t n = 0;
    AUTO_FREE struct saved_slot *slots = saved_slots(profile, &n);
    out->failed = out->failed || !slots;
    buf_u8(out, saved_version(profile));
    buf_u8(out, (uint8_t)profile->level);
    buf_varint(out, profile->events);
    buf_varint(out, n);
    struct buf one;
    buf_init(&one, 1 << 20);
    for (uint32_t i = 0; i < n; i++) {
        buf_clear(&one);
        feature_save(&profile->features[slots[i].slot], &one);
        buf_u64(out, slots[i].name_id);
        buf_string(out, (const char *)one.data, one.size);
        out->failed = out->failed || buf_failed(&one);
    }
    buf_finish(&one);
    if (!buf_failed(out))
        buf_u64(out, XXH64(out->data + start, out->size - start, 0));
}

static uint32_t slot_of(const struct profile_layout *layout, uint64_t name_id, uint32_t guess)
{
    for (uint32_t i = 0; i < layout->n_features; i++) {
        uint32_t at = (guess + i) % layout->n_features;
        if (layout->features[at].name_id == name_id)
            return at;
    }
    return UINT32_MAX;
}

/* A feature's bytes, and where they go. */
struct saved_feature {
    const char *bytes;
    size_t n;
    uint32_t slot;
};

struct loading {
    struct profile *profile;
    bool compared;
    struct saved_feature *features;
    size_t n_features;
};

/* Where each feature's bytes are; of two for one slot the first counts. */
static int find_features(struct loading *loading, struct reader *in, struct err *err)
{
    const struct profile_layout *layout = loading->profile->layout;
    AUTO_FREE bool *taken = calloc((size_t)layout->n_features + 1, sizeof(*taken));
    loading->features = calloc((size_t)layout->n_features + 1, sizeof(*loading->features));
    if (!taken || !loading->features)
        return err_set(err, -ENOMEM, "profile: no memory");
    uint64_t n = reader_varint(in);
    for (uint64_t i = 0; i < n && !reader_failed(in); i++) {
        struct saved_feature found = {0};
        uint64_t name_id = reader_u64(in);
        found.bytes = reader_string(in, &found.n);
        found.slot = found.bytes ? slot_of(layout, name_id, (uint32_t)i) : UINT32_MAX;
        if (found.slot == UINT32_MAX || taken[found.slot])
            continue;
        taken[found.slot] = true;
        loading->features[loading->n_features++] = found;
    }
    return reader_failed(in) ? err_set(err, ERR_CORRUPT, "profile: the bytes end early") : 0;
}

static int load_one(void *context, size_t i, struct err *err)
{
    const struct loading *loading = context;
    const struct saved_feature *saved = &loading->features[i];
    struct reader part = reader_of(saved->bytes, saved->n);
    return feature_load(loading->profile, saved->slot, loading->compared, &part, err);
}

int profile_load_by(struct crew *crew, struct profile **out, const struct profile_layout *layout,
                    enum profile_level level, bool compared, const void *bytes, size_t n,
                    struct err *err)
{
    if (n < 8 + 4)
        return err_set(err, ERR_CORRUPT, "profile: %zu bytes are too few", n);
    struct reader in = reader_of(bytes, n - 8);
    struct reader tail = reader_of((const unsigned char *)bytes + n - 8, 8);
    if (reader_u64(&tail) != XXH64(bytes, n - 8, 0))
        return err_set(err, ERR_CORRUPT, "profile: the checksum of %zu bytes does not fit", n);
    unsigned version = reader_u8(&in);
    if (version != SAVED_VERSION && version != SAVED_VERSION_VECTORS)
        return err_set(err, ERR_NEWER, "profile: layout %u is newer than this program", version);
    (void)reader_u8(&in); /* the level it was kept at; ours decides from here on */
    AUTO(profile) struct profile *profile = NULL;
    int rc = profile_new(&profile, layout, level, err);
    if (rc)
        return rc;
    profile->events = reader_varint(&in);
    struct loading loading = {.profile = profile, .compared = compared};
    rc = find_features(&loading, &in, err);
    if (!rc)
        rc = crew_each(crew, loading.n_features, load_one, &loading, err);
    free(loading.features);
    if (rc)
        return rc;
    *out = profile;
    profile = NULL; /* the caller owns it now */
    return 0;
}

int profile_load(struct profile **out, const struct profile_layout *layout,
                 enum profile_level level, const void *bytes, size_t n, struct err *err)
{
    return profile_load_by(NULL, out, layout, level, false, bytes, n, err);
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
        n += sizeof(*state->embedding) - sizeof(state->embedding->norm) -
             sizeof(state->embedding->vector) + numbers_bytes(&state->embedding->norm) +
             mean_vector_bytes(&state->embedding->vector);
    return n;
}
