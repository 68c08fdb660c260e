/*
 * GET /models/M/explain: contributions by hand.
 */
#include <jansson.h>
#include <stdio.h>
#include <string.h>

#include "storage/change_points.h"
#include "storage/commit.h"
#include "tests/test.h"
#include "tests/web/answers.h"

static const char *refusal(const struct site *site, const char *target)
{
    static char said[ERR_TEXT_BYTES];
    struct api_answer answer;
    struct err err = {0};
    assert_true(call(site, "GET", target, NULL, &answer, &err) < 0);
    api_answer_finish(&answer);
    snprintf(said, sizeof(said), "%s", err.text);
    return said;
}

/* Σ of what the slices of one key contribute. */
static double contributions(json_t *answer, const char *key)
{
    double sum = 0;
    size_t i;
    json_t *slice;
    json_array_foreach(at(answer, "slices"), i, slice)
    {
        const char *segment = json_string_value(json_object_get(slice, "segment"));
        if (key ? segment && strncmp(segment, key, strlen(key)) == 0 : !segment)
            sum += json_number_value(json_object_get(slice, "contribution"));
    }
    return sum;
}

/* `times` each event, so that changes are more than chance. */
static struct site *worse_in_de(int times)
{
    struct site *site = site_new();
    struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 9, 1, 9, 1, 0, 0},
        {"credit", "v3", "country=de", SITE_START, 5, 0, 5, 0, 0, 0},
        {"credit", "v3", "country=fr", SITE_START, 4, 1, 4, 1, 0, 0},
        {"credit", "v3", "", SITE_START + MINUTE, 6, 4, 8, 2, 0, 0},
        {"credit", "v3", "country=de", SITE_START + MINUTE, 2, 3, 3, 1, 0, 0},
        {"credit", "v3", "country=fr", SITE_START + MINUTE, 4, 1, 5, 1, 0, 0},
        {"credit", "v4", "", SITE_START + MINUTE, 5, 5, 5, 5, 0, 0},
        {"credit", "v4", "country=fr", SITE_START + MINUTE, 5, 5, 5, 5, 0, 0},
    };
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++) {
        minutes[i].tp *= times;
        minutes[i].fn *= times;
        minutes[i].tn *= times;
        minutes[i].fp *= times;
        site_minute(site, &minutes[i]);
    }
    return site;
}

#define EXPLAIN "/api/v1/models/credit/explain?from=1700006460000&to=1700006520000"

static void a_change_of_a_mean_is_split_exactly_over_the_slices(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(20);

    json_t *answer = get(site, EXPLAIN "&version=v3&metric=accuracy");

    assert_close(number(answer, "before.value"), 0.9, 1e-12);
    assert_close(number(answer, "now.value"), 0.7, 1e-12);
    assert_close(number(answer, "change"), -0.2, 1e-12);
    assert_int_equal(number(answer, "compared_with.from"), SITE_START);
    assert_int_equal(json_array_size(at(answer, "slices")), 2);
    assert_string_equal(text(answer, "slices.0.segment"), "country:de");
    assert_string_equal(text(answer, "slices.0.split"), "mean");
    /* de: 1 to 5/9, its share 10/20 to 9/20; fr: 8/10 to 9/11, 10/20 to 11/20 */
    assert_close(number(answer, "slices.0.within"), 0.475 * (5.0 / 9 - 1), 1e-12);
    assert_close(number(answer, "slices.0.between"), -0.05 * ((1 + 5.0 / 9) / 2 - 0.8), 1e-12);
    assert_close(number(answer, "slices.1.within"), 0.525 * (9.0 / 11 - 0.8), 1e-12);
    assert_close(contributions(answer, "country:"), -0.2, 1e-12);
    assert_string_equal(text(answer, "cause"),
                        "country:de carries 105% of the change of accuracy (1 to 0.556 there, with "
                        "45% of the predictions)");
    assert_int_equal(number(answer, "n_features"), 0);
    json_decref(answer);
}

/* Four of ten instead of none: the same shares as above are nothing to name a country for. */
static void what_may_be_chance_is_in_the_numbers_but_not_in_the_sentence(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(1);

    json_t *answer = get(site, EXPLAIN "&version=v3&metric=accuracy");

    assert_close(number(answer, "slices.0.contribution"), -0.21, 0.01);
    assert_true(json_is_null(at(answer, "cause")));
    json_decref(answer);
}

/* fr is three quarters of the predictions, and no country does worse than it did. */
static void a_slice_whose_share_moved_is_named_with_both_shares(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 90, 10, 90, 10, 0, 0},
        {"credit", "v3", "country=de", SITE_START, 50, 0, 50, 0, 0, 0},
        {"credit", "v3", "country=fr", SITE_START, 40, 10, 40, 10, 0, 0},
        {"credit", "v3", "", SITE_START + MINUTE, 85, 15, 85, 15, 0, 0},
        {"credit", "v3", "country=de", SITE_START + MINUTE, 25, 0, 25, 0, 0, 0},
        {"credit", "v3", "country=fr", SITE_START + MINUTE, 60, 15, 60, 15, 0, 0},
    };
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
        site_minute(site, &minutes[i]);

    json_t *answer = get(site, EXPLAIN "&version=v3&metric=accuracy");

    assert_string_equal(text(answer, "cause"), "country:fr is 75% of the predictions, 50% before");
    json_decref(answer);
}

/* v4 is new: there is no value before; and most of its labels are yet to come. */
static void a_new_version_is_named_with_the_labels_that_are_in(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 180, 20, 180, 20, 0, 0},
        {"credit", "v3", "", SITE_START + MINUTE, 45, 5, 45, 5, 100, 0},
        {"credit", "v4", "", SITE_START + MINUTE, 20, 30, 20, 30, 300, 0},
    };
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
        site_minute(site, &minutes[i]);

    json_t *answer = get(site, EXPLAIN "&metric=accuracy");

    assert_string_equal(text(answer, "cause"),
                        "version v4 carries 75% of the change of accuracy (0.4 there, with 67% of "
                        "the predictions, 0% before); of the labels 33% are in, 100% before");
    json_decref(answer);
}

static void versions_are_slices_too_when_all_are_merged(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(20);

    json_t *answer = get(site, EXPLAIN "&metric=accuracy");

    assert_close(number(answer, "now.value"), 24.0 / 40, 1e-12);
    assert_close(contributions(answer, NULL), 24.0 / 40 - 0.9, 1e-12);
    assert_close(contributions(answer, "country:"), 24.0 / 40 - 0.9, 1e-12);
    json_decref(answer);
}

static void an_auc_is_explained_by_what_it_were_with_a_slice_as_before(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(20);

    json_t *answer = get(site, EXPLAIN "&version=v3&metric=roc_auc");
    json_t *count = get(site, EXPLAIN "&version=v3&metric=tp");

    assert_string_equal(text(answer, "slices.0.segment"), "country:de");
    assert_string_equal(text(answer, "slices.0.split"), "replace");
    /* with de as before: positives 9 at 0.9, 1 at 0.2; negatives 10 at 0.1, 1 at 0.7 */
    double replaced = (9 * 11 + 1 * 10) / 110.0;
    assert_close(number(answer, "slices.0.contribution"), number(answer, "now.value") - replaced,
                 1e-12);
    assert_true(json_is_null(at(answer, "slices.0.within")));
    assert_string_equal(text(count, "slices.0.split"), "sum");
    assert_close(number(count, "slices.0.contribution"), -60, 0);
    assert_close(number(count, "change"), -60, 0);
    json_decref(answer);
    json_decref(count);
}

/* Nine minutes before instead of one, each the same: what a slice contributes is the same. */
static void a_longer_window_before_weighs_no_slice_more(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *one = worse_in_de(20), *nine = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", 0, 180, 20, 180, 20, 0, 0},
        {"credit", "v3", "country=de", 0, 100, 0, 100, 0, 0, 0},
        {"credit", "v3", "country=fr", 0, 80, 20, 80, 20, 0, 0},
        {"credit", "v3", "", MINUTE, 120, 80, 160, 40, 0, 0},
        {"credit", "v3", "country=de", MINUTE, 40, 60, 60, 20, 0, 0},
        {"credit", "v3", "country=fr", MINUTE, 80, 20, 100, 20, 0, 0},
    };
    for (int m = -8; m <= 0; m++)
        for (size_t i = 0; i < 6; i++) {
            struct minute minute = minutes[i];
            minute.start_ms += SITE_START + (i < 3 ? m * MINUTE : 0);
            if (i < 3 || m == 0)
                site_minute(nine, &minute);
        }
    for (int i = 0; i < 2; i++) {
        const char *metric =
            i ? EXPLAIN "&version=v3&metric=f1" : EXPLAIN "&version=v3&metric=roc_auc";
        char longer[256];
        snprintf(longer, sizeof(longer), "%s&before_from=1700005920000&before_to=1700006460000",
                 metric);
        json_t *short_before = get(one, metric), *long_before = get(nine, longer);
        assert_string_equal(text(long_before, "slices.0.segment"), "country:de");
        assert_string_equal(text(long_before, "slices.0.split"), "replace");
        assert_close(number(long_before, "slices.0.contribution"),
                     number(short_before, "slices.0.contribution"), 1e-12);
        assert_close(number(long_before, "slices.1.contribution"),
                     number(short_before, "slices.1.contribution"), 1e-12);
        json_decref(short_before);
        json_decref(long_before);
    }

    json_t *answer =
        get(nine, EXPLAIN "&version=v3&metric=throughput&before_from=1700005920000&before_to="
                          "1700006460000");
    assert_close(number(answer, "change"), 0, 1e-12);
    assert_close(number(answer, "slices.0.before.value"), 200.0 / 60, 1e-12);
    assert_close(contributions(answer, "country:"), 0, 1e-12);
    json_decref(answer);
}

/* Of the newest predictions one label in five is in, and nothing is worse than it was. */
static void labels_that_are_yet_to_come_are_no_slices_fault(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = site_new();
    const struct minute minutes[] = {
        {"credit", "v3", "", SITE_START, 90, 10, 90, 10, 0, 0},
        {"credit", "v3", "country=de", SITE_START, 50, 0, 50, 0, 0, 0},
        {"credit", "v3", "country=fr", SITE_START, 40, 10, 40, 10, 0, 0},
        {"credit", "v3", "", SITE_START + MINUTE, 18, 2, 18, 2, 160, 0},
        {"credit", "v3", "country=de", SITE_START + MINUTE, 10, 0, 10, 0, 80, 0},
        {"credit", "v3", "country=fr", SITE_START + MINUTE, 8, 2, 8, 2, 80, 0},
    };
    for (size_t i = 0; i < sizeof(minutes) / sizeof(minutes[0]); i++)
        site_minute(site, &minutes[i]);

    json_t *answer = get(site, EXPLAIN "&version=v3&metric=roc_auc");

    assert_close(number(answer, "change"), 0, 1e-12);
    assert_string_equal(text(answer, "slices.0.split"), "replace");
    assert_close(number(answer, "slices.0.contribution"), 0, 1e-12);
    assert_close(number(answer, "slices.1.contribution"), 0, 1e-12);
    json_decref(answer);
}

static void what_cannot_be_explained_is_null_and_never_a_number(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(20);

    json_t *answer = get(site, "/api/v1/models/credit/explain?metric=accuracy&from=0&to=60000");

    assert_true(json_is_null(at(answer, "before.value")));
    assert_true(json_is_null(at(answer, "change")));
    assert_true(json_is_null(at(answer, "cause")));
    assert_int_equal(json_array_size(at(answer, "slices")), 0);
    assert_int_equal(json_array_size(at(answer, "features")), 0);
    json_decref(answer);
    assert_string_equal(refusal(site, EXPLAIN "&metric=acuracy"),
                        "metric: metric 'acuracy' is unknown; did you mean 'accuracy'?");
    assert_string_equal(refusal(site, EXPLAIN "&before_from=2000&before_to=1000"),
                        "before_from: must be before before_to");
    assert_string_equal(refusal(site, EXPLAIN "&version=*"),
                        "version: one explanation at a time, not `*`");
}

static const struct change_reference loaded = {
    .source = "file", .id = "00c0ffee00c0ffee", .n = 6000, .created_ms = SITE_START};
static const struct change_reference learned = {
    .source = "learned", .n = 5000, .from_ms = INT64_MIN, .to_ms = SITE_START};

static void add_change(struct site *site, const char *slice, const char *kind, const char *name,
                       const char *direction, int64_t began_ms, double before, double after)
{
    struct err err = {0};
    const struct change_row row = {.key = {"credit", "v3", slice, kind, name},
                                   .at_ms = began_ms + 2000,
                                   .began_ms = began_ms,
                                   .direction = direction,
                                   .mean_before = before,
                                   .mean_after = after,
                                   .n_after = 40,
                                   .expected = 50000,
                                   .reference = kind[0] == 'f' ? loaded : learned};
    must(commit_begin(site->store, &err), &err);
    must(commit_change_point(site->store, &row, 0, &err), &err);
    must(commit_end(site->store, &err), &err);
}

static void changes_by_the_event_lead_the_sentence_the_first_mover_first(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(20);
    const int64_t at_ms = SITE_START + MINUTE;
    add_change(site, "", "metric", "accuracy", "down", at_ms + 9000, 0.9, 0.6);
    add_change(site, "", "feature", "income", "shape", at_ms + 3000, 1000, 1500);
    add_change(site, "country=de", "metric", "accuracy", "down", at_ms + 12000, 0.9, 0.4);
    add_change(site, "", "metric", "accuracy", "up", at_ms + 20000, 0.6, 0.7); /* once more */
    add_change(site, "", "metric", "error_rate", "up", at_ms + 30000, 0.1, 0.2);
    add_change(site, "", "metric", "error_rate", "up", at_ms + 70000, 0.2, 0.4); /* after it */

    json_t *answer = get(site, EXPLAIN "&version=v3");
    assert_int_equal(json_integer_value(at(answer, "n_changes")), 4);
    assert_string_equal(text(answer, "changes.0.stream"), "income");
    assert_string_equal(text(answer, "changes.0.kind"), "feature");
    assert_true(number(answer, "changes.0.began") == (double)(at_ms + 3000));
    assert_true(number(answer, "changes.0.after") == 1500);
    assert_string_equal(text(answer, "changes.2.segment"), "country:de");
    assert_string_equal(text(answer, "changes.0.reference.id"), "00c0ffee00c0ffee");
    assert_string_equal(text(answer, "changes.0.reference.source"), "file");
    assert_true(number(answer, "changes.0.reference.created") == (double)SITE_START);
    assert_true(json_is_null(at(answer, "changes.1.reference.id")));
    assert_string_equal(text(answer, "changes.1.reference.source"), "learned");
    assert_true(json_is_null(at(answer, "changes.1.reference.segment")));
    assert_string_equal(text(answer, "changes.2.reference.segment"), "country:de");
    assert_true(json_is_null(at(answer, "changes.1.reference.from")));
    assert_true(number(answer, "changes.1.reference.to") == (double)SITE_START);
    const char *cause = json_string_value(at(answer, "cause"));
    const char expected[] = "the distribution of income of version v3 changed, its mean from 1000 "
                            "to 1500 at about 2023-11-15T00:01:03.000Z; then accuracy, accuracy in "
                            "country:de and 1 more";
    assert_int_equal(strncmp(cause, expected, strlen(expected)), 0);
    json_decref(answer);

    answer = get(site, EXPLAIN "&version=v3&segment=country:de");
    assert_int_equal(json_integer_value(at(answer, "n_changes")), 1);
    cause = json_string_value(at(answer, "cause"));
    assert_int_equal(
        strncmp(cause, "accuracy in country:de of version v3 fell from 0.9 to 0.4 at", 60), 0);
    json_decref(answer);
}

/* The score's change was found first; income moved before that was known. */
static void an_input_comes_before_what_was_made_of_it(void **state)
{
    (void)state;
    __attribute__((cleanup(site_freep))) struct site *site = worse_in_de(1);
    const int64_t at_ms = SITE_START + MINUTE;
    add_change(site, "", "feature", "@score", "shape", at_ms + 3000, 0.4, 0.6);
    add_change(site, "", "feature", "income", "shape", at_ms + 4500, 1000, 1500);
    add_change(site, "", "feature", "age", "shape", at_ms + 9000, 40, 45); /* after it was found */

    json_t *answer = get(site, EXPLAIN "&version=v3");

    assert_string_equal(text(answer, "changes.0.stream"), "income");
    assert_string_equal(text(answer, "changes.1.stream"), "@score");
    assert_string_equal(text(answer, "changes.2.stream"), "age");
    json_decref(answer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_change_of_a_mean_is_split_exactly_over_the_slices),
        cmocka_unit_test(what_may_be_chance_is_in_the_numbers_but_not_in_the_sentence),
        cmocka_unit_test(a_slice_whose_share_moved_is_named_with_both_shares),
        cmocka_unit_test(a_new_version_is_named_with_the_labels_that_are_in),
        cmocka_unit_test(versions_are_slices_too_when_all_are_merged),
        cmocka_unit_test(an_auc_is_explained_by_what_it_were_with_a_slice_as_before),
        cmocka_unit_test(changes_by_the_event_lead_the_sentence_the_first_mover_first),
        cmocka_unit_test(an_input_comes_before_what_was_made_of_it),
        cmocka_unit_test(a_longer_window_before_weighs_no_slice_more),
        cmocka_unit_test(labels_that_are_yet_to_come_are_no_slices_fault),
        cmocka_unit_test(what_cannot_be_explained_is_null_and_never_a_number),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
