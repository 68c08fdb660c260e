#include "abtest/experiment.h"

#include <string.h>

#include "tests/test.h"

#define METRICS "\"metrics\":[{\"metric\":\"error_rate\",\"margin_relative\":0.5}]"
#define HEAD "\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\","

/* The object of the contract, §4. */
static const char example[] =
    "{\"name\":\"credit-v4\",\"model\":\"credit\",\"control\":\"v3\",\"treatment\":\"v4\","
    "\"salt\":\"credit-v4\",\"alpha\":0.05,"
    "\"steps\":[{\"weight\":5,\"min_duration\":\"10m\",\"min_units\":2000},"
    "{\"weight\":50,\"min_duration\":\"30m\",\"min_units\":5000},"
    "{\"weight\":100,\"min_duration\":\"30m\"}],"
    "\"metrics\":[{\"metric\":\"error_rate\",\"role\":\"guardrail\",\"direction\":\"lower\","
    "\"margin_relative\":0.5,\"harm_margin_relative\":0},"
    "{\"metric\":\"latency_p99\",\"role\":\"guardrail\",\"direction\":\"lower\","
    "\"margin_relative\":0.10,\"hard_limit\":500},"
    "{\"metric\":\"roc_auc\",\"role\":\"primary\",\"direction\":\"higher\",\"margin\":0.01}],"
    "\"control_share\":\"rest\",\"holdback\":0,\"noninferiority\":\"strict\","
    "\"max_duration\":\"24h\",\"on_timeout\":\"hold\",\"stale_after\":\"2m\",\"max_hold\":\"1h\"}";

static void the_contracts_example_is_read(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = NULL;
    struct err err;
    assert_int_equal(experiment_parse_text(&e, example, strlen(example), &err), 0);

    assert_string_equal(e->name, "credit-v4");
    assert_int_equal(e->n_steps, 3);
    assert_int_equal(e->steps[1].min_duration_ms, 30 * MINUTE);
    assert_int_equal(e->steps[0].min_units, 2000);
    assert_int_equal(e->metrics[0].role, ROLE_GUARDRAIL);
    assert_true(e->metrics[0].lower_is_better);
    assert_close(e->metrics[1].hard_limit, 500, 0);
    assert_int_equal(e->metrics[2].role, ROLE_PRIMARY);
    assert_false(e->metrics[2].lower_is_better);
    assert_true(e->strict && !e->control_equal);
    assert_int_equal(e->max_hold_ms, HOUR);
}

static void what_is_printed_reads_back_as_the_same(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = NULL, *again = NULL;
    assert_int_equal(experiment_parse_text(&e, example, strlen(example), NULL), 0);
    json_t *json = experiment_print(e);
    assert_int_equal(experiment_parse(&again, json, NULL), 0);
    json_t *twice = experiment_print(again);

    assert_true(json_equal(json, twice));
    assert_int_equal(json_array_size(json_object_get(json, "metrics")), 3);
    assert_string_equal(json_string_value(json_object_get(json, "stale_after")), "2m");
    json_decref(json);
    json_decref(twice);
}

/* Every member of `sent` is in `got` with the same value; `got` may have defaults beside. */
static void assert_has(json_t *got, json_t *sent)
{
    const char *key;
    json_t *value;
    size_t i;
    if (json_is_object(sent)) {
        json_object_foreach(sent, key, value) assert_has(json_object_get(got, key), value);
    } else if (json_is_array(sent)) {
        assert_int_equal(json_array_size(got), json_array_size(sent));
        json_array_foreach(sent, i, value) assert_has(json_array_get(got, i), value);
    } else if (json_is_number(sent)) {
        assert_close(json_number_value(got), json_number_value(sent), 0);
    } else {
        assert_true(json_equal(got, sent));
    }
}

static void what_was_sent_comes_back(void **state)
{
    (void)state;
    AUTO(experiment) struct experiment *e = NULL;
    assert_int_equal(experiment_parse_text(&e, example, strlen(example), NULL), 0);
    json_t *got = experiment_print(e);
    json_t *sent = json_loads(example, 0, NULL);

    assert_has(got, sent);

    json_decref(got);
    json_decref(sent);
}

static void defaults_fill_what_is_left_out(void **state)
{
    (void)state;
    const char *text = "{" HEAD METRICS "}";
    AUTO(experiment) struct experiment *e = NULL;
    assert_int_equal(experiment_parse_text(&e, text, strlen(text), NULL), 0);

    assert_string_equal(e->salt, "e");
    assert_close(e->alpha, 0.05, 0);
    assert_close(e->steps[0].weight, 5, 0);
    assert_close(e->steps[2].weight, 100, 0);
    assert_int_equal(e->max_duration_ms, 24 * HOUR);
    assert_int_equal(e->stale_after_ms, 2 * MINUTE);
    assert_int_equal(e->on_timeout, ON_TIMEOUT_HOLD);
}

static void refused(const char *text, const char *expected)
{
    AUTO(experiment) struct experiment *e = NULL;
    struct err err = {0};
    if (experiment_parse_text(&e, text, strlen(text), &err) >= 0)
        fail_msg("was not refused: %s", text);
    assert_null(e);
    assert_string_equal(err.text, expected);
}

static void refusals_name_the_key_and_the_way_out(void **state)
{
    (void)state;
    refused("{" HEAD METRICS ",\"steps\":[{\"weight\":50},{\"weight\":5}]}",
            "steps[1].weight: 5 is not above 50: weights must rise from step to step");
    refused("{" HEAD METRICS ",\"steps\":[{\"weight\":0}]}",
            "steps[0].weight: 0 is not above 0: weights must rise from step to step");
    refused("{" HEAD METRICS ",\"steps\":[{\"weight\":100}]}",
            "steps[0].weight: 100 leaves no control to compare with; start lower or keep a "
            "holdback");
    refused("{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v1\"," METRICS "}",
            "treatment: v1 is the control as well; name two versions");
    refused("{\"name\":\"e\",\"model\":\"m\",\"control\":\"v1\"," METRICS "}",
            "treatment: is missing");
    refused("{" HEAD METRICS ",\"alhpa\":0.01}", "alhpa: unknown key, did you mean alpha?");
    refused("{" HEAD METRICS ",\"alpha\":0.7}", "alpha: 0.7 is not in 1e-09..0.5");
    refused("{" HEAD METRICS ",\"stale_after\":120}",
            "stale_after: must be a duration such as 500ms, 30s, 5m, 1h or 7d");
    refused("{" HEAD METRICS ",\"on_timeout\":\"ship\"}",
            "on_timeout: must be hold, rollback or promote");
    refused("{" HEAD METRICS ",\"control_share\":\"half\"}",
            "control_share: must be rest or equal");
    refused("{" HEAD "\"metrics\":[{\"metric\":\"error_rate\"}]}",
            "metrics[0] (error_rate): a guardrail under noninferiority strict needs margin or "
            "margin_relative above 0 (or choose lenient)");
    refused("{" HEAD "\"metrics\":[{\"metric\":\"eror_rate\",\"margin\":1}]}",
            "metrics[0]: metric eror_rate cannot decide an experiment; did you mean error_rate?");
    refused("{" HEAD "\"metrics\":[{\"metric\":\"roc_auc\",\"margin\":0}]}",
            "metrics[0]: margin must be above 0: equality can never be shown");
    refused("{" HEAD "\"metrics\":[{\"metric\":\"mae\",\"role\":\"monitor\"}]}",
            "metrics: all are monitors; at least one guardrail or primary must decide");
    refused("{" HEAD METRICS ",\"holdback\":50,\"steps\":[{\"weight\":60},{\"weight\":100}]}",
            "holdback: 50 leaves less than the 60 of steps[0].weight");
    refused("{\"name\":\"a b\",\"model\":\"m\",\"control\":\"v1\",\"treatment\":\"v2\"," METRICS
            "}",
            "name: \"a b\" must be free of blanks and / ? # %");
    refused("{" HEAD "\"metrics\":[{\"metric\":\"max_error\",\"margin\":1}]}",
            "metrics[0]: no number of events shows that a maximum is no larger: max_error can be a "
            "monitor, or a guardrail under noninferiority lenient (its hard_limit is sure from the "
            "first value beyond it)");
    refused("{" HEAD "\"metrics\":[{\"metric\":\"latency_p99\",\"role\":\"primary\","
            "\"harm_margin_relative\":0.1}]}",
            "metrics[0]: latency_p99 with a harm margin needs margin or margin_relative");
    refused("[]", "experiment: must be an object");
}

static void arms_are_those_of_the_contract(void **state)
{
    (void)state;
    const char *text = "{" HEAD METRICS ",\"control_share\":\"equal\",\"holdback\":2}";
    AUTO(experiment) struct experiment *e = NULL;
    assert_int_equal(experiment_parse_text(&e, text, strlen(text), NULL), 0);

    assert_int_equal(experiment_arm(e, 0, 0.049), ARM_TREATMENT);
    assert_int_equal(experiment_arm(e, 0, 0.05), ARM_OUTSIDE);
    assert_int_equal(experiment_arm(e, 0, 0.95), ARM_CONTROL);
    assert_close(experiment_share(e, 0), 0.5, 1e-15);
    assert_close(experiment_weight(e, 2), 98, 0);
    assert_int_equal(experiment_arm(e, 2, 0.979), ARM_TREATMENT);
    assert_int_equal(experiment_arm(e, 2, 0.98), ARM_CONTROL);
    assert_close(experiment_share(e, 2), 0.98, 1e-15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_contracts_example_is_read),
        cmocka_unit_test(what_is_printed_reads_back_as_the_same),
        cmocka_unit_test(what_was_sent_comes_back),
        cmocka_unit_test(defaults_fill_what_is_left_out),
        cmocka_unit_test(refusals_name_the_key_and_the_way_out),
        cmocka_unit_test(arms_are_those_of_the_contract),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
