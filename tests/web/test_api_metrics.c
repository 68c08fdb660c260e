/*
 * Series and curves by value, without HTTP: windows, intervals and what an answer may lack.
 */
#include "web/api.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "tests/web/answers.h"

static void a_metric_has_the_value_that_one_counts_by_hand(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=accuracy,recall,count"
                               "&version=v3&window=1m&from=1700006400000&to=1700006520000");

    assert_string_equal(text(answer, "version"), "v3");
    assert_int_equal(number(answer, "window"), MINUTE);
    assert_int_equal(json_array_size(at(answer, "series")), 3);
    assert_string_equal(text(answer, "series.0.metric"), "accuracy");
    assert_string_equal(text(answer, "series.0.version"), "v3");
    assert_int_equal(json_array_size(at(answer, "series.0.points")), 2);
    assert_int_equal(number(answer, "series.0.points.0.start"), SITE_START);
    assert_int_equal(number(answer, "series.0.points.0.end"), SITE_START + MINUTE);
    assert_int_equal(number(answer, "series.0.points.0.n"), 25);
    assert_int_equal(number(answer, "series.0.points.0.labelled"), 20);
    assert_close(number(answer, "series.0.points.0.value"), 17.0 / 20, 1e-12);
    /* Wilson's interval of 17 in 20 at z = 1.959963984540054, by hand in Python */
    assert_close(number(answer, "series.0.points.0.lower"), 0.6395811352592431, 1e-12);
    assert_close(number(answer, "series.0.points.0.upper"), 0.9476312541037835, 1e-12);
    assert_close(number(answer, "series.0.points.0.error_bound"), 0, 0);
    assert_int_equal(number(answer, "series.0.points.0.revision"), 1);
    assert_close(number(answer, "series.1.points.0.value"), 0.8, 1e-12);
    assert_close(number(answer, "series.2.points.0.value"), 25, 0);
    assert_true(json_is_null(at(answer, "series.2.points.0.lower")));
    assert_close(number(answer, "series.0.points.1.value"), 1, 0);
    assert_int_equal(number(answer, "complete_up_to"), SITE_START + 2 * MINUTE);
    assert_true(json_is_true(at(answer, "complete")));
    json_decref(answer);
}

static void versions_merge_when_none_is_named_and_part_with_a_star(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    const char *range = "window=1m&from=2023-11-15T00:01:00Z&to=2023-11-15T00:02:00Z";
    char target[300];

    snprintf(target, sizeof(target), "/api/v1/models/credit/metrics?metric=accuracy&%s", range);
    json_t *merged = get(site, target);
    assert_int_equal(json_array_size(at(merged, "series")), 1);
    assert_true(json_is_null(at(merged, "version")));
    assert_true(json_is_null(at(merged, "series.0.version")));
    assert_close(number(merged, "series.0.points.0.value"), 30.0 / 40, 1e-12);
    json_decref(merged);

    snprintf(target, sizeof(target), "/api/v1/models/credit/metrics?metric=accuracy&version=*&%s",
             range);
    json_t *apart = get(site, target);
    assert_int_equal(json_array_size(at(apart, "series")), 2);
    assert_string_equal(text(apart, "series.0.version"), "v3");
    assert_close(number(apart, "series.0.points.0.value"), 1, 0);
    assert_string_equal(text(apart, "series.1.version"), "v4");
    assert_close(number(apart, "series.1.points.0.value"), 0.5, 1e-12);
    json_decref(apart);
}

static void slices_are_asked_for_by_key_and_value(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    const char *range = "window=1m&from=1700006400000&to=1700006460000";
    char target[300];

    snprintf(target, sizeof(target),
             "/api/v1/models/credit/metrics?metric=recall&segment=country:fr&%s", range);
    json_t *one = get(site, target);
    assert_string_equal(text(one, "series.0.segment"), "country:fr");
    assert_close(number(one, "series.0.points.0.value"), 4.0 / 6, 1e-12);
    json_decref(one);

    snprintf(target, sizeof(target),
             "/api/v1/models/credit/metrics?metric=recall&segment=country:*&%s", range);
    json_t *all = get(site, target);
    assert_int_equal(json_array_size(at(all, "series")), 2);
    assert_string_equal(text(all, "series.0.segment"), "country:de");
    assert_close(number(all, "series.0.points.0.value"), 1, 0);
    json_decref(all);
}

static void without_a_range_the_last_24_windows_are_given(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count");

    assert_int_equal(json_array_size(at(answer, "series.0.points")), 24);
    assert_int_equal(number(answer, "to"), SITE_START + HOUR);
    assert_int_equal(number(answer, "from"), SITE_START - 23 * HOUR);
    assert_int_equal(number(answer, "series.0.points.23.n"), 65);
    assert_int_equal(number(answer, "series.0.points.0.n"), 0);
    assert_true(json_is_null(at(answer, "series.0.points.0.value")));
    json_decref(answer);
}

static void a_shorter_step_gives_rolling_windows(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count&window=2m&step=1m"
                               "&from=1700006340000&to=1700006520000");

    assert_int_equal(json_array_size(at(answer, "series.0.points")), 2);
    assert_int_equal(number(answer, "series.0.points.0.start"), SITE_START - MINUTE);
    assert_int_equal(number(answer, "series.0.points.0.n"), 25);
    assert_int_equal(number(answer, "series.0.points.1.n"), 65);
    json_decref(answer);
}

static void a_series_that_sinks_says_so_and_by_how_much(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    for (int i = 0; i < 6; i++) {
        const struct minute minute = {"credit", "v3", "", SITE_START + i * MINUTE, 10 - i, i, 10,
                                      0,        0,    0};
        site_minute(site, &minute);
    }

    json_t *series = get(site, "/api/v1/models/credit/metrics?metric=recall,count&window=1m&"
                               "from=1700006400000&to=1700006760000");
    json_t *rolling = get(site, "/api/v1/models/credit/metrics?metric=recall&window=2m&step=1m&"
                                "from=1700006400000&to=1700006760000");

    assert_int_equal(number(series, "series.0.trend.n"), 6);
    assert_close(number(series, "series.0.trend.slope"), -0.1, 1e-12);
    assert_int_equal(number(series, "series.0.trend.declines"), 5);
    /* S = -15, variance 6·5·17/18: z = -14 / sqrt(28.33) */
    assert_close(number(series, "series.0.trend.p_value"), 0.008535, 1e-5);
    assert_int_equal(number(series, "series.1.trend.declines"), 0);
    assert_close(number(series, "series.1.trend.p_value"), 1, 0);
    assert_true(json_is_null(at(rolling, "series.0.trend")));
    json_decref(series);
    json_decref(rolling);
}

static void a_million_points_are_capped_and_the_answer_says_so(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();

    json_t *answer = get(site, "/api/v1/models/credit/metrics?metric=count&window=1m&from=0"
                               "&to=1700006520000");

    assert_int_equal(json_array_size(at(answer, "series.0.points")), 10000);
    assert_int_equal(number(answer, "series.0.points.9999.n"), 40);
    assert_non_null(strstr(text(answer, "notice"), "older windows are left out"));
    json_decref(answer);
}

static void curves_are_those_of_the_counts(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    const char *range = "version=v3&from=1700006400000&to=1700006460000";
    char target[300];

    /* 8 of 10 positives at 0.9, the others at 0.2; 9 of 10 negatives at 0.1, one at 0.7 */
    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=roc&%s", range);
    json_t *roc = get(site, target);
    assert_int_equal(json_array_size(at(roc, "series.0.points")), 5); /* 0.6: unlabelled ones */
    assert_close(number(roc, "series.0.points.0.tpr"), 0.8, 1e-12);
    assert_close(number(roc, "series.0.points.0.fpr"), 0, 0);
    assert_close(number(roc, "series.0.points.1.fpr"), 0.1, 1e-12);
    assert_close(number(roc, "series.0.points.1.threshold"), 0.7, 1e-12);
    assert_close(number(roc, "series.0.points.4.tpr"), 1, 0);
    assert_close(number(roc, "series.0.points.4.fpr"), 1, 0);
    assert_close(number(roc, "series.0.area"), 0.8 + 0.2 * 0.9, 1e-12);
    json_decref(roc);

    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=pr&%s", range);
    json_t *pr = get(site, target);
    assert_close(number(pr, "series.0.points.0.precision"), 1, 0);
    assert_close(number(pr, "series.0.points.1.precision"), 8.0 / 9, 1e-12);
    json_decref(pr);

    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=calibration&%s", range);
    json_t *calibration = get(site, target);
    assert_int_equal(number(calibration, "series.0.bins.9.n"), 8);
    assert_close(number(calibration, "series.0.bins.9.predicted"), 0.9, 1e-12);
    assert_close(number(calibration, "series.0.bins.9.observed"), 1, 0);
    assert_true(json_is_null(at(calibration, "series.0.bins.5.observed")));
    json_decref(calibration);

    snprintf(target, sizeof(target), "/api/v1/models/credit/curves?kind=confusion&%s", range);
    json_t *confusion = get(site, target);
    assert_string_equal(text(confusion, "series.0.classes.0"), "1");
    assert_int_equal(number(confusion, "series.0.matrix.0.0"), 8);
    assert_int_equal(number(confusion, "series.0.matrix.0.1"), 2);
    assert_int_equal(number(confusion, "series.0.matrix.1.0"), 1);
    assert_int_equal(number(confusion, "series.0.matrix.1.1"), 9);
    json_decref(confusion);
}

static void csv_has_a_line_a_point(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    struct api_answer answer;
    struct err err = {0};

    must(call(site, "GET",
              "/api/v1/models/credit/metrics?metric=accuracy&version=v4&window=1m&format=csv"
              "&from=1700006400000&to=1700006520000",
              NULL, &answer, &err),
         &err);

    buf_u8(&answer.body, 0);
    assert_string_equal(answer.content_type, "text/csv; charset=utf-8");
    const char *expected =
        "model,version,segment,metric,start,end,n,labelled,value,lower,upper,error_bound,revision"
        "\r\n\"credit\",\"v4\",\"\",\"accuracy\",1700006400000,1700006460000,0,0,,,,0,0\r\n"
        "\"credit\",\"v4\",\"\",\"accuracy\",1700006460000,1700006520000,20,20,0.5,";
    assert_memory_equal(answer.body.data, expected, strlen(expected));
    api_answer_finish(&answer);
}

static void lost_messages_make_an_answer_incomplete(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_filled();
    struct err err = {0};
    struct partition_counts counts = {.lost = 17};
    must(commit_begin(site->store, &err), &err);
    must(commit_offset(site->store, "predictions", 3, -1, 10, &counts, &err), &err);
    must(commit_end(site->store, &err), &err);

    const char *targets[] = {"/api/v1/models/credit/metrics?metric=count",
                             "/api/v1/models/credit/drift"};
    for (size_t i = 0; i < 2; i++) {
        json_t *answer = get(site, targets[i]);

        assert_true(json_is_false(at(answer, "complete")));
        assert_string_equal(text(answer, "incomplete_reasons.0"),
                            "17 messages of predictions/3 were deleted before they were read");
        json_decref(answer);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_metric_has_the_value_that_one_counts_by_hand),
        cmocka_unit_test(versions_merge_when_none_is_named_and_part_with_a_star),
        cmocka_unit_test(slices_are_asked_for_by_key_and_value),
        cmocka_unit_test(without_a_range_the_last_24_windows_are_given),
        cmocka_unit_test(a_shorter_step_gives_rolling_windows),
        cmocka_unit_test(a_series_that_sinks_says_so_and_by_how_much),
        cmocka_unit_test(a_million_points_are_capped_and_the_answer_says_so),
        cmocka_unit_test(curves_are_those_of_the_counts),
        cmocka_unit_test(csv_has_a_line_a_point),
        cmocka_unit_test(lost_messages_make_an_answer_incomplete),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
