#include "storage/alert_rows.h"

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "storage/commit.h"
#include "storage/connection.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static const char id[] = "00000000000000a1";

static struct alert_row firing(const char *data)
{
    return (struct alert_row){.id = id,
                              .rule = "auc-low",
                              .model = "credit",
                              .version = "",
                              .slice = "",
                              .severity = "critical",
                              .phase = 2,
                              .data = data};
}

/* A change as the alerts room writes it: history, then the state that points at it. */
static void change(struct store *store, const char *event, const char *data)
{
    struct err err = {0};
    struct alert_row row = firing(data);
    struct alert_event_row history = {
        .alert = id, .event = event, .at_ms = 1000, .clock = "event", .data = data};
    must(commit_begin(store, &err), &err);
    must(commit_alert_event(store, &history, &row.event, &err), &err);
    must(commit_alert(store, &row, &err), &err);
    must(commit_end(store, &err), &err);
}

static int take_data(void *context, const struct alert_row *row, struct err *err)
{
    (void)err;
    strcat(context, row->data);
    return 0;
}

static int take_history(void *context, const struct alert_event_row *row, struct err *err)
{
    (void)err;
    strcat(context, row->data);
    return 0;
}

static void the_words_of_an_alert_are_those_of_its_last_change_and_kept_once(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char now[200] = "", before[200] = "";
    AUTO_FREE char *one = NULL;
    int64_t own_bytes = -1;

    change(store, "pending", "{\"a\":1}");
    change(store, "firing", "{\"a\":2}");

    must(alerts_read(store, true, take_data, now, &err), &err);
    must(alert_history_read(store, id, INT64_MAX, 10, take_history, before, &err), &err);
    must(alert_data_read(store, id, &one, &err), &err);
    must(store_integer(store, "SELECT sum(length(data)) FROM alerts", -1, &own_bytes, &err), &err);
    assert_string_equal(now, "{\"a\":2}");
    assert_string_equal(before, "{\"a\":2}{\"a\":1}");
    assert_string_equal(one, "{\"a\":2}");
    assert_int_equal(own_bytes, 0);
    store_free(store);
}

static void an_alert_of_an_older_version_has_its_words_in_its_own_row(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct alert_row row = firing("{\"old\":true}");
    char now[200] = "";
    AUTO_FREE char *one = NULL;
    must(commit_begin(store, &err), &err);
    must(commit_alert(store, &row, &err), &err);
    must(commit_end(store, &err), &err);

    must(alerts_read(store, true, take_data, now, &err), &err);
    must(alert_data_read(store, id, &one, &err), &err);

    assert_string_equal(now, "{\"old\":true}");
    assert_string_equal(one, "{\"old\":true}");
    store_free(store);
}

static void an_alert_that_is_not_there_has_no_words(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    AUTO_FREE char *one = NULL;

    assert_int_equal(alert_data_read(store, id, &one, &err), ERR_NOT_FOUND);

    assert_string_equal(err.text, "no alert has the id \"00000000000000a1\"");
    assert_null(one);
    store_free(store);
}

struct seen {
    char text[200];
};

static int take_member(void *context, const struct alert_member *member, struct err *err)
{
    (void)err;
    struct seen *seen = context;
    size_t n = strlen(seen->text);
    snprintf(seen->text + n, sizeof(seen->text) - n, "%s told %d untold %d phase %d ",
             member->alert, member->told, member->untold, member->phase);
    return 0;
}

static void what_a_receiver_knows_of_a_member_changes_when_it_is_told(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct seen fired = {""}, told = {""}, ended = {""}, left = {""};
    change(store, "firing", "{}");

    must(commit_begin(store, &err), &err);
    must(commit_alert_member_fired(store, "g", id, &err), &err);
    must(alert_members_read(store, "g", take_member, &fired, &err), &err);
    must(commit_alert_member_told(store, "g", id, true, &err), &err);
    must(alert_members_read(store, "g", take_member, &told, &err), &err);
    must(commit_alert_member_told(store, "g", id, false, &err), &err);
    must(alert_members_read(store, "g", take_member, &ended, &err), &err);
    must(commit_alert_member_leave(store, "g", id, &err), &err);
    must(alert_members_read(store, "g", take_member, &left, &err), &err);
    must(commit_end(store, &err), &err);

    assert_string_equal(fired.text, "00000000000000a1 told 0 untold 1 phase 2 ");
    assert_string_equal(told.text, "00000000000000a1 told 1 untold 0 phase 2 ");
    assert_string_equal(ended.text, "00000000000000a1 told 0 untold 0 phase 2 ");
    assert_string_equal(left.text, "");
    store_free(store);
}

static void event_at(struct store *store, int64_t at_ms)
{
    struct err err = {0};
    const struct alert_event_row history = {
        .alert = id, .event = "firing", .at_ms = at_ms, .clock = "event", .data = "{}"};
    must(commit_begin(store, &err), &err);
    must(commit_alert_event(store, &history, NULL, &err), &err);
    must(commit_end(store, &err), &err);
}

static int64_t expire(struct store *store, int64_t before_ms, int limit)
{
    struct err err = {0};
    int64_t n = -1;
    must(commit_begin(store, &err), &err);
    must(commit_alert_history_expire(store, before_ms, limit, &err), &err);
    must(commit_end(store, &err), &err);
    must(store_integer(store, "SELECT count(*) FROM alert_history", -1, &n, &err), &err);
    return n;
}

static void old_history_goes_in_pieces_but_for_the_words_of_an_alert(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    AUTO_FREE char *words = NULL;
    change(store, "firing", "{\"a\":2}"); /* at 1000: the oldest, and the alert's words */
    for (int64_t at_ms = 2000; at_ms <= 9000; at_ms += 1000)
        event_at(store, at_ms);

    assert_int_equal(expire(store, 1000, 100), 9);
    assert_int_equal(expire(store, 7000, 3), 6);
    assert_int_equal(expire(store, 7000, 3), 4);
    assert_int_equal(expire(store, 7000, 3), 4);
    must(alert_data_read(store, id, &words, &err), &err);
    assert_string_equal(words, "{\"a\":2}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_words_of_an_alert_are_those_of_its_last_change_and_kept_once),
        cmocka_unit_test(an_alert_of_an_older_version_has_its_words_in_its_own_row),
        cmocka_unit_test(an_alert_that_is_not_there_has_no_words),
        cmocka_unit_test(what_a_receiver_knows_of_a_member_changes_when_it_is_told),
        cmocka_unit_test(old_history_goes_in_pieces_but_for_the_words_of_an_alert),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
