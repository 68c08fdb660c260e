/*
 * Looks that share a durable transaction decide and leave what looks with commits of their own do,
 * whatever happens in between. The decider stands for rules and experiments: it reads what the
 * look covers, remembers in memory what it decided, and writes audit rows and letters.
 */
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "collector/loop.h"
#include "storage/audit.h"
#include "storage/lend.h"
#include "storage/outbox.h"
#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/test.h"

struct decider {
    struct collector_bench *bench;
    int64_t decided; /* rows that it wrote: memory that must never be ahead of the database */
    int64_t settled; /* the same, of what is durable */
    int n_looks, n_durable, n_undone;
    int fails_at; /* the so many-th look fails, once, in the middle of its own commit; 0: none */
    int fails_with;
    struct faulty *faulty; /* … and the disk is full from then on; NULL: it is not */
    void (*spy)(struct decider *decider);
    bool lends; /* another thread writes its rows, beside the reading of the log */
    int64_t lent_look_ms;
    int much; /* each so many-th look writes so much that its commit is sent to the disk beside us */
};

static int write_letter(struct store *store, int64_t look_ms, struct err *err)
{
    char group[32];
    snprintf(group, sizeof(group), "%lld", (long long)look_ms);
    const struct outbox_row row = {
        .receiver = "oncall", .group_key = group, .type = "alert.firing", .data = "{}"};
    return commit_outbox(store, &row, err);
}

struct evidence {
    char text[160];
};

/* What a look covers, as the rows say. */
static struct evidence evidence_of(const struct decider *decider)
{
    struct evidence evidence;
    snprintf(evidence.text, sizeof(evidence.text), "%lld: %lld consumed, %lld panes of %lld bytes",
             (long long)decider->decided,
             (long long)bench_number(decider->bench, "SELECT sum(consumed) FROM offsets"),
             (long long)bench_number(decider->bench, "SELECT count(*) FROM panes"),
             (long long)bench_number(decider->bench, "SELECT sum(length(state)) FROM panes"));
    return evidence;
}

static int write_decision(struct decider *decider, int64_t look_ms, const struct evidence *evidence,
                          struct err *err)
{
    struct store *store = decider->bench->store;
    const struct audit_row row = {.at_ms = look_ms,
                                  .clock = "event",
                                  .who = "decider",
                                  .action = "look",
                                  .subject = "credit",
                                  .detail = evidence->text};
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_audit(store, &row, err);
    if (!rc && look_ms % 3000 == 0)
        rc = write_letter(store, look_ms, err);
    const bool much = decider->much && look_ms / 1000 % decider->much == 0;
    for (int i = 0; i < 1000 && !rc && much; i++)
        rc = commit_fact(store, "much", i, err);
    if (!rc && decider->fails_at && decider->n_looks == decider->fails_at)
        rc = err_set(err, decider->fails_with, "this look fails");
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

/* The reading goes on first, mostly, and comes to the next look. */
static int write_lent(void *context, struct store *store, struct err *err)
{
    struct decider *decider = context;
    const struct evidence evidence = evidence_of(decider); /* before the next look writes more */
    for (int i = 0; i < 3; i++) {
        sched_yield();
        store_pause(store);
    }
    int rc = write_decision(decider, decider->lent_look_ms, &evidence, err);
    decider->decided += rc == 0;
    return rc;
}

static int decide(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct decider *decider = context;
    (void)next_look_ms;
    store_recall(decider->bench->store); /* decisions come in the order of their looks */
    decider->n_looks++;
    /* After a crash the last look may be taken again; nobody decides twice by it. */
    if (look_ms <= bench_number(decider->bench, "SELECT max(at_ms) FROM audit"))
        return 0;
    if (decider->faulty && decider->n_looks == decider->fails_at)
        faulty_fail(decider->faulty, FAULTY_WRITE, 1, ENOSPC, true);
    decider->lent_look_ms = look_ms;
    if (decider->lends)
        return store_lend(decider->bench->store, write_lent, decider, err);
    const struct evidence evidence = evidence_of(decider);
    int rc = write_decision(decider, look_ms, &evidence, err);
    decider->decided += rc == 0;
    if (decider->spy)
        decider->spy(decider);
    return rc;
}

static void durable(void *context)
{
    struct decider *decider = context;
    decider->settled = decider->decided;
    decider->n_durable++;
}

static void undone(void *context)
{
    struct decider *decider = context;
    decider->decided = decider->settled;
    decider->n_undone++;
}

static const struct credit_log plan = {.n_predictions = 200, .n_partitions = 2, .seed = 7};
static const struct sim_options plain = {.seed = 1, .max_batch = 40, .ends = true, .bounded = true};

static void open_decider(struct collector_bench *bench, struct decider *decider, struct temp *temp,
                         struct sim_log *log, const struct sim_options *options, bool apart)
{
    const struct collector_options wanted = {
        .context = decider,
        .at_look = decide,
        .looks_durable = durable,
        .looks_undone = undone,
        .looks_apart = apart,
    };
    bench_open_wanting(bench, temp, log, options, &wanted);
    decider->bench = bench;
    decider->decided = decider->settled = bench_number(bench, "SELECT count(*) FROM audit");
}

static void print_rows(struct collector_bench *bench, const char *sql, struct buf *out)
{
    sqlite3_stmt *statement = NULL;
    assert_int_equal(sqlite3_prepare_v2(store_db(bench->store), sql, -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        buf_printf(out, "%s\n", sqlite3_column_text(statement, 0));
    sqlite3_finalize(statement);
}

/* All that must not depend on when it became durable; malloc'd. */
static char *left_behind(struct collector_bench *bench)
{
    struct buf text;
    char *panes = bench_panes(bench);
    buf_init(&text, (size_t)64 << 20);
    buf_printf(&text, "%s", panes);
    free(panes);
    print_rows(bench, "SELECT seq || ' ' || at_ms || ' ' || detail || ' ' || hex(hash) FROM audit",
               &text);
    print_rows(bench, "SELECT id || ' ' || group_key FROM outbox", &text);
    print_rows(
        bench,
        "SELECT topic || ' ' || partition || ' ' || next || ' ' || consumed || ' ' || folded "
        "FROM offsets ORDER BY topic, partition",
        &text);
    buf_u8(&text, 0);
    assert_false(buf_failed(&text));
    return (char *)text.data; /* the caller owns it now */
}

static char *finish(struct collector_bench *bench)
{
    struct err err = {0};
    bench_drain(bench);
    bench_balanced(bench);
    must(collector_commit_now(bench->collector, &err), &err);
    char *left = left_behind(bench);
    bench_close(bench);
    return left;
}

/* In peace, each look in a commit of its own. */
static char *look_by_look(struct sim_log *log)
{
    struct collector_bench bench;
    struct decider decider = {0};
    AUTO(temp) struct temp *temp = temp_new();
    open_decider(&bench, &decider, temp, log, &plain, true);
    char *left = finish(&bench);
    assert_int_equal(decider.n_durable, decider.n_looks);
    assert_in_range(decider.n_looks, 50, 10000);
    return left;
}

static void looks_that_share_leave_what_looks_apart_leave(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 8; seed++) {
        struct collector_bench bench;
        struct decider decider = {0};
        struct sim_options options = plain;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.max_batch = seed * seed * seed;
        open_decider(&bench, &decider, temp, log, &options, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
        assert_in_range(decider.n_durable, 1, decider.n_looks / 10);
    }
}

static void looks_that_are_written_beside_the_reading_leave_the_same(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 6; seed++) {
        struct collector_bench bench;
        struct decider decider = {.lends = true};
        struct sim_options options = plain;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.max_batch = seed * seed * seed;
        open_decider(&bench, &decider, temp, log, &options, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
        assert_in_range(decider.n_durable, 1, decider.n_looks / 10);
        assert_int_equal(decider.decided, decider.settled);
    }
}

static void what_is_sent_to_the_disk_beside_the_reading_is_the_same(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 8; seed++) {
        struct collector_bench bench;
        struct decider decider = {.much = 3, .lends = seed % 2 == 0};
        struct sim_options options = plain;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.max_batch = seed * seed * seed;
        options.rebalance_percent = seed > 5 ? 20 : 0;
        open_decider(&bench, &decider, temp, log, &options, false);
        struct err err = {0};
        int rc = COLLECTOR_WORKED;
        while (rc != COLLECTOR_END) { /* a commit is due again and again */
            rc = collector_step(bench.collector, 0, &err);
            assert_true(rc >= 0);
            fake_clock_pass(&bench.clock, 200);
        }
        AUTO_FREE char *left = finish(&bench);
        const char *panes_end = strstr(expected, "\n1 ");
        assert_memory_equal(left, expected, (size_t)(panes_end - expected));
        assert_int_equal(decider.decided, decider.settled);
    }
}

static void step_until_the_disk_is_full(struct collector_bench *bench,
                                        const struct decider *decider)
{
    struct collector_health health = {0};
    struct err err = {0};
    for (int i = 0; i < 1000 && !health.degraded; i++) {
        assert_true(collector_step(bench->collector, 0, &err) >= 0);
        fake_clock_pass(&bench->clock, 100);
        collector_health(bench->collector, &health);
    }
    assert_true(health.degraded);
    assert_int_equal(decider->n_undone, 1);
    assert_int_equal(decider->decided, decider->settled);
    assert_int_equal(bench_number(bench, "SELECT count(*) FROM audit"), decider->settled);
}

static char *finish_with_room(struct collector_bench *bench, struct decider *decider)
{
    decider->fails_at = 0;
    faulty_fail(decider->faulty, 0, 0, 0, false);
    return finish(bench);
}

static void F31_a_disk_that_is_full_at_what_was_sent_to_it_loses_nothing(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct collector_bench bench;
    struct decider decider = {.much = 3, .fails_at = 9, .faulty = faulty};
    AUTO(temp) struct temp *temp = temp_new();
    open_decider(&bench, &decider, temp, log, &plain, false);

    step_until_the_disk_is_full(&bench, &decider);

    AUTO_FREE char *left = finish_with_room(&bench, &decider);
    assert_string_equal(left, expected);
}

static void rebalances_between_looks_that_share_change_nothing(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (uint64_t seed = 2; seed < 6; seed++) {
        struct collector_bench bench;
        struct decider decider = {0};
        struct sim_options options = plain;
        AUTO(temp) struct temp *temp = temp_new();
        options.seed = seed;
        options.rebalance_percent = options.redeliver_percent = 20;
        open_decider(&bench, &decider, temp, log, &options, false);
        bench_drain(&bench);
        bench_balanced(&bench);
        AUTO_FREE char *left = left_behind(&bench);
        bench_close(&bench);
        const char *panes_end = strstr(expected, "\n1 ");
        assert_memory_equal(left, expected, (size_t)(panes_end - expected));
        assert_int_equal(decider.decided, decider.settled);
    }
}

static void killed_between_looks_that_share_all_is_taken_again(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    int lost = 0;
    for (int steps = 3; steps < 60; steps += 4) {
        struct collector_bench bench;
        struct decider decider = {0};
        struct err err = {0};
        AUTO(temp) struct temp *temp = temp_new();
        open_decider(&bench, &decider, temp, log, &plain, false);
        for (int i = 0; i < steps; i++) {
            assert_true(collector_step(bench.collector, 0, &err) >= 0);
            fake_clock_pass(&bench.clock, 90);
        }
        lost += decider.decided > decider.settled;
        bench_crash(&bench);

        open_decider(&bench, &decider, temp, log, &plain, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
    }
    assert_in_range(lost, 3, 100);
}

/* One look fails in the middle of what it writes: all that shares with it goes, and comes again. */
static void a_look_that_fails_takes_back_those_that_share_with_it(void **state)
{
    static const int failures[] = {-ENOMEM, ERR_FULL, -ECANCELED, -EBUSY};
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);

    for (size_t i = 0; i < 2 * sizeof(failures) / sizeof(failures[0]); i++) {
        struct collector_bench bench;
        struct decider decider = {
            .fails_at = 23, .fails_with = failures[i / 2], .lends = i % 2 == 1};
        AUTO(temp) struct temp *temp = temp_new();
        open_decider(&bench, &decider, temp, log, &plain, false);
        AUTO_FREE char *left = finish(&bench);
        assert_string_equal(left, expected);
        assert_int_equal(decider.n_undone, 1);
    }
}

static void a_look_that_can_never_be_written_ends_the_round(void **state)
{
    struct sim_log *log = *state;
    struct collector_bench bench;
    struct decider decider = {.fails_at = 23, .fails_with = ERR_IO};
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    open_decider(&bench, &decider, temp, log, &plain, false);

    int rc = 0;
    while (rc >= 0 && rc != COLLECTOR_END)
        rc = collector_step(bench.collector, 0, &err);

    assert_int_equal(rc, ERR_IO);
    assert_string_equal(err.text, "this look fails");
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM audit"), decider.settled);
    bench_crash(&bench);
}

static void F31_a_disk_that_is_full_at_the_third_shared_look_loses_nothing(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);
    AUTO(faulty) struct faulty *faulty = faulty_install();
    struct collector_bench bench;
    struct decider decider = {.fails_at = 3, .faulty = faulty};
    AUTO(temp) struct temp *temp = temp_new();
    open_decider(&bench, &decider, temp, log, &plain, false);

    step_until_the_disk_is_full(&bench, &decider);
    assert_in_range(decider.settled, 0, 2);

    AUTO_FREE char *left = finish_with_room(&bench, &decider);
    assert_string_equal(left, expected);
}

/* With commits of their own, looks wait for room as the collector does. */
static void F31_a_look_without_room_for_its_decision_is_taken_again(void **state)
{
    struct sim_log *log = *state;
    AUTO_FREE char *expected = look_by_look(log);
    struct collector_bench bench;
    struct decider decider = {.fails_at = 30, .fails_with = ERR_FULL};
    AUTO(temp) struct temp *temp = temp_new();
    open_decider(&bench, &decider, temp, log, &plain, true);

    AUTO_FREE char *left = finish(&bench);

    assert_string_equal(left, expected);
    assert_int_equal(decider.n_undone, 0);
}

/* --- who sees what, when --- */

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
    open_decider(&bench, &decider, temp, log, &plain, false);

    free(finish(&bench));

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
    open_decider(&bench, &decider, temp, log, &options, false);
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
    open_decider(&bench, &decider, temp, log, &options, false);
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
    open_decider(&bench, &decider, temp, log, &plain, false);
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
    open_decider(&bench, &decider, temp, log, &few, false);
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

/* One log for all: they only read it. */
static int fill_log(void **state)
{
    struct sim_log *log = calloc(1, sizeof(*log));
    assert_non_null(log);
    credit_log_fill(log, &plan);
    *state = log;
    return 0;
}

static int drop_log(void **state)
{
    sim_log_finish(*state);
    free(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(looks_that_share_leave_what_looks_apart_leave),
        cmocka_unit_test(looks_that_are_written_beside_the_reading_leave_the_same),
        cmocka_unit_test(what_is_sent_to_the_disk_beside_the_reading_is_the_same),
        cmocka_unit_test(F31_a_disk_that_is_full_at_what_was_sent_to_it_loses_nothing),
        cmocka_unit_test(rebalances_between_looks_that_share_change_nothing),
        cmocka_unit_test(killed_between_looks_that_share_all_is_taken_again),
        cmocka_unit_test(a_look_that_fails_takes_back_those_that_share_with_it),
        cmocka_unit_test(a_look_that_can_never_be_written_ends_the_round),
        cmocka_unit_test(F31_a_disk_that_is_full_at_the_third_shared_look_loses_nothing),
        cmocka_unit_test(F31_a_look_without_room_for_its_decision_is_taken_again),
        cmocka_unit_test(nobody_else_sees_a_look_before_it_is_durable),
        cmocka_unit_test(looks_close_to_the_wall_clock_are_durable_at_once),
        cmocka_unit_test(a_source_that_has_nothing_more_keeps_no_look_from_the_disk),
        cmocka_unit_test(a_call_of_another_thread_finds_every_look_durable),
        cmocka_unit_test(a_call_does_not_wait_for_the_end_of_a_backlog_on_a_slow_disk),
    };
    return cmocka_run_group_tests(tests, fill_log, drop_log);
}
