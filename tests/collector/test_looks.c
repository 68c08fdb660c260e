#include <stdio.h>
#include <string.h>

#include "collector/source_http.h"
#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

/* What each look saw: the database's own numbers, read inside the call. */
struct looks {
    struct collector_bench *bench;
    struct buf text;
    int64_t every_ms; /* 0: the next second in which anything happens */
    int n;
};

static int look(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct looks *looks = context;
    (void)err;
    buf_printf(&looks->text, "%lld: %lld %lld\n", (long long)(look_ms - CREDIT_START),
               (long long)bench_number(looks->bench, "SELECT sum(consumed) FROM offsets"),
               (long long)bench_number(looks->bench, "SELECT sum(folded) FROM offsets"));
    if (looks->every_ms)
        *next_look_ms = look_ms + looks->every_ms;
    looks->n++;
    return 0;
}

static char *run(struct sim_log *log, const struct sim_options *options, int64_t every_ms,
                 uint64_t crash_seed)
{
    struct collector_bench bench;
    struct looks looks = {.bench = &bench, .every_ms = every_ms};
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    buf_init(&looks.text, 1 << 20);
    if (crash_seed) {
        bench_open_looks(&bench, temp, log, options, look, &looks);
        for (uint64_t i = 0; i < crash_seed; i++)
            assert_true(collector_step(bench.collector, 0, &err) >= 0);
        bench_crash(&bench);
    }
    bench_open_looks(&bench, temp, log, options, look, &looks);
    bench_drain(&bench);
    bench_balanced(&bench);
    bench_close(&bench);
    buf_u8(&looks.text, 0);
    assert_false(buf_failed(&looks.text));
    assert_true(looks.n > 10);
    return (char *)looks.text.data;
}

static void a_look_covers_the_same_messages_whatever_the_batches(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct credit_log plan = {.n_predictions = 150, .n_partitions = 2, .seed = 71};
    credit_log_fill(&log, &plan);
    struct sim_options options = {.seed = 1, .max_batch = 4096, .ends = true, .bounded = true};

    for (int every = 0; every < 2; every++) {
        int64_t every_ms = every ? 10000 : 0;
        char *expected = run(&log, &options, every_ms, 0);
        for (uint64_t seed = 2; seed < 8; seed++) {
            struct sim_options other = {
                .seed = seed, .max_batch = seed * seed, .ends = true, .bounded = true};
            char *seen = run(&log, &other, every_ms, 0);
            assert_string_equal(expected, seen);
            free(seen);
        }
        free(expected);
    }
    sim_log_finish(&log);
}

/* Looks that were not durable are taken again after a crash: the later time replaces the former. */
static void drop_repeats(char *text)
{
    char *out = text;
    for (char *line = text; *line;) {
        size_t n = (size_t)(strchr(line, '\n') + 1 - line);
        char *again = text;
        while (again < out && strncmp(again, line, n) != 0)
            again = strchr(again, '\n') + 1;
        out = again;
        memmove(out, line, n);
        out += n;
        line += n;
    }
    *out = 0;
}

static void after_a_crash_looks_go_on_where_they_were(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct credit_log plan = {.n_predictions = 150, .n_partitions = 2, .seed = 72};
    credit_log_fill(&log, &plan);
    struct sim_options options = {.seed = 3, .max_batch = 20, .ends = true, .bounded = true};
    char *expected = run(&log, &options, 0, 0);

    for (uint64_t seed = 5; seed < 200; seed += 13) {
        char *seen = run(&log, &options, 0, seed);
        drop_repeats(seen);
        assert_string_equal(expected, seen);
        free(seen);
    }
    free(expected);
    sim_log_finish(&log);
}

static void a_wanted_look_is_taken_though_nothing_happened_in_it(void **state)
{
    (void)state;
    struct sim_log log = {0};
    int at = sim_partition(&log, "events", 0);
    for (int i = 0; i < 2; i++)
        sim_add(&log, at, CREDIT_START,
                "{\"type\":\"label\",\"id\":\"l%d\",\"ts\":%lld,\"label\":1}", i,
                (long long)CREDIT_START + i * 60000);
    struct sim_options options = {.seed = 1, .ends = true, .bounded = true};

    char *seen = run(&log, &options, 5000, 0);

    assert_string_equal(seen, "1000: 1 0\n6000: 1 0\n11000: 1 0\n16000: 1 0\n"
                              "21000: 1 0\n26000: 1 0\n31000: 1 0\n36000: 1 0\n"
                              "41000: 1 0\n46000: 1 0\n51000: 1 0\n56000: 1 0\n"
                              "61000: 2 0\n");
    free(seen);
    sim_log_finish(&log);
}

/* Wants each fifth second until ten seconds after the last event. */
static int look_for_a_while(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct looks *looks = context;
    (void)err;
    int64_t news_ms = collector_news_ms(looks->bench->collector);
    buf_printf(&looks->text, "%lld/%lld ", (long long)(look_ms - CREDIT_START) / 1000,
               (long long)(news_ms - CREDIT_START) / 1000);
    *next_look_ms = look_ms + 5000 <= news_ms + 10000 ? look_ms + 5000 : 0;
    return 0;
}

static void a_gap_of_years_in_event_time_is_passed_at_once(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct looks looks = {.bench = &bench};
    int at = sim_partition(&log, "events", 0);
    const int64_t years_ms = 3 * 365 * 86400000LL;
    for (int i = 0; i < 2; i++)
        sim_add(&log, at, CREDIT_START + i * years_ms,
                "{\"type\":\"label\",\"id\":\"l%d\",\"ts\":%lld,\"label\":1}", i,
                (long long)CREDIT_START + i * years_ms);
    struct sim_options options = {.seed = 1, .ends = true, .bounded = true};
    AUTO(temp) struct temp *temp = temp_new();
    buf_init(&looks.text, 1 << 20);

    bench_open_looks(&bench, temp, &log, &options, look_for_a_while, &looks);
    bench_drain(&bench);
    bench_balanced(&bench);
    bench_close(&bench);

    buf_u8(&looks.text, 0);
    assert_string_equal((char *)looks.text.data, "1/1 6/1 11/1 94608001/94608001 ");
    buf_finish(&looks.text);
    sim_log_finish(&log);
}

/* Which look is stored while one is taken: that of the last commit. */
static int stored_look(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct looks *looks = context;
    (void)err;
    buf_printf(
        &looks->text, "%lld: %lld\n", (long long)(look_ms - CREDIT_START),
        (long long)bench_number(looks->bench, "SELECT value FROM facts WHERE key = 'look_ms'") -
            CREDIT_START);
    *next_look_ms = look_ms + looks->every_ms;
    return 0;
}

/* Two labels a minute apart, a look wanted every ten seconds. */
static void a_look_at_which_nothing_is_new_costs_no_commit(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct looks looks = {.bench = &bench, .every_ms = 10000};
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "events", 0);
    for (int i = 0; i < 2; i++)
        sim_add(&log, at, CREDIT_START,
                "{\"type\":\"label\",\"id\":\"l%d\",\"ts\":%lld,\"label\":1}", i,
                (long long)CREDIT_START + i * 60000);
    struct sim_options options = {.seed = 1, .ends = true, .bounded = true};
    buf_init(&looks.text, 1 << 16);

    bench_open_looks(&bench, temp, &log, &options, stored_look, &looks);
    bench_drain(&bench);

    buf_u8(&looks.text, 0);
    assert_string_equal((char *)looks.text.data, "1000: 1000\n11000: 1000\n21000: 1000\n"
                                                 "31000: 1000\n41000: 1000\n51000: 1000\n"
                                                 "61000: 61000\n");
    bench_close(&bench);
    buf_finish(&looks.text);
    sim_log_finish(&log);
}

static int (*next_of_log)(struct source *, int, struct batch *, struct err *);
static int n_waits;

static int counting_next(struct source *source, int timeout_ms, struct batch *out, struct err *err)
{
    n_waits += timeout_ms > 0;
    return next_of_log(source, timeout_ms, out, err);
}

/* Two labels an hour apart, a look wanted every second: far more looks than one step takes. */
static void looks_that_are_due_are_not_kept_waiting_for_messages(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct collector_bench bench;
    struct looks looks = {.bench = &bench, .every_ms = 1000};
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    int at = sim_partition(&log, "events", 0);
    for (int i = 0; i < 2; i++)
        sim_add(&log, at, CREDIT_START + i * 3600000,
                "{\"type\":\"label\",\"id\":\"l%d\",\"ts\":%lld,\"label\":1}", i,
                (long long)CREDIT_START + i * 3600000);
    struct sim_options options = {.seed = 1};
    buf_init(&looks.text, 1 << 20);
    bench_open_looks(&bench, temp, &log, &options, look, &looks);
    next_of_log = bench.source->next;
    bench.source->next = counting_next;
    while (looks.n == 0)
        assert_true(collector_step(bench.collector, 100, &err) >= 0);

    n_waits = 0;
    while (looks.n < 3600)
        assert_true(collector_step(bench.collector, 100, &err) >= 0);

    assert_in_range(n_waits, 0, 1);
    bench_close(&bench);
    buf_finish(&looks.text);
    sim_log_finish(&log);
}

static int count_look(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    (void)look_ms;
    (void)next_look_ms;
    (void)err;
    ++*(int *)context;
    return 0;
}

/* What is posted arrives at once, so a look has nothing to wait for where nobody ever posted. */
static void looks_do_not_wait_for_posts_that_never_came(void **state)
{
    (void)state;
    struct sim_log log = {0};
    struct err err = {0};
    struct fake_clock clock;
    int n_looks = 0;
    int at = sim_partition(&log, "events", 0);
    for (int i = 0; i < 5; i++)
        sim_add(&log, at, CREDIT_START,
                "{\"type\":\"label\",\"id\":\"l%d\",\"ts\":%lld,\"label\":1}", i,
                (long long)CREDIT_START + i * 1000);
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(config) struct config *config = NULL;
    const char *yaml = "models: [{name: credit, task: binary}]\n";
    must(config_parse(&config, "test.yaml", yaml, strlen(yaml), &err), &err);
    struct sim_options options = {.seed = 1};
    struct source *sources[2];
    fake_clock_init(&clock, CREDIT_START);
    must(sim_source_new(&sources[0], &log, &options, &err), &err);
    must(source_http_new(&sources[1], &clock.clock, &err), &err);
    struct store *store = temp_store(temp, STORE_WRITE);
    struct collector *collector = NULL;
    struct collector_options wanted = {
        .config = config,
        .store = store,
        .clock = &clock.clock,
        .sources = sources,
        .n_sources = 2,
        .at_look = count_look,
        .context = &n_looks,
    };
    must(collector_new(&collector, &wanted, &err), &err);

    for (int i = 0; i < 200; i++) /* the clock stands still: nobody becomes idle */
        assert_true(collector_step(collector, 0, &err) >= 0);

    assert_int_equal(n_looks, 4);
    collector_free(collector);
    source_free(sources[0]);
    source_free(sources[1]);
    store_free(store);
    sim_log_finish(&log);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_look_covers_the_same_messages_whatever_the_batches),
        cmocka_unit_test(after_a_crash_looks_go_on_where_they_were),
        cmocka_unit_test(a_wanted_look_is_taken_though_nothing_happened_in_it),
        cmocka_unit_test(a_gap_of_years_in_event_time_is_passed_at_once),
        cmocka_unit_test(a_look_at_which_nothing_is_new_costs_no_commit),
        cmocka_unit_test(looks_that_are_due_are_not_kept_waiting_for_messages),
        cmocka_unit_test(looks_do_not_wait_for_posts_that_never_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
