#include "tests/lib/temp_store.h"

#include <dirent.h>
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/test.h"

void must(int rc, const struct err *err)
{
    if (rc != 0)
        fail_msg("%d: %s", rc, err->text);
}

/* Memory where there is some: the tests sync thousands of times. */
struct temp *temp_new(void)
{
    struct temp *temp = calloc(1, sizeof(*temp));
    assert_non_null(temp);
    const char *root = getenv("TMPDIR");
    if (!root)
        root = access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp";
    snprintf(temp->directory, sizeof(temp->directory), "%s/assay-test-XXXXXX", root);
    assert_non_null(mkdtemp(temp->directory));
    snprintf(temp->path, sizeof(temp->path), "%s/assay.db", temp->directory);
    return temp;
}

void temp_free(struct temp *temp)
{
    if (!temp)
        return;
    DIR *directory = opendir(temp->directory);
    for (struct dirent *entry; directory && (entry = readdir(directory));) {
        char path[512];
        snprintf(path, sizeof(path), "%s/%s", temp->directory, entry->d_name);
        unlink(path);
    }
    if (directory)
        closedir(directory);
    rmdir(temp->directory);
    free(temp);
}

struct store *temp_store(const struct temp *temp, enum store_mode mode)
{
    struct err err = {0};
    struct store *store = NULL;
    must(store_open(&store, temp->path, mode, &err), &err);
    return store;
}

int64_t temp_series(struct store *store, const char *model, const char *version, const char *slice)
{
    struct err err = {0};
    int64_t series = 0;
    const struct model_row row = {model, "binary", "1", 0.5, 7 * 24 * HOUR};
    must(commit_begin(store, &err), &err);
    must(commit_model(store, &row, &err), &err);
    must(commit_series(store, model, version, slice, &series, &err), &err);
    must(commit_end(store, &err), &err);
    return series;
}

int64_t temp_number(struct store *store, const char *sql)
{
    sqlite3_stmt *statement = NULL;
    if (sqlite3_prepare_v2(store_db(store), sql, -1, &statement, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(store_db(store)));
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    int64_t number = sqlite3_column_int64(statement, 0);
    sqlite3_finalize(statement);
    return number;
}

static void run(sqlite3 *db, const char *sql)
{
    if (sqlite3_exec(db, sql, NULL, NULL, NULL) != SQLITE_OK)
        fail_msg("%s: %s", sql, sqlite3_errmsg(db));
}

void temp_run(struct store *store, const char *sql)
{
    run(store_db(store), sql);
}

void temp_edit(const char *path, const char *sql)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    run(db, sql);
    sqlite3_close(db);
}
