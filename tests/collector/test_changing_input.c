/* Changes by the event on logs as they come: twice, corrected, out of bounds,
 * without values. */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "storage/change_points.h"
#include "tests/lib/changes_found.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

enum {
    N_PREDICTIONS = 4000,
    CHANGES_AT = 3000
};

static const char yaml[] = "models:\n"
                           "  - {name: credit, task: binary, changes: {expected_run_time: 10000}}\n"
                           "  - name: prices\n"
                           "    task: regression\n"
                           "    changes: {expected_run_time: 10000, metrics: [mae, bias, "
                           "prediction_mean]}\n";
static const char unwatched[] = "models:\n"
                                "  - {name: credit, task: binary}\n"
                                "  - {name: prices, task: regression}\n";
static const struct sim_options in_order = {
    .seed = 1, .max_batch = 500, .ends = true, .bounded = true};

enum disturbance {
    CALM,
    REPEATED /* predictions and labels come twice, and some labels are corrected
            */
};

/* From CHANGES_AT on more of the labels are wrong. */
static void fill(struct sim_log *log, enum disturbance disturbance)
{
    struct rng rng = rng_of(8);
    const int at = sim_partition(log, "events", 0);
    for (int i = 0; i < N_PREDICTIONS; i++) {
        const int64_t ts = CREDIT_START + i * INT64_C(20);
        const bool right = rng_uniform(&rng) < (i < CHANGES_AT ? 0.9 : 0.6);
        for (int k = 0; k <= (disturbance == REPEATED && i % 3 == 0); k++)
            sim_add(log, at, ts,
                    "{\"type\":\"prediction\",\"id\":\"c%d\",\"ts\":%lld,\"model\":"
                    "\"credit\","
                    "\"version\":\"v1\",\"prediction\":1}",
                    i, (long long)ts);
        for (int k = 0; k <= (disturbance == REPEATED && i % 4 == 0); k++)
            sim_add(log, at, ts, "{\"type\":\"label\",\"id\":\"c%d\",\"ts\":%lld,\"label\":%d}", i,
                    (long long)ts, right);
        if (disturbance == REPEATED && i % 5 == 0)
            sim_add(log, at, ts, "{\"type\":\"label\",\"id\":\"c%d\",\"ts\":%lld,\"label\":%d}", i,
                    (long long)ts, !right);
    }
}

static void what_comes_twice_or_is_corrected_counts_as_it_came_first(void **state)
{
    (void)state;
    struct sim_log calm = {0}, repeated = {0};
    fill(&calm, CALM);
    fill(&repeated, REPEATED);

    const struct changes_log once = {&calm, yaml, NULL, NULL},
                             twice = {&repeated, yaml, NULL, NULL};
    char *expected = changes_found_in(&once, &in_order, 0);
    char *seen = changes_found_in(&twice, &in_order, 0);

    assert_non_null(strstr(expected, " accuracy "));
    assert_non_null(strstr(expected, " down "));
    assert_string_equal(expected, seen);
    free(expected);
    free(seen);
    sim_log_finish(&calm);
    sim_log_finish(&repeated);
}

/* Prices: none, beyond every float, always the same. */
static void fill_extremes(struct sim_log *log)
{
    static const char *const values[] = {"1e308", "-1e308", "5e-324", "7", "7", "0"};
    const int at = sim_partition(log, "events", 0);
    for (int i = 0; i < N_PREDICTIONS; i++) {
        const int64_t ts = CREDIT_START + i * INT64_C(20);
        const bool constant = i < N_PREDICTIONS / 2;
        if (i % 11 == 0)
            sim_add(log, at, ts,
                    "{\"type\":\"prediction\",\"id\":\"p%d\",\"ts\":%lld,\"model\":"
                    "\"prices\","
                    "\"version\":\"v1\",\"error\":\"none\"}",
                    i, (long long)ts);
        else
            sim_add(log, at, ts,
                    "{\"type\":\"prediction\",\"id\":\"p%d\",\"ts\":%lld,\"model\":"
                    "\"prices\","
                    "\"version\":\"v1\",\"prediction\":%s}",
                    i, (long long)ts, constant ? "7" : values[i % 6]);
        sim_add(log, at, ts, "{\"type\":\"label\",\"id\":\"p%d\",\"ts\":%lld,\"label\":%s}", i,
                (long long)ts, constant ? "7" : values[(i + 1) % 6]);
    }
}

static void numbers_beyond_bounds_give_finite_means_and_the_same_ones_after_a_crash(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    fill_extremes(&log);
    bench_open(&bench, temp, yaml, &log, &in_order);
    bench_drain(&bench);

    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_detectors WHERE model = "
                                          "'prices'"),
                     3);
    assert_true(bench_number(&bench, "SELECT count(*) FROM change_points WHERE name = 'mae' AND "
                                     "direction = 'up'") >= 1); /* it was 0 all the time */
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points WHERE "
                                          "mean_before IS NULL OR mean_after IS NULL OR "
                                          "abs(mean_before) > 3.5e38 OR abs(mean_after) > 3.5e38"),
                     0);
    char *expected = changes_found(&bench, NULL);
    bench_close(&bench);
    struct sim_options other = {
        .seed = 3, .max_batch = 77, .redeliver_percent = 10, .ends = true, .bounded = true};
    const struct changes_log extremes = {&log, yaml, NULL, NULL};
    char *seen = changes_found_in(&extremes, &other, 3);
    assert_string_equal(expected, seen);
    free(expected);
    free(seen);
    sim_log_finish(&log);
}

static void what_waits_goes_when_nothing_is_watched_any_more(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(config) struct config *config = NULL;
    fill(&log, CALM);
    bench_open(&bench, temp, yaml, &log, &in_order);
    static const char waits[] = "SELECT count(*) FROM change_waiting";
    do {
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
    } while (!bench_number(&bench, waits));
    must(config_parse(&config, "test.yaml", unwatched, strlen(unwatched), &err), &err);
    must(collector_reload(bench.collector, config, &err), &err);

    bench_drain(&bench);

    assert_int_equal(bench_number(&bench, waits), 0);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points"), 0);
    bench_close(&bench);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_twice_or_is_corrected_counts_as_it_came_first),
        cmocka_unit_test(numbers_beyond_bounds_give_finite_means_and_the_same_ones_after_a_crash),
        cmocka_unit_test(what_waits_goes_when_nothing_is_watched_any_more),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
