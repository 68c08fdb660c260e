/*
 * docs/sql.md is true: each of its queries runs as any client would run it, on a connection of its
 * own, and the values are those that the states give.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <string.h>

#include "storage/commit.h"
#include "storage/values.h"
#include "tests/lib/scored.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

enum {
    N_EVENTS = 400
};

static char *read_page(void)
{
    const char *source = getenv("ASSAY_SOURCE");
    char path[4096];
    snprintf(path, sizeof(path), "%s/docs/sql.md", source ? source : "..");
    FILE *in = fopen(path, "rb");
    assert_non_null(in);
    char *text = calloc(1, 1 << 16);
    assert_non_null(text);
    assert_true(fread(text, 1, (1 << 16) - 1, in) > 0);
    fclose(in);
    return text;
}

static sqlite3 *open_as_client(const struct temp *temp)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open_v2(temp->path, &db, SQLITE_OPEN_READONLY, NULL), SQLITE_OK);
    return db;
}

/* Rows of a query; the first row's columns as text, joined by '|'. */
static int ask(sqlite3 *db, const char *sql, size_t n, char *first, size_t size)
{
    sqlite3_stmt *statement;
    int rows = 0;
    int rc = sqlite3_prepare_v2(db, sql, (int)n, &statement, NULL);
    if (rc != SQLITE_OK)
        fail_msg("%s in: %.*s", sqlite3_errmsg(db), (int)n, sql);
    first[0] = '\0';
    while ((rc = sqlite3_step(statement)) == SQLITE_ROW) {
        for (int i = 0; rows == 0 && i < sqlite3_column_count(statement); i++) {
            const char *text = (const char *)sqlite3_column_text(statement, i);
            size_t used = strlen(first);
            snprintf(first + used, size - used, "%s%s", i ? "|" : "", text ? text : "NULL");
        }
        rows++;
    }
    assert_int_equal(rc, SQLITE_DONE);
    sqlite3_finalize(statement);
    return rows;
}

static void make_database(const struct temp *temp, struct scored *events)
{
    struct err err = {0};
    struct rng rng = rng_of(11);
    const struct dead_letter_row row = {"t", 0, 7, 1700000000000, "not_json", NULL, {"{", 1}};
    const struct partition_counts counts = {.consumed = 401, .folded = 400, .dead_lettered = 1};
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    scored_draw(events, N_EVENTS, &rng, 0, 5 * MINUTE, 2);
    scored_commit(store, events, N_EVENTS, 2, MINUTE);
    must(commit_begin(store, &err), &err);
    must(commit_model_counts(store, "credit", "{\"predictions\":400}", &err), &err);
    must(commit_version(store, "credit", "v1", "{\"code_version\":\"a1\"}", &err), &err);
    must(commit_dead_letter(store, &row, &err), &err);
    must(commit_offset(store, "t", 0, -1, 401, &counts, &err), &err);
    must(commit_end(store, &err), &err);
    bool more = true;
    while (more)
        must(values_refresh(store, 3, &more, &err), &err);
}

static void every_query_of_the_page_runs(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    static struct scored events[N_EVENTS];
    AUTO_FREE char *page = read_page();
    static const char *const expected_first[] = {
        NULL, /* depends on the draw: the next test looks at values */
        NULL,
        NULL,
        "credit|2|400", /* model_list */
        "v0|NULL",      /* version_list */
        "not_json|1|1700000000000",
        "", /* nothing unbalanced, nothing lost */
    };
    size_t n_queries = 0;
    char first[512];
    make_database(temp, events);
    sqlite3 *db = open_as_client(temp);

    for (const char *at = page; (at = strstr(at, "```sql\n"));) {
        at += strlen("```sql\n");
        const char *end = strstr(at, "```");
        assert_non_null(end);
        assert_true(n_queries < sizeof(expected_first) / sizeof(expected_first[0]));
        int rows = ask(db, at, (size_t)(end - at), first, sizeof(first));
        if (expected_first[n_queries])
            assert_string_equal(first, expected_first[n_queries]);
        else
            assert_true(rows > 0);
        n_queries++;
        at = end;
    }
    assert_int_equal(n_queries, sizeof(expected_first) / sizeof(expected_first[0]));
    sqlite3_close(db);
}

static void the_view_shows_what_the_states_give(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    static struct scored events[N_EVENTS];
    char first[512];
    make_database(temp, events);
    sqlite3 *db = open_as_client(temp);
    AUTO(states) struct states *states = scored_states(events, N_EVENTS, 1, 2 * MINUTE, 3 * MINUTE);
    struct metric_ref auc;
    struct metric_value value;
    assert_int_equal(metric_find(&auc, "roc_auc", TASK_BINARY, NULL), 0);
    metric_result(states, &auc, MINUTE, &value);

    static const char sql[] = "SELECT value, lower, n, labelled FROM metric_values WHERE "
                              "version = 'v1' AND start_ms = 120000 AND metric = 'roc_auc'";
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    assert_true(sqlite3_column_double(statement, 0) == value.value);
    assert_true(sqlite3_column_double(statement, 1) == value.lower);
    assert_int_equal(sqlite3_column_int64(statement, 2), states_count(states));
    assert_int_equal(sqlite3_column_int64(statement, 3), states_labelled(states));
    sqlite3_finalize(statement);

    ask(db, "SELECT value, lower, upper FROM metric_values WHERE metric = 'count' LIMIT 1", 77,
        first, sizeof(first));
    assert_non_null(strstr(first, "|NULL|NULL"));
    sqlite3_close(db);
}

static void a_changed_pane_is_computed_anew_and_a_damaged_one_loses_its_values(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct scored events[2] = {{.ts_ms = 0, .score = 0.5}, {.ts_ms = 1, .score = 0.25}};
    struct err err = {0};
    char first[512];
    static const char sql[] = "SELECT value, n, labelled FROM metric_values WHERE metric = 'count'";
    scored_commit(store, events, 1, 1, MINUTE);
    must(values_refresh(store, 10, NULL, &err), &err);
    ask(store_db(store), sql, sizeof(sql), first, sizeof(first));
    assert_string_equal(first, "1|1|0");

    events[1].labelled = true;
    scored_commit(store, events, 2, 1, MINUTE);
    must(values_refresh(store, 10, NULL, &err), &err);
    ask(store_db(store), sql, sizeof(sql), first, sizeof(first));
    assert_string_equal(first, "2|2|1");

    temp_run(store, "UPDATE panes SET hash = hash + 1, stale = 1");
    bool more = true;
    must(values_refresh(store, 10, &more, &err), &err);
    assert_false(more);
    assert_int_equal(ask(store_db(store), sql, sizeof(sql), first, sizeof(first)), 0);
    ask(store_db(store), "SELECT stale FROM panes", 23, first, sizeof(first));
    assert_string_equal(first, "2");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_query_of_the_page_runs),
        cmocka_unit_test(the_view_shows_what_the_states_give),
        cmocka_unit_test(a_changed_pane_is_computed_anew_and_a_damaged_one_loses_its_values),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
