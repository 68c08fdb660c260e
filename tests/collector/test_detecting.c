/* The detectors beside the writer: what they find and what is stored does not depend on it. */
#include "collector/detecting.h"

#include <errno.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "common/rng.h"
#include "tests/lib/beside.h"
#include "tests/lib/changes_found.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

enum {
    N_PREDICTIONS = 9000,
    N_PARTITIONS = 2,
    CHANGES_AT = 6000,
    STEP_MS = 2, /* a look covers more than a thousand events now and then: the thread has work */
    BATCH = 200
};

static const char yaml[] = "models:\n"
                           "  - name: credit\n"
                           "    task: binary\n"
                           "    segments: [country]\n"
                           "    changes: {expected_run_time: 20000, segments: [country]}\n";

/* --- the thread, as seen from here --- */

int __real_change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place,
                                double value, struct change_found *found, struct err *err);
int __wrap_change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place,
                                double value, struct change_found *found, struct err *err);
int __wrap_change_stream_update(struct change_stream *stream, int64_t ts_ms, unsigned place,
                                double value, struct change_found *found, struct err *err)
{
    if (!beside_is_writer() && beside_work())
        return err_set(err, -ENOMEM, "no memory for this event");
    return __real_change_stream_update(stream, ts_ms, place, value, found, err);
}

/* --- the log --- */

static void fill(struct sim_log *log)
{
    static const char *const countries[] = {"de", "fr", "it"};
    struct rng rng = rng_of(3);
    int at[N_PARTITIONS];
    for (int i = 0; i < N_PARTITIONS; i++)
        at[i] = sim_partition(log, "events", i);
    for (int i = 0; i < N_PREDICTIONS; i++) {
        const bool changed = i >= CHANGES_AT;
        const int64_t ts_ms = CREDIT_START + i * INT64_C(1) * STEP_MS;
        const int partition = at[i % N_PARTITIONS];
        sim_add(log, partition, ts_ms,
                "{\"type\":\"prediction\",\"id\":\"id%d\",\"ts\":%lld,\"model\":\"credit\","
                "\"version\":\"v%d\",\"prediction\":1,\"segment\":{\"country\":\"%s\"}%s}",
                i, (long long)ts_ms, i % 3, countries[i % 3],
                rng_uniform(&rng) < (changed ? 0.2 : 0.03) ? ",\"error\":\"timeout\"" : "");
        sim_add(log, partition, ts_ms,
                "{\"type\":\"label\",\"id\":\"id%d\",\"ts\":%lld,\"label\":%d}", i,
                (long long)ts_ms, rng_uniform(&rng) < (changed ? 0.6 : 0.9));
    }
}

static const struct sim_options options = {
    .seed = 1, .max_batch = BATCH, .ends = true, .bounded = true};

static char *found_in(struct sim_log *log)
{
    const struct changes_log credit = {log, yaml, NULL, NULL};
    return changes_found_in(&credit, &options, 0);
}

/* --- the tests --- */

static void the_thread_finds_what_the_writer_alone_finds(void **state)
{
    (void)state;
    struct sim_log log = {0};
    fill(&log);
    beside_reset();
    atomic_store(&beside.none, true);
    char *alone = found_in(&log);
    assert_int_equal(atomic_load(&beside.n), 0);
    assert_non_null(strstr(alone, "accuracy"));
    assert_non_null(strstr(alone, "error_rate"));

    atomic_store(&beside.none, false);
    char *with = found_in(&log);
    assert_true(atomic_load(&beside.n) > N_PREDICTIONS);
    assert_string_equal(with, alone);
    free(with);
    free(alone);
    sim_log_finish(&log);
}

/* Some is stored, a batch is with the thread, and more was read since. */
static bool read_on(struct collector_bench *bench, int commits)
{
    struct err err = {0};
    bool ok = true;
    for (int i = 0; ok && i < commits; i++) {
        for (int k = 0; ok && k < 5; k++)
            ok = collector_step(bench->collector, 0, &err) >= 0;
        ok = ok && collector_commit_now(bench->collector, &err) == 0;
    }
    ok = ok && beside_step_until_at_work(bench);
    for (int i = 0; ok && i < 3; i++) /* the writer does not wait for it */
        ok = collector_step(bench->collector, 0, &err) >= 0;
    return ok;
}

static void read_until_killed(struct temp *temp, struct sim_log *log, int commits, int tell)
{
    struct collector_bench bench;
    beside_reset();
    bench_open(&bench, temp, yaml, log, &options);
    const char told = read_on(&bench, commits) ? 'k' : '?';
    if (write(tell, &told, 1) == 1)
        for (;;)
            pause();
    _exit(1);
}

static void kill_while_a_batch_is_with_the_thread(struct temp *temp, struct sim_log *log,
                                                  int commits)
{
    int ends[2];
    char told;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0)
        read_until_killed(temp, log, commits, ends[1]);
    close(ends[1]);
    assert_int_equal(read(ends[0], &told, 1), 1);
    assert_int_equal(told, 'k');
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    close(ends[0]);
}

static void killed_while_a_batch_is_with_the_thread_nothing_is_lost_or_found_twice(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    fill(&log);
    beside_reset();
    char *expected = found_in(&log);
    AUTO(temp) struct temp *temp = temp_new();
    static const int commits[] = {0, 1, 7, 2, 12};
    for (size_t i = 0; i < sizeof(commits) / sizeof(commits[0]); i++)
        kill_while_a_batch_is_with_the_thread(temp, &log, commits[i]);

    bench_open(&bench, temp, yaml, &log, &options);
    assert_true(bench_number(&bench, "SELECT count(*) FROM change_detectors") > 0);
    bench_drain(&bench);
    bench_balanced(&bench);
    char *seen = changes_found(&bench, NULL);
    assert_string_equal(seen, expected);
    bench_close(&bench);
    free(seen);
    free(expected);
    sim_log_finish(&log);
}

/* What looks cover by then, summed over the detectors of versions as a whole. */
static int64_t events_taken(struct collector_bench *bench)
{
    struct err err = {0};
    int64_t events = 0;
    for (int version = 0; version < 3; version++) {
        char name[8];
        void *bytes = NULL;
        size_t n;
        snprintf(name, sizeof(name), "v%d", version);
        const struct change_key key = {"credit", name, "", "metric", "error_rate"};
        must(change_detector_read(bench->store, &key, &bytes, &n, &err), &err);
        struct change_stream stream = {0};
        struct reader in = reader_of(bytes, bytes ? n : 0);
        if (bytes)
            must(change_stream_load(&stream, &in, &err), &err);
        events += (int64_t)stream.events;
        change_stream_finish(&stream);
        free(bytes);
    }
    return events;
}

static void a_commit_has_all_that_was_given_to_the_thread(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    beside_reset();
    bench_open(&bench, temp, yaml, &log, &options);
    assert_true(beside_step_until_at_work(&bench));
    assert_int_equal(events_taken(&bench), 0);

    const pthread_t opener = beside_let_go();
    must(collector_commit_now(bench.collector, &err), &err);
    pthread_join(opener, NULL);
    /* the fact that is stored with it says which look was the last one wanted: all before it */
    const int64_t look_ms =
        bench_number(&bench, "SELECT value FROM facts WHERE key = '" COMMIT_LOOK "'");
    assert_int_equal(events_taken(&bench), (look_ms - 1000 - CREDIT_START) / STEP_MS);
    bench_close(&bench);
    sim_log_finish(&log);
}

static void what_fails_beside_fails_the_next_commit_and_leaves_nothing_half_taken(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    fill(&log);
    beside_reset();
    char *expected = found_in(&log);
    bench_open(&bench, temp, yaml, &log, &options);
    atomic_store(&beside.failing, true);
    int rc = 0;
    while (rc >= 0 && rc != COLLECTOR_END)
        rc = collector_step(bench.collector, 0, &err);
    assert_int_equal(rc, -ENOMEM);
    assert_string_equal(err.text, "no memory for this event");
    assert_int_equal(collector_commit_now(bench.collector, &err), -ENOMEM); /* and ever after */
    assert_int_equal(bench_number(&bench, "SELECT count(*) FROM change_detectors"), 0);
    bench_crash(&bench);

    bench_open(&bench, temp, yaml, &log, &options);
    bench_drain(&bench);
    char *seen = changes_found(&bench, NULL);
    assert_string_equal(seen, expected);
    bench_close(&bench);
    free(seen);
    free(expected);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_thread_finds_what_the_writer_alone_finds),
        cmocka_unit_test(killed_while_a_batch_is_with_the_thread_nothing_is_lost_or_found_twice),
        cmocka_unit_test(a_commit_has_all_that_was_given_to_the_thread),
        cmocka_unit_test(what_fails_beside_fails_the_next_commit_and_leaves_nothing_half_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
