/*
 * A collector on a simulated log and a database of its own, for tests.
 *
 * Owner    bench_open fills the caller's memory, bench_close takes it back; bench_crash closes
 *          without committing, bench_open on the same temp goes on
 */
#pragma once

#include "collector/collect.h"
#include "storage/commit.h"
#include "tests/lib/sim_source.h"
#include "tests/lib/temp_store.h"

struct fake_clock {
    int64_t wall_ms, boot_ms;
    struct clock clock;
};
void fake_clock_init(struct fake_clock *fake, int64_t wall_ms);
void fake_clock_pass(struct fake_clock *fake, int64_t ms);

struct collector_bench {
    struct temp *temp;
    struct config *config;
    struct fake_clock clock;
    struct store *store;
    struct source *source;
    struct collector *collector;
};

/* `yaml` NULL: model "credit", binary, segments by country, horizon 1 h, auto_models off. */
void bench_open(struct collector_bench *bench, struct temp *temp, const char *yaml,
                struct sim_log *log, const struct sim_options *options);
/* The same with looks: `at_look` and `context` as in collect.h. */
void bench_open_looks(struct collector_bench *bench, struct temp *temp, struct sim_log *log,
                      const struct sim_options *options,
                      int (*at_look)(void *context, int64_t look_ms, int64_t *next_look_ms,
                                     struct err *err),
                      void *context);
/* The same with more of collect.h's options: config, store, clock and sources are the bench's. */
void bench_open_wanting(struct collector_bench *bench, struct temp *temp, struct sim_log *log,
                        const struct sim_options *options, const struct collector_options *wanted);
void bench_close(struct collector_bench *bench);
/* As kill -9: what was not committed is gone. */
void bench_crash(struct collector_bench *bench);

/* Steps until the log is read, then commits; fails the test on an error. */
void bench_drain(struct collector_bench *bench);

/* Every pane by name with a hash of its state, sorted; malloc'd. */
char *bench_panes(struct collector_bench *bench);
/* The whole log, killed so many times on the way, each time later; the bench is left open. */
void bench_read_killed(struct collector_bench *bench, struct temp *temp, const char *yaml,
                       struct sim_log *log, const struct sim_options *options, uint64_t kills);
/* bench_panes of a log that is read at once, in large batches: what every other run must equal;
 * malloc'd. */
char *bench_undisturbed(struct sim_log *log);
/* One number of an SQL query. */
int64_t bench_number(struct collector_bench *bench, const char *sql);
/* consumed = folded + …, for every partition; next - first = consumed + holes + lost. */
void bench_balanced(struct collector_bench *bench);
