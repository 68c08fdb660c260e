/* Changes of means, and in slices, through the collector. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "collector/watched_metrics.h"
#include "common/rng.h"
#include "stats/change_stream.h"
#include "storage/change_points.h"
#include "tests/lib/changes_found.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

enum {
    N_PREDICTIONS = 14000,
    N_PARTITIONS = 3,
    CHANGES_AT = 10000
};

static const char yaml[] =
    "models:\n"
    "  - name: prices\n"
    "    task: regression\n"
    "    segments: [country, tier]\n"
    "    metrics: [{name: revenue, outcome: sale, agg: mean}]\n"
    "    changes: {expected_run_time: 100000, segments: [country], metrics: [error_rate, mae, "
    "revenue]}\n";

/* From CHANGES_AT on the absolute error in fr doubles, and amounts of sales grow everywhere. */
static void fill(struct sim_log *log)
{
    struct rng rng = rng_of(9);
    int at[2 * N_PARTITIONS];
    for (int i = 0; i < N_PARTITIONS; i++) {
        at[i] = sim_partition(log, "predictions", i);
        at[N_PARTITIONS + i] = sim_partition(log, "labels", i);
    }
    for (int i = 0; i < N_PREDICTIONS; i++) {
        const char *country = rng_uniform(&rng) < 0.5 ? "fr" : "de";
        const bool changed = i >= CHANGES_AT;
        const int64_t ts = CREDIT_START + i * INT64_C(10);
        double spread = changed && country[0] == 'f' ? 20 : 10;
        sim_add(log, at[i % N_PARTITIONS], ts,
                "{\"type\":\"prediction\",\"id\":\"p%d\",\"ts\":%lld,\"model\":\"prices\","
                "\"version\":\"v1\",\"prediction\":100,\"segment\":{\"country\":\"%s\",\"tier\":"
                "\"gold\"}}",
                i, (long long)ts, country);
        sim_add(log, at[N_PARTITIONS + i % N_PARTITIONS], ts,
                "{\"type\":\"label\",\"id\":\"p%d\",\"ts\":%lld,\"label\":%.4f}", i,
                (long long)ts + 700, 100 + spread * rng_normal(&rng));
        if (rng_uniform(&rng) < 0.5)
            sim_add(log, at[N_PARTITIONS + i % N_PARTITIONS], ts,
                    "{\"type\":\"outcome\",\"id\":\"p%d\",\"ts\":%lld,\"name\":\"sale\","
                    "\"value\":%.2f}",
                    i, (long long)ts + 700, rng_exponential(&rng, changed ? 80 : 40));
    }
}

/* Income doubles in fr from CHANGES_AT on, and there every third comes by another channel. */
static const char with_features[] =
    "models:\n"
    "  - name: prices\n"
    "    task: regression\n"
    "    segments: [country, tier]\n"
    "    changes: {expected_run_time: 50000, segments: [country], metrics: [error_rate], "
    "segment_features: [income, channel]}\n";

static void fill_features(struct sim_log *log)
{
    struct rng rng = rng_of(19);
    int at[N_PARTITIONS];
    for (int i = 0; i < N_PARTITIONS; i++)
        at[i] = sim_partition(log, "predictions", i);
    for (int i = 0; i < 2 * N_PREDICTIONS; i++) {
        const char *country = rng_uniform(&rng) < 0.5 ? "fr" : "de";
        const bool changed = i >= 2 * CHANGES_AT && country[0] == 'f';
        const int64_t ts = CREDIT_START + i * INT64_C(5);
        static const char *const channels[] = {"web", "app", "shop"};
        const char *channel = channels[rng_below(&rng, 3)];
        sim_add(log, at[i % N_PARTITIONS], ts,
                "{\"type\":\"prediction\",\"id\":\"p%d\",\"ts\":%lld,\"model\":\"prices\","
                "\"version\":\"v1\",\"prediction\":100,\"features\":{\"income\":%.3f,\"age\":%d,"
                "\"channel\":\"%s\"},\"segment\":{\"country\":\"%s\",\"tier\":\"gold\"}}",
                i, (long long)ts, rng_exponential(&rng, changed ? 2000 : 1000),
                changed ? 70 : (int)rng_below(&rng, 50),
                changed && rng_below(&rng, 3) == 0 ? "phone" : channel, country);
    }
}

static const struct sim_options in_order = {
    .seed = 1, .max_batch = 500, .ends = true, .bounded = true};

static void a_mean_that_changed_is_found_in_the_slice_where_it_did(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    bench_open(&bench, temp, yaml, &log, &in_order);
    bench_drain(&bench);

    static const char found[] =
        "SELECT count(*) FROM change_points WHERE name = '%s' AND slice = '%s' AND direction = "
        "'up' AND at_ms > %lld AND at_ms < %lld AND began_ms <= at_ms AND abs(mean_before - %g) < "
        "%g AND mean_after > %g";
    static const struct {
        const char *name, *slice;
        double before;
    } expected[] = {
        {"mae", "", 8}, /* a half of it doubled */
        {"mae", "country=fr", 8},
        {"revenue", "", 40}, /* slices have too few sales to have learned */
    };
    const long long changed = CREDIT_START + CHANGES_AT * INT64_C(10);
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char sql[400];
        double before = expected[i].before;
        snprintf(sql, sizeof(sql), found, expected[i].name, expected[i].slice, changed,
                 changed + 30000, before, before / 5, before * 1.2);
        if (bench_number(&bench, sql) != 1) {
            char *text = changes_found(&bench, NULL);
            fail_msg("%s of '%s' is not found as it should be:\n%.2000s", expected[i].name,
                     expected[i].slice, text);
        }
    }
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points WHERE at_ms <= "
                                          "1700000100000 OR (name = 'mae' AND slice = "
                                          "'country=de')"),
                     0); /* nothing before it changed, nor where nothing did */
    /* 3 metrics of the whole and of two countries; `tier` is not asked for */
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_detectors"), 9);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_detectors WHERE slice LIKE "
                                          "'country=%'"),
                     6);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void crashes_and_batches_change_no_bit_of_means_and_slices(void **state)
{
    (void)state;
    struct sim_log log = {0};
    const struct changes_log prices = {&log, yaml, NULL, NULL};
    fill(&log);
    char *expected = changes_found_in(&prices, &in_order, 0);
    assert_non_null(strstr(expected, " country=fr metric mae "));
    assert_non_null(strstr(expected, "waiting 0"));

    changes_found_always(&prices, expected);
    free(expected);
    sim_log_finish(&log);
}

/* Without any reference: income by the ranks and channel by the shares that the slice learned. */
static void a_feature_that_changed_in_a_slice_is_found_there_and_says_what_was_learned(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    fill_features(&log);
    bench_open(&bench, temp, with_features, &log, &in_order);
    bench_drain(&bench);

    const long long changed = CREDIT_START + 2 * CHANGES_AT * INT64_C(5);
    static const struct {
        const char *name, *direction;
        int learned;
    } expected[] = {{"income", "up", 4096}, {"channel", "shape", 4096}};
    for (int i = 0; i < 2; i++) {
        char sql[500];
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM change_points WHERE kind = 'feature' AND name = '%s' AND "
                 "slice = 'country=fr' AND direction = '%s' AND at_ms > %lld AND at_ms < %lld AND "
                 "began_ms > %lld AND reference_source = 'learned' AND reference_n = %d AND "
                 "reference_from_ms < %lld",
                 expected[i].name, expected[i].direction, changed, changed + 5000, changed - 5000,
                 expected[i].learned, (long long)CREDIT_START + 100);
        if (bench_number(&bench, sql) != 1) {
            char *text = changes_found(&bench, NULL);
            fail_msg("%s is not found as it should be:\n%.2000s", expected[i].name, text);
        }
    }
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points"), 2);
    /* age is not named, and without a reference none is watched in the whole */
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_detectors WHERE kind = "
                                          "'feature'"),
                     4);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void crashes_and_batches_change_no_bit_of_features_in_slices(void **state)
{
    (void)state;
    struct sim_log log = {0};
    const struct changes_log prices = {&log, with_features, NULL, NULL};
    fill_features(&log);
    char *expected = changes_found_in(&prices, &in_order, 0);
    assert_non_null(strstr(expected, " country=fr feature income "));
    assert_non_null(strstr(expected, " country=de feature channel "));
    assert_non_null(strstr(expected, "waiting 0"));

    changes_found_always(&prices, expected);
    free(expected);
    sim_log_finish(&log);
}

/*
 * One event that waits, in a form of before. The first has no mark, and names of four parts; in the
 * second a stream is named with its slice.
 */
static void write_form(struct collector_bench *bench, unsigned form, unsigned place)
{
    static const char *const key[] = {"prices", "v1", "", "metric", "error_rate"};
    struct err err = {0};
    struct buf bytes;
    buf_init(&bytes, 1024);
    if (form > 1) {
        buf_varint(&bytes, 0);
        buf_u8(&bytes, (uint8_t)form);
    }
    buf_varint(&bytes, 1);
    for (int i = 0; i < 5; i++)
        if (i != 2 || form > 1)
            buf_string(&bytes, key[i], strlen(key[i]));
    buf_varint(&bytes, 1);
    buf_varint(&bytes, 0);
    buf_zigzag(&bytes, CREDIT_START);
    buf_u64(&bytes, 77);
    buf_u8(&bytes, (uint8_t)place);
    buf_u32(&bytes, 0);
    must(commit_begin(bench->store, &err), &err);
    must(commit_change_waiting(bench->store, bytes.data, bytes.size, &err), &err);
    must(commit_end(bench->store, &err), &err);
    buf_finish(&bytes);
}

static int64_t events_seen(struct collector_bench *bench)
{
    struct err err = {0};
    const struct change_key key = {"prices", "v1", "", "metric", "error_rate"};
    AUTO_FREE void *bytes = NULL;
    struct change_stream stream;
    size_t n;
    must(change_detector_read(bench->store, &key, &bytes, &n, &err), &err);
    struct reader in = reader_of(bytes, n);
    must(change_stream_load(&stream, &in, &err), &err);
    change_stream_finish(&stream);
    return (int64_t)stream.events;
}

/* How many events the detector of errors sees when one waited as those bytes say. */
static int64_t seen_after(struct sim_log *log, unsigned form, unsigned place)
{
    struct sim_log empty = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    bench_open(&bench, temp, yaml, &empty, &in_order);
    write_form(&bench, form, place);
    bench_crash(&bench);

    bench_open(&bench, temp, yaml, log, &in_order);
    bench_drain(&bench);

    const int64_t seen = events_seen(&bench);
    bench_close(&bench);
    sim_log_finish(&empty);
    return seen;
}

static void what_waited_in_a_form_of_before_is_still_read(void **state)
{
    (void)state;
    struct sim_log log = {0};
    fill(&log);

    assert_int_equal(seen_after(&log, 1, 0), N_PREDICTIONS + 1);
    assert_int_equal(seen_after(&log, 2, 0), N_PREDICTIONS + 1);

    sim_log_finish(&log);
}

static void what_waited_for_a_stream_that_is_watched_otherwise_now_is_left_out(void **state)
{
    (void)state;
    struct sim_log log = {0};
    fill(&log);

    assert_int_equal(seen_after(&log, 2, 17), N_PREDICTIONS); /* a place of a distribution */

    sim_log_finish(&log);
}

static void every_metric_that_is_watched_may_be_configured_for_its_tasks_alone(void **state)
{
    (void)state;
    for (int i = 0; i < N_WATCHED_METRICS; i++)
        for (enum task task = 0; task < N_TASKS; task++) {
            char text[300];
            struct err err = {0};
            AUTO(config) struct config *config = NULL;
            const struct watched_metric *metric = &watched_metrics[i];
            int n = snprintf(text, sizeof(text),
                             "models:\n  - name: m\n    task: %s\n    changes: "
                             "{expected_run_time: 5000, metrics: [%s]}\n",
                             task_name(task), metric->name);
            int rc = config_parse(&config, "test.yaml", text, (size_t)n, &err);
            if ((rc == 0) != ((metric->tasks >> task & 1) == 1))
                fail_msg("%s of %s: %s", metric->name, task_name(task), err.text);
        }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_mean_that_changed_is_found_in_the_slice_where_it_did),
        cmocka_unit_test(crashes_and_batches_change_no_bit_of_means_and_slices),
        cmocka_unit_test(
            a_feature_that_changed_in_a_slice_is_found_there_and_says_what_was_learned),
        cmocka_unit_test(crashes_and_batches_change_no_bit_of_features_in_slices),
        cmocka_unit_test(what_waited_in_a_form_of_before_is_still_read),
        cmocka_unit_test(what_waited_for_a_stream_that_is_watched_otherwise_now_is_left_out),
        cmocka_unit_test(every_metric_that_is_watched_may_be_configured_for_its_tasks_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
