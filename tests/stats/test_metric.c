#include "stats/metric.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "stats/metric_binary.h"
#include "stats/metric_common.h"
#include "tests/test.h"

static uint64_t id_of(const char *text)
{
    return class_id(text, strlen(text));
}

static struct metric_setup binary_setup(void)
{
    return (struct metric_setup){TASK_BINARY, id_of("1"), 0.5, NULL};
}

static struct sample sample_of(double score, const char *label)
{
    return (struct sample){.ts_ms = 1700000000000,
                           .latency_ms = (double)NAN,
                           .score = score,
                           .value = (double)NAN,
                           .label_class = label ? id_of(label) : 0,
                           .label_value = (double)NAN};
}

static void fold(struct states *states, double score, const char *label)
{
    const struct sample sample = sample_of(score, label);
    assert_int_equal(states_predict(states, &sample), 0);
    if (label)
        assert_int_equal(states_label(states, &sample, 1), 0);
}

static struct metric_value value_of(const struct states *states, const char *name)
{
    struct metric_ref ref;
    struct metric_value value;
    struct err err = {0};
    if (metric_find(&ref, name, states_setup(states)->task, &err))
        fail_msg("%s", err.text);
    metric_result(states, &ref, MINUTE, &value);
    return value;
}

static const struct metric_def *row_of(const char *name, enum task task)
{
    struct metric_ref ref;
    struct err err = {0};
    if (metric_find(&ref, name, task, &err))
        fail_msg("%s", err.text);
    return ref.def;
}

static void no_interval_goes_beyond_what_its_metric_can_be(void **state)
{
    (void)state;
    static const char *const bounded[] = {"log_loss", "brier", "prediction_mean"};
    const struct metric_setup setup = binary_setup();
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);

    for (int i = 0; i < 5;
         i++) /* one miss of five: half of Student's interval is beyond the mean */
        fold(states, i ? 0.001 : 0.999, "0");

    for (size_t i = 0; i < 3; i++) {
        struct metric_value v = value_of(states, bounded[i]);
        assert_true(v.value > 0.19);
        assert_close(v.lower, 0, 0);
        assert_true(v.upper > 2 * v.value); /* the other end stays where it was */
    }
}

static void a_metric_knows_its_range(void **state)
{
    (void)state;
    static const struct {
        const char *name;
        enum task task;
        double least, most;
    } rows[] = {
        {"brier", TASK_BINARY, 0, 1},
        {"brier", TASK_MULTICLASS, 0, 2},
        {"log_loss", TASK_BINARY, 0, INFINITY},
        {"ece", TASK_BINARY, 0, 1},
        {"mcc", TASK_BINARY, -1, 1},
        {"mae", TASK_REGRESSION, 0, INFINITY},
        {"mse", TASK_REGRESSION, 0, INFINITY},
        {"mape", TASK_REGRESSION, 0, INFINITY},
        {"r2", TASK_REGRESSION, -INFINITY, 1},
        {"bias", TASK_REGRESSION, -INFINITY, INFINITY},
        {"ndcg_10", TASK_RANKING, 0, 1},
        {"latency_mean", TASK_BINARY, 0, INFINITY},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        double least, most;
        metric_range(row_of(rows[i].name, rows[i].task), &least, &most);
        if (least != rows[i].least || most != rows[i].most)
            fail_msg("%s: %g to %g", rows[i].name, least, most);
    }
}

static void four_labels_give_the_numbers_one_does_in_the_head(void **state)
{
    (void)state;
    const struct metric_setup setup = binary_setup();
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);

    fold(states, 0.9, "1");
    fold(states, 0.8, "0");
    fold(states, 0.6, "1");
    fold(states, 0.2, "0");
    fold(states, 0.1, NULL);

    assert_close(value_of(states, "count").value, 5, 0);
    assert_close(value_of(states, "labelled_rate").value, 0.8, 1e-15);
    assert_close(value_of(states, "accuracy").value, 0.75, 0);
    assert_close(value_of(states, "precision").value, 2.0 / 3, 1e-15);
    assert_close(value_of(states, "recall").value, 1, 0);
    assert_close(value_of(states, "specificity").value, 0.5, 0);
    assert_close(value_of(states, "f1").value, 0.8, 1e-15);
    assert_close(value_of(states, "roc_auc").value, 0.75, 0);
    assert_close(value_of(states, "roc_auc").error_bound, 0, 0);
    assert_close(value_of(states, "pr_auc").value, (1 + 2.0 / 3) / 2, 1e-15);
    assert_close(value_of(states, "brier").value, (0.01 + 0.64 + 0.16 + 0.04) / 4, 1e-15);
    assert_close(value_of(states, "prediction_mean").value, 0.52, 1e-15);
    assert_close(value_of(states, "prediction_p50").value, 0.6, 0);
    assert_close(value_of(states, "positive_rate").value, 0.6, 1e-15);
    assert_int_equal(value_of(states, "f1").n, 5);
    assert_int_equal(value_of(states, "f1").labelled, 4);
    assert_close(value_of(states, "throughput").value, 5 / 60.0, 1e-15);
}

static void the_events_own_prediction_wins_over_the_threshold(void **state)
{
    (void)state;
    const struct metric_setup setup = binary_setup();
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);

    struct sample sample = sample_of(0.6, "0");
    sample.predicted = id_of("0"); /* the model cuts at 0.65 */
    assert_int_equal(states_predict(states, &sample), 0);
    assert_int_equal(states_label(states, &sample, 1), 0);

    assert_close(value_of(states, "tn").value, 1, 0);
    assert_close(value_of(states, "fp").value, 0, 0);
    assert_close(value_of(states, "positive_rate").value, 0, 0);
}

static void failed_requests_count_in_the_error_rate_and_not_in_quality(void **state)
{
    (void)state;
    const struct metric_setup setup = binary_setup();
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);

    fold(states, 0.9, "1");
    struct sample failed = sample_of(0.1, "1");
    failed.failed = true;
    failed.latency_ms = 2000;
    assert_int_equal(states_predict(states, &failed), 0);
    assert_int_equal(states_label(states, &failed, 1), 0);

    assert_close(value_of(states, "error_rate").value, 0.5, 0);
    assert_close(value_of(states, "accuracy").value, 1, 0);
    assert_close(value_of(states, "prediction_mean").value, 0.9, 1e-15);
    assert_close(value_of(states, "latency_mean").value, 2000, 0);
    assert_int_equal(states_labelled(states), 1);
}

static void what_is_not_there_is_null_and_says_why(void **state)
{
    (void)state;
    const struct metric_setup setup = binary_setup();
    AUTO(states) struct states *states = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);

    assert_true(isnan(value_of(states, "accuracy").value));
    assert_string_equal(value_of(states, "accuracy").why, "no labelled predictions");
    assert_string_equal(value_of(states, "latency_p99").why, "no latencies");
    fold(states, 0.2, "1");
    assert_string_equal(value_of(states, "roc_auc").why, "labels of one class only");
    assert_string_equal(value_of(states, "precision").why,
                        "nothing labelled was predicted positive");
    assert_close(value_of(states, "count").value, 1, 0);
    assert_true(isnan(value_of(states, "count").lower));
    assert_null(value_of(states, "count").why);
}

static void saved_states_are_read_back_and_damage_is_told(void **state)
{
    (void)state;
    const struct metric_setup setup = binary_setup();
    AUTO(states) struct states *states = NULL, *again = NULL, *none = NULL;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    fold(states, 0.9, "1");
    fold(states, 0.25, "0");
    struct buf saved, twice;
    buf_init(&saved, 1 << 20);
    buf_init(&twice, 1 << 20);
    states_save(states, &saved);

    assert_int_equal(states_load(&again, &setup, saved.data, saved.size, NULL), 0);
    states_save(again, &twice);
    assert_int_equal(twice.size, saved.size);
    assert_memory_equal(twice.data, saved.data, saved.size);

    struct err err = {0};
    saved.data[saved.size / 2] ^= 4;
    assert_int_equal(states_load(&none, &setup, saved.data, saved.size, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "checksum"));
    assert_int_equal(states_load(&none, &setup, saved.data, 3, &err), ERR_CORRUPT);
    assert_string_equal(err.text, "state: 3 bytes are too few");
    const struct metric_setup other = {TASK_REGRESSION, 0, 0, NULL};
    assert_int_equal(states_load(&none, &other, twice.data, twice.size, &err), ERR_NEWER);
    assert_string_equal(err.text, "state: tag 2 is unknown for regression models: written by a "
                                  "newer version, or for another task");
    assert_null(none);
    assert_int_equal(states_merge(states, again), 0);
    assert_int_equal(states_count(states), 4);
    buf_finish(&saved);
    buf_finish(&twice);
}

static void states_of_other_setups_do_not_merge(void **state)
{
    (void)state;
    const struct metric_setup setup = binary_setup();
    struct metric_setup other = setup;
    other.threshold = 0.6;
    AUTO(states) struct states *a = NULL, *b = NULL;
    assert_int_equal(states_new(&a, &setup, NULL), 0);
    assert_int_equal(states_new(&b, &other, NULL), 0);

    assert_int_equal(states_merge(a, b), -EINVAL);
}

static void an_unknown_name_is_told_with_the_nearest(void **state)
{
    (void)state;
    struct metric_ref ref;
    struct err err = {0};

    assert_int_equal(metric_find(&ref, "acuracy", TASK_BINARY, &err), -EINVAL);
    assert_string_equal(err.text, "metric 'acuracy' is unknown; did you mean 'accuracy'?");
    assert_int_equal(metric_find(&ref, "zzz", TASK_BINARY, &err), -EINVAL);
    assert_string_equal(err.text, "metric 'zzz' is unknown; docs/metrics.md lists them");
    assert_int_equal(metric_find(&ref, "auc", TASK_BINARY, &err), -EINVAL);
    assert_string_equal(err.text, "metric 'auc' is unknown; did you mean roc_auc or pr_auc?");
    assert_int_equal(metric_find(&ref, "f1_score", TASK_BINARY, &err), -EINVAL);
    assert_string_equal(err.text, "metric 'f1_score' is unknown; did you mean f1?");
    assert_int_equal(metric_find(&ref, "roc_auc", TASK_REGRESSION, &err), -EINVAL);
    assert_string_equal(err.text,
                        "metric 'roc_auc' is one of binary models, not of regression ones");
    assert_int_equal(metric_find(&ref, "roc_auc", TASK_BINARY, &err), 0);
    assert_string_equal(ref.text, "roc_auc");
    assert_ptr_equal(ref.def->state, &binary_kind);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_interval_goes_beyond_what_its_metric_can_be),
        cmocka_unit_test(a_metric_knows_its_range),
        cmocka_unit_test(four_labels_give_the_numbers_one_does_in_the_head),
        cmocka_unit_test(the_events_own_prediction_wins_over_the_threshold),
        cmocka_unit_test(failed_requests_count_in_the_error_rate_and_not_in_quality),
        cmocka_unit_test(what_is_not_there_is_null_and_says_why),
        cmocka_unit_test(saved_states_are_read_back_and_damage_is_told),
        cmocka_unit_test(states_of_other_setups_do_not_merge),
        cmocka_unit_test(an_unknown_name_is_told_with_the_nearest),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
