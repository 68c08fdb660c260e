/* The same hours of the weeks before, by the clock on the wall. */
#include "storage/rhythm.h"

#include "common/text.h"
#include "tests/test.h"

#define HOUR INT64_C(3600000)
#define DAY (24 * HOUR)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(time_parse(&ms, text, strlen(text)), 0);
    return ms;
}

static size_t spans_of(const char *zone, int64_t days, int64_t trailing_ms, const char *from,
                       const char *to, struct profile_span *out)
{
    const struct rhythm rhythm = {days, trailing_ms};
    struct timezone_rules *rules = NULL;
    struct err err = {0};
    if (timezone_read(&rules, zone, &err)) {
        print_message("%s\n", err.text);
        skip();
    }
    assert_in_range(rhythm_room(&rhythm), 1, 64);
    size_t n = rhythm_spans(&rhythm, rules, at(from), at(to), out);
    timezone_free(rules);
    return n;
}

static void assert_span(struct profile_span span, const char *from, const char *to)
{
    assert_int_equal(span.from_ms, at(from));
    assert_int_equal(span.to_ms, at(to));
}

static void an_hour_is_compared_with_that_hour_of_the_weeks_before(void **state)
{
    (void)state;
    struct profile_span spans[64];

    size_t n = spans_of("UTC", 7, 28 * DAY, "2023-10-26T09:00:00Z", "2023-10-26T10:00:00Z", spans);

    assert_int_equal(n, 4);
    assert_span(spans[0], "2023-10-19T09:00:00Z", "2023-10-19T10:00:00Z");
    assert_span(spans[3], "2023-09-28T09:00:00Z", "2023-09-28T10:00:00Z");
}

static void a_quarter_of_an_hour_takes_its_whole_hour_and_a_day_its_day(void **state)
{
    (void)state;
    struct profile_span spans[64];

    size_t n = spans_of("UTC", 1, 3 * DAY, "2023-10-26T09:45:00Z", "2023-10-26T10:00:00Z", spans);
    assert_int_equal(n, 3);
    assert_span(spans[0], "2023-10-25T09:00:00Z", "2023-10-25T10:00:00Z");
    assert_span(spans[2], "2023-10-23T09:00:00Z", "2023-10-23T10:00:00Z");

    n = spans_of("UTC", 7, 20 * DAY, "2023-10-26T00:00:00Z", "2023-10-27T00:00:00Z", spans);
    assert_int_equal(n, 2); /* the third week before is not whole */
    assert_span(spans[1], "2023-10-12T00:00:00Z", "2023-10-13T00:00:00Z");
}

static void where_clocks_were_put_back_the_hour_is_that_of_the_wall(void **state)
{
    (void)state;
    struct profile_span spans[64];

    /* nine in Berlin: 08:00 UTC since 29 October, 07:00 UTC before */
    size_t n = spans_of("Europe/Berlin", 7, 14 * DAY, "2023-11-02T08:00:00Z",
                        "2023-11-02T09:00:00Z", spans);

    assert_int_equal(n, 2);
    assert_span(spans[0], "2023-10-26T07:00:00Z", "2023-10-26T08:00:00Z");
    assert_span(spans[1], "2023-10-19T07:00:00Z", "2023-10-19T08:00:00Z");
}

static void an_hour_beside_the_move_of_the_clock_is_one_hour(void **state)
{
    (void)state;
    struct profile_span spans[64];

    /* Berlin: two becomes three on 26 March; from one to two is an hour all the same */
    size_t n = spans_of("Europe/Berlin", 1, 7 * DAY, "2023-03-26T00:00:00Z", "2023-03-26T01:00:00Z",
                        spans);
    assert_int_equal(n, 7);
    assert_span(spans[0], "2023-03-25T00:00:00Z", "2023-03-25T01:00:00Z");
    /* what was left out that day has no hours there */
    n = spans_of("Europe/Berlin", 1, 2 * DAY, "2023-03-27T00:00:00Z", "2023-03-27T01:00:00Z",
                 spans);
    assert_int_equal(n, 1);
    assert_span(spans[0], "2023-03-25T01:00:00Z", "2023-03-25T02:00:00Z");

    /* three becomes two on 29 October: both hours that begin at two are that hour of the wall */
    for (int second = 0; second < 2; second++) {
        n = spans_of("Europe/Berlin", 7, 14 * DAY,
                     second ? "2023-10-29T01:00:00Z" : "2023-10-29T00:00:00Z",
                     second ? "2023-10-29T02:00:00Z" : "2023-10-29T01:00:00Z", spans);
        assert_int_equal(n, 2);
        assert_span(spans[0], "2023-10-22T00:00:00Z", "2023-10-22T01:00:00Z");
    }
    /* and a day later it has the two of them */
    n = spans_of("Europe/Berlin", 1, 1 * DAY, "2023-10-30T01:00:00Z", "2023-10-30T02:00:00Z",
                 spans);
    assert_int_equal(n, 1);
    assert_span(spans[0], "2023-10-29T00:00:00Z", "2023-10-29T02:00:00Z");
}

static void where_they_move_by_half_an_hour_both_hours_count(void **state)
{
    (void)state;
    struct profile_span spans[64];

    /* Lord Howe: UTC+11 since 1 October 2023, +10:30 before */
    size_t n = spans_of("Australia/Lord_Howe", 7, 7 * DAY, "2023-10-04T08:00:00Z",
                        "2023-10-04T09:00:00Z", spans);

    assert_int_equal(n, 1);
    assert_span(spans[0], "2023-09-27T08:00:00Z", "2023-09-27T10:00:00Z");
}

static void a_window_as_long_as_the_rhythm_has_no_hours_of_its_own(void **state)
{
    (void)state;
    struct profile_span spans[64];

    assert_int_equal(
        spans_of("UTC", 1, 7 * DAY, "2023-10-25T00:00:00Z", "2023-10-26T00:00:00Z", spans), 0);
    assert_int_equal(
        spans_of("UTC", 7, 28 * DAY, "2023-10-12T00:00:00Z", "2023-10-26T00:00:00Z", spans), 0);
}

static void spans_do_not_overlap_nor_begin_before_time_does(void **state)
{
    (void)state;
    struct profile_span spans[64];

    /* 23 hours a day; on 29 October the day had 25 */
    size_t n = spans_of("Europe/Berlin", 1, 5 * DAY, "2023-10-31T00:00:00Z", "2023-10-31T23:00:00Z",
                        spans);
    for (size_t i = 0; i + 1 < n; i++)
        assert_true(spans[i + 1].to_ms <= spans[i].from_ms);
    assert_int_equal(n, 5);
    assert_int_equal(
        spans_of("UTC", 7, 28 * DAY, "1970-01-10T00:00:00Z", "1970-01-10T01:00:00Z", spans), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_hour_is_compared_with_that_hour_of_the_weeks_before),
        cmocka_unit_test(a_quarter_of_an_hour_takes_its_whole_hour_and_a_day_its_day),
        cmocka_unit_test(where_clocks_were_put_back_the_hour_is_that_of_the_wall),
        cmocka_unit_test(an_hour_beside_the_move_of_the_clock_is_one_hour),
        cmocka_unit_test(where_they_move_by_half_an_hour_both_hours_count),
        cmocka_unit_test(a_window_as_long_as_the_rhythm_has_no_hours_of_its_own),
        cmocka_unit_test(spans_do_not_overlap_nor_begin_before_time_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
