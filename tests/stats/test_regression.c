#include "stats/metric_regression.h"

#include <float.h>
#include <string.h>

#include "stats/metric_outcome.h"
#include "tests/test.h"

static const struct metric_setup setup = {TASK_REGRESSION, 0, 0, NULL};

static void fold(struct states *states, double value, double label, int sign)
{
    const struct sample sample = {
        .latency_ms = (double)NAN, .score = (double)NAN, .value = value, .label_value = label};
    if (sign > 0)
        assert_int_equal(states_predict(states, &sample), 0);
    assert_int_equal(states_label(states, &sample, sign), 0);
}

static struct metric_value value_of(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    if (metric_find(&ref, name, TASK_REGRESSION, &err))
        fail_msg("%s", err.text);
    metric_result(states, &ref, MINUTE, &value);
    return value;
}

static void three_errors_give_the_numbers_one_does_in_the_head(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, 11, 10, 1); /* errors 1, -2, 4 */
    fold(states, 18, 20, 1);
    fold(states, 34, 30, 1);

    assert_close(value_of(states, "mae").value, 7.0 / 3, 1e-15);
    assert_close(value_of(states, "mse").value, 7, 0);
    assert_close(value_of(states, "rmse").value, sqrt(7), 1e-15);
    assert_close(value_of(states, "bias").value, 1, 0);
    assert_close(value_of(states, "mape").value, (0.1 + 0.1 + 4.0 / 30) / 3, 1e-15);
    assert_close(value_of(states, "r2").value, 1 - 21.0 / 200, 1e-15);
    assert_close(value_of(states, "median_absolute_error").value, 2, 0);
    assert_close(value_of(states, "max_error").value, 4, 0);
    assert_close(value_of(states, "max_error").error_bound, 0, 0);
    assert_true(isnan(value_of(states, "max_error").lower));
    assert_close(value_of(states, "prediction_mean").value, 21, 0);
    /* mae ± t(2) · s / sqrt(3), s² = ((1 - 7/3)² + (2 - 7/3)² + (4 - 7/3)²) / 2 = 7/3 */
    assert_close(value_of(states, "mae").upper, 7.0 / 3 + 4.30265273 * sqrt(7.0 / 9), 1e-7);
    assert_true(isnan(value_of(states, "confidence_mean").value));
}

static void a_taken_out_maximum_gives_way_to_the_next(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, 0, 3.25, 1);
    fold(states, 0, 1000.5, 1);
    fold(states, 0, 1000.5, -1);
    fold(states, 0, -7.125, 1);

    assert_close(value_of(states, "max_error").value, 7.125, 0);
    assert_close(value_of(states, "mae").value, (3.25 + 7.125) / 2, 0);
}

static void labels_far_from_zero_keep_their_spread(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < 4; i++)
        fold(states, 1e12 + i + 0.5, 1e12 + i, 1);
    assert_close(value_of(states, "r2").value, 1 - 1.0 / 5, 1e-12);
}

static void what_is_beyond_doubles_is_null_until_it_is_taken_out(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, 2, 1, 1);
    fold(states, 3, 2, 1);
    fold(states, 1e308, -1e308, 1);
    assert_string_equal(value_of(states, "mae").why, "beyond the range of numbers");
    assert_string_equal(value_of(states, "r2").why, "beyond the range of numbers");
    assert_true(isfinite(value_of(states, "median_absolute_error").value));

    fold(states, 1e308, -1e308, -1);
    assert_close(value_of(states, "mae").value, 1, 0);
    assert_close(value_of(states, "mse").value, 1, 0);
}

static void the_spread_of_equal_labels_is_none(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    assert_string_equal(value_of(states, "r2").why, "fewer than two labels");
    fold(states, 2, 0.1, 1);
    fold(states, 3, 0.1, 1);
    fold(states, 4, 0.1, 1);
    assert_string_equal(value_of(states, "r2").why, "all labels are equal");
    assert_string_equal(value_of(states, "prediction_p50").why ? "" : "defined", "defined");
}

static void a_label_of_zero_makes_mape_as_large_as_scikit_learns(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, 1, 0, 1);
    assert_close(value_of(states, "mape").value, 1 / DBL_EPSILON, 0);
}

static void outcomes_are_kept_by_name_and_a_later_one_replaces(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    const uint64_t revenue = class_id("revenue", 7);
    for (int i = 0; i < 4; i++)
        fold(states, 1, 1, 1);
    const struct outcome first = {revenue, 10}, second = {revenue, 1e-3}, other = {revenue, 0};
    assert_int_equal(states_outcome(states, &first, 1), 0);
    assert_int_equal(states_outcome(states, &other, 1), 0);
    assert_int_equal(states_outcome(states, &first, -1), 0);
    assert_int_equal(states_outcome(states, &second, 1), 0);

    assert_close(value_of(states, "outcome_mean{name=\"revenue\"}").value, 0.0005, 0);
    assert_close(value_of(states, "outcome_rate{name=\"revenue\"}").value, 0.25, 0);
    assert_close(value_of(states, "outcome_rate{name=\"click\"}").value, 0, 0);
    assert_true(isnan(value_of(states, "outcome_mean{name=\"click\"}").value));
}

static void names_beyond_the_limit_are_left_out_in_any_order(void **state)
{
    (void)state;
    AUTO(states) struct states *up = NULL, *down = NULL;
    struct buf of_up, of_down;
    assert_int_equal(states_new(&up, &setup, NULL), 0);
    assert_int_equal(states_new(&down, &setup, NULL), 0);
    for (uint64_t i = 1; i <= 400; i++) {
        const struct outcome a = {i * 1000, 1}, b = {(401 - i) * 1000, 1};
        assert_int_equal(states_outcome(up, &a, 1), 0);
        assert_int_equal(states_outcome(down, &b, 1), 0);
    }
    buf_init(&of_up, 1 << 20);
    buf_init(&of_down, 1 << 20);
    states_save(up, &of_up);
    states_save(down, &of_down);
    assert_int_equal(of_up.size, of_down.size);
    assert_memory_equal(of_up.data, of_down.data, of_up.size);
    const struct named_sums *s = states_get(up, &outcome_kind);
    assert_non_null(named_sums_find(s, 256 * 1000));
    assert_null(named_sums_find(s, 257 * 1000));
    buf_finish(&of_up);
    buf_finish(&of_down);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(three_errors_give_the_numbers_one_does_in_the_head),
        cmocka_unit_test(a_taken_out_maximum_gives_way_to_the_next),
        cmocka_unit_test(labels_far_from_zero_keep_their_spread),
        cmocka_unit_test(what_is_beyond_doubles_is_null_until_it_is_taken_out),
        cmocka_unit_test(the_spread_of_equal_labels_is_none),
        cmocka_unit_test(a_label_of_zero_makes_mape_as_large_as_scikit_learns),
        cmocka_unit_test(outcomes_are_kept_by_name_and_a_later_one_replaces),
        cmocka_unit_test(names_beyond_the_limit_are_left_out_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
