#include "storage/outbox.h"

#include <stdio.h>
#include <string.h>

#include "storage/commit.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static void post(struct store *store, const char *receiver, const char *group, const char *data)
{
    struct err err = {0};
    struct outbox_row row = {.receiver = receiver,
                             .group_key = group,
                             .type = "alert.firing",
                             .data = data,
                             .created_ms = 1000,
                             .next_ms = 1000};
    must(commit_begin(store, &err), &err);
    must(commit_outbox(store, &row, &err), &err);
    must(commit_end(store, &err), &err);
}

static void outcome(struct store *store, int64_t id, enum outbox_state state, int64_t next_ms)
{
    struct err err = {0};
    struct outbox_attempt attempt = {.id = id,
                                     .state = state,
                                     .next_ms = next_ms,
                                     .status = state == OUTBOX_SENT ? 200 : 503,
                                     .problem = "",
                                     .at_ms = 5000};
    must(commit_begin(store, &err), &err);
    must(commit_outbox_attempt(store, &attempt, &err), &err);
    must(commit_end(store, &err), &err);
}

struct found {
    struct store *store;
    char text[256]; /* bodies, in order */
    char webhook_id[64];
};

static int list(void *context, const struct outbox_row *row, struct err *err)
{
    struct found *found = context;
    AUTO_FREE char *webhook_id = NULL;
    AUTO_FREE char *data = NULL;
    int rc = outbox_letter(found->store, row->id, &webhook_id, &data, err);
    if (rc)
        return rc;
    strncat(found->text, data, sizeof(found->text) - strlen(found->text) - 2);
    strcat(found->text, " ");
    snprintf(found->webhook_id, sizeof(found->webhook_id), "%s", webhook_id);
    return 0;
}

static const char *due(struct store *store, int64_t now_ms, char text[256])
{
    struct found found = {.store = store};
    struct err err = {0};
    must(outbox_due(store, now_ms, 100, list, &found, &err), &err);
    strcpy(text, found.text);
    return text;
}

static void only_the_oldest_of_a_group_is_due(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    char text[256];
    post(store, "oncall", "g1", "a1");
    post(store, "oncall", "g1", "a2");
    post(store, "oncall", "g2", "b1");

    assert_string_equal(due(store, 999, text), "");
    assert_string_equal(due(store, 1000, text), "a1 b1 ");

    /* A retry keeps its place: a2 does not overtake a1. */
    outcome(store, 1, OUTBOX_WAITING, 9000);
    assert_string_equal(due(store, 5000, text), "b1 ");
    outcome(store, 1, OUTBOX_SENT, 0);
    assert_string_equal(due(store, 5000, text), "a2 b1 ");
}

static void the_webhook_id_stays_the_same_over_attempts(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct found first = {.store = store}, later = {.store = store};
    post(store, "oncall", "g1", "a1");
    assert_int_equal(outbox_due(store, 1000, 1, list, &first, NULL), 0);
    outcome(store, 1, OUTBOX_WAITING, 2000);
    assert_int_equal(outbox_due(store, 2000, 1, list, &later, NULL), 0);
    assert_string_equal(first.webhook_id, later.webhook_id);
    assert_int_equal(strlen(first.webhook_id), strlen("msg_") + 32);
}

static void a_letter_that_is_not_there_is_named(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char *webhook_id = NULL, *data = NULL;

    assert_int_equal(outbox_letter(store, 7, &webhook_id, &data, &err), ERR_NOT_FOUND);
    assert_string_equal(err.text, "no notification has the id 7");
    assert_null(webhook_id);
    assert_null(data);
}

static void a_failed_one_lets_the_next_pass_and_can_be_sent_again_by_hand(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    char text[256];
    int64_t next_ms;
    post(store, "oncall", "g1", "a1");
    post(store, "oncall", "g1", "a2");
    outcome(store, 1, OUTBOX_FAILED, 0);
    assert_string_equal(due(store, 1000, text), "a2 ");
    outcome(store, 2, OUTBOX_SENT, 0);
    assert_int_equal(outbox_next(store, &next_ms, NULL), 0);
    assert_true(next_ms == INT64_MAX);

    must(commit_begin(store, &err), &err);
    assert_int_equal(commit_outbox_again(store, 2, 7000, &err), ERR_NOT_FOUND);
    must(commit_outbox_again(store, 1, 7000, &err), &err);
    must(commit_end(store, &err), &err);
    assert_string_equal(due(store, 7000, text), "a1 ");
    assert_int_equal(outbox_next(store, &next_ms, NULL), 0);
    assert_true(next_ms == 7000);
}

static int list_backlog(void *context, const struct outbox_backlog *row, struct err *err)
{
    (void)err;
    char *text = context;
    snprintf(text + strlen(text), 256 - strlen(text), "%s %lld since %lld; ", row->receiver,
             (long long)row->n, (long long)row->oldest_ms);
    return 0;
}

static void the_backlog_tells_how_many_wait_for_whom_and_since_when(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    char text[256] = "";
    post(store, "oncall", "g1", "a1");
    post(store, "oncall", "g1", "a2");
    post(store, "chat", "g1", "b1");
    post(store, "chat", "g2", "b2");
    outcome(store, 3, OUTBOX_SENT, 0);
    outcome(store, 4, OUTBOX_FAILED, 0);

    assert_int_equal(outbox_backlog(store, list_backlog, text, NULL), 0);

    assert_string_equal(text, "oncall 2 since 1000; ");
}

static int list_keys(void *context, const char *key, struct err *err)
{
    (void)err;
    strcat(strcat(context, key), " ");
    return 0;
}

static void post_as(struct store *store, const char *type, const char *data, int64_t created_ms)
{
    struct err err = {0};
    struct outbox_row row = {.receiver = "r",
                             .group_key = "g",
                             .type = type,
                             .data = data,
                             .created_ms = created_ms,
                             .next_ms = created_ms};
    must(commit_begin(store, &err), &err);
    must(commit_outbox(store, &row, &err), &err);
    must(commit_end(store, &err), &err);
}

static int count_waiting(void *context, const struct outbox_row *row, struct err *err)
{
    (void)err;
    *(int *)context += row->state == OUTBOX_WAITING;
    return 0;
}

static void
F46_only_old_messages_of_alerts_behind_the_head_are_folded_whatever_is_in_them(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct outbox_old old = {"r", "g", 5000};
    char keys[200] = "";
    int64_t n = 0;
    int n_waiting = 0;
    post_as(store, "alert.firing", "{\"alerts\":[{\"key\":\"head\"}]}", 1000);
    post_as(store, "alert.resolved", "{\"missed\":4,\"alerts\":[{\"key\":\"b\"},{\"key\":\"a\"}]}",
            1000);
    post_as(store, "alert.firing", "{\"alerts\":[{\"key\":\"a\"},{\"nokey\":1},7]}", 1000);
    post_as(store, "alert.firing", "damaged", 1000);
    post_as(store, "experiment.rolled_back", "{\"alerts\":[{\"key\":\"e\"}]}", 1000);
    post_as(store, "alert.resolved", "{\"alerts\":[{\"key\":\"new\"}]}", 6000);

    must(outbox_old_read(store, &old, &n, list_keys, keys, &err), &err);
    must(commit_begin(store, &err), &err);
    must(commit_outbox_fold(store, &old, 7000, "told in a summary", &err), &err);
    must(commit_end(store, &err), &err);

    must(outbox_read(store, INT64_MAX, 100, count_waiting, &n_waiting, &err), &err);
    assert_string_equal(keys, "a b ");
    assert_int_equal(n, 6); /* two, and the four that one of them stood for */
    assert_int_equal(n_waiting, 4);
    store_free(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_the_oldest_of_a_group_is_due),
        cmocka_unit_test(the_backlog_tells_how_many_wait_for_whom_and_since_when),
        cmocka_unit_test(a_letter_that_is_not_there_is_named),
        cmocka_unit_test(the_webhook_id_stays_the_same_over_attempts),
        cmocka_unit_test(a_failed_one_lets_the_next_pass_and_can_be_sent_again_by_hand),
        cmocka_unit_test(
            F46_only_old_messages_of_alerts_behind_the_head_are_folded_whatever_is_in_them),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
