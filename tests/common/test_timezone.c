/* Offsets of real zones, and the same hour some days before. */
#include "common/timezone.h"

#include <stdio.h>
#include <string.h>

#include "common/text.h"
#include "tests/test.h"

#define HOUR_MS INT64_C(3600000)

static int64_t at(const char *text)
{
    int64_t ms = 0;
    assert_int_equal(time_parse(&ms, text, strlen(text)), 0);
    return ms;
}

static struct timezone_rules *zone(const char *name)
{
    struct timezone_rules *rules = NULL;
    struct err err = {0};
    if (timezone_read(&rules, name, &err)) {
        timezone_free(rules);
        fail_msg("%s (./dev setup installs tzdata)", err.text);
    }
    return rules;
}

static void offsets_follow_summer_time_by_table_and_by_rule(void **state)
{
    (void)state;
    struct timezone_rules *berlin = zone("Europe/Berlin");
    assert_int_equal(timezone_offset(berlin, at("2026-03-29T00:59:59Z")), HOUR_MS);
    assert_int_equal(timezone_offset(berlin, at("2026-03-29T01:00:00Z")), 2 * HOUR_MS);
    assert_int_equal(timezone_offset(berlin, at("2026-10-25T00:59:59Z")), 2 * HOUR_MS);
    assert_int_equal(timezone_offset(berlin, at("2026-10-25T01:00:00Z")), HOUR_MS);
    /* beyond the table, which ends in 2037 at the latest */
    assert_int_equal(timezone_offset(berlin, at("2050-03-27T00:59:59Z")), HOUR_MS);
    assert_int_equal(timezone_offset(berlin, at("2050-03-27T01:00:00Z")), 2 * HOUR_MS);
    assert_int_equal(timezone_offset(berlin, at("2050-10-30T01:00:00Z")), HOUR_MS);
    timezone_free(berlin);

    struct timezone_rules *sydney = zone("Australia/Sydney"); /* summer over the new year */
    assert_int_equal(timezone_offset(sydney, at("2050-01-15T00:00:00Z")), 11 * HOUR_MS);
    assert_int_equal(timezone_offset(sydney, at("2050-07-15T00:00:00Z")), 10 * HOUR_MS);
    timezone_free(sydney);

    struct timezone_rules *kolkata = zone("Asia/Kolkata");
    assert_int_equal(timezone_offset(kolkata, at("2050-07-15T00:00:00Z")), 11 * HOUR_MS / 2);
    timezone_free(kolkata);
}

static void the_same_hour_last_week_is_the_clocks_not_168_hours_ago(void **state)
{
    (void)state;
    struct timezone_rules *berlin = zone("Europe/Berlin");
    static const struct {
        const char *now, *before;
    } rows[] = {
        {"2026-03-20T11:00:00Z", "2026-03-13T11:00:00Z"},
        {"2026-04-01T10:00:00Z", "2026-03-25T11:00:00Z"}, /* noon and noon: 167 hours */
        {"2026-10-28T11:00:00Z", "2026-10-21T10:00:00Z"}, /* noon and noon: 169 hours */
        {"2026-04-05T00:30:00Z", "2026-03-29T01:30:00Z"}, /* 02:30 was left out: 03:30 */
        {"2026-11-01T01:30:00Z", "2026-10-25T00:30:00Z"}, /* 02:30 came twice: the first */
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        int64_t now = at(rows[i].now), before = timezone_days_before(berlin, now, 7);
        if (before != at(rows[i].before))
            fail_msg("a week before %s is %lld minutes before, expected %s", rows[i].now,
                     (long long)((now - before) / 60000), rows[i].before);
    }
    timezone_free(berlin);

    struct timezone_rules *utc = zone("UTC");
    assert_int_equal(timezone_days_before(utc, at("2026-04-01T10:00:00Z"), 7),
                     at("2026-03-25T10:00:00Z"));
    timezone_free(utc);
}

static void what_is_no_zone_is_refused_by_name(void **state)
{
    (void)state;
    static const char *const names[] = {"Europe/Berlln", "../../../etc/passwd", "/etc/passwd"};
    for (size_t i = 0; i < 3; i++) {
        struct timezone_rules *rules = NULL;
        struct err err = {0};
        char text[200];
        assert_int_equal(timezone_read(&rules, names[i], &err), ERR_DATA);
        snprintf(text, sizeof(text), "no time zone %s in /usr/share/zoneinfo/", names[i]);
        assert_string_equal(err.text, text);
        timezone_free(rules);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(offsets_follow_summer_time_by_table_and_by_rule),
        cmocka_unit_test(the_same_hour_last_week_is_the_clocks_not_168_hours_ago),
        cmocka_unit_test(what_is_no_zone_is_refused_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
