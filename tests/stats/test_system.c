#include "stats/metric_system.h"

#include <string.h>

#include "tests/test.h"

static const struct metric_setup setup = {.task = TASK_BINARY, .threshold = 0.5};

static void tell(struct states *states, const char *name, double value, int sign)
{
    const struct outcome told = {class_id(name, strlen(name)), value};
    assert_int_equal(states_system(states, &told, sign), 0);
}

static struct metric_value value_of(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    if (metric_find(&ref, name, TASK_BINARY, &err))
        fail_msg("%s", err.text);
    metric_result(states, &ref, MINUTE, &value);
    return value;
}

static void hosts_and_times_count_alike(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);

    tell(states, "gpu_utilization", 0.5, 1);
    tell(states, "gpu_utilization", 0.75, 1);
    tell(states, "memory_bytes", 7.1e9, 1);
    tell(states, "fan", 1200, 1);
    tell(states, "fan", (double)NAN, 1);

    assert_close(value_of(states, "gpu_utilization").value, 0.625, 0);
    assert_true(isnan(value_of(states, "gpu_utilization").lower));
    assert_close(value_of(states, "gpu_utilization").error_bound, 0, 0);
    assert_close(value_of(states, "memory_bytes").value, 7.1e9, 0);
    assert_close(value_of(states, "system{name=\"fan\"}").value, 1200, 0);
    assert_string_equal(value_of(states, "cpu_utilization").why, "no host told it");
    assert_close(value_of(states, "count").value, 0, 0); /* a host is no prediction */
}

static void a_name_that_is_outcome_and_system_value_is_two(void **state)
{
    (void)state;
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    const struct outcome outcome = {class_id("load", 4), 7};

    tell(states, "load", 3, 1);
    assert_int_equal(states_outcome(states, &outcome, 1), 0);

    assert_close(value_of(states, "system{name=\"load\"}").value, 3, 0);
    assert_close(value_of(states, "outcome_mean{name=\"load\"}").value, 7, 0);
}

static void split_merged_saved_and_taken_back_leave_the_same_bytes(void **state)
{
    (void)state;
    AUTO(states) struct states *whole = NULL, *a = NULL, *b = NULL, *loaded = NULL;
    assert_int_equal(states_new(&whole, &setup, NULL), 0);
    assert_int_equal(states_new(&a, &setup, NULL), 0);
    assert_int_equal(states_new(&b, &setup, NULL), 0);
    const double values[] = {0.1, 0.2, 0.3, 1e300, -1e300};
    for (size_t i = 0; i < 5; i++) {
        tell(whole, "x", values[i], 1);
        tell(i % 2 ? a : b, "x", values[4 - i], 1);
    }
    tell(a, "x", 5, 1);
    tell(a, "x", 5, -1);
    struct buf x, y;
    buf_init(&x, 1 << 16);
    buf_init(&y, 1 << 16);

    assert_int_equal(states_merge(b, a), 0);
    states_save(whole, &x);
    assert_int_equal(states_load(&loaded, &setup, x.data, x.size, NULL), 0);
    states_save(b, &y);

    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    assert_close(value_of(loaded, "system{name=\"x\"}").value, 0.6 / 5, 1e-15);
    buf_finish(&x);
    buf_finish(&y);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hosts_and_times_count_alike),
        cmocka_unit_test(a_name_that_is_outcome_and_system_value_is_two),
        cmocka_unit_test(split_merged_saved_and_taken_back_leave_the_same_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
