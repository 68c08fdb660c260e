#include "stats/custom.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static const struct metric_setup setup = {TASK_BINARY, 77, 0.5, NULL};

static struct states *ten_predictions(void)
{
    struct states *states = NULL;
    const double none = (double)NAN;
    assert_int_equal(states_new(&states, &setup, NULL), 0);
    for (int i = 0; i < 10; i++) {
        const struct sample sample = {.latency_ms = none,
                                      .score = 0.05 + i / 10.0,
                                      .value = none,
                                      .label_value = none,
                                      .label_class = i >= 4 ? 77 : 78,
                                      .unit = (uint64_t)(i % 4 + 1) << 60};
        assert_int_equal(states_predict(states, &sample), 0);
        assert_int_equal(states_label(states, &sample, 1), 0);
    }
    return states;
}

static void bring(struct states *states, const char *name, double value)
{
    const struct outcome outcome = {class_id(name, strlen(name)), value};
    assert_int_equal(states_outcome(states, &outcome, 1), 0);
}

static struct metric_value value_of(const struct states *states, const struct custom_set *set,
                                    const char *name)
{
    struct metric_query query;
    struct metric_value value;
    struct err err = {0};
    if (metric_resolve(&query, set, TASK_BINARY, name, &err))
        fail_msg("%s", err.text);
    metric_evaluate(states, &query, MINUTE, &value);
    return value;
}

static void outcome_rules_count_by_prediction_and_by_unit(void **state)
{
    (void)state;
    const struct custom_rule rules[] = {
        {"ctr", "click", NULL, AGG_RATE, PER_PREDICTION},
        {"revenue", "sale", NULL, AGG_SUM, PER_PREDICTION},
        {"revenue_per_prediction", "sale", NULL, AGG_MEAN, PER_PREDICTION},
        {"revenue_per_user", "sale", NULL, AGG_MEAN, PER_UNIT},
        {"clicks_per_user", "click", NULL, AGG_RATE, PER_UNIT},
    };
    AUTO(custom_set) struct custom_set *set = NULL;
    AUTO(states) struct states *states = ten_predictions();
    assert_int_equal(custom_set_new(&set, TASK_BINARY, rules, 5, NULL), 0);
    bring(states, "click", 1);
    bring(states, "click", 1);
    bring(states, "click", 0);
    bring(states, "sale", 12.5);
    bring(states, "sale", 7.5);

    assert_close(value_of(states, set, "ctr").value, 0.2, 0);
    assert_close(value_of(states, set, "ctr").upper, 0.50984, 1e-5); /* Wilson, 2 of 10 */
    assert_close(value_of(states, set, "revenue").value, 20, 0);
    assert_close(value_of(states, set, "revenue_per_prediction").value, 2, 0);
    assert_close(value_of(states, set, "revenue_per_user").value, 5, 0);
    assert_close(value_of(states, set, "clicks_per_user").value, 0.5, 0);
    assert_close(value_of(states, set, "outcome_rate{name=\"click\"}").value, 0.2, 0);
    assert_close(value_of(states, set, "outcome_mean{name=\"sale\"}").value, 10, 0);
    assert_close(value_of(states, NULL, "count").value, 10, 0);
    assert_true(custom_needs_units(set));
    assert_int_equal(custom_count(set), 5);
    assert_string_equal(custom_name(set, 0), "ctr");
}

static void formulas_use_built_in_metrics_and_earlier_rules(void **state)
{
    (void)state;
    const struct custom_rule rules[] = {
        {"net_value", NULL, "100*tp - 20*fp", AGG_RATE, PER_PREDICTION},
        {"ctr", "click", NULL, AGG_RATE, PER_PREDICTION},
        {"both", NULL, "net_value * ctr + outcome_mean{name=\"click\"}", AGG_RATE, PER_PREDICTION},
        {"ratio", NULL, "tp / fp", AGG_RATE, PER_PREDICTION},
        {"missing", NULL, "1 + outcome_mean{name=\"sale\"}", AGG_RATE, PER_PREDICTION},
    };
    AUTO(custom_set) struct custom_set *set = NULL;
    AUTO(states) struct states *states = ten_predictions();
    assert_int_equal(custom_set_new(&set, TASK_BINARY, rules, 5, NULL), 0);
    bring(states, "click", 1);

    assert_close(value_of(states, set, "net_value").value, 500, 0); /* 5 tp, 0 fp */
    assert_close(value_of(states, set, "both").value, 51, 0);
    assert_true(isnan(value_of(states, set, "ratio").value));
    assert_string_equal(value_of(states, set, "ratio").why,
                        "division by zero, or beyond the range of numbers");
    assert_string_equal(value_of(states, set, "missing").why, "no outcomes of that name");
    assert_int_equal(value_of(states, set, "net_value").labelled, 10);
    assert_true(isnan(value_of(states, set, "net_value").lower));
    assert_false(custom_needs_units(set));
}

static void assert_refused(const struct custom_rule *rules, size_t n, const char *why)
{
    AUTO(custom_set) struct custom_set *set = NULL;
    struct err err = {0};
    assert_int_equal(custom_set_new(&set, TASK_BINARY, rules, n, &err), -EINVAL);
    assert_string_equal(err.text, why);
}

static void rules_that_make_no_sense_are_refused_by_name(void **state)
{
    (void)state;
    const struct custom_rule both[] = {{"a", "click", "1", AGG_RATE, PER_PREDICTION}};
    assert_refused(both, 1, "metric 'a': give exactly one of outcome and expr");
    const struct custom_rule builtin[] = {{"accuracy", "click", NULL, AGG_RATE, PER_PREDICTION}};
    assert_refused(builtin, 1, "metric 'accuracy': a built-in metric has this name");
    const struct custom_rule name[] = {{"2x", "click", NULL, AGG_RATE, PER_PREDICTION}};
    assert_refused(name, 1,
                   "metric '2x': a name is up to 100 letters, digits and _, no digit first");
    const struct custom_rule twice[] = {{"a", "click", NULL, AGG_RATE, PER_PREDICTION},
                                        {"a", "click", NULL, AGG_SUM, PER_PREDICTION}};
    assert_refused(twice, 2, "metric 'a': defined twice");
    const struct custom_rule later[] = {{"a", NULL, "2 * b", AGG_RATE, PER_PREDICTION},
                                        {"b", "click", NULL, AGG_SUM, PER_PREDICTION}};
    assert_refused(later, 2, "metric 'a': expr: column 5: 'b' must be defined before it is used");
    const struct custom_rule unknown[] = {{"a", NULL, "1 + acuracy", AGG_RATE, PER_PREDICTION}};
    assert_refused(unknown, 1,
                   "metric 'a': expr: column 5: metric 'acuracy' is unknown; did you mean "
                   "'accuracy'?");
    const struct custom_rule other[] = {{"a", NULL, "mae", AGG_RATE, PER_PREDICTION}};
    assert_refused(other, 1,
                   "metric 'a': expr: column 1: metric 'mae' is one of regression models, not of "
                   "binary ones");
}

static void formulas_that_double_each_other_are_stopped(void **state)
{
    (void)state;
    char names[20][8], texts[20][32];
    struct custom_rule rules[20];
    for (int i = 0; i < 20; i++) {
        snprintf(names[i], sizeof(names[i]), "m%d", i);
        if (i)
            snprintf(texts[i], sizeof(texts[i]), "m%d + m%d", i - 1, i - 1);
        rules[i] =
            (struct custom_rule){names[i], NULL, i ? texts[i] : "tp", AGG_RATE, PER_PREDICTION};
    }
    assert_refused(rules, 20,
                   "metric 'm9': expr: column 1: 'm8' makes it read more than 4096 metrics or 8 "
                   "levels");
}

static void a_near_custom_name_is_proposed(void **state)
{
    (void)state;
    const struct custom_rule rules[] = {{"net_value", "click", NULL, AGG_RATE, PER_PREDICTION}};
    AUTO(custom_set) struct custom_set *set = NULL;
    struct metric_query query;
    struct err err = {0};
    assert_int_equal(custom_set_new(&set, TASK_BINARY, rules, 1, NULL), 0);

    assert_int_equal(metric_resolve(&query, set, TASK_BINARY, "net_valu", &err), -EINVAL);
    assert_string_equal(err.text, "metric 'net_valu' is unknown; did you mean 'net_value'?");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(outcome_rules_count_by_prediction_and_by_unit),
        cmocka_unit_test(formulas_use_built_in_metrics_and_earlier_rules),
        cmocka_unit_test(rules_that_make_no_sense_are_refused_by_name),
        cmocka_unit_test(formulas_that_double_each_other_are_stopped),
        cmocka_unit_test(a_near_custom_name_is_proposed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
