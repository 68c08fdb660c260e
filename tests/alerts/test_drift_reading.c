/* A drift rule judges the last whole window against the reference, and says what is strongest. */
#include <stdlib.h>
#include <string.h>

#include "alerts/reading.h"
#include "stats/fitted.h"
#include "storage/drift_cache.h"
#include "storage/profiles.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define START (INT64_C(1700000000000) / HOUR * HOUR)

static const char yaml[] =
    "models:\n"
    "  - {name: credit, task: binary, segments: [country], reference: {trailing: 14d, rhythm: "
    "week}}\n"
    "alerts:\n"
    "  - {name: de, model: credit, drift: any, segment: {country: de}, window: 1h}\n"
    "  - {name: fr, model: credit, drift: any, segment: {country: fr}, window: 1h}\n"
    "  - {name: any, model: credit, drift: any, window: 1h}\n"
    "  - {name: income, model: credit, drift: feature, feature: income, window: 1h}\n"
    "  - {name: half, model: credit, drift: share, above: 0.5, window: 1h}\n"
    "  - {name: gaps, model: credit, quality: missing, above: 0.1, window: 1h}\n"
    "  - {name: age-gaps, model: credit, quality: missing, feature: age, above: 0.1, window: 1h}\n"
    "  - {name: range, model: credit, quality: range, above: 0.1, window: 1h}\n"
    "  - {name: invalid, model: credit, quality: invalid, above: 0.1, window: 1h}\n"
    "  - {name: unknown, model: credit, quality: missing, feature: height, above: 0.1, window: "
    "1h}\n";

enum {
    N_VALUES = 400
};

struct site {
    struct temp *temp;
    struct store *store;
    struct config *config;
    struct rule_set *rules;
    struct readings *readings;
    struct profile_feature features[2];
    struct profile_layout layout;
};

/* Values 0 … 99 over and over, moved by `shift` in income alone. */
static struct profile *draw(const struct site *site, enum profile_level level, double shift)
{
    struct err err = {0};
    struct profile *profile = NULL;
    must(profile_new(&profile, &site->layout, level, &err), &err);
    for (int i = 0; i < N_VALUES; i++) {
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 0, i % 100 + shift, 1), 0);
        assert_int_equal(profile_number(profile, 1, i * 7 % 100, 1), 0);
    }
    return profile;
}

static struct site *site_new(bool with_reference)
{
    static const char *const names[] = {"income", "age"};
    struct err err = {0};
    struct site *site = calloc(1, sizeof(*site));
    site->temp = temp_new();
    site->store = temp_store(site->temp, STORE_WRITE);
    temp_series(site->store, "credit", "v1", "");
    must(config_parse(&site->config, "assay.yaml", yaml, strlen(yaml), &err), &err);
    must(rule_set_parse(&site->rules, site->config, &err), &err);
    must(readings_new(&site->readings, site->config, site->store, &err), &err);
    must(commit_begin(site->store, &err), &err);
    for (int i = 0; i < 2; i++) {
        site->features[i] =
            (struct profile_feature){.name_id = class_id(names[i], strlen(names[i])),
                                     .min = (double)NAN,
                                     .max = (double)NAN};
        must(commit_name(site->store, "credit", "feature", site->features[i].name_id,
                         view_of(names[i]), &err),
             &err);
    }
    site->layout = (struct profile_layout){0, 2, site->features};
    if (with_reference) {
        AUTO(reference) struct reference *reference = NULL;
        AUTO(profile) struct profile *profile = draw(site, PROFILE_REFERENCE, 0);
        must(reference_build(&reference, profile, 0, &err), &err);
        AUTO(profile) struct profile *de = draw(site, PROFILE_REFERENCE, 30);
        struct fitted *fitted = reference->fitted = calloc(1, sizeof(*fitted));
        fitted->estimator = calloc(1, sizeof(*fitted->estimator));
        fitted->slices = calloc(1, sizeof(*fitted->slices));
        fitted->slices[fitted->n_slices++].slice = strdup("country=de");
        fitted->slice_keys = calloc(1, sizeof(char *));
        fitted->slice_keys[fitted->n_slice_keys++] = strdup("country");
        must(reference_build_part(&fitted->slices[0].reference, de, 0, reference, &err), &err);
        must(commit_reference(site->store, "credit", "", reference, "file", 1, &err), &err);
    }
    must(commit_end(site->store, &err), &err);
    return site;
}

static void site_free(struct site *site)
{
    readings_free(site->readings);
    rule_set_free(site->rules);
    config_free(site->config);
    store_free(site->store);
    temp_free(site->temp);
    free(site);
}
DEFINE_FREEP(site)

static void write_minute_of(struct site *site, int64_t series, int64_t start_ms, double shift)
{
    struct err err = {0};
    struct buf bytes;
    AUTO(profile) struct profile *profile = draw(site, PROFILE_MINUTE, shift);
    buf_init(&bytes, 1 << 20);
    profile_save(profile, &bytes);
    must(commit_begin(site->store, &err), &err);
    must(commit_profile(site->store, series, MINUTE, start_ms, PROFILE_FEATURES, bytes.data,
                        bytes.size, &err),
         &err);
    must(commit_end(site->store, &err), &err);
    buf_finish(&bytes);
}

static void write_minute(struct site *site, int64_t start_ms, double shift)
{
    write_minute_of(site, 1, start_ms, shift);
}

static struct reading look(struct site *site, const char *rule, int64_t now_ms)
{
    struct err err = {0};
    struct reading reading;
    struct outside outside = {.now_ms = now_ms, .lag = 0};
    readings_start(site->readings, &outside);
    must(readings_read(site->readings, rule_set_find(site->rules, rule), &reading, &err), &err);
    return reading;
}

static void a_shifted_feature_is_an_alarm_once_its_window_is_whole(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(true);
    write_minute(site, START, 0);
    write_minute(site, START + HOUR, 30);

    struct reading well = look(site, "any", START + HOUR + 1);
    struct reading still = look(site, "any", START + 2 * HOUR - 1);
    struct reading bad = look(site, "any", START + 2 * HOUR);

    assert_int_equal(well.sight, SIGHT_CLEAR);
    assert_int_equal(still.sight, SIGHT_CLEAR);
    assert_int_equal(bad.sight, SIGHT_BAD);
    assert_int_equal(bad.start_ms, START + HOUR);
    assert_int_equal(bad.n, N_VALUES);
    assert_float_equal(bad.value, 0.3, 1e-2);
    assert_true(
        strncmp(bad.why, "1 of 2 features drifted; the strongest input is income: ks ", 59) == 0);
}

/* de lies 30 higher in the reference, and so it does in the first hour. */
static void a_rule_of_a_segment_compares_it_with_its_own_part_of_the_reference(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(true);
    const int64_t de = temp_series(site->store, "credit", "v1", "country=de");
    const int64_t fr = temp_series(site->store, "credit", "v1", "country=fr");
    write_minute_of(site, de, START, 30);
    write_minute_of(site, de, START + HOUR, 0);
    write_minute_of(site, fr, START, 0);

    struct reading well = look(site, "de", START + HOUR);
    struct reading bad = look(site, "de", START + 2 * HOUR);
    struct reading none = look(site, "fr", START + HOUR);

    assert_int_equal(well.sight, SIGHT_CLEAR);
    assert_true(well.reference.of_slice);
    assert_int_equal(well.reference.n, N_VALUES);
    assert_string_equal(well.reference.source, "file");
    assert_int_equal(bad.sight, SIGHT_BAD);
    assert_int_equal(none.sight, SIGHT_NO_DATA);
    assert_string_equal(none.why, "the reference holds no event of the segment");
    assert_string_equal(none.reference.source, "");
}

static void one_feature_and_a_share_of_them_are_judged_by_themselves(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(true);
    write_minute(site, START, 30);

    struct reading income = look(site, "income", START + HOUR);
    struct reading half = look(site, "half", START + HOUR);

    assert_int_equal(income.sight, SIGHT_BAD);
    assert_int_equal(half.sight, SIGHT_CLEAR); /* one of two is not more than half */
    assert_float_equal(half.value, 0.5, 0);
}

static void rules_on_one_window_have_it_judged_once(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(true);
    struct drift_cache *cache;
    must(store_drift_cache(site->store, &cache, NULL), NULL);
    write_minute(site, START, 30);

    struct reading any = look(site, "any", START + HOUR);
    struct reading income = look(site, "income", START + HOUR);
    struct reading half = look(site, "half", START + HOUR);

    assert_int_equal(drift_cache_work(cache).windows, 1);
    assert_string_equal(income.why, any.why);
    assert_string_equal(half.why, any.why);
    assert_int_equal(income.n, N_VALUES);
    assert_float_equal(income.value, any.value, 0);
}

static void without_events_or_a_reference_there_is_no_data_and_it_says_why(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(false);
    write_minute(site, START, 0);

    struct reading none = look(site, "any", START + HOUR);
    struct reading empty = look(site, "any", START + 2 * HOUR);

    assert_int_equal(none.sight, SIGHT_NO_DATA);
    assert_string_equal(none.why, "nothing is stored of the time before the window");
    assert_int_equal(empty.sight, SIGHT_NO_DATA);
    assert_string_equal(empty.why, "no event in the window");
}

static void a_window_is_judged_by_its_own_hour_of_the_weeks_before(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(false);
    write_minute(site, START - 14 * 24 * HOUR, 30);
    write_minute(site, START - 7 * 24 * HOUR, 30);
    write_minute(site, START - HOUR, 0); /* another hour: it is not asked */
    write_minute(site, START, 30);
    write_minute(site, START + 7 * 24 * HOUR, 0);

    struct reading as_ever = look(site, "income", START + HOUR);
    struct reading moved = look(site, "income", START + 7 * 24 * HOUR + HOUR);

    assert_int_equal(as_ever.sight, SIGHT_CLEAR);
    assert_int_equal(moved.sight, SIGHT_BAD);
    assert_int_equal(moved.start_ms, START + 7 * 24 * HOUR);
}

/* A minute of `n` events: `missing` of them without income, `far` with one out of range. */
static void write_quality(struct site *site, int n, int missing, int far)
{
    struct err err = {0};
    struct buf bytes;
    AUTO(profile) struct profile *profile = NULL;
    must(profile_new(&profile, &site->layout, PROFILE_MINUTE, &err), &err);
    for (int i = 0; i < n; i++) {
        profile_event(profile, 1);
        assert_int_equal(profile_number(profile, 1, i, 1), 0);
        if (i < far)
            profile_invalid(profile, 0, INVALID_RANGE, 1);
        else if (i >= far + missing)
            assert_int_equal(profile_number(profile, 0, i, 1), 0);
    }
    buf_init(&bytes, 1 << 20);
    profile_save(profile, &bytes);
    must(commit_begin(site->store, &err), &err);
    must(commit_profile(site->store, 1, MINUTE, START, PROFILE_FEATURES, bytes.data, bytes.size,
                        &err),
         &err);
    must(commit_end(site->store, &err), &err);
    buf_finish(&bytes);
}

static void missing_values_are_told_when_their_whole_interval_lies_above_the_level(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(false); /* needs no reference */
    write_quality(site, 1000, 200, 0);
    struct reading reading = look(site, "gaps", START + HOUR);
    assert_int_equal(reading.sight, SIGHT_BAD);
    assert_float_equal(reading.value, 0.2, 1e-12);
    assert_float_equal(reading.lower, 0.1764, 1e-4); /* Wilson */
    assert_string_equal(reading.why,
                        "20% of the values of income are missing, 10% are allowed, n 1000");
    assert_string_equal(reading.cause, "feature income: 20% of its values are missing");

    assert_int_equal(look(site, "age-gaps", START + HOUR).sight, SIGHT_CLEAR);
    assert_int_equal(look(site, "range", START + HOUR).sight, SIGHT_CLEAR);
    reading = look(site, "unknown", START + HOUR);
    assert_int_equal(reading.sight, SIGHT_NO_DATA);
    assert_string_equal(reading.why, "no such feature was seen in the window");
}

static void a_few_missing_values_more_than_allowed_may_be_chance(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(false);
    write_quality(site, 100, 14, 0); /* 14%, but its interval begins at 8.5% */
    struct reading reading = look(site, "gaps", START + HOUR);
    assert_int_equal(reading.sight, SIGHT_BETWEEN);
}

static void values_out_of_range_are_a_reason_of_invalid_ones(void **state)
{
    (void)state;
    AUTO(site) struct site *site = site_new(false);
    write_quality(site, 1000, 0, 300);
    assert_int_equal(look(site, "range", START + HOUR).sight, SIGHT_BAD);
    assert_int_equal(look(site, "invalid", START + HOUR).sight, SIGHT_BAD);
    assert_int_equal(look(site, "gaps", START + HOUR).sight, SIGHT_CLEAR);
    assert_string_equal(look(site, "range", START + HOUR).why,
                        "30% of the values of income are out of range, 10% are allowed, n 1000");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_shifted_feature_is_an_alarm_once_its_window_is_whole),
        cmocka_unit_test(a_rule_of_a_segment_compares_it_with_its_own_part_of_the_reference),
        cmocka_unit_test(one_feature_and_a_share_of_them_are_judged_by_themselves),
        cmocka_unit_test(rules_on_one_window_have_it_judged_once),
        cmocka_unit_test(without_events_or_a_reference_there_is_no_data_and_it_says_why),
        cmocka_unit_test(a_window_is_judged_by_its_own_hour_of_the_weeks_before),
        cmocka_unit_test(missing_values_are_told_when_their_whole_interval_lies_above_the_level),
        cmocka_unit_test(a_few_missing_values_more_than_allowed_may_be_chance),
        cmocka_unit_test(values_out_of_range_are_a_reason_of_invalid_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
