#include "collector/validate.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static struct config *config;

/* A schema from the text between the braces of `features: {…}`, as assay.yaml has it. */
static struct feature_schema *schema_of(const char *features)
{
    char yaml[1024];
    struct err err = {0};
    config_free(config);
    config = NULL;
    snprintf(yaml, sizeof(yaml), "models: [{name: m, task: binary, features: {%s}}]", features);
    if (config_parse(&config, "test", yaml, strlen(yaml), &err))
        fail_msg("%s", err.text);
    struct feature_schema *schema = NULL;
    assert_int_equal(feature_schema_new(&schema, &config->models[0], 10, &err), 0);
    return schema;
}

static int teardown(void **state)
{
    (void)state;
    config_free(config);
    config = NULL;
    return 0;
}

static struct named_value number(const char *name, double value)
{
    return (struct named_value){view_of(name), {.kind = VALUE_NUMBER, .number = value}};
}

static struct named_value text(const char *name, const char *value)
{
    return (struct named_value){view_of(name), {.kind = VALUE_TEXT, .text = view_of(value)}};
}

static struct named_value of_kind(const char *name, enum value_kind kind)
{
    return (struct named_value){view_of(name), {.kind = kind}};
}

/* An array that is no embedding, as the decoder gives it. */
static struct named_value of_parts(uint32_t n)
{
    static const double projected[1];
    return (struct named_value){view_of("x"),
                                {.kind = VALUE_INVALID, .n = n, .projected = projected}};
}

static uint32_t validate_one(struct feature_schema *schema, struct named_value *value)
{
    uint32_t feature = 0;
    struct event event = {.features = value, .n_features = 1};
    event_validate(schema, &event, &feature);
    return feature;
}

static void each_rule_strikes_its_value_and_counts_its_reason(void **state)
{
    (void)state;
    const char *nan = "NaN";
    char endless[300];
    memset(endless, 'a', sizeof(endless));
    const struct {
        const char *schema;
        struct named_value value;
        int violation; /* -1: fine */
    } rows[] = {
        {"x: {type: numeric, min: 0, max: 10}", number("x", 0), -1},
        {"x: {type: numeric, min: 0, max: 10}", number("x", 10), -1},
        {"x: {type: numeric, min: 0, max: 10}", number("x", -0.5), VIOLATION_RANGE},
        {"x: {type: numeric, min: 0, max: 10}", number("x", 10.5), VIOLATION_RANGE},
        {"x: {type: numeric}", number("x", -1e300), -1},
        {"x: {type: numeric}", text("x", "7"), VIOLATION_TYPE},
        {"x: {type: numeric}", of_kind("x", VALUE_BOOL), VIOLATION_TYPE},
        {"x: {type: numeric}", of_kind("x", VALUE_ARRAY), VIOLATION_TYPE},
        {"x: {type: numeric}", of_kind("x", VALUE_NULL), -1},
        {"x: {type: numeric, required: true}", of_kind("x", VALUE_NULL), VIOLATION_REQUIRED},
        {"x: {type: categorical, values: [berlin, 1.50]}", text("x", "berlin"), -1},
        {"x: {type: categorical, values: [berlin, 1.50]}", number("x", 1.5), -1},
        {"x: {type: categorical, values: [berlin, 1.50]}", text("x", "Berlin"), VIOLATION_CATEGORY},
        {"x: {type: categorical, values: [berlin, 1.50]}", number("x", 2), VIOLATION_CATEGORY},
        {"x: {type: categorical}", text("x", "anything"), -1},
        {"x: {type: categorical}", of_kind("x", VALUE_ARRAY), VIOLATION_TYPE},
        {"x: {type: embedding}", of_kind("x", VALUE_ARRAY), -1},
        {"x: {type: embedding}", number("x", 1), VIOLATION_TYPE},
        {"x: {}", of_kind("x", VALUE_ARRAY), -1},
        {"x: {}", text("x", "a"), -1},
        {"x: {}", {view_of("x"), {.kind = VALUE_INVALID, .text = view_of(nan)}}, VIOLATION_NAN},
        {"x: {}", of_kind("x", VALUE_INVALID), VIOLATION_NAN},
        {"x: {}", of_parts(0), VIOLATION_TYPE},
        {"x: {type: embedding}", of_parts(0), VIOLATION_TYPE},
        {"x: {type: embedding}", of_parts(2), VIOLATION_NAN},
        {"x: {}",
         {view_of("x"), {.kind = VALUE_INVALID, .text = {endless, sizeof(endless)}}},
         VIOLATION_TYPE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        AUTO(feature_schema) struct feature_schema *schema = schema_of(rows[i].schema);
        struct named_value value = rows[i].value;
        assert_int_equal(validate_one(schema, &value), 0);

        for (int v = 0; v < N_VIOLATIONS; v++)
            assert_int_equal(violation_count(schema, 0, (enum violation)v), v == rows[i].violation);
        if (rows[i].violation == -1 || rows[i].violation == VIOLATION_REQUIRED) {
            assert_int_not_equal(value.value.kind, VALUE_INVALID);
        } else {
            assert_int_equal(value.value.kind, VALUE_INVALID);
            assert_int_equal(value.value.n, rows[i].violation);
        }
    }
}

static void a_categorical_number_becomes_its_text(void **state)
{
    (void)state;
    AUTO(feature_schema) struct feature_schema *schema = schema_of("x: {type: categorical}");
    struct named_value value = number("x", 3);
    validate_one(schema, &value);
    assert_int_equal(value.value.kind, VALUE_TEXT);
    assert_true(view_is(value.value.text, "3"));
}

static void a_missing_required_feature_is_counted_once_an_event(void **state)
{
    (void)state;
    AUTO(feature_schema)
    struct feature_schema *schema = schema_of("a: {required: true}, b: {required: true}, c: {}");
    uint32_t features[2];
    struct named_value values[] = {number("c", 1), number("b", 2)};
    struct event event = {.features = values, .n_features = 2};

    event_validate(schema, &event, features);
    event_validate(schema, &event, features);

    assert_int_equal(features[0], 2);
    assert_int_equal(features[1], 1);
    assert_int_equal(violation_count(schema, 0, VIOLATION_REQUIRED), 2);
    assert_int_equal(violation_count(schema, 1, VIOLATION_REQUIRED), 0);
    violations_clear(schema);
    assert_int_equal(violation_count(schema, 0, VIOLATION_REQUIRED), 0);
}

static void unknown_features_get_numbers_until_the_limit(void **state)
{
    (void)state;
    AUTO(feature_schema) struct feature_schema *schema = NULL;
    assert_int_equal(feature_schema_new(&schema, NULL, 3, NULL), 0);
    struct named_value values[] = {number("a", 1), text("b", "x"), number("c", 1), number("d", 1),
                                   number("a", 2)};
    uint32_t features[5];
    struct event event = {.features = values, .n_features = 5};
    event_validate(schema, &event, features);
    assert_int_equal(features[0], 0);
    assert_int_equal(features[1], 1);
    assert_int_equal(features[2], 2);
    assert_int_equal(features[3], FEATURE_NONE);
    assert_int_equal(features[4], 0);
    assert_int_equal(feature_count(schema), 3);
    assert_int_equal(event.n_unknown_fields, 1);
    assert_true(view_is(feature_name(schema, 1), "b"));
    assert_int_equal(feature_type(schema, 1), FEATURE_AUTO);
    assert_int_equal(feature_register(schema, view_of("c")), 2);
    assert_int_equal(feature_register(schema, view_of("e")), FEATURE_NONE);
}

static void features_named_as_what_a_model_makes_are_unknown_fields(void **state)
{
    (void)state;
    AUTO(feature_schema) struct feature_schema *schema = NULL;
    assert_int_equal(feature_schema_new(&schema, NULL, 10, NULL), 0);
    struct named_value values[] = {number("@score", 3), text("@prediction", "x"),
                                   number("@label", 1), number("@other", 1)};
    uint32_t features[4];
    struct event event = {.features = values, .n_features = 4};

    event_validate(schema, &event, features);
    event_validate(schema, &event, features);

    for (int i = 0; i < 3; i++)
        assert_int_equal(features[i], FEATURE_NONE);
    assert_int_equal(features[3], 0);
    assert_int_equal(event.n_unknown_fields, 6);
}

static void a_feature_without_a_name_is_an_unknown_field(void **state)
{
    (void)state;
    AUTO(feature_schema) struct feature_schema *schema = NULL;
    assert_int_equal(feature_schema_new(&schema, NULL, 10, NULL), 0);
    struct named_value values[] = {number("", 1), number(" ", 2)};
    uint32_t features[2];
    struct event event = {.features = values, .n_features = 2};

    event_validate(schema, &event, features);

    assert_int_equal(features[0], FEATURE_NONE);
    assert_int_equal(features[1], 0);
    assert_int_equal(event.n_unknown_fields, 1);
}

static void many_features_in_any_order_keep_their_numbers(void **state)
{
    (void)state;
    AUTO(feature_schema) struct feature_schema *schema = NULL;
    assert_int_equal(feature_schema_new(&schema, NULL, VALIDATE_MAX_FEATURES, NULL), 0);
    static char names[1000][16];
    static struct named_value values[1000];
    static uint32_t features[1000];
    for (int i = 0; i < 1000; i++) {
        snprintf(names[i], sizeof(names[i]), "feature_%d", i);
        assert_int_equal(feature_register(schema, view_of(names[i])), i);
    }
    for (int round = 1; round < 1000; round += 111) {
        for (int i = 0; i < 1000; i++)
            values[i] = number(names[i * 7 % 1000 * round % 1000], 1);
        struct event event = {.features = values, .n_features = 1000};
        event_validate(schema, &event, features);
        for (int i = 0; i < 1000; i++)
            assert_int_equal(features[i], i * 7 % 1000 * round % 1000);
    }
}

/* F25: a window of the future is never opened. */
static void F25_a_time_beyond_its_message_is_refused(void **state)
{
    (void)state;
    struct event event = {.ts_ms = 1000000 + 5 * MINUTE};
    assert_int_equal(event_time(&event, 1000000), REJECT_NONE);
    event.ts_ms++;
    assert_int_equal(event_time(&event, 1000000), REJECT_FUTURE);
    assert_int_equal(event_time(&event, EVENT_NO_TS), REJECT_NONE);
    event.ts_ms = 0;
    assert_int_equal(event_time(&event, 1000000), REJECT_NONE);
    event.ts_ms = EVENT_NO_TS;
    assert_int_equal(event_time(&event, 1000000), REJECT_NONE);
    assert_int_equal(event.ts_ms, 1000000);
    event.ts_ms = EVENT_NO_TS;
    assert_int_equal(event_time(&event, EVENT_NO_TS), REJECT_OUT_OF_RANGE);
}

static void reasons_have_the_names_of_the_metrics(void **state)
{
    (void)state;
    assert_string_equal(violation_name(VIOLATION_TYPE), "type");
    assert_string_equal(violation_name(VIOLATION_NAN), "nan");
    assert_null(violation_name(N_VIOLATIONS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_rule_strikes_its_value_and_counts_its_reason),
        cmocka_unit_test(a_categorical_number_becomes_its_text),
        cmocka_unit_test(a_missing_required_feature_is_counted_once_an_event),
        cmocka_unit_test(unknown_features_get_numbers_until_the_limit),
        cmocka_unit_test(features_named_as_what_a_model_makes_are_unknown_fields),
        cmocka_unit_test(a_feature_without_a_name_is_an_unknown_field),
        cmocka_unit_test(many_features_in_any_order_keep_their_numbers),
        cmocka_unit_test(F25_a_time_beyond_its_message_is_refused),
        cmocka_unit_test(reasons_have_the_names_of_the_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, teardown);
}
