#include "tests/lib/collector_bench.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "common/buf.h"
#include "tests/test.h"

static const char default_yaml[] = "models:\n"
                                   "  - name: credit\n"
                                   "    task: binary\n"
                                   "    label_horizon: 1h\n"
                                   "    segments: [country]\n";

static int64_t fake_wall(void *context)
{
    return ((struct fake_clock *)context)->wall_ms;
}

static int64_t fake_boot(void *context)
{
    return ((struct fake_clock *)context)->boot_ms;
}

void fake_clock_init(struct fake_clock *fake, int64_t wall_ms)
{
    *fake = (struct fake_clock){wall_ms, 1000000, {fake, fake_wall, fake_boot}};
}

void fake_clock_pass(struct fake_clock *fake, int64_t ms)
{
    fake->wall_ms += ms;
    fake->boot_ms += ms;
}

static void open_with(struct collector_bench *bench, struct temp *temp, const char *yaml,
                      struct sim_log *log, const struct sim_options *options,
                      struct collector_options wanted)
{
    struct err err = {0};
    *bench = (struct collector_bench){.temp = temp};
    fake_clock_init(&bench->clock, 1700000000000);
    if (!yaml)
        yaml = default_yaml;
    must(config_parse(&bench->config, "test.yaml", yaml, strlen(yaml), &err), &err);
    bench->store = temp_store(temp, STORE_WRITE);
    must(sim_source_new(&bench->source, log, options, &err), &err);
    wanted.config = bench->config;
    wanted.store = bench->store;
    wanted.clock = &bench->clock.clock;
    wanted.sources = &bench->source;
    wanted.n_sources = 1;
    must(collector_new(&bench->collector, &wanted, &err), &err);
}

void bench_open(struct collector_bench *bench, struct temp *temp, const char *yaml,
                struct sim_log *log, const struct sim_options *options)
{
    open_with(bench, temp, yaml, log, options, (struct collector_options){.n_sources = 0});
}

void bench_open_looks(struct collector_bench *bench, struct temp *temp, struct sim_log *log,
                      const struct sim_options *options,
                      int (*at_look)(void *context, int64_t look_ms, int64_t *next_look_ms,
                                     struct err *err),
                      void *context)
{
    open_with(bench, temp, NULL, log, options,
              (struct collector_options){.at_look = at_look, .context = context});
}

void bench_open_wanting(struct collector_bench *bench, struct temp *temp, struct sim_log *log,
                        const struct sim_options *options, const struct collector_options *wanted)
{
    open_with(bench, temp, NULL, log, options, *wanted);
}

void bench_crash(struct collector_bench *bench)
{
    collector_free(bench->collector);
    source_free(bench->source);
    store_free(bench->store);
    config_free(bench->config);
    *bench = (struct collector_bench){.temp = bench->temp};
}

void bench_close(struct collector_bench *bench)
{
    struct err err = {0};
    must(collector_commit_now(bench->collector, &err), &err);
    bench_crash(bench);
}

void bench_drain(struct collector_bench *bench)
{
    struct err err = {0};
    int rc = 0;
    for (int i = 0; rc != COLLECTOR_END; i++) {
        rc = collector_step(bench->collector, 0, &err);
        if (rc < 0)
            fail_msg("%d: %s", rc, err.text);
        if (i > 2000000)
            fail_msg("the log does not end");
        fake_clock_pass(&bench->clock, 1);
    }
}

char *bench_panes(struct collector_bench *bench)
{
    static const char sql[] = "SELECT s.model, s.version, s.slice, p.level_ms, p.start_ms, "
                              "hex(p.state) FROM panes p JOIN series s ON s.id = p.series_id "
                              "ORDER BY 1, 2, 3, 4, 5";
    struct buf text;
    sqlite3_stmt *statement = NULL;
    buf_init(&text, (size_t)64 << 20);
    assert_int_equal(sqlite3_prepare_v2(store_db(bench->store), sql, -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        buf_printf(&text, "%s %s %s %lld %lld %s\n", sqlite3_column_text(statement, 0),
                   sqlite3_column_text(statement, 1), sqlite3_column_text(statement, 2),
                   (long long)sqlite3_column_int64(statement, 3),
                   (long long)sqlite3_column_int64(statement, 4),
                   sqlite3_column_text(statement, 5));
    sqlite3_finalize(statement);
    buf_u8(&text, 0);
    assert_false(buf_failed(&text));
    return (char *)text.data; /* the caller owns it now */
}

void bench_read_killed(struct collector_bench *bench, struct temp *temp, const char *yaml,
                       struct sim_log *log, const struct sim_options *options, uint64_t kills)
{
    struct err err = {0};
    for (uint64_t i = 0; i < kills; i++) {
        bench_open(bench, temp, yaml, log, options);
        for (uint64_t k = 0; k < 40 * (i + 1); k++) {
            assert_true(collector_step(bench->collector, 0, &err) >= 0);
            if (k % 7 == 3) /* commits that are no looks: what waits is in the database */
                assert_int_equal(collector_commit_now(bench->collector, &err), 0);
        }
        bench_crash(bench);
    }
    bench_open(bench, temp, yaml, log, options);
    bench_drain(bench);
    bench_balanced(bench);
}

char *bench_undisturbed(struct sim_log *log)
{
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    const struct sim_options options = {.seed = 1, .max_batch = 4096, .ends = true};
    bench_open(&bench, temp, NULL, log, &options);
    bench_drain(&bench);
    bench_balanced(&bench);
    char *panes = bench_panes(&bench);
    bench_close(&bench);
    return panes;
}

int64_t bench_number(struct collector_bench *bench, const char *sql)
{
    return temp_number(bench->store, sql);
}

void bench_balanced(struct collector_bench *bench)
{
    assert_int_equal(bench_number(bench, "SELECT count(*) FROM offsets WHERE consumed <> folded + "
                                         "duplicate + dead_lettered + late + orphaned + waiting"),
                     0);
    assert_int_equal(bench_number(bench, "SELECT count(*) FROM offsets WHERE next - first <> "
                                         "consumed + holes + lost"),
                     0);
}
