#include "alerts/look_changes.h"

#include <errno.h>
#include <sqlite3.h>

#include "storage/commit.h"
#include "storage/lend.h"
#include "tests/alerts/world.h"

enum {
    RULES = 600,
    FIRE = 400, /* of them */
    WALL_MS = 5000,
};

/* Rules of which two thirds fire at an error rate of a half, in ten groups that are told at once. */
static void crowd_begin(struct world *w)
{
    struct buf yaml;
    buf_init(&yaml, 1 << 20);
    buf_printf(&yaml,
               "models: [{name: credit, task: binary, label_horizon: 1h}]\n"
               "receivers: [{name: oncall, type: webhook, url: 'http://127.0.0.1:1/', "
               "allow_private: true}]\n"
               "route: {receiver: oncall, group_by: [group], group_wait: 0s, group_interval: 1s}\n"
               "alerts:\n");
    for (int i = 0; i < RULES; i++)
        buf_printf(&yaml,
                   "  - {name: e%d, model: credit, metric: error_rate, above: %s, labels: {group: "
                   "g%d}, annotations: {note: 'now {{value}}'}}\n",
                   i, i < FIRE ? "0.2" : "0.9", i % 10);
    buf_u8(&yaml, 0);
    world_begin_with(w, (const char *)yaml.data);
    buf_finish(&yaml);
}

/* Every row that a look and a flush write, but for the random ids of messages. */
static char *rows_of(struct store *store)
{
    static const char sql[] =
        "SELECT group_concat(line, char(10)) FROM ("
        "SELECT id || alert || event || at_ms || clock || data AS line FROM alert_history UNION "
        "ALL "
        "SELECT id || phase || since_ms || event FROM alerts UNION ALL "
        "SELECT key || receiver || due_ms || told_ms FROM alert_groups UNION ALL "
        "SELECT group_key || alert || told || untold FROM alert_members UNION ALL "
        "SELECT id || receiver || group_key || type || data || created_ms FROM outbox)";
    sqlite3_stmt *statement;
    assert_int_equal(sqlite3_prepare_v2(store_db(store), sql, -1, &statement, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_step(statement), SQLITE_ROW);
    const char *rows = (const char *)sqlite3_column_text(statement, 0);
    char *copy = strdup(rows ? rows : "");
    sqlite3_finalize(statement);
    return copy;
}

static void
a_crowd_that_is_written_beside_a_shared_look_leaves_what_a_look_of_its_own_leaves(void **state)
{
    (void)state;
    struct world apart = {0}, shared = {0};
    struct err err = {0};
    int64_t next_ms;
    crowd_begin(&apart);
    fill(&apart, start, 1000, 500, 10);
    look(&apart, start + 30000, WALL_MS);
    assert_int_equal(flush(&apart, WALL_MS), 10);
    assert_false(alerts_settle(apart.alerts)); /* the flush has told */

    crowd_begin(&shared);
    fill(&shared, start, 1000, 500, 10);
    must(commit_share(shared.store, &err), &err);
    look(&shared, start + 30000, WALL_MS);
    const int told = alerts_flush(shared.alerts, WALL_MS, &next_ms, &err);
    must(commit_share_end(shared.store, &err), &err);

    assert_int_equal(told, 0); /* messages were written with the crowd … */
    assert_true(alerts_settle(shared.alerts));
    assert_false(alerts_settle(shared.alerts)); /* … and are told of once */
    assert_int_equal(temp_number(shared.store, "SELECT count(*) FROM outbox"), 10);
    assert_int_equal(temp_number(shared.store, "SELECT count(*) FROM alerts WHERE phase = 2"),
                     FIRE);
    AUTO_FREE char *expected = rows_of(apart.store);
    AUTO_FREE char *found = rows_of(shared.store);
    assert_string_equal(found, expected);
    world_end(&apart);
    world_end(&shared);
}

static void the_next_look_goes_on_from_a_crowd_that_may_not_be_written_yet(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    crowd_begin(&w);
    fill(&w, start, 1000, 500, 10);
    must(commit_share(w.store, &err), &err);

    look(&w, start + 30000, WALL_MS);
    look(&w, start + 31000, WALL_MS); /* nothing changes */
    fill(&w, start, 1000, 0, 10);
    look(&w, start + 32000, WALL_MS); /* a crowd again: all is well */
    must(commit_share_end(w.store, &err), &err);

    assert_int_equal(
        temp_number(w.store, "SELECT count(*) FROM alert_history WHERE event = 'firing'"), FIRE);
    assert_int_equal(
        temp_number(w.store, "SELECT count(*) FROM alert_history WHERE event = 'resolved'"), FIRE);
    assert_int_equal(temp_number(w.store, "SELECT count(*) FROM alerts WHERE phase > 0"), 0);
    world_end(&w);
}

/* A look in a turn, if there is one: the crowd may be written already. */
static void look_between(struct world *w, int64_t now_ms, int failed)
{
    (void)store_interrupt(w->store);
    fill(w, start, 1000, failed, 10);
    look(w, now_ms, WALL_MS);
    store_resume(w->store);
}

static void looks_between_the_rows_of_a_crowd_change_none_of_them(void **state)
{
    (void)state;
    struct world apart = {0}, shared = {0};
    struct err err = {0};
    crowd_begin(&apart);
    fill(&apart, start, 1000, 500, 10);
    look(&apart, start + 30000, WALL_MS);
    assert_int_equal(flush(&apart, WALL_MS), 10);
    look_between(&apart, start + 31000, 510);
    look_between(&apart, start + 32000, 520);

    crowd_begin(&shared);
    fill(&shared, start, 1000, 500, 10);
    must(commit_share(shared.store, &err), &err);
    look(&shared, start + 30000, WALL_MS);
    look_between(&shared, start + 31000, 510);
    look_between(&shared, start + 32000, 520);
    must(commit_share_end(shared.store, &err), &err);

    AUTO_FREE char *expected = rows_of(apart.store);
    AUTO_FREE char *found = rows_of(shared.store);
    assert_string_equal(found, expected);
    world_end(&apart);
    world_end(&shared);
}

static void a_look_between_that_changes_something_comes_after_the_crowd(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    crowd_begin(&w);
    fill(&w, start, 1000, 500, 10);
    must(commit_share(w.store, &err), &err);
    look(&w, start + 30000, WALL_MS);

    look_between(&w, start + 31000, 510);
    look_between(&w, start + 32000, 950); /* the rest of them fires, too few for a thread */
    must(commit_share_end(w.store, &err), &err);

    assert_int_equal(temp_number(w.store, "SELECT count(*) FROM alert_history"), RULES);
    assert_int_equal(
        temp_number(w.store, "SELECT max(id) FROM alert_history WHERE at_ms % 60000 = 30000"),
        FIRE);
    assert_int_equal(
        temp_number(w.store, "SELECT min(id) FROM alert_history WHERE at_ms % 60000 = 32000"),
        FIRE + 1);
    world_end(&w);
}

static void a_crowd_is_taken_back_with_the_look_between_that_fails(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    crowd_begin(&w);
    fill(&w, start, 1000, 500, 10);
    must(commit_share(w.store, &err), &err);
    look(&w, start + 30000, WALL_MS);

    (void)store_interrupt(w.store);
    must(commit_begin(w.store, &err), &err);
    commit_rollback(w.store);
    store_resume(w.store);

    assert_int_equal(commit_share_end(w.store, &err), -ECANCELED);
    commit_share_undo(w.store);
    alerts_restore(w.alerts);
    assert_false(alerts_settle(w.alerts));
    assert_int_equal(temp_number(w.store,
                                 "SELECT (SELECT count(*) FROM alert_history) + (SELECT count(*) "
                                 "FROM alerts) + (SELECT count(*) FROM outbox)"),
                     0);
    look(&w, start + 30000, WALL_MS);
    assert_int_equal(flush(&w, WALL_MS), 10);
    assert_int_equal(temp_number(w.store, "SELECT count(*) FROM alert_history"), FIRE);
    world_end(&w);
}

static void a_crowd_that_cannot_be_written_is_taken_back_with_all_that_is_shared(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    crowd_begin(&w);
    fill(&w, start, 1000, 500, 10);
    temp_run(w.store, "CREATE TRIGGER refuse AFTER INSERT ON alert_history WHEN new.id > 300 BEGIN "
                      "SELECT raise(ABORT, 'no more of them'); END");
    must(commit_share(w.store, &err), &err);

    look(&w, start + 30000, WALL_MS);

    assert_int_equal(commit_share_end(w.store, &err), -ECANCELED);
    assert_non_null(strstr(err.text, "no more of them"));
    commit_share_undo(w.store);
    alerts_restore(w.alerts);
    assert_false(alerts_settle(w.alerts));
    assert_int_equal(temp_number(w.store, "SELECT count(*) FROM alert_history"), 0);
    temp_run(w.store, "DROP TRIGGER refuse");
    look(&w, start + 30000, WALL_MS); /* again, by itself */
    assert_int_equal(flush(&w, WALL_MS), 10);
    assert_int_equal(temp_number(w.store, "SELECT count(*) FROM alert_history"), FIRE);
    world_end(&w);
}

static void alerts_can_be_freed_while_their_crowd_is_written(void **state)
{
    (void)state;
    struct world w = {0};
    struct err err = {0};
    crowd_begin(&w);
    fill(&w, start, 1000, 500, 10);
    must(commit_share(w.store, &err), &err);

    look(&w, start + 30000, WALL_MS);

    world_end(&w); /* under the sanitizers: nothing of theirs is used afterwards */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(
            a_crowd_that_is_written_beside_a_shared_look_leaves_what_a_look_of_its_own_leaves),
        cmocka_unit_test(the_next_look_goes_on_from_a_crowd_that_may_not_be_written_yet),
        cmocka_unit_test(looks_between_the_rows_of_a_crowd_change_none_of_them),
        cmocka_unit_test(a_look_between_that_changes_something_comes_after_the_crowd),
        cmocka_unit_test(a_crowd_is_taken_back_with_the_look_between_that_fails),
        cmocka_unit_test(a_crowd_that_cannot_be_written_is_taken_back_with_all_that_is_shared),
        cmocka_unit_test(alerts_can_be_freed_while_their_crowd_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
