#include "stats/bucket.h"

#include <string.h>

#include "deploy/client/assay_assignment.h"
#include "tests/reference.h"

enum {
    ONE_MILLION = 1000000
};

static double bucket(const char *salt, const char *unit)
{
    return bucket_of(salt, strlen(salt), unit, strlen(unit));
}

static void every_vector_of_the_reference_is_met(void **state)
{
    (void)state;
    json_t *file = reference_read("abtest/hash-vectors.json"), *row;
    if (!file)
        reference_skip("abtest/hash-vectors.json");
    const double weights[] = {5, 50, 100};
    size_t i;
    json_array_foreach(reference_at(file, "assignment", "cases", NULL), i, row)
    {
        const char *salt = json_string_value(json_array_get(row, 0));
        const char *unit = json_string_value(json_array_get(row, 1));
        double expected = json_number_value(json_array_get(row, 3));
        uint64_t hash = bucket_hash(salt, strlen(salt), unit, strlen(unit));
        char text[17];
        snprintf(text, sizeof(text), "%016llx", (unsigned long long)hash);

        assert_string_equal(text, json_string_value(json_array_get(row, 2)));
        assert_true(bucket(salt, unit) == expected);
        assert_true(assay_bucket(salt, strlen(salt), unit, strlen(unit)) == expected);
        for (size_t w = 0; w < 3; w++) {
            const char *arm = json_string_value(json_array_get(json_array_get(row, 4), w));
            assert_int_equal(assay_in_treatment(expected, weights[w]),
                             strcmp(arm, "treatment") == 0);
        }
    }
    assert_true(i >= 10);
    json_decref(file);
}

static void the_clients_own_vectors_hold(void **state)
{
    (void)state;
    static const struct {
        const char *salt, *unit;
        double bucket;
        int at_5, at_50;
    } vectors[] = {ASSAY_ASSIGNMENT_VECTORS};

    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        double ours = bucket(vectors[i].salt, vectors[i].unit);
        assert_true(ours == vectors[i].bucket);
        assert_int_equal(assay_in_treatment(ours, 5), vectors[i].at_5);
        assert_int_equal(assay_in_treatment(ours, 50), vectors[i].at_50);
    }
}

static void the_client_agrees_with_the_daemon_at_every_length(void **state)
{
    (void)state;
    char unit[1200];
    for (size_t n = 0; n < sizeof(unit); n++) {
        assert_true(assay_bucket("salt", 4, unit, n) == bucket_of("salt", 4, unit, n));
        unit[n] = (char)(n * 131 + 7);
    }
}

static void of_a_million_units_none_leaves_treatment_while_the_weight_rises(void **state)
{
    (void)state;
    int at_5 = 0, at_50 = 0, left = 0;
    for (int i = 0; i < ONE_MILLION; i++) {
        char unit[32];
        int n = snprintf(unit, sizeof(unit), "user-%d", i);
        double b = bucket_of("credit-v4", 9, unit, (size_t)n);
        int first = assay_in_treatment(b, 5), then = assay_in_treatment(b, 50);
        left += (first && !then) || !assay_in_treatment(b, 100);
        at_5 += first;
        at_50 += then;
    }
    assert_int_equal(left, 0);
    assert_in_range(at_5, 50000 - 1090, 50000 + 1090);    /* 5 standard deviations */
    assert_in_range(at_50, 500000 - 2500, 500000 + 2500); /* … */
}

static void the_hash_inside_evidence_is_another_one(void **state)
{
    (void)state;
    int in_low_half = 0, treated = 0;
    for (int i = 0; i < 100000; i++) {
        char unit[32];
        int n = snprintf(unit, sizeof(unit), "user-%d", i);
        if (bucket_of("s", 1, unit, (size_t)n) >= 0.05)
            continue;
        treated++;
        in_low_half += bucket_of_hash(bucket_unit_hash("s", 1, unit, (size_t)n)) < 0.5;
    }
    assert_in_range(in_low_half, treated / 2 - 180, treated / 2 + 180); /* 5 sd of 5000 coins */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_vector_of_the_reference_is_met),
        cmocka_unit_test(the_clients_own_vectors_hold),
        cmocka_unit_test(the_client_agrees_with_the_daemon_at_every_length),
        cmocka_unit_test(of_a_million_units_none_leaves_treatment_while_the_weight_rises),
        cmocka_unit_test(the_hash_inside_evidence_is_another_one),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
