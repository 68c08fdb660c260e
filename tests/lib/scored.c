#include "tests/lib/scored.h"

#include <stdio.h>
#include <string.h>

#include "storage/commit.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const struct metric_setup *setup(void)
{
    static struct metric_setup credit = {TASK_BINARY, 0, 0.5, NULL};
    credit.positive = class_id("1", 1);
    return &credit;
}

void scored_draw(struct scored *events, size_t n, struct rng *rng, int64_t from_ms, int64_t to_ms,
                 int n_versions)
{
    for (size_t i = 0; i < n; i++) {
        events[i] =
            (struct scored){.ts_ms = from_ms + (int64_t)rng_below(rng, (uint64_t)(to_ms - from_ms)),
                            .version = (int)rng_below(rng, (uint64_t)n_versions),
                            .score = rng_uniform(rng),
                            .labelled = rng_below(rng, 4) > 0,
                            .positive = rng_below(rng, 3) == 0};
    }
}

static void fold(struct states *states, const struct scored *event)
{
    struct sample sample = {.ts_ms = event->ts_ms,
                            .latency_ms = 10 * event->score,
                            .score = event->score,
                            .value = (double)NAN,
                            .predicted = class_id(event->score >= 0.5 ? "1" : "0", 1),
                            .label_value = (double)NAN};
    assert_int_equal(states_predict(states, &sample), 0);
    if (!event->labelled)
        return;
    sample.label_class = class_id(event->positive ? "1" : "0", 1);
    assert_int_equal(states_label(states, &sample, 1), 0);
}

struct states *scored_states(const struct scored *events, size_t n, int version, int64_t from_ms,
                             int64_t to_ms)
{
    struct states *states = NULL;
    for (size_t i = 0; i < n; i++) {
        if (events[i].ts_ms < from_ms || events[i].ts_ms >= to_ms ||
            (version >= 0 && events[i].version != version))
            continue;
        if (!states)
            assert_int_equal(states_new(&states, setup(), NULL), 0);
        fold(states, &events[i]);
    }
    return states;
}

static void commit_version_panes(struct store *store, const struct scored *events, size_t n,
                                 int version, int64_t level_ms)
{
    char name[16];
    struct err err = {0};
    snprintf(name, sizeof(name), "v%d", version);
    int64_t series = temp_series(store, "credit", name, "");
    int64_t first = INT64_MAX;
    int64_t last = 0;
    for (size_t i = 0; i < n; i++) {
        first = events[i].ts_ms < first ? events[i].ts_ms : first;
        last = events[i].ts_ms > last ? events[i].ts_ms : last;
    }
    must(commit_begin(store, &err), &err);
    for (int64_t start = first / level_ms * level_ms; start <= last; start += level_ms) {
        AUTO(states)
        struct states *states = scored_states(events, n, version, start, start + level_ms);
        struct buf buf;
        if (!states)
            continue;
        buf_init(&buf, 1 << 24);
        states_save(states, &buf);
        must(commit_pane(store, series, level_ms, start, buf.data, buf.size, &err), &err);
        buf_finish(&buf);
    }
    must(commit_end(store, &err), &err);
}

void scored_commit(struct store *store, const struct scored *events, size_t n, int n_versions,
                   int64_t level_ms)
{
    for (int version = 0; n > 0 && version < n_versions; version++)
        commit_version_panes(store, events, n, version, level_ms);
}

void same_states(const struct states *got, const struct states *expected)
{
    struct buf a;
    struct buf b;
    assert_int_equal(got == NULL, expected == NULL);
    if (!got)
        return;
    buf_init(&a, 1 << 24);
    buf_init(&b, 1 << 24);
    states_save(got, &a);
    states_save(expected, &b);
    assert_int_equal(a.size, b.size);
    assert_memory_equal(a.data, b.data, a.size);
    buf_finish(&a);
    buf_finish(&b);
}
