#include "abtest/exposure.h"

#include "tests/test.h"

static struct experiment *experiment_new(const char *share)
{
    char text[512];
    int n =
        snprintf(text, sizeof(text),
                 "{\"name\":\"credit-v4\",\"model\":\"m\",\"control\":\"v3\",\"treatment\":\"v4\","
                 "\"control_share\":\"%s\","
                 "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}]}",
                 share);
    struct experiment *e = NULL;
    assert_int_equal(experiment_parse_text(&e, text, (size_t)n, NULL), 0);
    return e;
}

/* "user-2" has bucket 0.0845 under the salt credit-v4, "user-1" 0.7698. */
static void the_version_that_served_meets_the_arm_of_the_bucket(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_new("rest");
    struct exposure x;

    assert_int_equal(exposure_of(&x, e, 1, view_of("user-2"), view_of("v4"), 7), 0);
    assert_int_equal(x.arm, ARM_TREATMENT);
    assert_false(x.crossover);
    assert_int_equal(x.ts_ms, 7);
    assert_int_equal(exposure_of(&x, e, 0, view_of("user-2"), view_of("v4"), 7), 0);
    assert_int_equal(x.arm, ARM_CONTROL);
    assert_true(x.crossover);
    assert_int_equal(exposure_of(&x, e, 0, view_of("user-2"), view_of("v2"), 7), EXPOSURE_NONE);
}

static void a_unit_outside_the_comparison_is_no_crossover(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_new("equal");
    struct exposure x;

    assert_int_equal(exposure_of(&x, e, 0, view_of("user-1"), view_of("v3"), 7), 0);
    assert_int_equal(x.arm, ARM_OUTSIDE);
    assert_false(x.crossover);
    assert_int_equal(exposure_of(&x, e, 0, view_of("user-1"), view_of("v4"), 7), 0);
    assert_true(x.crossover);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_version_that_served_meets_the_arm_of_the_bucket),
        cmocka_unit_test(a_unit_outside_the_comparison_is_no_crossover),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
