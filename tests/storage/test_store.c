#include "storage/store.h"

#include <errno.h>
#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "storage/changes.h"
#include "storage/migrate.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static void pragma_is(struct store *store, const char *pragma, const char *expected)
{
    char sql[64];
    sqlite3_stmt *statement;
    snprintf(sql, sizeof(sql), "PRAGMA %s", pragma);
    assert_int_equal(sqlite3_prepare_v2(store_db(store), sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_string_equal((const char *)sqlite3_column_text(statement, 0), expected);
    sqlite3_finalize(statement);
}

static void a_new_database_has_the_settings_that_keep_the_promises(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct stat file;

    pragma_is(store, "journal_mode", "wal");
    pragma_is(store, "synchronous", "2");
    pragma_is(store, "wal_autocheckpoint", "0");
    pragma_is(store, "trusted_schema", "0");
    pragma_is(store, "application_id", "1098085241");
    pragma_is(store, "user_version", "17");
    assert_int_equal(stat(temp->path, &file), 0);
    assert_int_equal(file.st_mode & 0777, 0600);

    int defensive = 0;
    sqlite3_db_config(store_db(store), SQLITE_DBCONFIG_DEFENSIVE, -1, &defensive);
    assert_int_equal(defensive, 1);
    assert_int_equal(sqlite3_exec(store_db(store), "SELECT load_extension('x')", NULL, NULL, NULL),
                     SQLITE_ERROR);
    assert_string_equal(sqlite3_errmsg(store_db(store)), "not authorized");
}

static void a_reader_needs_a_database_and_writes_nothing(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct err err = {0};
    struct store *none = NULL;
    char expected[512];
    snprintf(expected, sizeof(expected),
             "%s: no such database; `assay serve` and `assay replay` make it", temp->path);
    assert_int_equal(store_open(&none, temp->path, STORE_READ, &err), -ENOENT);
    assert_string_equal(err.text, expected);

    AUTO(store) struct store *writer = temp_store(temp, STORE_WRITE);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    assert_int_equal(sqlite3_exec(store_db(reader), "DELETE FROM facts", NULL, NULL, NULL),
                     SQLITE_READONLY);
    assert_true(commit_begin(reader, &err) < 0);
    assert_non_null(strstr(err.text, "opened for reading only"));
}

static void F08_a_second_writer_is_refused_and_told_the_pid(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *first = temp_store(temp, STORE_WRITE);
    struct store *second = NULL;
    struct err err = {0};
    char expected[512];

    assert_int_equal(store_open(&second, temp->path, STORE_WRITE, &err), ERR_USAGE);

    snprintf(expected, sizeof(expected),
             "%s: in use by process %ld; stop that one, or give this one another storage.path",
             temp->path, (long)getpid());
    assert_string_equal(err.text, expected);
}

static void F08_a_link_to_the_database_is_the_same_database(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *first = temp_store(temp, STORE_WRITE);
    struct store *second = NULL;
    char link[192];
    snprintf(link, sizeof(link), "%s/other.db", temp->directory);
    assert_int_equal(symlink(temp->path, link), 0);

    assert_int_equal(store_open(&second, link, STORE_WRITE, NULL), ERR_USAGE);
}

static void F08_the_lock_goes_with_its_owner(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    store_free(temp_store(temp, STORE_WRITE));

    AUTO(store) struct store *again = temp_store(temp, STORE_WRITE);
    assert_non_null(again);
}

static void F35_a_newer_schema_is_refused_by_name(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = NULL;
    struct err err = {0};
    char expected[512];
    store_free(temp_store(temp, STORE_WRITE));
    temp_edit(temp->path, "PRAGMA user_version = 99");

    snprintf(
        expected, sizeof(expected),
        "%s: written by a newer version of assay (schema 99, this one knows up to 17); use that "
        "version, or restore a backup",
        temp->path);
    assert_int_equal(store_open(&store, temp->path, STORE_WRITE, &err), ERR_NEWER);
    assert_string_equal(err.text, expected);
    assert_int_equal(store_open(&store, temp->path, STORE_READ, &err), ERR_NEWER);
    assert_string_equal(err.text, expected);
}

static void a_database_of_another_program_is_left_alone(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = NULL;
    struct err err = {0};
    temp_edit(temp->path, "CREATE TABLE songs(title)");

    assert_int_equal(store_open(&store, temp->path, STORE_WRITE, &err), ERR_DATA);
    assert_non_null(strstr(err.text, "an SQLite database of another program"));
}

static void F33_what_is_no_database_is_refused_and_left_as_it_is(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = NULL;
    struct err err = {0};
    char read_back[64] = "";
    FILE *file = fopen(temp->path, "w");
    assert_non_null(file);
    for (int i = 0; i < 1000; i++)
        fputs("this is no database\n", file);
    fclose(file);

    assert_int_equal(store_open(&store, temp->path, STORE_WRITE, &err), ERR_CORRUPT);
    assert_non_null(strstr(err.text, "run `assay verify "));
    assert_non_null(strstr(err.text, "restore a backup"));

    file = fopen(temp->path, "r");
    assert_non_null(file);
    assert_non_null(fgets(read_back, sizeof(read_back), file));
    fclose(file);
    assert_string_equal(read_back, "this is no database\n");
}

static void the_change_counter_goes_on_after_a_restart(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    for (int run = 1; run <= 2; run++) {
        AUTO(changes) struct changes *changes = NULL;
        AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
        struct err err = {0};
        must(changes_new(&changes, &err), &err);
        must(store_set_changes(store, changes, &err), &err);
        for (int i = 0; i < 3; i++) {
            must(commit_begin(store, &err), &err);
            must(commit_fact(store, "watermark_ms", 1000 * run + i, &err), &err);
            must(commit_end(store, &err), &err);
        }
        must(commit_begin(store, &err), &err);
        must(commit_end(store, &err), &err);
        assert_int_equal(changes_now(changes), 3 * run); /* the empty commit does not count */
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_database_has_the_settings_that_keep_the_promises),
        cmocka_unit_test(a_reader_needs_a_database_and_writes_nothing),
        cmocka_unit_test(F08_a_second_writer_is_refused_and_told_the_pid),
        cmocka_unit_test(F08_a_link_to_the_database_is_the_same_database),
        cmocka_unit_test(F08_the_lock_goes_with_its_owner),
        cmocka_unit_test(F35_a_newer_schema_is_refused_by_name),
        cmocka_unit_test(a_database_of_another_program_is_left_alone),
        cmocka_unit_test(F33_what_is_no_database_is_refused_and_left_as_it_is),
        cmocka_unit_test(the_change_counter_goes_on_after_a_restart),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
