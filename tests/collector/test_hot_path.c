/* The path from a batch to the commit allocates nothing and locks nothing per event once it is warm,
 * also where changes are watched for. */
#include <pthread.h>
#include <stdatomic.h>

#include "tests/lib/collector_bench.h"
#include "tests/lib/credit_log.h"
#include "tests/lib/fault_malloc.h"
#include "tests/test.h"

enum {
    EVENTS = 30000,
    MINUTES = 3
};

#define CREDIT "models:\n  - {name: credit, task: binary, label_horizon: 1h, segments: [country]"
static const char plain[] = CREDIT "}\n";
static const char watched[] =
    CREDIT ", changes: {expected_run_time: 1000000, segments: [country], segment_features: "
           "[income, city, point]}}\n";

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

/* Of the thread that reads. */
static _Thread_local bool counts;
static _Thread_local int64_t locked;

int __real_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock);
int __wrap_pthread_mutex_lock(pthread_mutex_t *lock)
{
    locked += counts;
    return __real_pthread_mutex_lock(lock);
}

struct cost {
    int64_t allocations, locks;
};

/* Allocations of all threads and locks of the reading one while `n` events are read, folded and
   committed; SQLite's own are not counted. */
static struct cost cost_of(const char *yaml, int n)
{
    struct collector_bench bench;
    struct sim_log log = {0};
    AUTO(temp) struct temp *temp = temp_new();
    struct sim_options options = {.seed = 1, .max_batch = 512, .ends = true, .bounded = true};
    fill(&log, n);
    bench_open(&bench, temp, yaml, &log, &options);
    fault_malloc_at(0);
    locked = 0;
    counts = true;
    bench_drain(&bench);
    counts = false;
    const struct cost cost = {fault_malloc_count(), locked};
    assert_int_equal(bench_number(&bench, "SELECT sum(folded) FROM offsets"), n);
    bench_close(&bench);
    sim_log_finish(&log);
    return cost;
}

/* Tables that grow, batches, looks, commits: they do not become more with the events. */
static void assert_cost_stays(const char *yaml)
{
    const struct cost once = cost_of(yaml, EVENTS), twice = cost_of(yaml, 2 * EVENTS);
    print_message("%d events: %lld allocations, %lld locks; %d: %lld, %lld\n", EVENTS,
                  (long long)once.allocations, (long long)once.locks, 2 * EVENTS,
                  (long long)twice.allocations, (long long)twice.locks);
    assert_in_range(once.allocations, 1, EVENTS);
    assert_in_range(twice.allocations, 1, once.allocations + EVENTS / 50);
    assert_in_range(once.locks, 1, EVENTS / 20);
    assert_in_range(twice.locks, 1, once.locks + EVENTS / 50);
}

static void more_events_of_the_same_minutes_take_no_more_allocations(void **state)
{
    (void)state;
    assert_cost_stays(plain);
}

static void nor_do_they_where_changes_are_watched_for(void **state)
{
    (void)state;
    assert_cost_stays(watched);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(more_events_of_the_same_minutes_take_no_more_allocations),
        cmocka_unit_test(nor_do_they_where_changes_are_watched_for),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
