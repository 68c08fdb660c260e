/* What is gathered goes into panes beside the writer: what is stored does not depend on it. */
#include "collector/folding.h"

#include <errno.h>
#include <stdatomic.h>
#include <stdlib.h>

#include "tests/lib/beside.h"
#include "tests/lib/profiled_log.h"
#include "tests/test.h"

enum {
    N_PREDICTIONS = 6000,
    STEP_MS = 20, /* three minutes: their panes are full buffers mostly */
    BATCH = 300
};

/* --- the thread, as seen from here --- */

/* What the writer did meanwhile that it may not do. */
static int meetings;

int __real_gathered_fold(struct gathered *gathered, const struct gathered_into *into);
int __wrap_gathered_fold(struct gathered *gathered, const struct gathered_into *into);
int __wrap_gathered_fold(struct gathered *gathered, const struct gathered_into *into)
{
    int rc = beside_is_writer() ? 0 : beside_work();
    return rc ? rc : __real_gathered_fold(gathered, into);
}

/* --- what the writer may not do meanwhile --- */

static void note_meeting(void)
{
    meetings += atomic_load(&beside.lazy) && beside.out;
}

int __real_profiling_slot(struct profiling *profiling, const struct feature_schema *schema,
                          uint32_t number, uint32_t *slot, bool *is_new, struct err *err);
int __wrap_profiling_slot(struct profiling *profiling, const struct feature_schema *schema,
                          uint32_t number, uint32_t *slot, bool *is_new, struct err *err);
int __wrap_profiling_slot(struct profiling *profiling, const struct feature_schema *schema,
                          uint32_t number, uint32_t *slot, bool *is_new, struct err *err)
{
    note_meeting();
    return __real_profiling_slot(profiling, schema, number, slot, is_new, err);
}

int __real_profile_fit(struct profile *profile);
int __wrap_profile_fit(struct profile *profile);
int __wrap_profile_fit(struct profile *profile)
{
    note_meeting();
    return __real_profile_fit(profile);
}

int __real_profile_take(struct profile *profile, const struct profile_item *items, size_t n,
                        int sign);
int __wrap_profile_take(struct profile *profile, const struct profile_item *items, size_t n,
                        int sign);
int __wrap_profile_take(struct profile *profile, const struct profile_item *items, size_t n,
                        int sign)
{
    if (items->kind == VALUE_ARRAY || items->kind == VALUE_INVALID) /* no label's */
        note_meeting();
    return __real_profile_take(profile, items, n, sign);
}

/* --- the tests --- */

static const struct sim_options options = {
    .seed = 1, .max_batch = BATCH, .ends = true, .bounded = true};

static void log_fill(struct sim_log *log)
{
    beside_reset();
    profiled_log_fill(log, &(struct profiled_log){N_PREDICTIONS, STEP_MS});
}

/* The whole log into a new database. */
static char *states_of(struct sim_log *log)
{
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_bench bench;
    profiled_reference(temp);
    bench_open(&bench, temp, profiled_yaml, log, &options);
    bench_drain(&bench);
    char *states = profiled_states(&bench);
    bench_close(&bench);
    return states;
}

static void the_thread_leaves_the_bytes_that_the_writer_alone_leaves(void **state)
{
    (void)state;
    struct sim_log log = {0};
    log_fill(&log);
    atomic_store(&beside.none, true);
    AUTO_FREE char *alone = states_of(&log);
    assert_int_equal(atomic_load(&beside.n), 0);

    atomic_store(&beside.none, false);
    AUTO_FREE char *with = states_of(&log);
    /* each prediction is in two panes: some hundred go into them where values do not fit a column */
    assert_true(atomic_load(&beside.n) > N_PREDICTIONS / GATHER_EVENTS);
    assert_string_equal(with, alone);
    sim_log_finish(&log);
}

static void what_it_may_be_at_waits_for_it(void **state)
{
    (void)state;
    struct sim_log log = {0};
    log_fill(&log);
    AUTO_FREE char *expected = states_of(&log);
    atomic_store(&beside.lazy, true);
    AUTO_FREE char *seen = states_of(&log);
    assert_int_equal(meetings, 0);
    assert_string_equal(seen, expected);
    sim_log_finish(&log);
}

static int64_t stored_predictions(struct collector_bench *bench)
{
    return bench_number(bench, "SELECT coalesce(sum(folded), 0) FROM offsets");
}

static void a_commit_has_all_that_was_given_to_the_thread(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    log_fill(&log);
    AUTO_FREE char *expected = states_of(&log);
    beside_reset();
    profiled_reference(temp);
    bench_open(&bench, temp, profiled_yaml, &log, &options);
    assert_true(beside_step_until_at_work(&bench));
    assert_true(collector_step(bench.collector, 0, &err) >= 0); /* the writer does not wait */
    assert_int_equal(stored_predictions(&bench), 0);

    const pthread_t opener = beside_let_go();
    must(collector_commit_now(bench.collector, &err), &err);
    pthread_join(opener, NULL);
    assert_true(stored_predictions(&bench) > 0);

    bench_crash(&bench); /* what follows goes on from what is stored */
    bench_open(&bench, temp, profiled_yaml, &log, &options);
    bench_drain(&bench);
    AUTO_FREE char *seen = profiled_states(&bench);
    assert_string_equal(seen, expected);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void what_fails_beside_fails_what_follows_and_leaves_nothing_half_stored(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    log_fill(&log);
    AUTO_FREE char *expected = states_of(&log);
    profiled_reference(temp);
    bench_open(&bench, temp, profiled_yaml, &log, &options);
    atomic_store(&beside.failing, true);
    int rc = 0;
    while (rc >= 0 && rc != COLLECTOR_END)
        rc = collector_step(bench.collector, 0, &err);
    assert_int_equal(rc, -ENOMEM);
    assert_non_null(strstr(err.text, "no memory"));
    assert_int_equal(collector_commit_now(bench.collector, &err), -ENOMEM); /* and ever after */
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM profiles"), 0);

    bench_crash(&bench);
    bench_open(&bench, temp, profiled_yaml, &log, &options);
    bench_drain(&bench);
    AUTO_FREE char *seen = profiled_states(&bench);
    assert_string_equal(seen, expected);
    bench_close(&bench);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_leaves_the_bytes_that_the_writer_alone_leaves),
        cmocka_unit_test(what_it_may_be_at_waits_for_it),
        cmocka_unit_test(a_commit_has_all_that_was_given_to_the_thread),
        cmocka_unit_test(what_fails_beside_fails_what_follows_and_leaves_nothing_half_stored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
