#include "tests/lib/changes_found.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "tests/test.h"

char *changes_found(struct collector_bench *bench, const char *model)
{
    static const char *const sql[] = {
        "SELECT model || ' ' || version || ' ' || slice || ' ' || kind || ' ' || name || ' ' || "
        "at_ms || ' ' || began_ms || ' ' || direction || ' ' || ifnull(mean_before, '-') || ' ' || "
        "ifnull(mean_after, '-') || ' ' || run || ' ' || n_after || ' ' || statistic || ' ' || "
        "reference || ' ' || reference_source || ' ' || reference_n || ' ' || "
        "ifnull(reference_from_ms, '-') || ' ' || ifnull(reference_to_ms, '-') FROM "
        "change_points WHERE ?1 IS NULL OR model = ?1 ORDER BY seq",
        "SELECT model || ' ' || version || ' ' || slice || ' ' || kind || ' ' || name || ' ' || "
        "hex(bytes) FROM change_detectors WHERE ?1 IS NULL OR model = ?1 ORDER BY model, version, "
        "slice, kind, name",
        "SELECT 'waiting ' || count(*) FROM change_waiting"};
    struct buf text;
    buf_init(&text, 4 << 20);
    for (int i = 0; i < 3; i++) {
        sqlite3_stmt *s = NULL;
        assert_int_equal(sqlite3_prepare_v2(store_db(bench->store), sql[i], -1, &s, NULL),
                         SQLITE_OK);
        if (sqlite3_bind_parameter_count(s) > 0)
            sqlite3_bind_text(s, 1, model, -1, SQLITE_STATIC);
        while (sqlite3_step(s) == SQLITE_ROW)
            buf_printf(&text, "%s\n", (const char *)sqlite3_column_text(s, 0));
        sqlite3_finalize(s);
    }
    buf_u8(&text, 0);
    assert_false(buf_failed(&text));
    return (char *)text.data;
}

char *changes_found_in(const struct changes_log *of, const struct sim_options *options,
                       uint64_t kills)
{
    struct collector_bench bench;
    AUTO(temp) struct temp *temp = temp_new();
    if (of->prepare)
        of->prepare(temp);
    bench_read_killed(&bench, temp, of->yaml, of->log, options, kills);
    char *text = changes_found(&bench, of->model);
    bench_close(&bench);
    return text;
}

void changes_found_always(const struct changes_log *of, const char *expected)
{
    enum {
        LAST_SEED = 5
    };
    for (uint64_t seed = 2; seed <= LAST_SEED; seed++) {
        const struct sim_options options = {.seed = seed,
                                            .max_batch = seed * seed * 7,
                                            .redeliver_percent = 10,
                                            .rebalance_percent = seed == LAST_SEED ? 3 : 0,
                                            .ends = true,
                                            .bounded = true};
        char *seen = changes_found_in(of, &options, seed % 3 * 2);
        assert_string_equal(expected, seen);
        free(seen);
    }
}
