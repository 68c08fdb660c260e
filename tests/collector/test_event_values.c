#include "collector/event.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/text.h"
#include "tests/lib/decoding.h"
#include "tests/test.h"

static void classes_that_mean_the_same_are_the_same_text(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        const char *text;
    } rows[] = {
        {"1", "1"},
        {"1.0", "1"},
        {"\"1\"", "1"},
        {"1e0", "1"},
        {"10e-1", "1"},
        {"0", "0"},
        {"-0", "0"},
        {"-0.0", "0"},
        {"-12", "-12"},
        {"true", "true"},
        {"false", "false"},
        {"1.5", "1.5"},
        {"1.50", "1.5"},
        {"0.15e1", "1.5"},
        {"0.1", "0.1"},
        {"0.10000000000000001", "0.1"},
        {"0.30000000000000004", "0.30000000000000004"},
        {"0.0000001", "1e-7"},
        {"1E-7", "1e-7"},
        {"0.000001", "0.000001"},
        {"9007199254740993", "9007199254740993"},
        {"9223372036854775807", "9223372036854775807"},
        {"18446744073709551615", "18446744073709551615"},
        {"1e17", "100000000000000000"},
        {"-1e17", "-100000000000000000"},
        {"18446744073709551616", "18446744073709552000"},
        {"1e20", "100000000000000000000"},
        {"1e21", "1e+21"},
        {"-1.5e300", "-1.5e+300"},
        {"5e-324", "5e-324"},
        {"1e-999", "0"},
        {"-1e-999", "0"},
        {"0e999", "0"},
        {"\"K\\u00f6ln\\t\\\"\\\\\\/\"", "K\xc3\xb6ln\t\"\\/"},
        {"\"\\ud83d\\ude00\"", "\xf0\x9f\x98\x80"},
        {"\"\"", ""},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json), "{\"type\":\"label\",\"id\":\"a\",\"label\": %s }",
                 rows[i].json);
        struct event e = decode(json);
        assert_view(e.class_text, rows[i].text);
    }
}

static void a_number_has_one_text_wherever_it_is_printed(void **state)
{
    (void)state;
    uint64_t random = 88172645463325252;
    for (int i = 0; i < 50000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double value;
        if (i % 2)
            memcpy(&value, &random, sizeof(value));
        else
            value = (double)(int64_t)random / (double)(INT64_C(1) << (random >> 59));
        if (!isfinite(value))
            continue;
        static const char *const formats[] = {"%.17g", "%.17e", "%.6g"};
        char number[64], json[128], text[TEXT_NUMBER_BYTES];
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(number, sizeof(number), formats[i % 3], value);
#pragma GCC diagnostic pop
        snprintf(json, sizeof(json), "{\"type\":\"label\",\"id\":\"a\",\"label\":%s}", number);
        struct event e = decode(json);
        assert_true(e.number == strtod(number, NULL));
        if (!memchr(number, '.', strlen(number)) && !memchr(number, 'e', strlen(number)))
            continue; /* a whole number keeps its digits, and may have more than a double */
        assert_view(e.class_text, number_print(text, e.number));
    }
}

/* JSON's grammar for a number, read letter by letter. */
static bool is_number(const char *p)
{
    p += *p == '-';
    size_t n_whole = strspn(p, "0123456789");
    if (n_whole == 0 || (n_whole > 1 && *p == '0'))
        return false;
    p += n_whole;
    if (*p == '.') {
        size_t n = strspn(p + 1, "0123456789");
        if (n == 0)
            return false;
        p += 1 + n;
    }
    if (*p == 'e' || *p == 'E') {
        p++;
        p += *p == '+' || *p == '-';
        size_t n = strspn(p, "0123456789");
        if (n == 0)
            return false;
        p += n;
    }
    return *p == 0;
}

/* The text as a feature's value: refused unless it is a number, then the double that C reads. */
static void assert_read_as_number(const char *text)
{
    char json[200];
    struct event event;
    snprintf(json, sizeof(json),
             "{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"ts\":1,"
             "\"features\":{\"f\":%s}}",
             text);
    enum reject reason = decode_bytes(json, strlen(json), &event, NULL);
    if (!is_number(text)) {
        if (reason != REJECT_NOT_JSON)
            fail_msg("%s was taken", text);
        return;
    }
    double want = strtod(text, NULL);
    if (isinf(want)) {
        assert_int_equal(reason, REJECT_NOT_FINITE);
        return;
    }
    if (reason || event.features[0].value.kind != VALUE_NUMBER ||
        memcmp(&event.features[0].value.number, &want, sizeof(want)) != 0)
        fail_msg("%s: %s, %.17g", text, reject_name(reason), event.features[0].value.number);
}

static void every_short_text_is_a_number_or_refused(void **state)
{
    (void)state;
    static const char letters[] = "019.-e";
    for (int n = 1; n <= 6; n++) {
        int many = 1;
        for (int i = 0; i < n; i++)
            many *= 6;
        for (int which = 0; which < many; which++) {
            char text[8] = "";
            for (int i = 0, left = which; i < n; i++, left /= 6)
                text[i] = letters[left % 6];
            assert_read_as_number(text);
        }
    }
}

static void numbers_of_any_length_are_read_to_the_last_bit(void **state)
{
    (void)state;
    uint64_t random = 1;
    for (int i = 0; i < 200000; i++) {
        char text[40];
        int n = 1 + i % 20, at = 0;
        int point = i / 20 % (n + 4); /* beyond n: none */
        if (i % 7 == 0)
            text[at++] = '-';
        for (int k = 0; k < n; k++) {
            random = random * UINT64_C(6364136223846793005) + 1442695040888963407;
            if (k == point && k > 0)
                text[at++] = '.';
            text[at++] = (char)('0' + (random >> 33) % 10);
        }
        text[at] = 0;
        assert_read_as_number(text);
    }
}

static void features_named_as_before_are_still_looked_through_for_duplicates(void **state)
{
    (void)state;
    static const struct {
        const char *features;
        enum reject want;
    } events[] = {
        {"\"a\":1,\"b\":2,\"c\":3", REJECT_NONE},
        {"\"a\":1,\"b\":2,\"c\":3", REJECT_NONE},
        {"\"a\":1,\"b\":2,\"a\":3", REJECT_DUPLICATE_KEY},
        {"\"a\":1,\"b\":2", REJECT_NONE},
        {"\"a\":1,\"b\":2,\"c\":3,\"c\":4", REJECT_DUPLICATE_KEY},
        {"\"a\":1,\"b\":2,\"c\":3,\"b\":4", REJECT_DUPLICATE_KEY},
        {"\"b\":1,\"a\":2,\"c\":3", REJECT_NONE},
        {"\"a\":1,\"b\":2,\"c\":3,\"d\":[[1],[2]]", REJECT_NONE},
        {"\"a_name_of_more_than_16_bytes\":1,\"a\":2", REJECT_NONE},
        {"\"a_name_of_more_than_16_bytes\":1,\"a_name_of_more_than_16_bytes\":2",
         REJECT_DUPLICATE_KEY},
        {"\"a\":1,\"\\u0061\":2", REJECT_DUPLICATE_KEY},
        {"\"\":1,\"a\":2", REJECT_NONE},
        {"\"\":1,\"\":2", REJECT_DUPLICATE_KEY},
    };
    for (size_t i = 0; i < 3 * sizeof(events) / sizeof(*events); i++) {
        size_t which = i % (sizeof(events) / sizeof(*events));
        char json[300];
        struct event event;
        snprintf(json, sizeof(json),
                 "{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"ts\":1,"
                 "\"features\":{%s}}",
                 events[which].features);

        enum reject reason = decode_bytes(json, strlen(json), &event, NULL);

        if (reason != events[which].want)
            fail_msg("{%s}: %s", events[which].features, reject_name(reason));
    }
}

static void times_are_milliseconds_or_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        int64_t ms; /* -1: out of range, -2: wrong type */
    } rows[] = {
        {"0", 0},
        {"1700000000000", 1700000000000},
        {"1.7e12", 1700000000000},
        {"\"2023-11-14T22:13:20Z\"", 1700000000000},
        {"\"2023-11-14T23:13:20.25+01:00\"", 1700000000250},
        {"-1", -1},
        {"1700000000000.5", -1},
        {"253402300800000", -1},
        {"\"yesterday\"", -1},
        {"\"1969-12-31T23:59:59Z\"", -1},
        {"\"1700000000000\"", -1},
        {"true", -2},
        {"[1]", -2},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json), "{\"type\":\"label\",\"id\":\"a\",\"label\":1,\"ts\":%s}",
                 rows[i].json);
        struct event e;
        const char *detail;
        enum reject reason = decode_bytes(json, strlen(json), &e, &detail);
        assert_int_equal(reason, rows[i].ms == -1   ? REJECT_OUT_OF_RANGE
                                 : rows[i].ms == -2 ? REJECT_WRONG_TYPE
                                                    : REJECT_NONE);
        if (reason)
            assert_string_equal(detail, "ts");
        else
            assert_int_equal(e.ts_ms, rows[i].ms);
    }
}

static void a_feature_that_is_no_number_spoils_only_itself(void **state)
{
    (void)state;
    static const char *const invalid[] = {
        "\"NaN\"",  "\"Infinity\"", "\"-Infinity\"", "\"+Infinity\"", "[1,\"NaN\"]",
        "[1,null]", "[]",           "[[],[]]",       "[1e200]",
    };
    for (size_t i = 0; i < sizeof(invalid) / sizeof(invalid[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"score\":0.5,"
                 "\"features\":{\"x\":%s,\"y\":2}}",
                 invalid[i]);
        struct event e = decode(json);
        assert_int_equal(e.features[0].value.kind, VALUE_INVALID);
        assert_int_equal(e.features[1].value.kind, VALUE_NUMBER);
        assert_true(e.score == 0.5);
    }
}

static void an_array_without_a_number_is_told_from_one_with_a_part_that_is_none(void **state)
{
    (void)state;
    static const struct {
        const char *array;
        uint32_t n;
    } rows[] = {{"[]", 0}, {"[[],[]]", 0}, {"[null]", 1}, {"[[],[\"NaN\",1]]", 2}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        char json[256];
        snprintf(json, sizeof(json),
                 "{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"features\":{\"x\":%s}}",
                 rows[i].array);
        const struct event e = decode(json);
        assert_int_equal(e.features[0].value.kind, VALUE_INVALID);
        assert_non_null(e.features[0].value.projected);
        assert_int_equal(e.features[0].value.n, rows[i].n);
    }
}

static void an_endless_text_is_an_invalid_value(void **state)
{
    (void)state;
    char json[1024], text[300];
    memset(text, 'a', sizeof(text));
    for (int size = 256; size <= 257; size++) {
        snprintf(
            json, sizeof(json),
            "{\"type\":\"prediction\",\"id\":\"a\",\"model\":\"m\",\"features\":{\"x\":\"%.*s\"}}",
            size, text);
        struct event e = decode(json);
        assert_int_equal(e.features[0].value.kind, size == 256 ? VALUE_TEXT : VALUE_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(classes_that_mean_the_same_are_the_same_text),
        cmocka_unit_test(a_number_has_one_text_wherever_it_is_printed),
        cmocka_unit_test(every_short_text_is_a_number_or_refused),
        cmocka_unit_test(numbers_of_any_length_are_read_to_the_last_bit),
        cmocka_unit_test(features_named_as_before_are_still_looked_through_for_duplicates),
        cmocka_unit_test(times_are_milliseconds_or_rfc_3339),
        cmocka_unit_test(a_feature_that_is_no_number_spoils_only_itself),
        cmocka_unit_test(an_array_without_a_number_is_told_from_one_with_a_part_that_is_none),
        cmocka_unit_test(an_endless_text_is_an_invalid_value),
    };
    return cmocka_run_group_tests(tests, decoding_setup, decoding_teardown);
}
