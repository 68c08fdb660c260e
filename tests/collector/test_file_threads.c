/* Reading ahead on a thread against reading on the collector's: nothing but the speed differs. */
#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "collector/collect.h"
#include "collector/file_lines.h"
#include "collector/source_file.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

#define T0 INT64_C(1700000000000)

enum {
    MAX_FILES = 3,
};

static const char yaml[] =
    "models:\n  - {name: credit, task: binary, label_horizon: 1h, segments: [country], "
    "features: {income: {type: numeric, min: 0}, city: {type: categorical}}}\n";

struct files {
    struct temp *temp;
    char paths[MAX_FILES][256];
    const char *list[MAX_FILES];
    size_t n;
};

static void files_init(struct files *files, struct temp *temp, size_t n)
{
    *files = (struct files){.temp = temp, .n = n};
    for (size_t i = 0; i < n; i++) {
        snprintf(files->paths[i], sizeof(files->paths[i]), "%s/events-%zu.jsonl", temp->directory,
                 i);
        files->list[i] = files->paths[i];
    }
}

static FILE *file_of(const struct files *files, size_t i)
{
    FILE *out = fopen(files->paths[i], "a");
    assert_non_null(out);
    return out;
}

/* A prediction, sometimes with escapes, without features, without a time, or rubbish. */
static void put_prediction(FILE *out, int i)
{
    const char *city = i % 7 ? "gdansk" : "gda\\u0144sk \\\"north\\\"";
    if (i % 31 == 3)
        fprintf(out, "{\"type\":\"prediction\",\"id\":\"p%d\",\"model\":\"cre", i);
    else if (i % 37 == 5)
        fprintf(out, "{\"type\":\"prediction\",\"id\":\"p%d\",\"model\":\"credit\",\"score\":1}",
                i);
    else
        fprintf(out,
                "{\"type\":\"prediction\",\"id\":\"p%d\",\"ts\":%lld,\"model\":\"credit\","
                "\"version\":\"v%d\",\"score\":%d.%02d,\"prediction\":1.0,\"features\":"
                "{\"income\":%s%d.5,\"city\":\"%s\"},\"segment\":{\"country\":\"c%d\"}}",
                i, (long long)T0 + i * 100, i % 2, i % 41 == 9 ? 2 : 0, i % 100, i % 11 ? "" : "-",
                i, city, i % 4);
    fputs(i % 13 ? "\n" : "\r\n\n", out);
}

static void put_label(FILE *out, int i)
{
    fprintf(out, "{\"type\":\"label\",\"id\":\"p%d\",\"ts\":%lld,\"label\":%s}\n", i,
            (long long)T0 + i * 100 + 5000, i % 3 ? "1" : "0.0");
}

/* Events in turn over the files; labels lie in another file than their predictions. */
static void write_events(const struct files *files, int n)
{
    FILE *out[MAX_FILES];
    for (size_t i = 0; i < files->n; i++)
        out[i] = file_of(files, i);
    for (int i = 0; i < n; i++) {
        put_prediction(out[(size_t)i % files->n], i);
        if (i >= 50)
            put_label(out[((size_t)i + 1) % files->n], i - 50);
    }
    for (size_t i = 0; i < files->n; i++)
        fclose(out[i]);
}

/* What a replay left, as text. How many labels came before their predictions depends on the sizes
   of batches where they lie in different files: the counts. */
static const char *const bits[] = {
    "SELECT s.model, s.version, s.slice, p.level_ms, p.start_ms, hex(p.state) FROM panes p "
    "JOIN series s ON s.id = p.series_id ORDER BY 1, 2, 3, 4, 5",
    "SELECT topic, partition, \"offset\", reason, detail, hex(payload) FROM dead_letter "
    "ORDER BY topic, \"offset\"",
    "SELECT topic, next, consumed, dead_lettered, duplicate, holes FROM offsets ORDER BY 1",
    NULL,
};
static const char *const counts[] = {
    "SELECT topic, \"offset\", 0, 0, 0, 0 FROM dead_letter ORDER BY id",
    "SELECT topic, folded, waiting, orphaned, late, lost FROM offsets ORDER BY 1",
    "SELECT model, counts, 0, 0, 0, 0 FROM model_counts ORDER BY 1",
    NULL,
};

static char *contents(struct store *store, const char *const *queries)
{
    struct buf text;
    buf_init(&text, (size_t)64 << 20);
    for (; *queries; queries++) {
        sqlite3_stmt *statement = NULL;
        assert_int_equal(sqlite3_prepare_v2(store_db(store), *queries, -1, &statement, NULL),
                         SQLITE_OK);
        while (sqlite3_step(statement) == SQLITE_ROW) {
            for (int column = 0; column < 6; column++)
                buf_printf(&text, "%s ", (const char *)sqlite3_column_text(statement, column));
            buf_u8(&text, '\n');
        }
        sqlite3_finalize(statement);
    }
    buf_u8(&text, 0);
    assert_false(buf_failed(&text));
    return (char *)text.data; /* the caller owns it now */
}

struct run {
    struct config *config;
    struct store *store;
    struct source *source;
    struct collector *collector;
    int n_looks;
};

static int look(void *context, int64_t look_ms, int64_t *next_look_ms, struct err *err)
{
    struct run *run = context;
    (void)look_ms;
    (void)next_look_ms;
    (void)err;
    run->n_looks++;
    return 0;
}

static void run_open(struct run *run, const struct temp *temp, const struct files *files,
                     const struct file_reading *reading)
{
    struct err err = {0};
    *run = (struct run){0};
    must(config_parse(&run->config, "test.yaml", yaml, strlen(yaml), &err), &err);
    run->store = temp_store(temp, STORE_WRITE);
    must(source_file_new(&run->source, files->list, files->n, reading, &err), &err);
    struct collector_options options = {.config = run->config,
                                        .store = run->store,
                                        .sources = &run->source,
                                        .n_sources = 1,
                                        .at_look = look,
                                        .context = run};
    must(collector_new(&run->collector, &options, &err), &err);
}

static int run_to_its_end(struct run *run, struct err *err)
{
    int rc;
    do
        rc = collector_step(run->collector, 0, err);
    while (rc >= 0 && rc != COLLECTOR_END);
    return rc;
}

static void run_close(struct run *run)
{
    collector_free(run->collector);
    source_free(run->source);
    store_free(run->store);
    config_free(run->config);
}

struct left {
    char *bits, *counts;
};

static struct left replayed(const struct files *files, const struct file_reading *reading)
{
    AUTO(temp) struct temp *temp = temp_new();
    struct run run;
    struct err err = {0};
    run_open(&run, temp, files, reading);
    int rc = run_to_its_end(&run, &err);
    if (rc != COLLECTOR_END)
        fail_msg("%d: %s", rc, err.text);
    struct left left = {contents(run.store, bits), contents(run.store, counts)};
    run_close(&run);
    return left;
}

static void assert_same(const char *seen, const char *expected, const char *what, size_t i)
{
    if (strcmp(seen, expected) != 0)
        fail_msg("%s of reading %zu:\n%s\nexpected\n%s", what, i, seen, expected);
}

/* With a thread and without, with batches of several sizes; `wanted` is somewhere in the bits. */
static void assert_same_whatever_the_reading(const struct files *files, const char *wanted)
{
    static const struct file_reading sizes[] = {
        {0}, {.lines = 1}, {.lines = 3}, {.lines = 7, .bytes = 300}, {.bytes = 1}};
    static const size_t aheads[] = {0, 1, 2, 9};
    const struct left first = replayed(files, &(struct file_reading){.here = true});
    if (!strstr(first.bits, wanted))
        fail_msg("%s is not in\n%s", wanted, first.bits);
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct file_reading reading = sizes[i];
        reading.here = true;
        const struct left here = replayed(files, &reading);
        assert_same(here.bits, first.bits, "bits without a thread", i);
        reading.here = false;
        for (size_t k = 0; k < sizeof(aheads) / sizeof(aheads[0]); k++) {
            reading.ahead = aheads[k];
            const struct left seen = replayed(files, &reading);
            assert_same(seen.bits, here.bits, "bits", i);
            assert_same(seen.counts, here.counts, "counts", i);
            free(seen.bits);
            free(seen.counts);
        }
        free(here.bits);
        free(here.counts);
    }
    free(first.bits);
    free(first.counts);
}

static void a_thread_that_reads_ahead_leaves_the_same_bits(void **state)
{
    (void)state;
    for (size_t n = 1; n <= MAX_FILES; n++) {
        AUTO(temp) struct temp *temp = temp_new();
        struct files files;
        files_init(&files, temp, n);
        write_events(&files, 400);

        assert_same_whatever_the_reading(&files, "credit v1 country=c1 60000 ");
    }
}

static void files_of_very_different_lengths_keep_their_turns(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    files_init(&files, temp, 3);
    fclose(file_of(&files, 0)); /* empty */
    FILE *few = file_of(&files, 1), *many = file_of(&files, 2);
    for (int i = 0; i < 500; i++)
        put_prediction(i % 100 ? many : few, i);
    put_label(few, 4);
    fclose(few);
    fclose(many);

    assert_same_whatever_the_reading(&files, "events-1.jsonl 6 6");
}

static void the_last_line_needs_no_end(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    files_init(&files, temp, 1);
    write_events(&files, 60);
    FILE *out = file_of(&files, 0);
    fputs("{\"type\":\"label\",\"id\":\"p59\",\"ts\":1700000010000,\"label\":1}", out);
    fclose(out);

    assert_same_whatever_the_reading(&files, "events-0.jsonl 71 71");
}

/* 1,000 features and 250 KB: more than a batch of 128 KB, and than what a batch of few bytes has
   place for. */
static void an_event_larger_than_a_batch_is_taken_whole(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    files_init(&files, temp, 1);
    write_events(&files, 20);
    FILE *out = file_of(&files, 0);
    for (int copy = 0; copy < 6; copy++) {
        fprintf(out,
                "{\"type\":\"prediction\",\"id\":\"big%d\",\"ts\":%lld,\"model\":\"credit\","
                "\"score\":0.5,\"features\":{\"income\":1",
                copy, (long long)T0);
        for (int i = 0; i < 1000; i++)
            fprintf(out, ",\"f%d\":\"%0*d\"", i, copy < 3 ? 230 : 3, i);
        fprintf(out, "}}\n");
    }
    fclose(out);
    write_events(&files, 20);

    assert_same_whatever_the_reading(&files, "events-0.jsonl 46 46");
}

static void a_line_beyond_all_events_is_cut_and_the_rest_of_it_left_out(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    files_init(&files, temp, 1);
    for (int extra = -1; extra < 2; extra++) {
        write_events(&files, 10);
        FILE *out = file_of(&files, 0);
        for (int i = 0; i < LINE_BYTES + extra; i++)
            fputc('x', out);
        fputc('\n', out);
        fclose(out);
    }
    write_events(&files, 10);

    assert_same_whatever_the_reading(&files, "too_large more than 256 KiB");
}

static void what_stands_before_the_damage_is_taken_first(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    char command[1200];
    files_init(&files, temp, 1);
    write_events(&files, 400);
    snprintf(command, sizeof(command), "gzip -c %s > %s/whole && head -c 4000 %s/whole > %s",
             files.paths[0], temp->directory, temp->directory, files.paths[0]);
    assert_int_equal(system(command), 0);
    char *expected = NULL;

    for (int here = 1; here >= 0; here--) {
        AUTO(temp) struct temp *other = temp_new();
        struct run run;
        struct err err = {0};
        run_open(&run, other, &files, &(struct file_reading){.here = here});
        assert_int_equal(run_to_its_end(&run, &err), ERR_DATA);
        assert_non_null(strstr(err.text, ".jsonl: the compressed file ends in the middle"));
        must(collector_commit_now(run.collector, &err), &err);
        char *seen = contents(run.store, bits);
        assert_non_null(strstr(seen, "not_json"));
        if (expected)
            assert_string_equal(seen, expected);
        run_close(&run);
        free(expected);
        expected = seen;
    }
    free(expected);
}

static void a_disk_that_cannot_be_written_ends_it_with_both_threads(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    files_init(&files, temp, 2);
    write_events(&files, 400);

    for (int64_t at = 1; at < 4; at++) {
        AUTO(temp) struct temp *other = temp_new();
        AUTO(faulty) struct faulty *faulty = faulty_install();
        struct run run;
        struct err err = {0};
        run_open(&run, other, &files, &(struct file_reading){.ahead = 1, .lines = 5});
        faulty_fail(faulty, FAULTY_WRITE, at, EIO, true);
        assert_int_equal(run_to_its_end(&run, &err), ERR_IO);
        run_close(&run);
    }
}

static void a_replay_that_is_left_half_way_goes_on_there(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    files_init(&files, temp, 2);
    write_events(&files, 300);
    const struct left expected = replayed(&files, &(struct file_reading){.here = true});

    for (int steps = 1; steps < 60; steps += 7) {
        AUTO(temp) struct temp *other = temp_new();
        struct run run;
        struct err err = {0};
        run_open(&run, other, &files, &(struct file_reading){.lines = 5});
        for (int i = 0; i < steps; i++)
            assert_true(collector_step(run.collector, 0, &err) >= 0);
        must(collector_commit_now(run.collector, &err), &err);
        run_close(&run);
        run_open(&run, other, &files, NULL);
        assert_int_equal(run_to_its_end(&run, &err), COLLECTOR_END);
        char *seen = contents(run.store, bits);
        assert_string_equal(seen, expected.bits);
        free(seen);
        run_close(&run);
    }
    free(expected.bits);
    free(expected.counts);
}

static void a_pipe_that_says_nothing_more_holds_nobody_up(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct files files;
    struct run run;
    struct err err = {0};
    struct collector_health health = {0};
    files_init(&files, temp, 1);
    assert_int_equal(mkfifo(files.paths[0], 0600), 0);
    AUTO_CLOSE int pipe_end = open(files.paths[0], O_RDWR | O_CLOEXEC);
    static const char line[] = "{\"type\":\"prediction\",\"id\":\"p\",\"ts\":1700000000000,"
                               "\"model\":\"credit\",\"score\":0.5}\n{\"type\":\"la";
    assert_int_equal(write(pipe_end, line, sizeof(line) - 1), sizeof(line) - 1);
    run_open(&run, temp, &files, NULL);

    while (health.totals.folded == 0) {
        assert_true(collector_step(run.collector, 1, &err) >= 0);
        must(collector_commit_now(run.collector, &err), &err);
        collector_health(run.collector, &health);
    }

    assert_int_equal(collector_step(run.collector, 1, &err), 0);
    run_close(&run); /* while the reader waits for the rest of the second line */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_thread_that_reads_ahead_leaves_the_same_bits),
        cmocka_unit_test(files_of_very_different_lengths_keep_their_turns),
        cmocka_unit_test(the_last_line_needs_no_end),
        cmocka_unit_test(an_event_larger_than_a_batch_is_taken_whole),
        cmocka_unit_test(a_line_beyond_all_events_is_cut_and_the_rest_of_it_left_out),
        cmocka_unit_test(what_stands_before_the_damage_is_taken_first),
        cmocka_unit_test(a_disk_that_cannot_be_written_ends_it_with_both_threads),
        cmocka_unit_test(a_replay_that_is_left_half_way_goes_on_there),
        cmocka_unit_test(a_pipe_that_says_nothing_more_holds_nobody_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
