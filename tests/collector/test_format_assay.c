#include "collector/event.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/buf.h"
#include "tests/lib/decoding.h"
#include "tests/test.h"

static void a_prediction_is_read_whole(void **state)
{
    (void)state;
    struct event e = decode(
        "{\"type\":\"prediction\",\"id\":\"7f3a\",\"ts\":1700000000123,\"model\":\"credit\","
        "\"version\":\"v3\",\"unit\":\"user-42\",\"features\":{\"income\":51234.5,\"city\":"
        "\"berlin\",\"vip\":false,\"ref\":null,\"emb\":[3,[4]]},\"score\":0.83,\"prediction\":1,"
        "\"latency_ms\":12.3,\"error\":null,\"segment\":{\"country\":\"de\",\"tier\":2}}");

    assert_int_equal(e.type, EVENT_PREDICTION);
    assert_int_equal(e.ts_ms, 1700000000123);
    assert_view(e.id, "7f3a");
    assert_view(e.model, "credit");
    assert_view(e.version, "v3");
    assert_view(e.unit, "user-42");
    assert_true(e.score == 0.83);
    assert_view(e.class_text, "1");
    assert_true(e.number == 1);
    assert_true(e.latency_ms == 12.3);
    assert_false(e.failed);
    assert_null(e.error.data);
    assert_int_equal(e.n_unknown_fields, 0);

    assert_int_equal(e.n_features, 5);
    assert_view(e.features[0].name, "income");
    assert_int_equal(e.features[0].value.kind, VALUE_NUMBER);
    assert_true(e.features[0].value.number == 51234.5);
    assert_null(e.features[0].value.text.data);
    assert_int_equal(e.features[1].value.kind, VALUE_TEXT);
    assert_view(e.features[1].value.text, "berlin");
    assert_int_equal(e.features[2].value.kind, VALUE_BOOL);
    assert_true(e.features[2].value.number == 0);
    assert_view(e.features[2].value.text, "false");
    assert_int_equal(e.features[3].value.kind, VALUE_NULL);
    assert_int_equal(e.features[4].value.kind, VALUE_ARRAY);
    assert_true(e.features[4].value.number == 5);
    assert_true(e.features[4].value.mean == 3.5);
    assert_int_equal(e.features[4].value.n, 2);
    assert_true(e.features[4].value.projected[0] == 3 && e.features[4].value.projected[1] == 4);
    assert_true(e.features[4].value.projected[2] == 0);

    assert_int_equal(e.n_segment, 2);
    assert_view(e.segment[0].name, "country");
    assert_view(e.segment[0].value.text, "de");
    assert_view(e.segment[1].value.text, "2");
    assert_int_equal(e.segment[1].value.kind, VALUE_NUMBER);
}

static void what_is_absent_says_so(void **state)
{
    (void)state;
    struct event e = decode("{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"score\":null,"
                            "\"version\":null,\"unit\":\"\",\"prediction\":null,\"features\":null,"
                            "\"segment\":null,\"scores\":null,\"ranking\":null,\"ts\":null}");
    assert_true(e.ts_ms == EVENT_NO_TS);
    assert_null(e.version.data);
    assert_null(e.unit.data);
    assert_null(e.class_text.data);
    assert_true(isnan(e.score) && isnan(e.number) && isnan(e.latency_ms));
    assert_int_equal(e.n_features + e.n_segment + e.n_scores + e.n_ranking, 0);
}

static void labels_outcomes_and_system_events_are_read(void **state)
{
    (void)state;
    struct event e = decode("{\"type\":\"label\",\"id\":\"a\",\"ts\":5,\"label\":true}");
    assert_int_equal(e.type, EVENT_LABEL);
    assert_view(e.class_text, "true");
    assert_true(isnan(e.number));
    assert_null(e.model.data);

    e = decode("{\"type\":\"label\",\"id\":\"a\",\"label\":{\"x\":2,\"y\":0.5}}");
    assert_int_equal(e.n_relevance, 2);
    assert_view(e.relevance[1].name, "y");
    assert_true(e.relevance[1].value.number == 0.5);
    assert_null(e.class_text.data);

    e = decode(
        "{\"type\":\"label\",\"id\":\"a\",\"confusion\":{\"road\":[10,2,3],\"sky\":[0,0,1]}}");
    assert_int_equal(e.n_confusion, 2);
    assert_view(e.confusion[0].name, "road");
    assert_true(e.confusion[0].tp == 10 && e.confusion[0].fp == 2 && e.confusion[0].fn == 3);

    e = decode(
        "{\"id\":\"a\",\"model\":\"m\",\"name\":\"click\",\"value\":-2.5,\"type\":\"outcome\"}");
    assert_int_equal(e.type, EVENT_OUTCOME);
    assert_view(e.name, "click");
    assert_view(e.model, "m");
    assert_true(e.outcome_value == -2.5);

    e = decode("{\"type\":\"system\",\"ts\":7,\"model\":\"m\",\"version\":\"v\",\"host\":\"a1\","
               "\"values\":{\"gpu_utilization\":0.61,\"memory_bytes\":7.1e9,\"x\":null}}");
    assert_int_equal(e.type, EVENT_SYSTEM);
    assert_view(e.host, "a1");
    assert_int_equal(e.n_values, 3);
    assert_true(e.values[1].value.number == 7.1e9);
    assert_int_equal(e.values[2].value.kind, VALUE_NULL);

    e = decode("{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"scores\":{\"cat\":0.7,"
               "\"dog\":0.3},\"ranking\":[\"i1\",7,\"i\\u0033\"],\"error\":\"\"}");
    assert_int_equal(e.n_scores, 2);
    assert_view(e.scores[0].name, "cat");
    assert_true(e.scores[0].value.number == 0.7);
    assert_int_equal(e.n_ranking, 3);
    assert_view(e.ranking[1], "7");
    assert_view(e.ranking[2], "i3");
    assert_true(e.failed);
}

static void unknown_fields_are_counted_and_never_an_error(void **state)
{
    (void)state;
    struct event e = decode("{\"trace\":{\"a\":[1,{\"b\":null}],\"c\":\"\\n\"},\"type\":\"label\","
                            "\"id\":\"a\",\"label\":1,"
                            "\"score\":7,\"name\":{},\"values\":[],\"x\":true,\"y\":[[]]}");
    assert_int_equal(e.n_unknown_fields, 6); /* trace, score, name, values, x, y */
    assert_true(isnan(e.score));
    assert_null(e.name.data);
    assert_int_equal(e.n_values, 0);

    e = decode(
        "{\"type\":\"system\",\"model\":\"m\",\"id\":9,\"features\":{\"a\":1},\"label\":[]}");
    assert_int_equal(e.n_unknown_fields, 3);
    assert_null(e.id.data);
    assert_int_equal(e.n_features, 0);
}

static void blanks_and_the_order_of_fields_do_not_matter(void **state)
{
    (void)state;
    struct event e = decode(" \n{ \"label\" :\t1 ,\r\n\"\\u0069d\" : \"a\" , \"ts\":5, \"type\" : "
                            "\"label\" } \n");
    assert_view(e.id, "a");
    assert_view(e.class_text, "1");
    assert_int_equal(e.ts_ms, 5);
}

#define PREDICTION "{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\","
#define LABEL "{\"type\":\"label\",\"id\":\"a\","

/* F14: every reason that the decoder gives, with the detail that says where. */
static void F14_a_bad_event_is_refused_by_its_reason(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum reject reason;
        const char *detail;
    } rows[] = {
        {"", REJECT_EMPTY, "no bytes"},
        {" ", REJECT_NOT_JSON, "not JSON"},
        {"not json", REJECT_NOT_JSON, "neither a value nor a number at byte 0"},
        {"42", REJECT_WRONG_TYPE, "the event is not an object"},
        {"[{}]", REJECT_WRONG_TYPE, "the event is not an object"},
        {"[{]", REJECT_NOT_JSON, "expected a key at byte 2"},
        {"{} {}", REJECT_NOT_JSON, "something after the event at byte 3"},
        {"{}x", REJECT_NOT_JSON, "something after the event at byte 2"},
        {"{", REJECT_NOT_JSON, "expected a key at byte 1"},
        {"{\"a\":1", REJECT_NOT_JSON, "expected a comma or the end of the object at byte 6"},
        {"{\"a\" 1}", REJECT_NOT_JSON, "expected a colon at byte 5"},
        {"{\"a\":1,}", REJECT_NOT_JSON, "expected a key at byte 7"},
        {"{\"a\":[1,]}", REJECT_NOT_JSON, "neither a value nor a number at byte 8"},
        {"{\"a\":[1 2]}", REJECT_NOT_JSON, "expected a comma or the end of the array at byte 8"},
        {"{\"a\":NaN}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":nulls}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":-}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":01}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":1.}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":.5}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":1e}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":+1}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":1\"b\"}", REJECT_NOT_JSON, "neither a value nor a number at byte 5"},
        {"{\"a\":\"b\"c}", REJECT_NOT_JSON, "expected a comma or the end of the object at byte 8"},
        {"{\"a\":\"b}", REJECT_NOT_JSON, "a string without an end"},
        {"{\"a\":\"\n\"}", REJECT_NOT_JSON, "a control character in a string"},
        {"{\"a\":\"\xff\"}", REJECT_NOT_JSON, "not UTF-8"},
        {"{\"a\":\"\xed\xa0\x80\"}", REJECT_NOT_JSON, "not UTF-8"},
        {"{\"a\":\"\\x\"}", REJECT_NOT_JSON, "bad escape or \\u0000 in a string at byte 5"},
        {"{\"a\":\"\\u12\"}", REJECT_NOT_JSON, "bad escape or \\u0000 in a string at byte 5"},
        {"{\"a\":\"\\u0000\"}", REJECT_NOT_JSON, "bad escape or \\u0000 in a string at byte 5"},
        {"{\"a\":\"\\ud800\"}", REJECT_NOT_JSON, "bad escape or \\u0000 in a string at byte 5"},
        {"{\"a\":\"\\udc00\"}", REJECT_NOT_JSON, "bad escape or \\u0000 in a string at byte 5"},
        {"{\"a\":[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]}", REJECT_NOT_JSON,
         "more than 16 levels at byte 20"},
        {"{\"a\":[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]}", REJECT_UNKNOWN_TYPE, "type"},
        {"{\"a\":1,\"a\":1}", REJECT_DUPLICATE_KEY, "the same key twice in one object"},
        {"{\"id\":1,\"\\u0069d\":1}", REJECT_DUPLICATE_KEY, "the same key twice in one object"},
        {"{\"x\":{\"a\":{\"b\":1},\"b\":2,\"a\":3}}", REJECT_DUPLICATE_KEY,
         "the same key twice in one object"},
        {PREDICTION "\"features\":{\"x\":1,\"y\":2,\"x\":3}}", REJECT_DUPLICATE_KEY,
         "the same key twice in one object"},

        {"{}", REJECT_UNKNOWN_TYPE, "type"},
        {"{\"type\":\"pred\"}", REJECT_UNKNOWN_TYPE, "type"},
        {"{\"type\":5}", REJECT_WRONG_TYPE, "type"},
        {"{\"type\":null}", REJECT_UNKNOWN_TYPE, "type"},
        {"{\"type\":\"prediction\",\"model\":\"m\"}", REJECT_MISSING_ID, "id"},
        {"{\"type\":\"prediction\",\"id\":\"\",\"model\":\"m\"}", REJECT_MISSING_ID, "id"},
        {"{\"type\":\"label\",\"label\":1}", REJECT_MISSING_ID, "id"},
        {"{\"type\":\"prediction\",\"id\":\"a\"}", REJECT_MISSING_MODEL, "model"},
        {"{\"type\":\"system\",\"values\":{}}", REJECT_MISSING_MODEL, "model"},
        {"{\"type\":\"label\",\"id\":\"a\"}", REJECT_WRONG_TYPE, "label is missing"},
        {LABEL "\"label\":null}", REJECT_WRONG_TYPE, "label is missing"},
        {"{\"type\":\"outcome\",\"id\":\"a\",\"value\":1}", REJECT_WRONG_TYPE, "name is missing"},
        {"{\"type\":\"outcome\",\"id\":\"a\",\"name\":\"c\"}", REJECT_WRONG_TYPE,
         "value is missing"},

        {"{\"type\":\"label\",\"id\":5,\"label\":1}", REJECT_WRONG_TYPE, "id"},
        {PREDICTION "\"version\":3}", REJECT_WRONG_TYPE, "version"},
        {PREDICTION "\"unit\":[]}", REJECT_WRONG_TYPE, "unit"},
        {PREDICTION "\"score\":\"high\"}", REJECT_WRONG_TYPE, "score"},
        {PREDICTION "\"score\":true}", REJECT_WRONG_TYPE, "score"},
        {PREDICTION "\"score\":{\"a\":1}}", REJECT_WRONG_TYPE, "score"},
        {PREDICTION "\"prediction\":[1]}", REJECT_WRONG_TYPE, "prediction"},
        {PREDICTION "\"features\":[1]}", REJECT_WRONG_TYPE, "features"},
        {PREDICTION "\"features\":{\"x\":{\"y\":1}}}", REJECT_WRONG_TYPE, "features.x"},
        {PREDICTION "\"features\":{\"x\":[1,\"two\"]}}", REJECT_WRONG_TYPE, "features.x"},
        {PREDICTION "\"segment\":{\"x\":[]}}", REJECT_WRONG_TYPE, "segment.x"},
        {PREDICTION "\"scores\":{\"x\":\"1\"}}", REJECT_WRONG_TYPE, "scores.x"},
        {PREDICTION "\"ranking\":{\"x\":1}}", REJECT_WRONG_TYPE, "ranking"},
        {PREDICTION "\"ranking\":[\"x\",null]}", REJECT_WRONG_TYPE, "ranking"},
        {PREDICTION "\"error\":500}", REJECT_WRONG_TYPE, "error"},
        {LABEL "\"label\":[1]}", REJECT_WRONG_TYPE, "label"},
        {LABEL "\"label\":{\"x\":\"y\"}}", REJECT_WRONG_TYPE, "label.x"},
        {LABEL "\"confusion\":{\"x\":[1,2]}}", REJECT_WRONG_TYPE, "confusion.x"},
        {LABEL "\"confusion\":{\"x\":[1,2,3,4]}}", REJECT_WRONG_TYPE, "confusion.x"},
        {LABEL "\"confusion\":{\"x\":5}}", REJECT_WRONG_TYPE, "confusion.x"},
        {LABEL "\"confusion\":[]}", REJECT_WRONG_TYPE, "confusion"},
        {"{\"type\":\"system\",\"model\":\"m\",\"values\":{\"x\":\"y\"}}", REJECT_WRONG_TYPE,
         "values.x"},

        {PREDICTION "\"score\":1.5}", REJECT_OUT_OF_RANGE, "score"},
        {PREDICTION "\"score\":-0.1}", REJECT_OUT_OF_RANGE, "score"},
        {PREDICTION "\"scores\":{\"x\":2}}", REJECT_OUT_OF_RANGE, "scores.x"},
        {PREDICTION "\"latency_ms\":-1}", REJECT_OUT_OF_RANGE, "latency_ms"},
        {LABEL "\"confusion\":{\"x\":[1,-2,3]}}", REJECT_OUT_OF_RANGE, "confusion.x"},

        {PREDICTION "\"score\":1e999}", REJECT_NOT_FINITE, "score"},
        {PREDICTION "\"score\":\"NaN\"}", REJECT_NOT_FINITE, "score"},
        {PREDICTION "\"prediction\":\"Infinity\"}", REJECT_NOT_FINITE, "prediction"},
        {PREDICTION "\"features\":{\"x\":-1e999}}", REJECT_NOT_FINITE, "features.x"},
        {PREDICTION "\"latency_ms\":\"Infinity\"}", REJECT_NOT_FINITE, "latency_ms"},
        {LABEL "\"label\":1e400}", REJECT_NOT_FINITE, "label"},
        {LABEL "\"label\":\"NaN\"}", REJECT_NOT_FINITE, "label"},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct event e;
        const char *detail = NULL;
        enum reject reason = decode_bytes(rows[i].json, strlen(rows[i].json), &e, &detail);
        if (reason != rows[i].reason || strcmp(detail ? detail : "", rows[i].detail) != 0)
            fail_msg("%s: %s \"%s\", not %s \"%s\"", rows[i].json, reject_name(reason), detail,
                     reject_name(rows[i].reason), rows[i].detail);
    }
}

static void decode_n(enum reject want, const char *head, const char *item, int n, const char *tail)
{
    struct buf json;
    buf_init(&json, 1 << 20);
    buf_printf(&json, "%s", head);
    for (int i = 0; i < n; i++)
        buf_printf(&json, "%s\"%s%d\":%d", i ? "," : "", item, i, i);
    buf_printf(&json, "%s", tail);
    assert_false(buf_failed(&json));
    struct event e;
    const char *detail;
    assert_int_equal(decode_bytes((char *)json.data, json.size, &e, &detail), want);
    if (want == REJECT_NONE)
        assert_int_equal(e.n_features, n);
    buf_finish(&json);
}

static void F14_limits_hold_at_their_very_edge(void **state)
{
    (void)state;
    decode_n(REJECT_NONE, PREDICTION "\"features\":{", "f", 1024, "}}");
    decode_n(REJECT_TOO_MANY_KEYS, PREDICTION "\"features\":{", "f", 1025, "}}");
    decode_n(REJECT_DUPLICATE_KEY, PREDICTION "\"features\":{", "a long name of a feature ", 1023,
             ",\"a long name of a feature 500\":1}}");
    decode_n(REJECT_TOO_MANY_KEYS, PREDICTION, "f", 1022, "}");

    char text[300], json[1200];
    memset(text, 'i', sizeof(text));
    struct event e;
    const char *detail;
    for (int size = 256; size <= 257; size++) {
        enum reject want = size == 256 ? REJECT_NONE : REJECT_TOO_LARGE;
        static const char *const forms[] = {
            "{\"type\":\"label\",\"label\":1,\"id\":\"%.*s\"}",
            "{\"type\":\"label\",\"id\":\"a\",\"label\":\"%.*s\"}",
            PREDICTION "\"version\":\"%.*s\"}",
            PREDICTION "\"unit\":\"%.*s\"}",
            PREDICTION "\"features\":{\"%.*s\":1}}",
            PREDICTION "\"segment\":{\"%.*s\":1}}",
            PREDICTION "\"segment\":{\"x\":\"%.*s\"}}",
            PREDICTION "\"scores\":{\"%.*s\":1}}",
            PREDICTION "\"ranking\":[\"%.*s\"]}",
            LABEL "\"confusion\":{\"%.*s\":[1,2,3]}}",
            "{\"type\":\"outcome\",\"id\":\"a\",\"value\":1,\"name\":\"%.*s\"}",
        };
        for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
            snprintf(json, sizeof(json), forms[i], size, text);
#pragma GCC diagnostic pop
            assert_int_equal(decode_bytes(json, strlen(json), &e, &detail), want);
        }
    }

    char *large = malloc(EVENT_MAX_BYTES + 1);
    assert_non_null(large);
    memset(large, ' ', EVENT_MAX_BYTES + 1);
    memcpy(large, LABEL "\"label\":1}", strlen(LABEL "\"label\":1}"));
    assert_int_equal(decode_bytes(large, EVENT_MAX_BYTES, &e, &detail), REJECT_NONE);
    assert_int_equal(decode_bytes(large, EVENT_MAX_BYTES + 1, &e, &detail), REJECT_TOO_LARGE);
    assert_string_equal(detail, "more than 256 KiB");
    free(large);
}

/* A ranking of n numbers that are long as text. */
static enum reject decode_ranking(uint32_t n, struct event *out, const char **detail)
{
    struct buf json;
    buf_init(&json, 1 << 20);
    buf_printf(&json, PREDICTION "\"ranking\":[9e20");
    for (uint32_t i = 1; i < n; i++)
        buf_bytes(&json, ",9e20", 5);
    buf_printf(&json, "]}");
    assert_false(buf_failed(&json));
    enum reject reason = decode_bytes((char *)json.data, json.size, out, detail);
    buf_finish(&json);
    return reason;
}

static void the_largest_ranking_of_numbers_fits(void **state)
{
    (void)state;
    struct event e;
    const char *detail;
    assert_int_equal(decode_ranking(EVENT_MAX_ITEMS, &e, &detail), REJECT_NONE);
    assert_int_equal(e.n_ranking, EVENT_MAX_ITEMS);
    assert_view(e.ranking[EVENT_MAX_ITEMS - 1], "900000000000000000000");

    assert_int_equal(decode_ranking(EVENT_MAX_ITEMS + 1, &e, &detail), REJECT_TOO_LARGE);
    assert_string_equal(detail, "ranking");
    assert_int_equal(decode_ranking(EVENT_MAX_BYTES / 5 - 20, &e, &detail), REJECT_TOO_LARGE);
}

static void an_empty_ranking_is_not_an_absent_one(void **state)
{
    (void)state;
    struct event e = decode(PREDICTION "\"ranking\":[]}");
    assert_non_null(e.ranking);
    assert_int_equal(e.n_ranking, 0);
    e = decode(PREDICTION "\"ranking\":null}");
    assert_null(e.ranking);
    e = decode(LABEL "\"label\":{}}");
    assert_true(e.is_relevance && !e.is_confusion);
}

static void reasons_have_the_names_of_the_metrics(void **state)
{
    (void)state;
    assert_string_equal(reject_name(REJECT_NOT_JSON), "not_json");
    assert_string_equal(reject_name(REJECT_BAD_FORMAT), "bad_format");
    for (int i = 0; i < N_REJECTS; i++)
        assert_non_null(reject_name((enum reject)i));
    assert_null(reject_name(N_REJECTS));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_prediction_is_read_whole),
        cmocka_unit_test(what_is_absent_says_so),
        cmocka_unit_test(labels_outcomes_and_system_events_are_read),
        cmocka_unit_test(unknown_fields_are_counted_and_never_an_error),
        cmocka_unit_test(blanks_and_the_order_of_fields_do_not_matter),
        cmocka_unit_test(F14_a_bad_event_is_refused_by_its_reason),
        cmocka_unit_test(F14_limits_hold_at_their_very_edge),
        cmocka_unit_test(the_largest_ranking_of_numbers_fits),
        cmocka_unit_test(an_empty_ranking_is_not_an_absent_one),
        cmocka_unit_test(reasons_have_the_names_of_the_metrics),
    };
    return cmocka_run_group_tests(tests, decoding_setup, decoding_teardown);
}
