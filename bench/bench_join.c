/*
 * The join alone: what a prediction and its random late label cost at 10 thousand, 1 million and
 * 5 million pending, and what a pending prediction takes.
 *
 *     bench_join [PENDING…]
 *
 * Each round adds a prediction and labels one drawn from all that are pending, as ingest does it:
 * eight ahead, with prefetches. Prints Markdown.
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "collector/join.h"
#include "common/rng.h"

enum {
    AHEAD = 8,
    ROUNDS = 400000
};

static double now_s(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static struct id_hash hash_of(const struct pending *pending, uint64_t number)
{
    char id[24];
    int n = snprintf(id, sizeof(id), "id-%016llx", (unsigned long long)number);
    return pending_hash(pending, (struct view){id, (uint32_t)n});
}

static void add(struct join *join, struct id_hash id, int64_t ts_ms)
{
    uint16_t slices[4] = {1, 2, 3, 4};
    struct record_spec spec = {
        .id = id, .ts_ms = ts_ms, .number = 0.25, .slices = slices, .n_slices = 4};
    struct record *record;
    bool waiting;
    if (join_prediction(join, &spec, ts_ms, &record, &waiting, NULL))
        abort();
}

static void label(struct join *join, struct id_hash id, int64_t ts_ms)
{
    struct join_event event = {.id = id, .ts_ms = ts_ms, .newest_ts_ms = ts_ms, .number = 1};
    struct record *record;
    if (join_label(join, &event, &record, NULL) || join_set_label(join, record, true, 1, 0, NULL))
        abort();
}

static double nanoseconds_a_pair(struct pending *pending, struct join *join, uint64_t n)
{
    struct rng rng = rng_of(7);
    struct id_hash ring[AHEAD], added[AHEAD];
    for (uint64_t i = 0; i < AHEAD; i++) {
        ring[i] = hash_of(pending, rng_below(&rng, n));
        added[i] = hash_of(pending, n + i);
    }
    double began = now_s();
    for (uint64_t i = 0; i < ROUNDS; i++) {
        int at = (int)(i % AHEAD);
        pending_prefetch_record(pending, ring[(i + AHEAD / 2) % AHEAD]);
        add(join, added[at], (int64_t)(n + i));
        label(join, ring[at], (int64_t)(n + i));
        added[at] = hash_of(pending, n + AHEAD + i);
        pending_prefetch(pending, added[at]);
        ring[at] = hash_of(pending, rng_below(&rng, n));
        pending_prefetch(pending, ring[at]);
    }
    return (now_s() - began) / ROUNDS * 1e9;
}

static void measure(uint64_t n)
{
    const struct pending_options options = {.seed = 1};
    struct pending *pending = NULL;
    struct join *join = NULL;
    if (pending_new(&pending, &options, NULL) || join_new(&join, pending, NULL) ||
        join_series(join, 0, 1, INT64_C(604800000), NULL))
        abort();
    for (uint64_t i = 0; i < n; i++)
        add(join, hash_of(pending, i), (int64_t)i);
    struct pending_size size;
    pending_size(pending, &size);
    printf("| %llu | %.0f ns | %.1f bytes |\n", (unsigned long long)n,
           nanoseconds_a_pair(pending, join, n), (double)size.bytes / (double)n);
    join_free(join);
    pending_free(pending);
}

int main(int argc, char **argv)
{
    static const uint64_t usual[] = {10000, 1000000, 5000000};
    printf("| pending | a prediction and a random label | memory a pending one |\n|---|---|---|\n");
    for (int i = 1; i < argc; i++)
        measure(strtoull(argv[i], NULL, 10));
    for (int i = 0; argc == 1 && i < 3; i++)
        measure(usual[i]);
    return 0;
}
