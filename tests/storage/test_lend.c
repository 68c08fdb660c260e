#include "storage/lend.h"

#include <errno.h>
#include <semaphore.h>
#include <stdio.h>

#include "storage/commit.h"
#include "storage/connection.h"
#include "tests/lib/faulty_vfs.h"
#include "tests/lib/temp_store.h"
#include "tests/test.h"

struct errand { /* a task that writes one fact once it may */
    sem_t may;
    int64_t value;
    int rc;
    pthread_t thread;
};

static int run(void *context, struct store *store, struct err *err)
{
    struct errand *errand = context;
    errand->thread = pthread_self();
    sem_wait(&errand->may);
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_fact(store, "errand", errand->value, err);
    if (rc || errand->rc) /* with its commit left open */
        return rc ? rc : err_set(err, errand->rc, "the errand failed");
    return commit_end(store, err);
}

static int64_t fact(struct store *store)
{
    struct err err = {0};
    int64_t value;
    must(store_integer(store, "SELECT value FROM facts WHERE key = 'errand'", -1, &value, &err),
         &err);
    return value;
}

static void what_is_written_beside_the_lender_is_part_of_what_is_shared(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    struct err err = {0};
    struct errand errand = {.value = 7};
    sem_init(&errand.may, 0, 0);
    must(commit_share(store, &err), &err);

    must(store_lend(store, run, &errand, &err), &err);
    assert_true(store_is_lent(store));
    assert_true(commit_is_shared(store)); /* asking for that waits for nobody */
    assert_false(commit_share_is_lost(store));
    sem_post(&errand.may);

    assert_int_equal(fact(store), 7); /* this waits */
    assert_false(store_is_lent(store));
    assert_false(pthread_equal(errand.thread, pthread_self()));
    assert_int_equal(fact(reader), -1);
    must(commit_share_end(store, &err), &err);
    assert_int_equal(fact(reader), 7);
    sem_destroy(&errand.may);
}

static void tasks_come_one_after_the_other(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct errand errands[3];
    must(commit_share(store, &err), &err);

    for (int i = 0; i < 3; i++) {
        errands[i] = (struct errand){.value = i};
        sem_init(&errands[i].may, 0, 1);
        must(store_lend(store, run, &errands[i], &err), &err);
    }
    must(commit_share_end(store, &err), &err);

    assert_int_equal(fact(store), 2);
    for (int i = 0; i < 3; i++)
        sem_destroy(&errands[i].may);
}

static void
a_task_that_fails_takes_back_all_that_is_shared_and_the_next_commit_says_why(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct errand errand = {.value = 7, .rc = ERR_FULL};
    sem_init(&errand.may, 0, 1);
    must(commit_share(store, &err), &err);
    must(commit_begin(store, &err), &err);
    must(commit_fact(store, "errand", 1, &err), &err);
    must(commit_end(store, &err), &err);

    must(store_lend(store, run, &errand, &err), &err);

    assert_int_equal(commit_begin(store, &err), -ECANCELED);
    assert_non_null(strstr(err.text, "rolled back: the errand failed"));
    assert_true(commit_share_is_lost(store));
    assert_int_equal(commit_share_end(store, &err), -ECANCELED);
    commit_share_undo(store);
    assert_int_equal(fact(store), -1);

    must(commit_share(store, &err), &err); /* and the next one begins anew */
    errand.rc = 0;
    sem_post(&errand.may);
    must(store_lend(store, run, &errand, &err), &err);
    must(commit_share_end(store, &err), &err);
    assert_int_equal(fact(store), 7);
    sem_destroy(&errand.may);
}

static void where_nothing_is_shared_the_task_is_run_at_once_by_the_lender(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct errand errand = {.value = 7};
    sem_init(&errand.may, 0, 2);

    must(store_lend(store, run, &errand, &err), &err);

    assert_true(pthread_equal(errand.thread, pthread_self()));
    assert_int_equal(fact(store), 7);
    errand.rc = ERR_FULL;
    assert_int_equal(store_lend(store, run, &errand, &err), ERR_FULL);
    commit_rollback(store);
    sem_destroy(&errand.may);
}

/* Commits of a fact, until the WAL is worth a checkpoint. */
static int64_t fill_wal(struct store *store)
{
    struct err err = {0};
    int64_t value = 0;
    while (store_wal_bytes(store) < (4 << 20)) {
        must(commit_begin(store, &err), &err);
        must(commit_fact(store, "errand", ++value, &err), &err);
        must(commit_end(store, &err), &err);
    }
    return value;
}

static void a_checkpoint_is_made_beside_the_lender(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    const int64_t value = fill_wal(store);

    must(store_lend_for_checkpoint(store, &err), &err);
    store_recall(store);

    assert_int_equal(store_wal_bytes(store), 0);
    assert_int_equal(fact(store), value);
}

static void F31_a_full_disk_under_a_checkpoint_beside_the_lender_loses_nothing(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    const int64_t value = fill_wal(store);

    faulty_fail(faulty, FAULTY_WRITE, 2, ENOSPC, true);
    must(store_lend_for_checkpoint(store, &err), &err);
    store_recall(store);
    assert_in_range(store_wal_bytes(store), 4 << 20, 5 << 20);
    faulty_fail(faulty, 0, 0, 0, false);

    must(commit_share(store, &err), &err); /* it stands in nobody's way */
    must(commit_share_end(store, &err), &err);
    must(store_lend_for_checkpoint(store, &err), &err);
    store_recall(store);
    assert_int_equal(store_wal_bytes(store), 0);
    assert_int_equal(fact(store), value);
}

static void
a_checkpoint_that_the_disk_refuses_ends_the_writing_and_the_next_commit_says_why(void **state)
{
    (void)state;
    AUTO(faulty) struct faulty *faulty = faulty_install();
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    fill_wal(store);

    faulty_fail(faulty, FAULTY_WRITE, 2, EIO, true);
    must(store_lend_for_checkpoint(store, &err), &err);

    assert_int_equal(commit_begin(store, &err), ERR_IO);
    assert_non_null(strstr(err.text, "an earlier write failed: "));
    assert_non_null(strstr(err.text, "checkpoint"));
}

static void a_store_that_is_lent_can_be_closed(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    struct err err = {0};
    struct errand errand = {.value = 7};
    sem_init(&errand.may, 0, 1);
    struct store *store = temp_store(temp, STORE_WRITE);
    must(commit_share(store, &err), &err);
    must(store_lend(store, run, &errand, &err), &err);

    store_free(store);

    AUTO(store) struct store *again = temp_store(temp, STORE_WRITE);
    assert_int_equal(fact(again), -1);
    sem_destroy(&errand.may);
}

struct patient { /* a task that writes facts with pauses in between, until it may end */
    atomic_bool may_end;
    sem_t begun;
};

static int write_with_pauses(void *context, struct store *store, struct err *err)
{
    struct patient *patient = context;
    int rc = commit_begin(store, err);
    int64_t n = 0;
    for (bool last = false; !rc && !last; n++) {
        last = atomic_load(&patient->may_end);
        rc = commit_fact(store, "patient", n, err);
        if (n == 0)
            sem_post(&patient->begun);
        store_pause(store);
    }
    return rc ? rc : commit_end(store, err);
}

static void patient_lend(struct patient *patient, struct store *store)
{
    struct err err = {0};
    atomic_init(&patient->may_end, false);
    sem_init(&patient->begun, 0, 0);
    must(commit_share(store, &err), &err);
    must(store_lend(store, write_with_pauses, patient, &err), &err);
    sem_wait(&patient->begun);
}

static int write_errand(struct store *store, int64_t value, struct err *err)
{
    int rc = commit_begin(store, err);
    if (!rc)
        rc = commit_fact(store, "errand", value, err);
    return rc ? rc : commit_end(store, err);
}

static void a_lender_writes_in_its_turns_while_the_task_has_a_part_open(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    AUTO(store) struct store *reader = temp_store(temp, STORE_READ);
    struct err err = {0};
    struct patient patient;
    patient_lend(&patient, store);

    for (int64_t i = 1; i <= 3; i++) {
        assert_true(store_interrupt(store));
        assert_false(store_interrupt(store)); /* it has it */
        must(write_errand(store, i, &err), &err);
        assert_int_equal(fact(store), i);
        assert_true(store_is_lent(store));
        store_resume(store);
    }
    assert_true(store_is_lent(store));
    atomic_store(&patient.may_end, true);
    must(commit_share_end(store, &err), &err);

    assert_int_equal(fact(reader), 3);
    int64_t left;
    must(store_integer(reader, "SELECT value FROM facts WHERE key = 'patient'", -1, &left, &err),
         &err);
    assert_true(left >= 0);
    sem_destroy(&patient.begun);
}

static void a_use_outside_a_turn_waits_for_the_end_and_so_does_a_recall_in_one(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct patient patient;
    patient_lend(&patient, store);
    assert_true(store_interrupt(store));

    atomic_store(&patient.may_end, true);
    store_recall(store);

    assert_false(store_is_lent(store));
    assert_false(store_interrupt(store)); /* there is nobody to wait for */
    store_resume(store);
    must(write_errand(store, 8, &err), &err);
    store_pause(store); /* of nobody's task */
    must(commit_share_end(store, &err), &err);
    assert_int_equal(fact(store), 8);
    sem_destroy(&patient.begun);
}

static void a_task_that_has_ended_leaves_no_turn_to_be_had(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct errand errand = {.value = 7};
    sem_init(&errand.may, 0, 1);
    must(commit_share(store, &err), &err);

    must(store_lend(store, run, &errand, &err), &err);
    assert_false(store_interrupt(store)); /* it never pauses */

    assert_int_equal(fact(store), 7);
    store_pause(store);
    must(commit_share_end(store, &err), &err);
    sem_destroy(&errand.may);
}

static void what_a_lender_takes_back_in_its_turn_the_task_cannot_go_on_with(void **state)
{
    (void)state;
    AUTO(temp) struct temp *temp = temp_new();
    AUTO(store) struct store *store = temp_store(temp, STORE_WRITE);
    struct err err = {0};
    struct patient patient;
    patient_lend(&patient, store);
    assert_true(store_interrupt(store));
    must(commit_begin(store, &err), &err);

    commit_rollback(store);
    store_resume(store);

    assert_int_equal(commit_begin(store, &err), -ECANCELED); /* the task has ended by itself */
    assert_true(commit_share_is_lost(store));
    commit_share_undo(store);
    assert_int_equal(sqlite3_get_autocommit(store_db(store)), 1);
    int64_t left;
    must(store_integer(store, "SELECT count(*) FROM facts WHERE key = 'patient'", -1, &left, &err),
         &err);
    assert_int_equal(left, 0); /* nothing of it was written by itself */
    must(commit_share(store, &err), &err);
    must(write_errand(store, 9, &err), &err);
    must(commit_share_end(store, &err), &err);
    sem_destroy(&patient.begun);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_written_beside_the_lender_is_part_of_what_is_shared),
        cmocka_unit_test(tasks_come_one_after_the_other),
        cmocka_unit_test(
            a_task_that_fails_takes_back_all_that_is_shared_and_the_next_commit_says_why),
        cmocka_unit_test(where_nothing_is_shared_the_task_is_run_at_once_by_the_lender),
        cmocka_unit_test(a_checkpoint_is_made_beside_the_lender),
        cmocka_unit_test(F31_a_full_disk_under_a_checkpoint_beside_the_lender_loses_nothing),
        cmocka_unit_test(
            a_checkpoint_that_the_disk_refuses_ends_the_writing_and_the_next_commit_says_why),
        cmocka_unit_test(a_store_that_is_lent_can_be_closed),
        cmocka_unit_test(a_lender_writes_in_its_turns_while_the_task_has_a_part_open),
        cmocka_unit_test(a_use_outside_a_turn_waits_for_the_end_and_so_does_a_recall_in_one),
        cmocka_unit_test(a_task_that_has_ended_leaves_no_turn_to_be_had),
        cmocka_unit_test(what_a_lender_takes_back_in_its_turn_the_task_cannot_go_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
