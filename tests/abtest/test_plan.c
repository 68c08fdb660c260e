#include "abtest/plan.h"

#include <math.h>
#include <string.h>

#include "tests/test.h"

static struct experiment *experiment_new(void)
{
    const char *text = "{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","
                       "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}]}";
    struct experiment *e = NULL;
    assert_int_equal(experiment_parse_text(&e, text, strlen(text), NULL), 0);
    return e;
}

static void a_plan_tells_units_and_time_of_each_step(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_new();
    struct plan_question question = {0.02, 0.04, 100};
    struct plan_step steps[EXPERIMENT_MAX_STEPS];
    assert_int_equal(plan_rates(e, 0, &question, steps, NULL), 0);

    /* docs/abtest.md: 432 treatment units to find 4 %, 1,728 to show equality, both medians */
    assert_in_range((int)(steps[0].harm_units * 0.05), 432, 560);
    assert_in_range((int)(steps[0].safe_units * 0.05), 2000, 2700);
    assert_close(steps[0].harm_ms, steps[0].harm_units * 10, 1);
    assert_close(steps[1].safe_ms, 30.0 * MINUTE, 0); /* min_duration is longer */
    assert_true(isinf(steps[2].safe_units));          /* no control at 100 % */
    assert_true(isinf(steps[2].smallest_effect));
    assert_true(steps[1].smallest_effect < steps[0].smallest_effect);
}

static void a_rate_that_is_none_is_refused(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = experiment_new();
    struct plan_question question = {0, 0.04, 100};
    struct plan_step steps[EXPERIMENT_MAX_STEPS];
    struct err err;

    assert_true(plan_rates(e, 0, &question, steps, &err) < 0);
    assert_string_equal(err.text, "plan: base rate 0 is not between 0 and 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_plan_tells_units_and_time_of_each_step),
        cmocka_unit_test(a_rate_that_is_none_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
