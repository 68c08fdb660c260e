/*
 * What was answered before is not computed again, and no answer differs by it.
 */
#include "web/metrics_memo.h"

#include <stdio.h>
#include <string.h>

#include "tests/test.h"
#include "tests/web/answers.h"

static const char by_minute[] = "/api/v1/models/credit/metrics?metric=accuracy,count,throughput"
                                "&version=*&window=1m&from=1700006400000&to=1700007000000";

/* Two versions over six of ten minutes. */
static struct site *filled(void)
{
    struct site *site = site_new();
    for (int i = 0; i < 6; i++) {
        const struct minute minute = {
            "credit", i % 2 ? "v4" : "v3", "", SITE_START + i * MINUTE, 8 + i, 2, 9, 1, 4, 1};
        site_minute(site, &minute);
    }
    site->now_ms = SITE_START + 20 * MINUTE;
    return site;
}

static void answer(const struct site *site, const char *target, struct api_answer *out)
{
    struct err err = {0};
    must(call(site, "GET", target, NULL, out, &err), &err);
    assert_int_equal(out->status, 200);
}

/* The site's answer, with what it remembers and without. */
static void check_same(struct site *site, const char *target)
{
    struct api_answer remembering;
    struct api_answer anew;
    struct memo *memo = site->memo;
    answer(site, target, &remembering);
    site->memo = NULL;
    answer(site, target, &anew);
    site->memo = memo;
    assert_int_equal(remembering.body.size, anew.body.size);
    assert_memory_equal(remembering.body.data, anew.body.data, anew.body.size);
    api_answer_finish(&remembering);
    api_answer_finish(&anew);
}

static void remembered_windows_change_no_byte_of_an_answer(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    static const char *const targets[] = {
        by_minute,
        "/api/v1/models/credit/metrics?window=5m&from=1700006400000&to=1700007000000",
        "/api/v1/models/credit/metrics?window=5m&step=1m&from=1700006400000&to=1700007000000",
        "/api/v1/models/credit/metrics?metric=estimated_accuracy,accuracy&window=1m",
        "/api/v1/models/credit/metrics?window=1m&format=csv",
        "/api/v1/models/credit/metrics?window=1h",
    };
    must(memo_new(&site->memo, NULL), &(struct err){0});

    for (int round = 0; round < 3; round++) {
        for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++)
            check_same(site, targets[i]);
        const struct minute late = {"credit", "v3", "", SITE_START + (2 + round) * MINUTE, 1, 2, 3,
                                    4,        0,    0};
        site_minute(site, &late); /* a minute in the middle, and the watermark with it */
    }
}

static void windows_that_have_not_changed_are_not_read_again(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = filled();
    must(memo_new(&site->memo, NULL), &(struct err){0});
    json_decref(get(site, by_minute));
    temp_run(site->store, "UPDATE panes SET state = x'00', revision = revision + "
                          "(start_ms = 1700006460000)");

    json_t *series = get(site, by_minute);

    /* v3, accuracy: its minutes as they were; v4's second minute has changed, and is damaged */
    assert_int_equal(number(series, "series.0.points.0.n"), 25);
    assert_int_equal(number(series, "series.3.points.3.n"), 28);
    assert_true(json_is_null(at(series, "series.3.points.1.value")));
    assert_true(json_is_false(at(series, "complete")));
    assert_string_equal(text(series, "incomplete_reasons.0"),
                        "1 stored windows are damaged and left out; run `assay verify`");
    json_decref(series);

    series = get(site, by_minute); /* what lacks something is not kept */
    assert_string_equal(text(series, "incomplete_reasons.0"),
                        "1 stored windows are damaged and left out; run `assay verify`");
    json_decref(series);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(remembered_windows_change_no_byte_of_an_answer),
        cmocka_unit_test(windows_that_have_not_changed_are_not_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
