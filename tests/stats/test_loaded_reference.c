/* A reference is loaded by several threads at once: where a feature begins is found on the way. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/crew.h"
#include "common/rng.h"
#include "stats/metric.h"
#include "stats/reference.h"
#include "tests/test.h"

enum {
    FEATURES = 24,
    EVENTS = 2000
};

/* Every third is of categories, and no two have as many values. */
static struct reference *made(void)
{
    struct profile_feature features[FEATURES];
    const struct profile_layout layout = {.n_features = FEATURES, .features = features};
    AUTO(profile) struct profile *profile = NULL;
    struct reference *reference = NULL;
    struct rng rng = rng_of(1);
    char name[8];
    for (uint32_t f = 0; f < FEATURES; f++) {
        const int n = snprintf(name, sizeof(name), "f%02u", f);
        features[f] =
            (struct profile_feature){.name_id = class_id(name, (size_t)n),
                                     .kind = f % 3 == 1 ? PROFILE_CATEGORICAL : PROFILE_NUMERIC,
                                     .min = (double)NAN,
                                     .max = (double)NAN};
    }
    assert_int_equal(profile_new(&profile, &layout, PROFILE_REFERENCE, NULL), 0);
    for (int e = 0; e < EVENTS; e++) {
        profile_event(profile, 1);
        for (uint32_t f = 0; f < FEATURES; f++) {
            const double x = rng_normal(&rng);
            if (f * 50 < (uint32_t)e)
                assert_int_equal(f % 3 == 1 ? profile_category(profile, f, 1 + (uint64_t)(x * x), 1)
                                            : profile_number(profile, f, x, 1),
                                 0);
        }
    }
    assert_int_equal(reference_build(&reference, profile, 0, NULL), 0);
    return reference;
}

static void several_threads_load_what_one_does(void **state)
{
    (void)state;
    AUTO(reference) struct reference *reference = made();
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    reference_save(reference, &bytes);
    for (int n_threads = 0; n_threads <= CREW_MOST; n_threads++) {
        AUTO(crew) struct crew *crew = NULL;
        AUTO(reference) struct reference *loaded = NULL;
        struct buf again;
        buf_init(&again, 1 << 24);
        assert_int_equal(crew_new(&crew, n_threads, NULL), 0);
        assert_int_equal(reference_load_by(crew, &loaded, bytes.data, bytes.size, NULL), 0);
        reference_save(loaded, &again);
        assert_int_equal(again.size, bytes.size);
        assert_memory_equal(again.data, bytes.data, bytes.size);
        assert_true(loaded->id == reference->id);
        buf_finish(&again);
    }
    buf_finish(&bytes);
}

static void bytes_that_end_early_are_refused_by_all(void **state)
{
    (void)state;
    AUTO(reference) struct reference *reference = made();
    AUTO(crew) struct crew *crew = NULL;
    struct buf bytes;
    buf_init(&bytes, 1 << 24);
    reference_save(reference, &bytes);
    assert_int_equal(crew_new(&crew, 2, NULL), 0);
    for (size_t n = 0; n < bytes.size; n += 1 + bytes.size / 300) {
        AUTO(reference) struct reference *loaded = NULL;
        struct err err = {0};
        assert_int_equal(reference_load_by(crew, &loaded, bytes.data, n, &err), ERR_CORRUPT);
        assert_null(loaded);
        assert_non_null(strstr(err.text, "reference"));
    }
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(several_threads_load_what_one_does),
        cmocka_unit_test(bytes_that_end_early_are_refused_by_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
