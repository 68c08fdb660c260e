/*
 * Copies while the writer goes on (F37's part here), what `assay verify` says, and migrations that
 * break off half-way (F35).
 */
#include "storage/backup.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/commit.h"
#include "storage/connection.h"
#include "storage/migrate.h"
#include "storage/series.h"
#include "tests/lib/crash_disk.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static int64_t integer(const char *path, const char *sql)
{
    sqlite3 *db;
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_open_v2(path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    int64_t value = -1;
    if (sqlite3_prepare_v2(db, sql, -1, &statement, NULL) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW)
        value = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    sqlite3_close(db);
    return value;
}

static void beside(char out[256], const struct temp *temp, const char *name)
{
    snprintf(out, 256, "%s/%s", temp->directory, name);
}

static void commit_number(struct store *store, int64_t series, int64_t number)
{
    static const char filler[3000];
    struct err err = {0};
    const struct partition_counts counts = {.consumed = number, .folded = number};
    must(commit_begin(store, &err), &err);
    for (int i = 0; i < 20; i++)
        must(commit_pane(store, series, MINUTE, i * MINUTE, filler, 2000 + (size_t)number % 1000,
                         &err),
             &err);
    must(commit_fact(store, "number", number, &err), &err);
    must(commit_offset(store, "t", 0, number == 1 ? -1 : number - 1, number, &counts, &err), &err);
    must(commit_end(store, &err), &err);
}

struct writing {
    struct store *store;
    int64_t series;
    atomic_bool stop;
    int64_t number;
};

static void *write_on(void *context)
{
    struct writing *writing = context;
    while (!atomic_load(&writing->stop)) {
        commit_number(writing->store, writing->series, ++writing->number);
        store_checkpoint(writing->store, NULL);
    }
    return NULL;
}

static void F37_a_backup_under_load_holds_one_commit_and_its_own_offsets(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct writing writing = {.store = store, .series = temp_series(store, "credit", "v1", "")};
    pthread_t thread;
    char copy[256];
    beside(copy, temp, "copy.db");
    commit_number(store, writing.series, ++writing.number);
    assert_int_equal(pthread_create(&thread, NULL, write_on, &writing), 0);

    for (int i = 0; i < 10; i++) {
        must(store_backup(temp->path, copy, &err), &err);
        int64_t number = integer(copy, "SELECT value FROM facts WHERE key = 'number'");
        assert_true(number > 0);
        assert_int_equal(integer(copy, "SELECT next FROM offsets"), number);
        assert_int_equal(integer(copy, "SELECT sum(revision) FROM panes"), 20 * number);
        assert_int_equal(integer(copy, "SELECT sum(length(state)) FROM panes"),
                         20 * (2000 + number % 1000));
        assert_int_equal(integer(copy, "SELECT count(*) FROM pragma_integrity_check WHERE "
                                       "integrity_check = 'ok'"),
                         1);
    }
    atomic_store(&writing.stop, true);
    pthread_join(thread, NULL);
    store_free(store);
    store = NULL;

    struct stat file;
    assert_int_equal(stat(copy, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);
    AUTO(store) struct store *restored = NULL;
    must(store_open(&restored, copy, STORE_WRITE, &err), &err); /* it works as a database */
    commit_number(restored, writing.series,
                  integer(copy, "SELECT value FROM facts WHERE key = 'number'") + 1);
}

static void a_backup_to_standard_output_has_the_same_bytes(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char copy[256];
    char piped[256];
    commit_number(store, temp_series(store, "credit", "v1", ""), 1);
    beside(copy, temp, "copy.db");
    beside(piped, temp, "piped.db");
    must(store_backup(temp->path, copy, &err), &err);

    fflush(stdout);
    int saved = dup(STDOUT_FILENO);
    int file = open(piped, O_RDWR | O_CREAT, 0600);
    dup2(file, STDOUT_FILENO);
    int rc = store_backup(temp->path, "-", &err);
    dup2(saved, STDOUT_FILENO);
    close(saved);
    close(file);
    must(rc, &err);

    char a[4096];
    char b[4096];
    FILE *one = fopen(copy, "rb");
    FILE *two = fopen(piped, "rb");
    size_t n;
    while ((n = fread(a, 1, sizeof(a), one)) > 0) {
        assert_int_equal(fread(b, 1, sizeof(b), two), n);
        assert_memory_equal(a, b, n);
    }
    assert_int_equal(fread(b, 1, sizeof(b), two), 0);
    fclose(one);
    fclose(two);
}

static void a_backup_is_whole_or_not_there(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char copy[256];
    char part[256];
    commit_number(store, temp_series(store, "credit", "v1", ""), 1);
    beside(copy, temp, "copy.db");
    beside(part, temp, "copy.db.part");

    faulty_fail(faulty, FAULTY_WRITE, 9, ENOSPC, true);
    assert_int_equal(store_backup(temp->path, copy, &err), ERR_FULL);
    faulty_fail(faulty, 0, 0, 0, false);

    assert_non_null(strstr(err.text, "no room for the backup"));
    assert_int_not_equal(access(copy, F_OK), 0);
    assert_int_not_equal(access(part, F_OK), 0);
    assert_int_equal(store_backup(temp->path, temp->path, &err), ERR_USAGE);
    assert_non_null(strstr(err.text, "the backup would replace the database itself"));
    commit_number(store, 1, 2); /* the writer did not notice */
}

static void verify_names_the_first_fault(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct scored event = {.ts_ms = 2 * HOUR, .score = 0.5};
    struct err err = {0};
    char expected[512];
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    scored_commit(store, &event, 1, 1, HOUR);
    store_free(store);
    store = NULL;
    must(store_verify(temp->path, &err), &err);

    temp_edit(temp->path, "UPDATE panes SET state = x'00' || substr(state, 2)");
    assert_int_equal(store_verify(temp->path, &err), ERR_CORRUPT);
    snprintf(expected, sizeof(expected),
             "%s: pane of model credit, version v0, slice \"\", level 3600000 ms, start "
             "1970-01-01T02:00:00.000Z: its bytes are not those that were written; restore a "
             "backup, or go on without it",
             temp->path);
    assert_string_equal(err.text, expected);

    temp_edit(temp->path, "UPDATE panes SET start_ms = 0");
    assert_int_equal(store_verify(temp->path, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "it is not where its key says"));
    temp_edit(temp->path, "DELETE FROM panes; CREATE TABLE mine(a)");
    assert_int_equal(store_verify(temp->path, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "the definition of mine is not ours"));
}

static void verify_finds_offsets_names_and_pending_rows_that_changed(void **state)
{
    (void)state;
    static const struct {
        const char *damage;
        const char *message;
    } cases[] = {
        {"UPDATE offsets SET next = next + 1", "offsets of t[0] are not those that were written"},
        {"UPDATE pending SET bytes = 'x'", "pending segment 3: its bytes are not those"},
        {"UPDATE names SET text = 'dog'", "the name \"dog\" has another id than its own"},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        AUTO(temp) struct temp *temp = temp_new();
        struct err err = {0};
        AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
        const struct partition_counts counts = {.consumed = 1, .waiting = 1};
        must(commit_begin(store, &err), &err);
        must(commit_offset(store, "t", 0, -1, 1, &counts, &err), &err);
        must(commit_pending_append(store, 3, "abc", 3, &err), &err);
        must(commit_name(store, "m", "class", class_id("cat", 3), view_of("cat"), &err), &err);
        must(commit_end(store, &err), &err);
        store_free(store);
        store = NULL;
        must(store_verify(temp->path, &err), &err);

        temp_edit(temp->path, cases[i].damage);

        assert_int_equal(store_verify(temp->path, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.text, cases[i].message));
    }
}

static void a_damaged_database_names_the_newest_backup(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct err err = {0};
    char copy[256];
    char expected[512];
    beside(copy, temp, "copy.db");
    store_free(temp_store(temp, STORE_WRITE));
    must(store_backup(temp->path, copy, &err), &err);
    FILE *file = fopen(temp->path, "r+");
    fputs("no longer a database", file);
    fclose(file);

    struct store *store = NULL;
    assert_int_equal(store_open(&store, temp->path, STORE_WRITE, &err), ERR_CORRUPT);
    snprintf(expected, sizeof(expected), "run `assay verify %s`, then restore %s", temp->path,
             copy);
    assert_non_null(strstr(err.text, expected));
}

enum {
    MAX_STEPS = 64
};

/* The program's own steps and two more: what a later version would bring. */
static int later_steps(struct migration steps[MAX_STEPS], const char *last_sql)
{
    int n = n_migrations;
    memcpy(steps, migrations, (size_t)n * sizeof(*steps));
    steps[n] = (struct migration){n + 1, "good",
                                  "CREATE TABLE good(a); INSERT INTO good "
                                  "SELECT value FROM facts"};
    steps[n + 1] = (struct migration){n + 2, "last", last_sql};
    return n + 2;
}

static void F35_a_step_that_fails_is_taken_back_whole_and_the_copy_is_there(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct migration steps[MAX_STEPS];
    char copy[512];
    char expected[64];
    int n = later_steps(steps, "CREATE TABLE half(a); INSERT INTO nowhere VALUES(1)");
    must(commit_begin(store, &err), &err);
    must(commit_fact(store, "watermark_ms", 5, &err), &err);
    must(commit_end(store, &err), &err);

    assert_true(migrate_steps(store, steps, n, &err) < 0);

    snprintf(expected, sizeof(expected), "migration %03d: ", n);
    assert_int_equal(strncmp(err.text, expected, strlen(expected)), 0);
    assert_non_null(strstr(err.text, "no such table: nowhere"));
    assert_int_equal(integer(temp->path, "PRAGMA user_version"), n - 1);
    assert_int_equal(integer(temp->path, "SELECT count(*) FROM sqlite_schema WHERE name = 'half'"),
                     0);
    assert_int_equal(integer(temp->path, "SELECT a FROM good"), 5);
    snprintf(copy, sizeof(copy), "%s.backup-schema%d", temp->path, n_migrations);
    assert_int_equal(integer(copy, "PRAGMA user_version"), n_migrations);
    assert_int_equal(integer(copy, "SELECT value FROM facts WHERE key = 'watermark_ms'"), 5);
}

static void F35_power_loss_in_a_migration_leaves_a_whole_number_of_steps(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(temp) struct temp *image = temp_new();
    struct recording recording = {0};
    struct disk disk;
    struct err err = {0};
    struct migration steps[MAX_STEPS];
    int seen[3] = {0};
    int n = later_steps(steps, "CREATE TABLE last(b); INSERT INTO last SELECT a FROM good");
    disk_init(&disk, temp->path);
    faulty_record(faulty, temp->path, &recording);
    struct store *store = temp_store(temp, STORE_WRITE);
    must(commit_begin(store, &err), &err);
    must(commit_fact(store, "watermark_ms", 5, &err), &err);
    must(commit_end(store, &err), &err);

    size_t before = recording.n;
    must(migrate_steps(store, steps, n, &err), &err);
    store_free(store);
    faulty_record(faulty, NULL, NULL);
    for (size_t i = 0; i <= recording.n; i++) {
        for (uint64_t k = 0; i >= before && k < 6; k++) {
            struct rng rng = rng_of(i * 100 + k);
            disk_crash(&disk, &rng, image->path);
            temp_edit(image->path, "SELECT count(*) FROM facts"); /* recovers */
            int64_t taken = integer(image->path, "PRAGMA user_version") - n_migrations;
            assert_true(taken >= 0 && taken <= 2);
            seen[taken]++;
            assert_int_equal(integer(image->path, "SELECT a FROM good"), taken >= 1 ? 5 : -1);
            assert_int_equal(integer(image->path, "SELECT b FROM last"), taken >= 2 ? 5 : -1);
        }
        if (i < recording.n)
            disk_play(&disk, &recording.events[i]);
    }
    assert_true(seen[0] > 0 && seen[1] > 0 && seen[2] > 0);
    disk_finish(&disk);
    recording_finish(&recording);
}

static void F35_a_reader_does_not_migrate(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *reader = NULL;
    struct err err = {0};
    store_free(temp_store(temp, STORE_WRITE));
    temp_edit(temp->path, "PRAGMA user_version = 0");

    assert_int_equal(store_open(&reader, temp->path, STORE_READ, &err), ERR_DATA);
    assert_non_null(strstr(err.text, "`assay serve` migrates it at its next start"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(F37_a_backup_under_load_holds_one_commit_and_its_own_offsets),
        cmocka_unit_test(a_backup_to_standard_output_has_the_same_bytes),
        cmocka_unit_test(a_backup_is_whole_or_not_there),
        cmocka_unit_test(verify_names_the_first_fault),
        cmocka_unit_test(verify_finds_offsets_names_and_pending_rows_that_changed),
        cmocka_unit_test(a_damaged_database_names_the_newest_backup),
        cmocka_unit_test(F35_a_step_that_fails_is_taken_back_whole_and_the_copy_is_there),
        cmocka_unit_test(F35_power_loss_in_a_migration_leaves_a_whole_number_of_steps),
        cmocka_unit_test(F35_a_reader_does_not_migrate),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
