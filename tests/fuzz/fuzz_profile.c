/*
 * Any bytes as the saved feature profile of a pane, with the checksum that they should end with put
 * right. What is taken must be sound: it saves to bytes that load again to the same bytes, merges
 * with itself and into an hour, and is compared with a reference of every kind of feature.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "stats/drift_categorical.h"
#include "stats/drift_embedding.h"
#include "stats/drift_numeric.h"
#include "stats/profile.h"
#include "stats/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum {
    N_FEATURES = 4, /* a number, a text, a vector, and one of any kind, which has no reference */
    EVENTS = 400
};

static struct profile_feature features[N_FEATURES];
static struct profile_layout layout = {.n_features = N_FEATURES, .features = features};
static struct reference *reference;

static void must(int rc)
{
    if (rc)
        abort();
}

static void make_reference(void)
{
    struct profile *all = NULL;
    for (int i = 0; i < N_FEATURES; i++)
        features[i] = (struct profile_feature){.name_id = (uint64_t)i + 1, .min = NAN, .max = NAN};
    must(profile_new(&all, &layout, PROFILE_REFERENCE, NULL));
    for (int i = 0; i < EVENTS; i++) {
        double projected[PROJECTION_BUCKETS] = {0};
        for (uint32_t d = 0; d < 8; d++)
            projection_add(projected, d, i + d);
        const struct embedding vector = {i, i / 8.0, projected, 8};
        profile_event(all, 1);
        must(profile_number(all, 0, i * i, 1));
        must(profile_category(all, 1, (uint64_t)(i % 20) + 1, 1));
        must(profile_embedding(all, 2, &vector, 1));
    }
    must(reference_build(&reference, all, 0, NULL));
    profile_free(all);
    reference_layout(reference, &layout, features);
}

/* Whether they load: what counts more than is taken (reader_count) may not. */
static bool saves_to_the_same_bytes(const struct profile *profile)
{
    AUTO(profile) struct profile *again = NULL;
    struct buf first, second;
    buf_init(&first, 64 << 20);
    buf_init(&second, 64 << 20);
    profile_save(profile, &first);
    assert(!buf_failed(&first));
    const bool loads =
        profile_load(&again, &layout, profile->level, first.data, first.size, NULL) == 0;
    if (loads)
        profile_save(again, &second);
    assert(!loads || first.size == second.size);
    assert(!loads || memcmp(first.data, second.data, first.size) == 0);
    buf_finish(&first);
    buf_finish(&second);
    return loads;
}

static void is_compared(const struct profile *profile)
{
    for (uint32_t i = 0; i < N_FEATURES; i++) {
        const struct feature_state *state = &profile->features[i];
        const struct reference_feature *known = reference_find(reference, features[i].name_id);
        (void)profile_quality(profile, i, false);
        (void)profile_bytes(profile, i);
        for (int coarse = 0; known && state->numeric && coarse < 2; coarse++) {
            const struct drift_numeric_input in = {known, reference->grids, state->numeric, NULL, 0,
                                                   coarse};
            struct drift_numeric out;
            must(drift_numeric(&in, &out));
            assert(out.wasserstein.why || !isnan(out.wasserstein.value));
        }
        if (known && known->kind == PROFILE_CATEGORICAL && state->categories) {
            struct drift_categorical out;
            must(drift_categorical(known, reference->id, state->categories, &out));
        }
        if (known && known->kind == PROFILE_EMBEDDING && state->embedding &&
            state->embedding->vector) {
            struct drift_embedding out;
            drift_embedding(known, state->embedding->vector, &out);
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    if (!reference)
        make_reference();
    if (n == 0)
        return 0;
    const enum profile_level level = bytes[0] % 2 ? PROFILE_HOUR : PROFILE_MINUTE;
    AUTO(profile) struct profile *profile = NULL;
    AUTO(profile) struct profile *more = NULL;
    AUTO(profile) struct profile *hour = NULL;
    struct buf saved;
    buf_init(&saved, 1 << 20);
    buf_bytes(&saved, bytes + 1, n - 1);
    buf_u64(&saved, XXH64(bytes + 1, n - 1, 0));

    if (!buf_failed(&saved) &&
        profile_load(&profile, &layout, level, saved.data, saved.size, NULL) == 0) {
        assert(saves_to_the_same_bytes(profile));
        is_compared(profile);
        must(profile_load(&more, &layout, level, saved.data, saved.size, NULL));
        must(profile_new(&hour, &layout, PROFILE_HOUR, NULL));
        if (profile_merge(hour, profile) == 0 && profile_merge(profile, more) == 0) {
            (void)saves_to_the_same_bytes(profile);
            is_compared(hour);
        }
    }
    buf_finish(&saved);
    return 0;
}
