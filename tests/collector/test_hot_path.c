/* The path from a batch to the commit allocates nothing per event once it is warm. */
#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/lib/fault_malloc.h"
#include "tests/test.h"

enum {
    EVENTS = 30000,
    MINUTES = 3
};

static const char yaml[] =
    "models:\n"
    "  - {name: credit, task: binary, label_horizon: 1h, segments: [country]}\n";

/* Every third event is a label; all of them fall into the same minutes however many there are. */
static void fill(struct sim_log *log, int n)
{
    static const char *const countries[] = {"de", "fr", "it"};
    int partition = sim_partition(log, "predictions", 0);
    for (int i = 0; i < n; i++) {
        int64_t ts_ms = CREDIT_START + (int64_t)i * MINUTES * 60000 / n;
        if (i % 3 == 2)
            sim_add(log, partition, ts_ms,
                    "{\"type\":\"label\",\"id\":\"id%d\",\"ts\":%lld,\"label\":%d}", i - 2,
                    (long long)ts_ms, i % 2);
        else
            sim_add(log, partition, ts_ms,
                    "{\"type\":\"prediction\",\"id\":\"id%d\",\"ts\":%lld,\"model\":\"credit\","
                    "\"version\":\"v1\",\"features\":{\"income\":%d.25,\"city\":\"c%d\","
                    "\"point\":[0.5,%d,1.5]},\"score\":0.%03d,\"latency_ms\":%d.5,\"segment\":{"
                    "\"country\":\"%s\"}}",
                    i, (long long)ts_ms, i * 37 % 5000, i % 7, i % 11, i * 7 % 1000, i % 50,
                    countries[i % 3 + (i % 2)]);
    }
}

/* Allocations while `n` events are read, folded and committed; SQLite's own are not counted. */
static int64_t allocations(int n)
{
    struct collector_bench bench;
    struct sim_log log = {0};
    AUTO(temp) struct temp *temp = temp_new();
    struct sim_options options = {.seed = 1, .max_batch = 512, .ends = true, .bounded = true};
    fill(&log, n);
    bench_open(&bench, temp, yaml, &log, &options);
    fault_malloc_at(0);
    bench_drain(&bench);
    int64_t count = fault_malloc_count();
    assert_int_equal(bench_number(&bench, "SELECT sum(folded) FROM offsets"), n);
    bench_close(&bench);
    sim_log_finish(&log);
    return count;
}

static void more_events_of_the_same_minutes_take_no_more_allocations(void **state)
{
    (void)state;
    int64_t once = allocations(EVENTS), twice = allocations(2 * EVENTS);
    print_message("%d events: %lld allocations, %d: %lld\n", EVENTS, (long long)once, 2 * EVENTS,
                  (long long)twice);
    assert_in_range(once, 1, EVENTS);
    assert_in_range(twice, 1, once + EVENTS / 50); /* tables that grow, batches */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_events_of_the_same_minutes_take_no_more_allocations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
