/*
 * Saved bytes:
 *
 *     u8 version · u8 level · varint events · varint n_features · features … · u64 XXH64
 *     feature: u64 name_id · varint size · varint present · varint invalid[4] · u8 parts ·
 *              [numeric] [categories] [embedding]
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <xxhash.h>

#include "stats/profile_parts.h"

enum {
    SAVED_VERSION = 1, /* where no feature has a mean vector */
    SAVED_VERSION_VECTORS = 2,
    PART_NUMERIC = 1,
    PART_CATEGORIES = 2,
    PART_EMBEDDING = 4
};

#define MOST_OF_A_MEAN 4294967296.0 /* 4096 in 2^-20: profile_embedding */

static void embedding_save(const struct embedding_state *state, struct buf *out)
{
    numbers_save(&state->norm, out);
    buf_zigzag(out, state->mean);
    buf_varint(out, state->dimensions);
    const struct mean_vector nothing = {0};
    mean_vector_save(state->vector ? state->vector : &nothing, out);
}

static int embedding_load(struct embedding_state *state, enum profile_level level,
                          struct reader *in, struct err *err)
{
    int rc = numbers_load(&state->norm, in, err);
    if (rc)
        return rc;
    state->mean = reader_zigzag(in);
    if (fabs((double)state->mean) > MOST_OF_A_MEAN * (double)state->norm.n)
        return err_set(err, ERR_CORRUPT, "profile: means that %llu vectors do not have",
                       (unsigned long long)state->norm.n);
    state->dimensions = (uint32_t)reader_varint(in);
    mean_vector_finish(state->vector);
    rc = mean_vector_load(state->vector, in, err);
    if (rc == 0 && level == PROFILE_REFERENCE && mean_vector_scatter(state->vector))
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
        rc = profile_numeric_part(profile, feature)
                 ? numbers_load_compared(feature->numeric, compared_on(profile, i, compared), in,
                                         err)
                 : err_set(err, -ENOMEM, "profile: no memory");
    if (rc == 0 && parts & PART_CATEGORIES)
        rc = profile_categories_part(profile, feature)
                 ? categories_load(feature->categories, in, err)
                 : err_set(err, -ENOMEM, "profile: no memory");
    if (rc == 0 && parts & PART_EMBEDDING)
        rc = profile_embedding_part(profile, feature)
                 ? embedding_load(feature->embedding, profile->level, in, err)
                 : err_set(err, -ENOMEM, "profile: no memory");
    if (rc == 0 && reader_failed(in))
        rc = err_set(err, ERR_CORRUPT, "profile: feature %u ends early", i);
    /* bytes from before parts had less room beside others; what is only compared stays as it is */
    if (rc == 0 && !compared && profile_squeeze(profile, i, profile_ids(feature)))
        rc = err_set(err, -ENOMEM, "profile: no memory");
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
        if (state && state->vector && state->vector->n)
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
    if (n < 8)
        return err_set(err, ERR_CORRUPT, "profile: %zu bytes are too few", n);
    struct reader tail = reader_of((const unsigned char *)bytes + n - 8, 8);
    if (reader_u64(&tail) != XXH64(bytes, n - 8, 0))
        return err_set(err, ERR_CORRUPT, "profile: the checksum of %zu bytes does not fit", n);
    return profile_load_by(NULL, out, layout, level, false, bytes, n, err);
}
