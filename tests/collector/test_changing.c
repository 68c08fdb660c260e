/* Changes by the event, through the collector: the same ones, however the partitions interleave. */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "collector/reference_file.h"
#include "common/rng.h"
#include "stats/change_stream.h"
#include "storage/change_points.h"
#include "storage/commit.h"
#include "storage/erase.h"
#include "storage/references.h"
#include "tests/lib/changes_found.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

enum {
    N_PREDICTIONS = 6000,
    N_PARTITIONS = 3,
    CHANGES_AT = 4000
};

#define CREDIT                                                            \
    "models:\n"                                                           \
    "  - name: credit\n"                                                  \
    "    task: binary\n"                                                  \
    "    features: {income: {type: numeric}, vip: {type: categorical}}\n" \
    "    metrics: [{name: ctr, outcome: click}]\n"                        \
    "    changes: {expected_run_time: 20000}\n"
static const char yaml[] = CREDIT;
static const char two_models[] = CREDIT "  - name: churn\n"
                                        "    task: binary\n"
                                        "    features: {income: {type: numeric}}\n"
                                        "    changes: {expected_run_time: 20000}\n";

/* From CHANGES_AT on: errors, another income, fewer vips, wrong labels, more clicks. Ids begin with
 * the model's first two letters. */
static void fill_model(struct sim_log *log, const char *model)
{
    struct rng rng = rng_of(5);
    int at[2 * N_PARTITIONS];
    for (int i = 0; i < N_PARTITIONS; i++) {
        at[i] = sim_partition(log, "predictions", i);
        at[N_PARTITIONS + i] = sim_partition(log, "labels", i);
    }
    for (int i = 0; i < N_PREDICTIONS; i++) {
        bool changed = i >= CHANGES_AT;
        int64_t ts = CREDIT_START + i * INT64_C(20);
        bool failed = rng_uniform(&rng) < (changed ? 0.15 : 0.03);
        bool right = rng_uniform(&rng) < (changed ? 0.7 : 0.9);
        double income = 1000 * (rng_normal(&rng) + (changed ? 1 : 0));
        sim_add(log, at[i % N_PARTITIONS], ts,
                "{\"type\":\"prediction\",\"id\":\"%.2s%d\",\"ts\":%lld,\"model\":\"%s\","
                "\"version\":\"v1\",\"prediction\":1,\"features\":{\"income\":%.3f,\"vip\":%s}%s}",
                model, i, (long long)ts, model, income,
                rng_uniform(&rng) < (changed ? 0.1 : 0.4) ? "true" : "false",
                failed ? ",\"error\":\"timeout\"" : "");
        sim_add(log, at[N_PARTITIONS + i % N_PARTITIONS], ts,
                "{\"type\":\"label\",\"id\":\"%.2s%d\",\"ts\":%lld,\"label\":%d}", model, i,
                (long long)ts + 700, right);
        if (rng_uniform(&rng) < (changed ? 0.5 : 0.2))
            sim_add(log, at[N_PARTITIONS + i % N_PARTITIONS], ts,
                    "{\"type\":\"outcome\",\"id\":\"%.2s%d\",\"ts\":%lld,\"name\":\"click\","
                    "\"value\":1}",
                    model, i, (long long)ts + 700);
    }
}

static void fill(struct sim_log *log)
{
    fill_model(log, "credit");
}

static void put_reference(struct store *store, uint64_t seed)
{
    struct rng rng = rng_of(seed);
    struct buf text;
    struct err err = {0};
    struct reference_counts counts;
    AUTO(config) struct config *config = NULL;
    AUTO(reference) struct reference *reference = NULL;
    must(config_parse(&config, "test.yaml", yaml, strlen(yaml), &err), &err);
    buf_init(&text, 4 << 20);
    for (int i = 0; i < 5000; i++)
        buf_printf(
            &text,
            "{\"type\":\"prediction\",\"id\":\"r%d\",\"ts\":%lld,\"model\":\"credit\","
            "\"version\":\"v1\",\"prediction\":1,\"features\":{\"income\":%.3f,\"vip\":%s}}\n",
            i, (long long)CREDIT_START, 1000 * rng_normal(&rng),
            rng_uniform(&rng) < 0.4 ? "true" : "false");
    const struct reference_source source = {
        .model = "credit", .config = &config->models[0], .task = "binary"};
    must(
        reference_from_text(&reference, &source, (const char *)text.data, text.size, &counts, &err),
        &err);
    buf_finish(&text);
    must(commit_begin(store, &err), &err);
    must(commit_reference(store, "credit", NULL, reference, "file", CREDIT_START, &err), &err);
    must(commit_end(store, &err), &err);
}

static void set_reference(const struct temp *temp)
{
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    put_reference(store, 6);
}

static void every_stream_that_changed_is_found_once(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct sim_options options = {.seed = 1, .max_batch = 500, .ends = true, .bounded = true};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    set_reference(temp);
    bench_open(&bench, temp, yaml, &log, &options);
    bench_drain(&bench);

    const int64_t changed = CREDIT_START + CHANGES_AT * INT64_C(20);
    static const struct {
        const char *name, *direction;
        double before, after;
    } expected[] = {
        {"error_rate", "up", 0.03, 0.15}, {"accuracy", "down", 0.9, 0.7}, {"ctr", "up", 0.2, 0.5},
        {"income", "shape", 0, 1000},     {"vip", "down", 0.4, 0.1},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
        char sql[400];
        const double slack = i == 3 ? 700 : i == 2 ? 0.35 : 0.15;
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM change_points WHERE name = '%s' AND direction = '%s' AND "
                 "at_ms > %lld AND at_ms < %lld AND began_ms > %lld AND began_ms <= at_ms AND "
                 "abs(mean_before - %g) < %g AND abs(mean_after - %g) < %g",
                 expected[i].name, expected[i].direction, (long long)changed,
                 (long long)changed + 20000, (long long)changed - 5000, expected[i].before,
                 slack / 2, expected[i].after, slack);
        if (bench_number(&bench, sql) < 1) {
            char *text = changes_found(&bench, "credit");
            fail_msg("%s is not found as it should be:\n%.3000s", expected[i].name, text);
        }
    }
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points WHERE at_ms <= "
                                          "1700000080000"),
                     0); /* nothing before it changed */
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points WHERE name = "
                                          "'positive_rate'"),
                     0); /* it did not change */
    bench_close(&bench);
    sim_log_finish(&log);
}

/* Features with the reference; rates with the first tenth of the run, 2,000 of their events. */
static void each_change_names_what_it_was_compared_with(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct sim_options options = {.seed = 1, .max_batch = 500, .ends = true, .bounded = true};
    char sql[600];
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    set_reference(temp);
    bench_open(&bench, temp, yaml, &log, &options);
    bench_drain(&bench);

    assert_true(bench_number(&bench, "SELECT count(*) FROM change_points WHERE kind = 'feature' "
                                     "AND reference = (SELECT id FROM reference_states) AND "
                                     "reference_source = 'file' AND reference_n = 5000 AND "
                                     "reference_created_ms = 1700000000000 AND "
                                     "reference_to_ms IS NULL") >= 2);
    snprintf(sql, sizeof(sql),
             "SELECT count(*) FROM (SELECT * FROM change_points WHERE kind = 'metric' GROUP BY "
             "name HAVING seq = min(seq)) WHERE reference = '' AND reference_source = 'learned' "
             "AND reference_n = 2000 AND reference_created_ms IS NULL AND reference_from_ms = %lld "
             "AND reference_to_ms <= %lld AND reference_to_ms > %lld",
             (long long)CREDIT_START, (long long)CREDIT_START + 2200 * 20,
             (long long)CREDIT_START + 1500 * 20);
    if (bench_number(&bench, sql) != 3) {
        char *text = changes_found(&bench, "credit");
        fail_msg("error_rate, accuracy and ctr were learned:\n%.3000s", text);
    }
    bench_close(&bench);
    sim_log_finish(&log);
}

static void crashes_and_batches_change_no_bit_of_what_is_found(void **state)
{
    (void)state;
    struct sim_log log = {0};
    const struct changes_log credit = {&log, yaml, "credit", set_reference};
    struct sim_options options = {.seed = 1, .max_batch = 4096, .ends = true, .bounded = true};
    fill(&log);
    char *expected = changes_found_in(&credit, &options, 0);
    assert_non_null(strstr(expected, "accuracy"));
    assert_non_null(strstr(expected, "waiting 0"));

    changes_found_always(&credit, expected);
    free(expected);
    sim_log_finish(&log);
}

static void another_run_time_starts_the_detectors_anew(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    struct sim_options options = {.seed = 1, .max_batch = 500, .ends = true, .bounded = true};
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(config) struct config *config = NULL;
    static const char other[] = "models:\n"
                                "  - name: credit\n"
                                "    task: binary\n"
                                "    changes: {expected_run_time: 5000, metrics: [accuracy], "
                                "features: false}\n";
    fill(&log);
    bench_open(&bench, temp, yaml, &log, &options);
    must(config_parse(&config, "test.yaml", other, strlen(other), &err), &err);
    must(collector_reload(bench.collector, config, &err), &err);
    bench_drain(&bench);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_detectors"), 1);
    assert_true(bench_number(&bench, "SELECT count(*) FROM change_points WHERE name = 'accuracy' "
                                     "AND expected = 5000") >= 1);
    bench_close(&bench);
    sim_log_finish(&log);
}

/* The detector of income as it is stored. */
static struct change_stream income_of(struct collector_bench *bench)
{
    const struct change_key key = {"credit", "v1", "", "feature", "income"};
    struct change_stream stream;
    struct err err = {0};
    void *bytes = NULL;
    size_t n;
    must(change_detector_read(bench->store, &key, &bytes, &n, &err), &err);
    assert_non_null(bytes);
    struct reader in = reader_of(bytes, n);
    must(change_stream_load(&stream, &in, &err), &err);
    free(bytes);
    return stream;
}

/* What looks cover is judged by the reference of its time, wherever the detectors are. */
static void another_reference_starts_those_of_features_anew(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    struct sim_options options = {.seed = 1, .max_batch = 500, .ends = true, .bounded = true};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    set_reference(temp);
    bench_open(&bench, temp, yaml, &log, &options);
    for (int i = 0; i < 30; i++)
        assert_int_equal(collector_step(bench.collector, 0, &err), COLLECTOR_WORKED);
    put_reference(bench.store, 7);
    must(collector_references_changed(bench.collector, &err), &err);
    must(collector_commit_now(bench.collector, &err), &err);
    const struct change_stream before = income_of(&bench);
    assert_true(before.events > 1000);
    bench_drain(&bench);

    const struct change_stream after = income_of(&bench);
    assert_true(after.reference != before.reference);
    assert_in_range(after.events, N_PREDICTIONS - before.events - 100,
                    N_PREDICTIONS - before.events);
    bench_close(&bench);
    sim_log_finish(&log);
}

static const char income_changes[] = "SELECT count(*) FROM change_points WHERE name = 'income'";

static void start_with_reference(struct collector_bench *bench, struct temp *temp,
                                 struct sim_log *log)
{
    const struct sim_options options = {.seed = 1, .max_batch = 100, .ends = true, .bounded = true};
    set_reference(temp);
    bench_open(bench, temp, yaml, log, &options);
}

static int steps_until_it_is_found(struct sim_log *log)
{
    struct collector_bench bench;
    struct err err = {0};
    int n = 0;
    AUTO(temp) struct temp *temp = temp_new();
    start_with_reference(&bench, temp, log);
    for (; bench_number(&bench, income_changes) == 0; n++) {
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
    }
    bench_close(&bench);
    return n;
}

/* The last step before another one is set leaves it found, and not written. */
static void a_change_names_the_reference_of_its_time(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    const int n = steps_until_it_is_found(&log);
    start_with_reference(&bench, temp, &log);
    for (int i = 0; i < n; i++)
        assert_true(collector_step(bench.collector, 0, &err) > 0);
    assert_int_equal(bench_number(&bench, income_changes), 0);
    put_reference(bench.store, 7);
    must(collector_references_changed(bench.collector, &err), &err);
    bench_drain(&bench);

    for (int seq = 1; seq <= 2; seq++) {
        char sql[300];
        snprintf(sql, sizeof(sql),
                 "SELECT count(*) FROM change_points AS c JOIN reference_states AS r ON r.id = "
                 "c.reference WHERE c.name = 'income' AND r.seq = %d",
                 seq);
        assert_int_equal(bench_number(&bench, sql), 1);
    }
    bench_close(&bench);
    sim_log_finish(&log);
}

static void forget_reference(struct collector_bench *bench)
{
    struct err err = {0};
    must(commit_begin(bench->store, &err), &err);
    must(commit_reference_withdrawn(bench->store, "credit", "", 1, &err), &err);
    must(commit_end(bench->store, &err), &err);
    must(collector_references_changed(bench->collector, &err), &err);
}

/* Without one features are not watched, rates are; what came between does not wait. */
static void a_forgotten_reference_ends_the_watch_of_features(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    start_with_reference(&bench, temp, &log);
    for (int i = 0; i < 60; i++)
        assert_true(collector_step(bench.collector, 0, &err) > 0);
    forget_reference(&bench);
    must(collector_commit_now(bench.collector, &err), &err);
    const uint64_t seen = income_of(&bench).events;
    assert_true(seen > 1000 && seen < CHANGES_AT);
    bench_drain(&bench);

    assert_int_equal(income_of(&bench).events, seen);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_points WHERE kind = "
                                          "'feature'"),
                     0);
    assert_true(bench_number(&bench, "SELECT count(*) FROM change_points WHERE kind = 'metric'") >=
                3);
    bench_close(&bench);
    sim_log_finish(&log);
}

static const char waits[] = "SELECT count(*) FROM change_waiting";
static const char churn_detectors[] = "SELECT count(*) FROM change_detectors WHERE model = 'churn'";

/* As the daemon does it, between two batches. */
static void erase(struct collector_bench *bench, const char *model)
{
    struct err err = {0};
    struct erased erased;
    must(collector_forget(bench->collector, model, &err), &err);
    must(collector_commit_now(bench->collector, &err), &err);
    assert_int_equal(bench_number(bench, waits), 1);
    must(commit_begin(bench->store, &err), &err);
    must(erase_model(bench->store, model, &erased, &err), &err);
    must(commit_end(bench->store, &err), &err);
    collector_load_again(bench->collector);
}

/* What credit's detectors are in the end, with churn's events between. */
static char *run_beside_churn(struct sim_log *log, bool churn_goes)
{
    struct collector_bench bench;
    struct err err = {0};
    struct sim_options options = {.seed = 1, .max_batch = 500, .ends = true, .bounded = true};
    AUTO(temp) struct temp *temp = temp_new();
    set_reference(temp);
    bench_open(&bench, temp, two_models, log, &options);
    while (churn_goes) { /* not before both are watched and something waits */
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
        if (bench_number(&bench, waits) && bench_number(&bench, churn_detectors))
            break;
    }
    if (churn_goes) {
        erase(&bench, "churn");
        assert_int_equal(bench_number(&bench, churn_detectors), 0);
    }
    bench_drain(&bench);
    assert_true(bench_number(&bench, churn_detectors) > 0);
    char *text = changes_found(&bench, "credit");
    bench_close(&bench);
    return text;
}

static void an_erased_model_leaves_what_waits_of_others(void **state)
{
    (void)state;
    struct sim_log log = {0};
    fill_model(&log, "credit");
    fill_model(&log, "churn");
    char *expected = run_beside_churn(&log, false);
    assert_non_null(strstr(expected, "accuracy"));
    char *seen = run_beside_churn(&log, true);
    assert_string_equal(expected, seen);
    free(expected);
    free(seen);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_stream_that_changed_is_found_once),
        cmocka_unit_test(each_change_names_what_it_was_compared_with),
        cmocka_unit_test(a_change_names_the_reference_of_its_time),
        cmocka_unit_test(a_forgotten_reference_ends_the_watch_of_features),
        cmocka_unit_test(crashes_and_batches_change_no_bit_of_what_is_found),
        cmocka_unit_test(another_run_time_starts_the_detectors_anew),
        cmocka_unit_test(another_reference_starts_those_of_features_anew),
        cmocka_unit_test(an_erased_model_leaves_what_waits_of_others),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
