#include "tests/lib/profiled_log.h"

#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "collector/reference_file.h"
#include "common/cleanup.h"
#include "common/rng.h"
#include "storage/references.h"
#include "tests/lib/credit_log.h"
#include "tests/test.h"

const char profiled_yaml[] =
    "models:\n"
    "  - {name: credit, task: binary, positive: 1, label_horizon: 1h,\n"
    "     segments: [country], features: {income: {type: numeric, max: 2900}}}\n";

enum {
    MAX_TEXT = 400,
    NEW_FROM = 900,  /* one more feature, in every third event */
    ODD_FROM = 1500, /* vectors and a value that is none, for so many events */
    N_ODD = 200
};

static double income_of(int i)
{
    struct rng rng = rng_of((uint64_t)i + 1);
    return 1000 * rng_normal(&rng);
}

static const char *more_of(int i)
{
    if (i >= ODD_FROM && i < ODD_FROM + N_ODD)
        return i % 4 ? ",\"point\":[0.5,1.5,-2.5]" : ",\"age\":true,\"point\":[0.25]";
    return i > NEW_FROM && i % 3 == 0 ? ",\"new\":true" : "";
}

static int prediction(int i, int64_t ts_ms, char *to, size_t room)
{
    static const char *const countries[] = {"de", "fr", "it"};
    return snprintf(to, room,
                    "{\"type\":\"prediction\",\"id\":\"c%d\",\"ts\":%lld,\"model\":\"credit\","
                    "\"version\":\"v%d\",\"score\":0.%03d,\"prediction\":%d,\"segment\":{"
                    "\"country\":\"%s\"},\"features\":{\"income\":%.3f,\"years\":%d%s,\"plan\":"
                    "\"p%d\"}}",
                    i, (long long)ts_ms, i % 2, i * 37 % 1000, i % 2, countries[i % 3],
                    income_of(i), 20 + i * 7 % 50, more_of(i), i * 11 % 5);
}

void profiled_log_fill(struct sim_log *log, const struct profiled_log *plan)
{
    int partition = sim_partition(log, "predictions", 0);
    for (int i = 0; i < plan->n; i++) {
        char text[MAX_TEXT];
        const int64_t late_ms = i % 500 == 499 ? 180000 : i % 25 == 24 ? 60000 : 0;
        const int64_t ts_ms = CREDIT_START + i * plan->step_ms - late_ms;
        prediction(i, ts_ms, text, sizeof(text));
        sim_add(log, partition, ts_ms, "%s", text);
        if (i >= 50)
            sim_add(log, partition, ts_ms,
                    "{\"type\":\"label\",\"id\":\"c%d\",\"ts\":%lld,\"label\":%d}", i - 50,
                    (long long)ts_ms, i * 5 % 3 % 2);
    }
}

void profiled_reference(struct temp *temp)
{
    struct buf text;
    struct err err = {0};
    struct reference_counts counts;
    AUTO(config) struct config *config = NULL;
    AUTO(reference) struct reference *reference = NULL;
    must(config_parse(&config, "test.yaml", profiled_yaml, strlen(profiled_yaml), &err), &err);
    buf_init(&text, 4 << 20);
    for (int i = 0; i < 3000; i++) {
        char line[MAX_TEXT];
        prediction(i + 5000, CREDIT_START, line, sizeof(line));
        buf_printf(&text, "%s\n", line);
    }
    const struct reference_source source = {
        .model = "credit", .config = &config->models[0], .task = "binary"};
    must(
        reference_from_text(&reference, &source, (const char *)text.data, text.size, &counts, &err),
        &err);
    buf_finish(&text);
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    must(commit_begin(store, &err), &err);
    must(commit_reference(store, "credit", NULL, reference, "file", CREDIT_START, &err), &err);
    must(commit_end(store, &err), &err);
}

char *profiled_states(struct collector_bench *bench)
{
    AUTO_FREE char *panes = bench_panes(bench);
    struct buf out;
    sqlite3_stmt *statement = NULL;
    buf_init(&out, (size_t)64 << 20);
    buf_printf(&out, "%s", panes);
    assert_int_equal(sqlite3_prepare_v2(store_db(bench->store),
                                        "SELECT key, part, hex(bytes) FROM profiles ORDER BY 1, 2",
                                        -1, &statement, NULL),
                     SQLITE_OK);
    while (sqlite3_step(statement) == SQLITE_ROW)
        buf_printf(&out, "%lld %d %s\n", (long long)sqlite3_column_int64(statement, 0),
                   sqlite3_column_int(statement, 1), sqlite3_column_text(statement, 2));
    sqlite3_finalize(statement);
    buf_u8(&out, 0);
    assert_false(buf_failed(&out));
    return (char *)out.data; /* the caller owns it now */
}
