/*
 * Databases that released versions wrote still open, with all that is in them; and migrations that
 * were released do not change.
 *
 * A new release with schema N: ASSAY_MAKE_GOLDEN=N test_storage_golden writes
 * golden/schema_N.sqlite and golden/migrations.txt; look at the difference, commit.
 */
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "storage/connection.h"
#include "storage/dead_letter.h"
#include "storage/migrate.h"
#include "storage/restore.h"
#include "storage/row_hash.h"
#include "storage/series.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    N_EVENTS = 40
};

#define START (INT64_C(1700000000000) / HOUR * HOUR)

static const struct partition_counts counts = {.consumed = 41,
                                               .folded = 40,
                                               .dead_lettered = 1,
                                               .first = 7,
                                               .newest_ts_ms = 1700000000000,
                                               .last_offset = 47,
                                               .last_timestamp_ms = 1700000000001,
                                               .last_hash = UINT64_C(0xfedcba9876543210),
                                               .rejects = {[1] = 1}};

static void golden_path(char out[4096], const char *name)
{
    const char *source = getenv("ASSAY_SOURCE");
    snprintf(out, 4096, "%s/tests/storage/golden/%s", source ? source : "..", name);
}

static void draw(struct scored *events)
{
    struct rng rng = rng_of(1);
    scored_draw(events, N_EVENTS, &rng, START, START + 3 * HOUR, 2);
}

static void fill(struct store *store)
{
    struct scored events[N_EVENTS];
    struct err err = {0};
    const struct dead_letter_row row = {"predictions", 3,       12,      1700000000000,
                                        "not_json",    "score", {"{", 1}};
    draw(events);
    scored_commit(store, events, N_EVENTS, 2, HOUR);
    must(commit_begin(store, &err), &err);
    must(commit_offset(store, "predictions", 3, -1, 48, &counts, &err), &err);
    must(commit_pending_append(store, 7, "pending", 7, &err), &err);
    must(commit_dead_letter(store, &row, &err), &err);
    must(commit_name(store, "credit", "class", class_id("1", 1), view_of("1"), &err), &err);
    must(commit_model_counts(store, "credit", "{\"predictions\":40}", &err), &err);
    must(commit_version(store, "credit", "v1", "{\"code_version\":\"a1\"}", &err), &err);
    must(commit_fact(store, "watermark_ms", 1700000000000, &err), &err);
    must(commit_end(store, &err), &err);
}

static void copy_file(const char *from, const char *to)
{
    char bytes[4096];
    size_t n;
    FILE *in = fopen(from, "rb");
    FILE *out = fopen(to, "wb");
    if (!in)
        fail_msg("%s is missing", from);
    assert_non_null(out);
    while ((n = fread(bytes, 1, sizeof(bytes), in)) > 0)
        assert_int_equal(fwrite(bytes, 1, n, out), n);
    fclose(in);
    fclose(out);
}

static void print_migrations(char *out, size_t size)
{
    out[0] = '\0';
    for (int i = 0; i < n_migrations; i++) {
        const struct migration *step = &migrations[i];
        size_t used = strlen(out);
        snprintf(out + used, size - used, "%03d %s %016" PRIx64 "\n", step->number, step->name,
                 (uint64_t)row_hash(step->number, step->sql, (int64_t)strlen(step->sql)));
    }
}

/* As a program would have written it that knew the first `number` migrations only. */
static void make_golden(int number)
{
    char path[4096];
    char name[64];
    char text[4096];
    struct err err = {0};
    AUTO(temp) struct temp *temp = temp_new();
    struct store store = {
        .path = temp->path, .mode = STORE_WRITE, .lock_fd = -1, .page_bytes = 4096};
    assert_int_equal(sqlite3_open(temp->path, &store.db), SQLITE_OK);
    sqlite3_exec(store.db, "PRAGMA journal_mode=WAL", NULL, NULL, NULL);
    must(migrate_steps(&store, migrations, number, &err), &err);
    fill(&store);
    for (size_t i = 0; i < store.n_statements; i++)
        sqlite3_finalize(store.statements[i].statement);
    sqlite3_close(store.db); /* the last connection: the WAL goes into the file */
    snprintf(name, sizeof(name), "schema_%d.sqlite", number);
    golden_path(path, name);
    copy_file(temp->path, path);

    print_migrations(text, sizeof(text));
    golden_path(path, "migrations.txt");
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    fputs(text, out);
    fclose(out);
}

/* Newer states keep more beside (predicted classes by score), so values are compared, not bytes. */
static void same_values(const struct states *got, const struct states *expected)
{
    size_t n, compared = 0;
    const struct metric_def *table = metric_table(&n);
    assert_non_null(got);
    for (size_t i = 0; i < n; i++) {
        struct metric_value a, b;
        struct metric_ref ref;
        if (metric_find(&ref, table[i].name, TASK_BINARY, NULL) ||
            strncmp(table[i].name, "estimated_", 10) == 0)
            continue;
        metric_result(got, &ref, HOUR, &a);
        metric_result(expected, &ref, HOUR, &b);
        assert_memory_equal(&a.value, &b.value, sizeof(a.value));
        assert_memory_equal(&a.error_bound, &b.error_bound, sizeof(a.error_bound));
        compared++;
    }
    assert_true(compared > 20);
}

static int check_offset(void *context, const struct restored_offset *row, struct err *err)
{
    (void)err;
    assert_string_equal(row->topic, "predictions");
    assert_int_equal(row->partition, 3);
    assert_int_equal(row->next, 48);
    assert_memory_equal(&row->counts, &counts, sizeof(counts));
    ++*(int *)context;
    return 0;
}

static int check_pending(void *context, uint32_t segment, const void *bytes, size_t n,
                         struct err *err)
{
    (void)err;
    assert_int_equal(segment, 7);
    assert_int_equal(n, 7);
    assert_memory_equal(bytes, "pending", 7);
    ++*(int *)context;
    return 0;
}

static int check_letter(void *context, const struct dead_letter *letter, struct err *err)
{
    (void)err;
    assert_string_equal(letter->row.detail, "score");
    ++*(int *)context;
    return 0;
}

static void check_contents(struct store *store)
{
    struct scored events[N_EVENTS];
    struct err err = {0};
    struct series_points points;
    const struct series_query query = {.model = "credit",
                                       .from_ms = START,
                                       .to_ms = START + 3 * HOUR,
                                       .window_ms = HOUR,
                                       .step_ms = HOUR};
    AUTO_FREE char *text = NULL;
    int n = 0;
    draw(events);
    must(series_read(store, &query, &points, &err), &err);
    assert_int_equal(points.n_damaged, 0);
    for (size_t i = 0; i < points.n; i++) {
        AUTO(states)
        struct states *expected =
            scored_states(events, N_EVENTS, -1, points.points[i].start_ms, points.points[i].end_ms);
        same_values(points.points[i].states, expected);
    }
    series_points_free(&points);
    must(restore_offsets(store, check_offset, &n, &err), &err);
    must(restore_pending(store, check_pending, &n, &err), &err);
    must(dead_letters_read(store, INT64_MAX, 9, check_letter, &n, &err), &err);
    assert_int_equal(n, 3);
    must(restore_model_counts(store, "credit", &text, &err), &err);
    assert_string_equal(text, "{\"predictions\":40}");
}

static void F35_databases_of_every_release_open_with_all_that_is_in_them(void **state)
{
    (void)state;
    for (int number = 1; number <= n_migrations; number++) {
        char name[64];
        char path[4096];
        struct err err = {0};
        AUTO(temp) struct temp *temp = temp_new();
        snprintf(name, sizeof(name), "schema_%d.sqlite", number);
        golden_path(path, name);
        if (number > 1 && access(path, R_OK) != 0)
            continue; /* a schema that no release had */
        copy_file(path, temp->path);

        AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
        check_contents(store);
        store_free(store);
        store = NULL;

        must(store_verify(temp->path, &err), &err);
        if (number < n_migrations) {
            char copy[512];
            snprintf(copy, sizeof(copy), "%s.backup-schema%d", temp->path, number);
            assert_int_equal(access(copy, R_OK), 0);
        }
    }
}

static void F35_released_migrations_do_not_change(void **state)
{
    (void)state;
    char path[4096];
    char expected[4096] = "";
    char got[4096];
    golden_path(path, "migrations.txt");
    FILE *in = fopen(path, "r");
    assert_non_null(in);
    assert_true(fread(expected, 1, sizeof(expected) - 1, in) > 0);
    fclose(in);

    print_migrations(got, sizeof(got));

    if (strncmp(got, expected, strlen(expected)) != 0)
        fail_msg(
            "a released migration changed (tests/storage/golden/migrations.txt):\n%sbut now\n%s"
            "add the next number instead",
            expected, got);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F35_databases_of_every_release_open_with_all_that_is_in_them),
        cmocka_unit_test(F35_released_migrations_do_not_change),
    };
    if (getenv("ASSAY_MAKE_GOLDEN"))
        make_golden(atoi(getenv("ASSAY_MAKE_GOLDEN")));
    return cmocka_run_group_tests(tests, NULL, NULL);
}
