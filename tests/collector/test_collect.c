#include <string.h>

#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

static void a_log_becomes_windows_and_every_event_is_accounted_for(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct credit_log plan = {.n_predictions = 2000, .n_partitions = 2, .seed = 7};
    credit_log_fill(&log, &plan);
    struct collector_bench bench;
    struct temp *temp = temp_new();
    struct sim_options options = {.seed = 3, .max_batch = 100, .ends = true};

    bench_open(&bench, temp, NULL, &log, &options);
    bench_drain(&bench);

    int64_t n_messages = 0;
    for (int i = 0; i < log.n_partitions; i++)
        n_messages += (int64_t)log.partitions[i].n;
    assert_int_equal(bench_number(&bench, "SELECT sum(consumed) FROM offsets"), n_messages);
    assert_in_range(bench_number(&bench, "SELECT sum(duplicate) FROM offsets"), 20, 90);
    assert_in_range(bench_number(&bench, "SELECT sum(dead_lettered) FROM offsets"), 50, 160);
    assert_int_equal(bench_number(&bench, "SELECT sum(dead_lettered) FROM offsets"),
                     bench_number(&bench, "SELECT count(*) FROM dead_letter"));
    assert_int_equal(bench_number(&bench, "SELECT counts ->> '$.predictions' FROM model_counts"),
                     2000);
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM dead_letter WHERE reason <> "
                                          "'not_json'"),
                     0);
    assert_int_equal(bench_number(&bench, "SELECT count(DISTINCT slice) FROM series"), 4);
    bench_balanced(&bench);
    bench_close(&bench);
    temp_free(temp);
    sim_log_finish(&log);
}

static void F24_any_batch_size_gives_the_same_bits(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct credit_log plan = {.n_predictions = 1500, .n_partitions = 2, .seed = 11};
    credit_log_fill(&log, &plan);
    char *expected = bench_undisturbed(&log);

    static const size_t batches[] = {1, 2, 7, 64, 1000};
    for (size_t i = 0; i < sizeof(batches) / sizeof(*batches); i++) {
        struct collector_bench bench;
        struct temp *temp = temp_new();
        struct sim_options options = {.seed = 100 + i, .max_batch = batches[i], .ends = true};
        bench_open(&bench, temp, NULL, &log, &options);
        bench_drain(&bench);
        char *panes = bench_panes(&bench);
        assert_string_equal(expected, panes);
        bench_balanced(&bench);
        free(panes);
        bench_close(&bench);
        temp_free(temp);
    }
    free(expected);
    sim_log_finish(&log);
}

static void F01_killed_anywhere_the_windows_are_those_of_one_run(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct credit_log plan = {.n_predictions = 1200, .n_partitions = 2, .seed = 21};
    credit_log_fill(&log, &plan);
    char *expected = bench_undisturbed(&log);

    for (uint64_t seed = 1; seed <= 25; seed++) {
        struct rng rng = rng_of(seed);
        struct collector_bench bench;
        struct temp *temp = temp_new();
        struct sim_options options = {.seed = seed, .max_batch = 60, .ends = true};
        struct err err = {0};
        for (int life = 0; life < 12; life++) {
            bench_open(&bench, temp, NULL, &log, &options);
            uint64_t steps = rng_below(&rng, 40);
            for (uint64_t i = 0; i < steps; i++) {
                assert_true(collector_step(bench.collector, 0, &err) >= 0);
                fake_clock_pass(&bench.clock, (int64_t)rng_below(&rng, 400));
            }
            bench_crash(&bench);
            options.seed += 1000;
        }
        bench_open(&bench, temp, NULL, &log, &options);
        bench_drain(&bench);
        char *panes = bench_panes(&bench);
        assert_string_equal(expected, panes);
        bench_balanced(&bench);
        free(panes);
        bench_close(&bench);
        temp_free(temp);
    }
    free(expected);
    sim_log_finish(&log);
}

/* Takes what there is while the clock stands still; how many of the events are durable then. */
static int64_t durable_at_once(int n_predictions, int64_t *n_messages)
{
    struct sim_log log = {0};
    struct credit_log plan = {.n_predictions = n_predictions, .n_partitions = 1, .seed = 5};
    credit_log_fill(&log, &plan);
    struct collector_bench bench;
    struct temp *temp = temp_new();
    struct sim_options options = {.seed = 9, .max_batch = 100};
    struct err err = {0};
    bench_open(&bench, temp, NULL, &log, &options);
    int rc;
    while ((rc = collector_step(bench.collector, 0, &err)) == COLLECTOR_WORKED)
        ;
    must(rc, &err);
    int64_t durable = bench_number(&bench, "SELECT coalesce(sum(consumed), 0) FROM offsets");
    *n_messages = 0;
    for (int i = 0; i < log.n_partitions; i++)
        *n_messages += (int64_t)log.partitions[i].n;
    bench_close(&bench);
    temp_free(temp);
    sim_log_finish(&log);
    return durable;
}

static void the_end_of_a_burst_does_not_wait_for_its_commit_but_a_trickle_does(void **state)
{
    (void)state;
    int64_t n_burst;
    int64_t n_trickle;

    int64_t burst = durable_at_once(2000, &n_burst);
    int64_t trickle = durable_at_once(100, &n_trickle);

    assert_true(n_burst > 2000);
    assert_int_equal(burst, n_burst);
    assert_in_range(n_trickle, 100, 999);
    assert_int_equal(trickle, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_log_becomes_windows_and_every_event_is_accounted_for),
        cmocka_unit_test(the_end_of_a_burst_does_not_wait_for_its_commit_but_a_trickle_does),
        cmocka_unit_test(F24_any_batch_size_gives_the_same_bits),
        cmocka_unit_test(F01_killed_anywhere_the_windows_are_those_of_one_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
