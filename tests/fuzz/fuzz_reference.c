/*
 * Any bytes as a saved reference, without the id that they end with. What is taken must be sound: it
 * saves to the same bytes, lends its grids and bins to a window's profile, and that window is compared
 * with it and judged by every statistic.
 */
#include <assert.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "stats/drift_window.h"
#include "stats/profile.h"
#include "stats/reference.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

enum {
    MOST_FEATURES = 6,
    EVENTS = 60
};

static void must(int rc)
{
    if (rc)
        abort();
}

static void saves_to_the_same_bytes(const struct reference *reference)
{
    AUTO(reference) struct reference *again = NULL;
    struct buf first, second;
    buf_init(&first, 64 << 20);
    buf_init(&second, 64 << 20);
    reference_save(reference, &first);
    must(reference_load_by(NULL, &again, first.data, first.size, NULL));
    reference_save(again, &second);
    assert(first.size == second.size && memcmp(first.data, second.data, first.size) == 0);
    buf_finish(&first);
    buf_finish(&second);
}

/* Values within the reference and far outside of it. */
static void add_event(struct profile *window, const struct profile_layout *layout, int event)
{
    profile_event(window, 1);
    for (uint32_t f = 0; f < layout->n_features; f++) {
        if (layout->features[f].kind == PROFILE_NUMERIC)
            must(profile_number(window, f, event % 7 ? event : event * 1e300, 1));
        else if (layout->features[f].kind == PROFILE_CATEGORICAL)
            must(profile_category(window, f, (uint64_t)(event % 5) + 1, 1));
    }
}

static void is_judged(const struct reference *reference)
{
    struct profile_feature features[MOST_FEATURES] = {0};
    struct profile_layout layout = {.n_features = reference->n_features, .features = features};
    struct drift_feature out[MOST_FEATURES];
    struct drift_summary summary;
    AUTO(profile) struct profile *window = NULL;
    AUTO(drift_nulls) struct drift_nulls *nulls = NULL;
    for (uint32_t i = 0; i < reference->n_features; i++)
        features[i] = (struct profile_feature){
            .name_id = reference->features[i].name_id, .min = (double)NAN, .max = (double)NAN};
    reference_layout(reference, &layout, features);
    must(profile_new(&window, &layout, PROFILE_HOUR, NULL));
    must(drift_nulls_new(&nulls, NULL));
    for (int i = 0; i < EVENTS; i++)
        add_event(window, &layout, i);
    static const enum drift_method methods[] = {DRIFT_AUTO, DRIFT_WASSERSTEIN_NORM, DRIFT_PSI,
                                                DRIFT_JS,   DRIFT_HELLINGER,        DRIFT_CHI2};
    for (size_t k = 0; k < sizeof(methods) / sizeof(methods[0]); k++) {
        const struct drift_rule rule = {methods[k], 0.01, 0};
        const struct drift_question question = {
            .window = window, .reference = reference, .nulls = nulls, .rule = &rule};
        must(drift_window(&question, out, &summary));
        for (uint32_t i = 0; i < reference->n_features; i++)
            assert(out[i].why || out[i].verdict.why ||
                   (out[i].verdict.p_value >= 0 && out[i].verdict.p_value <= 1));
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n)
{
    AUTO(reference) struct reference *reference = NULL;
    struct buf saved;
    buf_init(&saved, 1 << 20);
    buf_bytes(&saved, bytes, n);
    buf_u64(&saved, XXH64(bytes, n, 0));
    if (!buf_failed(&saved) &&
        reference_load_by(NULL, &reference, saved.data, saved.size, NULL) == 0) {
        saves_to_the_same_bytes(reference);
        if (reference->n_features > 0 && reference->n_features <= MOST_FEATURES)
            is_judged(reference);
    }
    buf_finish(&saved);
    return 0;
}
