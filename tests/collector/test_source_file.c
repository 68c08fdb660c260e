#include "collector/source_file.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <zlib.h>

#include "collector/collect.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const char yaml[] = "models:\n  - {name: credit, task: binary, label_horizon: 1h}\n";

static void write_lines(const char *path, const char *mode, int from, int to)
{
    FILE *out = fopen(path, mode);
    assert_non_null(out);
    for (int i = from; i < to; i++)
        fprintf(out,
                "{\"type\":\"prediction\",\"id\":\"f%d\",\"ts\":%lld,\"model\":\"credit\","
                "\"version\":\"v1\",\"score\":0.5}\n%s",
                i, 1700000000000LL + i, i % 10 ? "" : "\r\n\n");
    fclose(out);
}

/* Replays the files; the counts after it, or the error. */
static int replay(const struct temp *temp, const char *const *paths, size_t n,
                  struct collector_totals *totals, struct err *err)
{
    struct config *config = NULL;
    struct source *source = NULL;
    struct collector *collector = NULL;
    must(config_parse(&config, "test.yaml", yaml, strlen(yaml), err), err);
    struct store *store = temp_store(temp, STORE_WRITE);
    int rc = source_file_new(&source, paths, n, NULL, err);
    struct collector_options options = {
        .config = config, .store = store, .sources = &source, .n_sources = 1};
    if (!rc)
        rc = collector_new(&collector, &options, err);
    while (rc >= 0 && rc != COLLECTOR_END)
        rc = collector_step(collector, 0, err);
    if (collector) {
        struct collector_health health;
        collector_health(collector, &health);
        *totals = health.totals;
    }
    collector_free(collector);
    source_free(source);
    store_free(store);
    config_free(config);
    return rc;
}

static void a_file_is_taken_once_and_what_is_appended_later(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_totals totals;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/events.jsonl", temp->directory);
    const char *const paths[] = {path};
    write_lines(path, "w", 0, 5000);

    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);
    assert_int_equal(totals.folded, 5000);
    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);
    assert_int_equal(totals.consumed, 5000);
    write_lines(path, "a", 5000, 5100);
    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);

    assert_int_equal(totals.consumed, 5100);
    assert_int_equal(totals.folded, 5100);
    assert_int_equal(totals.holes + totals.redelivered + totals.lost, 0);
}

static void a_byte_order_mark_is_no_part_of_the_first_line(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_totals totals;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/events.jsonl", temp->directory);
    const char *const paths[] = {path};
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_int_equal(fputs("\xef\xbb\xbf", out) < 0, 0);
    fclose(out);
    write_lines(path, "a", 0, 3);

    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);
    assert_int_equal(totals.folded, 3);

    write_lines(path, "a", 3, 5); /* and read again: the last line that is stored is found */
    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);
    assert_int_equal(totals.folded, 5);
    assert_int_equal(totals.dead_lettered, 0);
}

static void another_file_of_that_name_is_refused(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_totals totals;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/events.jsonl", temp->directory);
    const char *const paths[] = {path};
    write_lines(path, "w", 0, 20);
    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);
    write_lines(path, "w", 100, 200);

    assert_int_equal(replay(temp, paths, 1, &totals, &err), ERR_DATA);

    assert_non_null(strstr(err.text, "events.jsonl: not the file of which 20 lines are in the "
                                     "database: give another --db, or the file as it was"));
}

static void gzipped_files_are_read_and_broken_ones_refused(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_totals totals;
    struct err err = {0};
    char plain[256], path[256];
    snprintf(plain, sizeof(plain), "%s/events.jsonl", temp->directory);
    snprintf(path, sizeof(path), "%s/events.jsonl.gz", temp->directory);
    write_lines(plain, "w", 0, 3000);
    gzFile gz = gzopen(path, "wb");
    FILE *in = fopen(plain, "r");
    char buffer[4096];
    size_t n;
    while ((n = fread(buffer, 1, sizeof(buffer), in)) > 0)
        assert_int_equal(gzwrite(gz, buffer, (unsigned)n), n);
    fclose(in);
    gzclose(gz);
    const char *const paths[] = {path};

    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);
    assert_int_equal(totals.folded, 3000);

    assert_int_equal(truncate(path, 2000), 0);
    AUTO(temp) struct temp *other = temp_new();
    assert_int_equal(replay(other, paths, 1, &totals, &err), ERR_DATA);
    assert_non_null(strstr(err.text, "events.jsonl.gz: the compressed file ends in the middle"));
}

static void a_file_that_is_named_twice_is_refused(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_totals totals;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/events.jsonl", temp->directory);
    write_lines(path, "w", 0, 3);
    const char *const twice[] = {path, "other.jsonl", path};
    const char *const input[] = {"-", "-"};

    assert_int_equal(replay(temp, twice, 3, &totals, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "events.jsonl is named twice"));
    assert_int_equal(replay(temp, input, 2, &totals, &err), ERR_USAGE);
    assert_string_equal(err.text, "standard input is named twice");
}

static void a_line_larger_than_any_event_is_one_dead_letter(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct collector_totals totals;
    struct err err = {0};
    char path[256];
    snprintf(path, sizeof(path), "%s/events.jsonl", temp->directory);
    write_lines(path, "w", 0, 3);
    FILE *out = fopen(path, "a");
    for (int i = 0; i < 3 * 1024 * 1024; i++)
        fputc('x', out);
    fputc('\n', out);
    fclose(out);
    write_lines(path, "a", 3, 7);
    const char *const paths[] = {path};

    assert_int_equal(replay(temp, paths, 1, &totals, &err), COLLECTOR_END);

    assert_int_equal(totals.consumed, 8);
    assert_int_equal(totals.dead_lettered, 1);
    assert_int_equal(totals.folded, 7);
}

static void a_file_that_is_not_there_is_named(void **state)
{
    (void)state;
    struct source *source = NULL;
    struct err err = {0};
    const char *const paths[] = {"/nowhere/events.jsonl"};

    assert_int_equal(source_file_new(&source, paths, 1, NULL, &err), -2);
    assert_string_equal(err.text, "/nowhere/events.jsonl: No such file or directory");
    assert_null(source);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_is_taken_once_and_what_is_appended_later),
        cmocka_unit_test(a_byte_order_mark_is_no_part_of_the_first_line),
        cmocka_unit_test(another_file_of_that_name_is_refused),
        cmocka_unit_test(gzipped_files_are_read_and_broken_ones_refused),
        cmocka_unit_test(a_file_that_is_named_twice_is_refused),
        cmocka_unit_test(a_line_larger_than_any_event_is_one_dead_letter),
        cmocka_unit_test(a_file_that_is_not_there_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
