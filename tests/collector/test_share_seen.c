/* Of looks that share a durable transaction: who sees what, and when it is on the disk. */
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>

#include "collector/loop.h"
#include "tests/collector/decider.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

static void see_only_what_is_durable(struct decider *decider)
{
    AUTO(store) struct store *reader = temp_store(decider->bench->temp, STORE_READ);
    struct collector_bench other = {.store = reader};
    assert_int_equal(bench_number(&other, "SELECT count(*) FROM audit"), decider->settled);
}

static void nobody_else_sees_a_look_before_it_is_durable(void **state)
{
    struct sim_log *log = *state;
    struct collector_bench bench;
    struct decider decider = {.spy = see_only_what_is_durable};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, false);

    bench_drain(&bench);
    bench_close(&bench);

    assert_in_range(decider.n_looks, 50, 10000);
    assert_int_equal(decider.settled, decider.decided);
}

static void looks_close_to_the_wall_clock_are_durable_at_once(void **state)
{
    struct sim_log *log = *state;
    struct collector_bench bench;
    struct decider decider = {0};
    struct sim_options options = {.seed = 3, .max_batch = 40};
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &options, false);
    bench.clock.wall_ms = CREDIT_START;

    for (int i = 0; i < 400; i++)
        assert_true(collector_step(bench.collector, 0, &err) >= 0);

    assert_in_range(decider.n_looks, 20, 10000);
    assert_int_equal(decider.n_durable, decider.n_looks);
    bench_crash(&bench);
}

static void a_source_that_has_nothing_more_keeps_no_look_from_the_disk(void **state)
{
    struct sim_log *log = *state;
    struct collector_bench bench;
    struct decider decider = {0};
    struct sim_options options = {.seed = 3, .max_batch = 40};
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &options, false);
    bench.clock.wall_ms = CREDIT_START + INT64_C(86400000);

    int rc = COLLECTOR_WORKED;
    while (rc == COLLECTOR_WORKED)
        rc = collector_step(bench.collector, 0, &err);

    assert_int_equal(rc, 0);
    assert_in_range(decider.n_looks, 20, 10000);
    assert_int_equal(decider.settled, decider.decided);
    bench_crash(&bench);
}

struct asker {
    struct collector_bench *bench;
    atomic_bool done;
    bool shared;
    int64_t seen, decided;
    struct decider *decider;
};

static int answer(void *context, struct store *store, struct err *err)
{
    struct asker *asker = context;
    (void)err;
    AUTO(store) struct store *reader = temp_store(asker->bench->temp, STORE_READ);
    struct collector_bench other = {.store = reader};
    asker->shared = commit_is_shared(store);
    asker->seen = bench_number(&other, "SELECT count(*) FROM audit");
    asker->decided = asker->decider->decided;
    return 0;
}

static void *ask(void *context)
{
    struct asker *asker = context;
    struct err err = {0};
    collector_call(asker->bench->collector, answer, asker, &err);
    atomic_store(&asker->done, true);
    return NULL;
}

/* The clock stands still: only the call itself ends what is shared. */
static void ask_in_the_midst(struct sim_log *log, int much)
{
    struct collector_bench bench;
    struct decider decider = {.much = much};
    struct asker asker = {.bench = &bench, .decider = &decider};
    struct err err = {0};
    pthread_t thread;
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &decider_options, false);
    while (decider.n_looks < 20)
        assert_true(collector_step(bench.collector, 0, &err) >= 0);
    assert_true(commit_is_shared(bench.store));
    assert_int_equal(decider.settled, 0);

    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    while (!atomic_load(&asker.done))
        assert_true(collector_step(bench.collector, 0, &err) >= 0);
    pthread_join(thread, NULL);

    assert_false(asker.shared);
    assert_in_range(asker.seen, 20, 10000);
    assert_int_equal(asker.seen, asker.decided);
    bench_crash(&bench);
}

static void a_call_of_another_thread_finds_every_look_durable(void **state)
{
    ask_in_the_midst(*state, 0);
    ask_in_the_midst(*state, 3); /* it waits for what is sent to the disk beside us */
}

/* Each second's commit is still on its way to a slow disk when the next one is due. */
static void a_call_does_not_wait_for_the_end_of_a_backlog_on_a_slow_disk(void **state)
{
    struct sim_log *log = *state;
    const struct sim_options few = {.seed = 1, .max_batch = 4, .ends = true, .bounded = true};
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct collector_bench bench;
    struct decider decider = {.much = 1};
    struct asker asker = {.bench = &bench, .decider = &decider};
    struct err err = {0};
    pthread_t thread;
    AUTO(temp) struct temp *temp = temp_new();
    decider_open(&bench, &decider, temp, log, &few, false);
    faulty_slow(faulty, 30);
    while (decider.n_looks < 20)
        assert_true(collector_step(bench.collector, 0, &err) >= 0);

    assert_int_equal(pthread_create(&thread, NULL, ask, &asker), 0);
    while (!calls_wait(bench.collector))
        sched_yield();
    int commits = 0;
    for (int n = decider.n_durable; !atomic_load(&asker.done); n = decider.n_durable) {
        fake_clock_pass(&bench.clock, 1100);
        assert_true(collector_step(bench.collector, 0, &err) >= 0);
        commits += decider.n_durable - n;
    }
    pthread_join(thread, NULL);

    assert_in_range(commits, 1, 3);
    bench_crash(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_else_sees_a_look_before_it_is_durable),
        cmocka_unit_test(looks_close_to_the_wall_clock_are_durable_at_once),
        cmocka_unit_test(a_source_that_has_nothing_more_keeps_no_look_from_the_disk),
        cmocka_unit_test(a_call_of_another_thread_finds_every_look_durable),
        cmocka_unit_test(a_call_does_not_wait_for_the_end_of_a_backlog_on_a_slow_disk),
    };
    return cmocka_run_group_tests(tests, decider_fill_log, decider_drop_log);
}
