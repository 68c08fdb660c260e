/* Many events within one second of event time: each commit writes what is new of what waits. */
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "tests/lib/changes_found.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

enum {
    N_PREDICTIONS = 20000,
    A_SECOND = 10000,
    N_STEPS = 12
};

static const char yaml[] = "models:\n"
                           "  - name: credit\n"
                           "    task: binary\n"
                           "    segments: [country]\n"
                           "    changes: {expected_run_time: 5000, segments: [country]}\n";

/* A third country comes late: a stream that the first pieces do not name. */
static void fill(struct sim_log *log)
{
    struct rng rng = rng_of(3);
    const int at = sim_partition(log, "predictions", 0);
    for (int i = 0; i < N_PREDICTIONS; i++) {
        const int64_t ts = CREDIT_START + i * INT64_C(1000) / A_SECOND;
        const bool failed = rng_uniform(&rng) < (i < A_SECOND ? 0.02 : 0.1);
        sim_add(log, at, ts,
                "{\"type\":\"prediction\",\"id\":\"p%d\",\"ts\":%lld,\"model\":\"credit\","
                "\"version\":\"v1\",\"prediction\":%d,\"segment\":{\"country\":\"%s\"}%s}",
                i, (long long)ts, i % 3 == 0,
                i > 3000 && i % 3 == 0 ? "it"
                : i % 2                ? "de"
                                       : "fr",
                failed ? ",\"error\":\"timeout\"" : "");
    }
}

static const struct sim_options by_500 = {
    .seed = 1, .max_batch = 500, .ends = true, .bounded = true};

static void a_commit_adds_a_piece_with_what_is_new(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    bench_open(&bench, temp, yaml, &log, &by_500);
    for (int i = 0; i <= N_STEPS; i++) { /* the first only finds the partition */
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
        assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_waiting"), i);
    }
    /* of at most 500 events each, at less than 50 bytes in their two series */
    assert_true(bench_number(&bench, "SELECT max(length(bytes)) FROM change_waiting") < 25000);
    assert_true(bench_number(&bench, "SELECT sum(length(bytes)) FROM change_waiting") > 75000);
    bench_drain(&bench);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_waiting"), 0);
    bench_close(&bench);
    sim_log_finish(&log);
}

static char *found_with(struct sim_log *log, int crash_after)
{
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    bench_open(&bench, temp, yaml, log, &by_500);
    for (int i = 0; i < crash_after; i++) {
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
    }
    if (crash_after) {
        bench_crash(&bench);
        bench_open(&bench, temp, yaml, log, &by_500);
        /* pieces of before name streams by their old numbers: they are written once more */
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
        assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_waiting"), 1);
    }
    bench_drain(&bench);
    char *text = changes_found(&bench, NULL);
    bench_close(&bench);
    return text;
}

static void pieces_are_read_as_one_after_a_crash(void **state)
{
    (void)state;
    struct sim_log log = {0};
    fill(&log);
    char *expected = found_with(&log, 0);
    assert_non_null(strstr(expected, "metric error_rate"));
    assert_non_null(strstr(expected, "country=it"));
    for (int crash_after = 1; crash_after <= N_STEPS; crash_after += 3) {
        char *seen = found_with(&log, crash_after);
        assert_string_equal(expected, seen);
        free(seen);
    }
    free(expected);
    sim_log_finish(&log);
}

/* One millisecond later each: all within the first second. */
static void add_event(struct sim_log *log, int at, int ms, const char *rest)
{
    sim_add(log, at, CREDIT_START + ms, "{\"ts\":%lld,\"model\":\"credit\",%s}",
            (long long)CREDIT_START + ms, rest);
}

/* A prediction makes its version's stream, and its label is the first to wait for it. */
static void a_stream_for_which_nothing_waits_yet_is_named_when_something_does(void **state)
{
    (void)state;
    static const char of_labels[] = "models: [{name: credit, task: binary, changes: "
                                    "{expected_run_time: 5000, metrics: [accuracy]}}]\n";
    static const char *const events[] = {
        "\"type\":\"prediction\",\"id\":\"a\",\"version\":\"v1\",\"prediction\":1",
        "\"type\":\"label\",\"id\":\"a\",\"label\":1",
        "\"type\":\"prediction\",\"id\":\"b\",\"version\":\"v2\",\"prediction\":1",
        "\"type\":\"label\",\"id\":\"b\",\"label\":1",
    };
    const struct sim_options one_by_one = {.seed = 1, .max_batch = 1, .ends = true};
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    const int at = sim_partition(&log, "predictions", 0);
    for (int i = 0; i < 4; i++)
        add_event(&log, at, i, events[i]);
    bench_open(&bench, temp, of_labels, &log, &one_by_one);
    for (int i = 0; i < 5; i++) { /* the first only finds the partition */
        assert_true(collector_step(bench.collector, 0, &err) > 0);
        must(collector_commit_now(bench.collector, &err), &err);
    }
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_waiting"), 2);
    bench_crash(&bench);

    bench_open(&bench, temp, of_labels, &log, &one_by_one);

    must(collector_commit_now(bench.collector, &err), &err);
    bench_close(&bench);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_commit_adds_a_piece_with_what_is_new),
        cmocka_unit_test(pieces_are_read_as_one_after_a_crash),
        cmocka_unit_test(a_stream_for_which_nothing_waits_yet_is_named_when_something_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
