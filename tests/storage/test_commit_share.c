#include <errno.h>
#include <stdio.h>

#include "storage/audit.h"
#include "storage/changes.h"
#include "storage/commit.h"
#include "storage/lend.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

static int64_t facts(struct store *store)
{
    return temp_number(store, "SELECT count(*) FROM facts WHERE key LIKE 'look %'");
}

static int write_look(struct store *store, int n, struct err *err)
{
    char key[32];
    snprintf(key, sizeof(key), "look %d", n);
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_fact(store, key, n, err);
    if (!rc)
        rc = commit_end(store, err);
    if (rc)
        commit_rollback(store);
    return rc;
}

static void others_see_commits_that_share_when_the_last_has_ended(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    struct err err = {0};
    AUTO(changes) struct changes *changes = NULL;
    must(changes_new(&changes, &err), &err);
    must(store_set_changes(store, changes, &err), &err);

    must(commit_share(store, &err), &err);
    for (int i = 0; i < 3; i++)
        must(write_look(store, i, &err), &err);

    assert_true(commit_is_shared(store));
    assert_int_equal(facts(store), 3);
    assert_int_equal(facts(reader), 0);
    assert_int_equal(changes_now(changes), 0);
    must(commit_share_end(store, &err), &err);
    assert_false(commit_is_shared(store));
    assert_int_equal(facts(reader), 3);
    assert_int_equal(changes_now(changes), 1);
}

static void a_snapshot_of_the_writer_nests_in_what_is_shared(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    must(commit_share(store, &err), &err);
    must(write_look(store, 1, &err), &err);

    must(store_read_begin(store, &err), &err);
    assert_int_equal(facts(store), 1);
    store_read_end(store);

    must(write_look(store, 2, &err), &err);
    must(commit_share_end(store, &err), &err);
    assert_int_equal(facts(store), 2);
}

static void a_rollback_within_undoes_all_that_shares(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    must(write_look(store, 0, &err), &err);
    must(commit_share(store, &err), &err);
    must(write_look(store, 1, &err), &err);

    must(commit_begin(store, &err), &err);
    must(commit_fact(store, "look 2", 2, &err), &err);
    commit_rollback(store);

    assert_true(commit_share_is_lost(store));
    assert_int_equal(facts(store), 1);
    assert_int_equal(write_look(store, 3, &err), -ECANCELED);
    assert_int_equal(commit_share_end(store, &err), -ECANCELED);
    assert_true(commit_is_shared(store));
    commit_share_undo(store);
    assert_false(commit_is_shared(store));
    must(write_look(store, 4, &err), &err);
    assert_int_equal(facts(store), 2);
}

static void a_full_disk_at_the_end_leaves_what_was_durable(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    must(write_look(store, 0, &err), &err);
    must(commit_share(store, &err), &err);
    must(write_look(store, 1, &err), &err);

    faulty_fail(faulty, FAULTY_WRITE, 1, ENOSPC, true);
    assert_int_equal(commit_share_end(store, &err), ERR_FULL);
    commit_share_undo(store);

    assert_int_equal(facts(store), 1);
    faulty_fail(faulty, 0, 0, 0, false);
    must(write_look(store, 2, &err), &err);
    assert_int_equal(facts(store), 2);
}

/* One look that writes a thousand rows. */
static void write_much(struct store *store)
{
    struct err err = {0};
    char key[32];
    must(commit_begin(store, &err), &err);
    for (int i = 0; i < 1000; i++) {
        snprintf(key, sizeof(key), "look %d", 10 + i);
        must(commit_fact(store, key, i, &err), &err);
    }
    must(commit_end(store, &err), &err);
}

static void much_that_is_shared_is_sent_to_the_disk_and_little_is_waited_for(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    struct err err = {0};
    must(commit_share(store, &err), &err);
    must(write_look(store, 1, &err), &err);
    assert_int_equal(commit_share_send(store, &err), 0);
    assert_int_equal(facts(reader), 1);

    must(commit_share(store, &err), &err);
    write_much(store);
    assert_int_equal(commit_share_send(store, &err), COMMIT_SENT);
    store_recall(store);

    assert_false(commit_is_shared(store));
    assert_int_equal(facts(reader), 1001);
    assert_int_equal(commit_share_send(store, &err), -ECANCELED); /* nothing is shared */
}

static void what_was_sent_to_a_full_disk_is_undone(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    must(write_look(store, 0, &err), &err);
    must(commit_share(store, &err), &err);
    write_much(store);

    faulty_fail(faulty, FAULTY_WRITE, 1, ENOSPC, true);
    assert_int_equal(commit_share_send(store, &err), COMMIT_SENT);
    store_recall(store);

    assert_true(commit_share_is_lost(store));
    assert_int_equal(commit_begin(store, &err), -ECANCELED);
    assert_non_null(strstr(err.text, "no room on the disk"));
    commit_share_undo(store);
    faulty_fail(faulty, 0, 0, 0, false);
    assert_int_equal(facts(store), 1);
    must(write_look(store, 1, &err), &err);
    assert_int_equal(facts(store), 2);
}

static void sharing_does_not_nest(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};

    must(commit_share(store, &err), &err);
    assert_int_equal(commit_share(store, &err), -EINVAL);
    must(commit_begin(store, &err), &err);
    assert_int_equal(commit_begin(store, &err), -EINVAL);
    assert_int_equal(commit_share_end(store, &err), -EINVAL);
    must(commit_end(store, &err), &err);
    must(commit_share_end(store, &err), &err);
    assert_int_equal(commit_share_end(store, &err), -ECANCELED);
}

static void a_reader_shares_nothing(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    store_free(temp_store(temp, STORE_WRITE));
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    struct err err = {0};

    assert_int_equal(commit_share(reader, &err), -EACCES);
    assert_false(commit_is_shared(reader));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(others_see_commits_that_share_when_the_last_has_ended),
        cmocka_unit_test(a_snapshot_of_the_writer_nests_in_what_is_shared),
        cmocka_unit_test(a_rollback_within_undoes_all_that_shares),
        cmocka_unit_test(a_full_disk_at_the_end_leaves_what_was_durable),
        cmocka_unit_test(much_that_is_shared_is_sent_to_the_disk_and_little_is_waited_for),
        cmocka_unit_test(what_was_sent_to_a_full_disk_is_undone),
        cmocka_unit_test(sharing_does_not_nest),
        cmocka_unit_test(a_reader_shares_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
