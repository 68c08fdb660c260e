#include "common/text.h"

#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/digits.h"
#include "tests/test.h"

static void a_duration_is_a_whole_number_and_its_unit(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"500ms", 500},        {"30s", 30000}, {"5m", 5 * MINUTE}, {"1h", HOUR},
        {"7d", 7 * 24 * HOUR}, {"0s", 0},      {"48h", 48 * HOUR}, {"400d", 400 * 24 * HOUR},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = -1;
        assert_int_equal(duration_parse(&ms, good[i].text, strlen(good[i].text)), 0);
        assert_int_equal(ms, good[i].ms);
    }

    static const char *const bad[] = {"",    "5",   "m",  "5 m",   "1.5h",
                                      "-5m", "5mm", "5M", "1h30m", "+1h"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = 77;
        assert_int_equal(duration_parse(&ms, bad[i], strlen(bad[i])), -EINVAL);
        assert_int_equal(ms, 77);
    }
    int64_t ms = 77;
    assert_int_equal(duration_parse(&ms, "99999999999999999999s", 21), -ERANGE);
    assert_int_equal(duration_parse(&ms, "106751991168d", 13), -ERANGE);
    assert_int_equal(ms, 77);
}

static void a_duration_is_printed_in_the_largest_unit_that_is_exact(void **state)
{
    (void)state;
    char out[TEXT_DURATION_BYTES];
    assert_string_equal(duration_print(out, 90000), "90s");
    assert_string_equal(duration_print(out, 2 * HOUR), "2h");
    assert_string_equal(duration_print(out, 48 * HOUR), "2d");
    assert_string_equal(duration_print(out, 1500), "1500ms");
    assert_string_equal(duration_print(out, 0), "0s");
    assert_string_equal(duration_print(out, INT64_MIN), "-9223372036854775808ms");
}

static void a_time_is_rfc_3339(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms;
    } good[] = {
        {"2023-11-14T22:13:20Z", 1700000000000},
        {"2023-11-14T22:13:20.123Z", 1700000000123},
        {"2023-11-14t22:13:20.1239999z", 1700000000123},
        {"2023-11-14 23:13:20+01:00", 1700000000000},
        {"2023-11-14T16:43:20.5-05:30", 1700000000500},
        {"1970-01-01T00:00:00Z", 0},
        {"1969-12-31T23:59:59.999Z", -1},
        {"2024-02-29T00:00:00Z", 1709164800000},
        {"2016-12-31T23:59:60Z", 1483228800000}, /* a leap second */
        {"0000-01-01T00:00:00Z", -62167219200000},
        {"9999-12-31T23:59:59.999Z", 253402300799999},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t ms = 77;
        assert_int_equal(time_parse(&ms, good[i].text, strlen(good[i].text)), 0);
        assert_int_equal(ms, good[i].ms);
    }

    static const char *const bad[] = {
        "2023-11-14",           "2023-11-14T22:13:20",       "2023-11-14T22:13:20.Z",
        "2023-02-29T00:00:00Z", "2023-13-01T00:00:00Z",      "2023-00-01T00:00:00Z",
        "2023-01-00T00:00:00Z", "2023-11-14T24:00:00Z",      "2023-11-14T22:60:00Z",
        "2023-11-14T22:13:61Z", "2023-11-14T22:13:20+24:00", "2023-11-14T22:13:20+0100",
        "20231114T221320Z",     "2023-11-14T22:13:20Zx",     "x023-11-14T22:13:20Z",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t ms = 77;
        assert_int_equal(time_parse(&ms, bad[i], strlen(bad[i])), -EINVAL);
        assert_int_equal(ms, 77);
    }
}

static void a_time_may_also_be_milliseconds(void **state)
{
    (void)state;
    int64_t ms = 0;
    assert_int_equal(time_parse_any(&ms, "1700000000123", 13), 0);
    assert_int_equal(ms, 1700000000123);
    assert_int_equal(time_parse_any(&ms, "-1", 2), 0);
    assert_int_equal(ms, -1);
    assert_int_equal(time_parse_any(&ms, "2023-11-14T22:13:20Z", 20), 0);
    assert_int_equal(ms, 1700000000000);
    assert_int_equal(time_parse_any(&ms, "99999999999999999999", 20), -ERANGE);
    assert_int_equal(time_parse_any(&ms, "soon", 4), -EINVAL);
}

static void a_printed_time_is_read_back(void **state)
{
    (void)state;
    char out[TEXT_TIME_BYTES];
    assert_string_equal(time_print(out, 1700000000123), "2023-11-14T22:13:20.123Z");
    assert_string_equal(time_print(out, -1), "1969-12-31T23:59:59.999Z");
    assert_string_equal(time_print(out, INT64_MAX), "9223372036854775807");
    for (int64_t ms = -62167219200000; ms < 253402300800000; ms += 86400000 * INT64_C(13) + 12345) {
        int64_t back = 0;
        time_print(out, ms);
        assert_int_equal(time_parse(&back, out, strlen(out)), 0);
        assert_int_equal(back, ms);
    }
}

static void a_size_has_binary_and_decimal_units(void **state)
{
    (void)state;
    int64_t bytes = 0;
    assert_int_equal(size_parse(&bytes, "4GiB", 4), 0);
    assert_int_equal(bytes, INT64_C(4) << 30);
    assert_int_equal(size_parse(&bytes, "10MB", 4), 0);
    assert_int_equal(bytes, 10000000);
    assert_int_equal(size_parse(&bytes, "100", 3), 0);
    assert_int_equal(bytes, 100);
    assert_int_equal(size_parse(&bytes, "4gib", 4), -EINVAL);
    assert_int_equal(size_parse(&bytes, "9999999999TiB", 13), -ERANGE);

    char out[TEXT_SIZE_BYTES];
    assert_string_equal(size_print(out, INT64_C(4) << 30), "4GiB");
    assert_string_equal(size_print(out, 1536), "1536B");
    assert_string_equal(size_print(out, 0), "0B");
}

static void numbers_are_read_without_surprises(void **state)
{
    (void)state;
    int64_t whole = 0;
    assert_int_equal(int_parse(&whole, "-9223372036854775808", 20), 0);
    assert_true(whole == INT64_MIN);
    assert_int_equal(int_parse(&whole, "9223372036854775807", 19), 0);
    assert_true(whole == INT64_MAX);
    assert_int_equal(int_parse(&whole, "9223372036854775808", 19), -ERANGE);
    assert_int_equal(int_parse(&whole, "-9223372036854775809", 20), -ERANGE);
    assert_int_equal(int_parse(&whole, "-", 1), -EINVAL);
    assert_int_equal(int_parse(&whole, "1.0", 3), -EINVAL);

    double number = 0;
    assert_int_equal(number_parse(&number, "-1.5e3", 6), 0);
    assert_true(number == -1500);
    assert_int_equal(number_parse(&number, "1e999", 5), -ERANGE);
    static const char *const bad[] = {"", "nan", "inf", "0x10", " 1", "1 ", "1e", "--1", "e5"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(number_parse(&number, bad[i], strlen(bad[i])), -EINVAL);
}

static void a_number_is_printed_in_its_fewest_digits(void **state)
{
    (void)state;
    static const struct {
        double value;
        const char *text;
    } rows[] = {
        {1, "1"},
        {-0.0, "0"},
        {-17, "-17"},
        {1.5, "1.5"},
        {0.1, "0.1"},
        {0.001, "0.001"},
        {0.0001, "0.0001"},
        {0.00001, "0.00001"},
        {-0.0000015, "-0.0000015"},
        {0.00000015, "1.5e-7"},
        {123456.789, "123456.789"},
        {1e15, "1000000000000000"},
        {9007199254740993.0, "9007199254740992"},
        {9223372036854775808.0, "9223372036854775808"},
        {1e20, "100000000000000000000"},
        {-1.5e20, "-150000000000000000000"},
        {1e21, "1e+21"},
        {1.5e300, "1.5e+300"},
        {5e-324, "5e-324"},
        {2.2250738585072014e-308, "2.2250738585072014e-308"},
        {0.30000000000000004, "0.30000000000000004"},
        {-1.7976931348623157e308, "-1.7976931348623157e+308"},
    };
    char out[TEXT_NUMBER_BYTES];
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_string_equal(number_print(out, rows[i].value), rows[i].text);

    uint64_t random = 1; /* xorshift64 */
    for (int i = 0; i < 100000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        double value;
        memcpy(&value, &random, sizeof(value));
        if (!isfinite(value))
            continue;
        assert_true(strtod(number_print(out, value), NULL) == value);
    }
}

static void a_rounded_number_is_what_printf_gives(void **state)
{
    (void)state;
    uint64_t random = 1; /* xorshift64 */
    for (int i = 0; i < 20000; i++) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        char out[DIGITS_BYTES], expected[64];
        double value;
        memcpy(&value, &random, sizeof(value));
        if (i % 2) /* those that people see, too */
            value = (double)(int64_t)random / 0x1p63 * pow(10, i % 14 - 5);
        if (!isfinite(value))
            continue;
        snprintf(expected, sizeof(expected), "%.4g", value);
        assert_int_equal(digits_general(out, value, 4), strlen(expected));
        assert_string_equal(out, expected);
    }
}

static void a_whole_number_is_printed_as_it_is_read(void **state)
{
    (void)state;
    static const int64_t values[] = {0, 1, -1, 9, 10, -10, 1700000000000, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        char out[TEXT_INT_BYTES], expected[32];
        snprintf(expected, sizeof(expected), "%" PRId64, values[i]);
        assert_int_equal(int_print(out, values[i]), strlen(expected));
        assert_string_equal(out, expected);
    }
}

static void only_a_whole_byte_order_mark_at_the_beginning_is_one(void **state)
{
    (void)state;
    assert_int_equal(text_order_mark("\xef\xbb\xbf{", 4), 3);
    assert_int_equal(text_order_mark("\xef\xbb\xbf", 3), 3);
    assert_int_equal(text_order_mark("\xef\xbb", 2), 0);
    assert_int_equal(text_order_mark("{\xef\xbb\xbf", 4), 0);
    assert_int_equal(text_order_mark("", 0), 0);
}

static void utf8_is_told_from_what_only_looks_like_it(void **state)
{
    (void)state;
    assert_true(text_is_utf8("K\xc3\xb6ln \xe2\x82\xac \xf0\x9f\x98\x80", 15));
    assert_true(text_is_utf8("", 0));
    static const char *const bad[] = {
        "\x80",
        "\xc0\xaf",
        "\xc3",
        "\xe0\x80\x80",
        "\xed\xa0\x80",
        "\xf0\x80\x80\x80",
        "\xf4\x90\x80\x80",
        "\xff",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(text_is_utf8(bad[i], strlen(bad[i])));
}

static void json_text_is_always_json(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 1024);
    json_text(&buf, "a\"b\\c\n\x01\x7f\0\xc3\xb6\xff", 12);
    buf_u8(&buf, 0);
    assert_string_equal((char *)buf.data,
                        "\"a\\\"b\\\\c\\n\\u0001\\u007f\\u0000\xc3\xb6\xef\xbf\xbd\"");

    buf_clear(&buf);
    json_number(&buf, 0.25);
    json_number(&buf, NAN);
    json_number(&buf, -INFINITY);
    buf_u8(&buf, 0);
    assert_string_equal((char *)buf.data, "0.25nullnull");
    buf_finish(&buf);
}

/* Eight bytes are looked at together: wherever the one stands that is written otherwise. */
static void each_byte_of_a_json_text_is_looked_at(void **state)
{
    (void)state;
    for (int c = 0; c < 0x80; c++) {
        for (size_t at = 0; at < 17; at++) {
            char text[18] = "abcdefghijklmnopq", written[16], expected[64];
            bool escaped = c < 0x20 || c == 0x7f || c == '"' || c == '\\';
            text[at] = (char)c;
            struct buf one, all;
            buf_init(&one, 64);
            buf_init(&all, 64);
            json_text(&one, text + at, 1);
            json_text(&all, text, 17);
            assert_int_equal(one.size > 3, escaped);
            snprintf(written, sizeof(written), "%.*s", (int)one.size - 2, one.data + 1);
            int n = snprintf(expected, sizeof(expected), "\"%.*s%s%s\"", (int)at, text, written,
                             text + at + 1);
            assert_int_equal(all.size, n);
            assert_memory_equal(all.data, expected, all.size);
            buf_finish(&one);
            buf_finish(&all);
        }
    }
}

static void the_nearest_word_is_offered_only_when_it_is_near(void **state)
{
    (void)state;
    static const char *const words[] = {"threshold", "task", "label_horizon", "name", "window"};
    assert_string_equal(text_near("treshold", words, 5), "threshold");
    assert_string_equal(text_near("thershold", words, 5), "threshold");
    assert_string_equal(text_near("tsak", words, 5), "task");
    assert_string_equal(text_near("label-horizon", words, 5), "label_horizon");
    assert_null(text_near("colour", words, 5));
    assert_null(text_near("", words, 5));
    assert_null(text_near("x", words, 5));
    char endless[200];
    memset(endless, 'a', sizeof(endless));
    endless[199] = 0;
    assert_null(text_near(endless, words, 5));
}

static void a_text_is_cut_where_a_character_ends(void **state)
{
    (void)state;
    assert_int_equal(text_fit("abc", 10), 3);
    assert_int_equal(text_fit("abc", 2), 2);
    assert_int_equal(text_fit("", 2), 0);
    assert_int_equal(text_fit("aé", 2), 1); /* é is two bytes */
    assert_int_equal(text_fit("aé", 3), 3);
    assert_int_equal(text_fit("🔥🔥", 7), 4);
    assert_int_equal(text_fit("🔥🔥", 8), 8);
    assert_int_equal(text_fit("€\xe2\x82", 9), 3); /* cut before */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_duration_is_a_whole_number_and_its_unit),
        cmocka_unit_test(a_duration_is_printed_in_the_largest_unit_that_is_exact),
        cmocka_unit_test(a_time_is_rfc_3339),
        cmocka_unit_test(a_time_may_also_be_milliseconds),
        cmocka_unit_test(a_printed_time_is_read_back),
        cmocka_unit_test(a_size_has_binary_and_decimal_units),
        cmocka_unit_test(numbers_are_read_without_surprises),
        cmocka_unit_test(a_number_is_printed_in_its_fewest_digits),
        cmocka_unit_test(a_rounded_number_is_what_printf_gives),
        cmocka_unit_test(a_whole_number_is_printed_as_it_is_read),
        cmocka_unit_test(only_a_whole_byte_order_mark_at_the_beginning_is_one),
        cmocka_unit_test(utf8_is_told_from_what_only_looks_like_it),
        cmocka_unit_test(json_text_is_always_json),
        cmocka_unit_test(each_byte_of_a_json_text_is_looked_at),
        cmocka_unit_test(the_nearest_word_is_offered_only_when_it_is_near),
        cmocka_unit_test(a_text_is_cut_where_a_character_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
