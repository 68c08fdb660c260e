#include "storage/changes.h"

#include <pthread.h>

#include "tests/test.h"

static void count_wake(void *context)
{
    ++*(int *)context;
}

static void the_counter_goes_up_by_one_and_wakes_its_subscribers(void **state)
{
    (void)state;
    AUTO(changes) struct changes *changes = NULL;
    int wakes = 0;
    assert_int_equal(changes_new(&changes, NULL), 0);
    assert_int_equal(changes_subscribe(changes, count_wake, &wakes, NULL), 0);

    changes_bump(changes);
    changes_bump(changes);

    assert_int_equal(changes_now(changes), 2);
    assert_int_equal(wakes, 2);
}

static void the_counter_is_raised_and_never_goes_back(void **state)
{
    (void)state;
    AUTO(changes) struct changes *changes = NULL;
    assert_int_equal(changes_new(&changes, NULL), 0);

    changes_raise(changes, 41);
    changes_raise(changes, 7);
    changes_bump(changes);

    assert_int_equal(changes_now(changes), 42);
}

static void a_wait_in_vain_gives_the_counter_unchanged(void **state)
{
    (void)state;
    AUTO(changes) struct changes *changes = NULL;
    assert_int_equal(changes_new(&changes, NULL), 0);

    assert_int_equal(changes_wait(changes, 0, 1), 0);
    changes_bump(changes);
    assert_int_equal(changes_wait(changes, 0, 0), 1);
}

static void *bump_later(void *changes)
{
    changes_bump((struct changes *)changes);
    return NULL;
}

static void a_bump_of_another_thread_ends_the_wait(void **state)
{
    (void)state;
    AUTO(changes) struct changes *changes = NULL;
    pthread_t thread;
    assert_int_equal(changes_new(&changes, NULL), 0);

    assert_int_equal(pthread_create(&thread, NULL, bump_later, changes), 0);
    assert_int_equal(changes_wait(changes, 0, 600000), 1);
    pthread_join(thread, NULL);
}

static void one_subscriber_too_many_is_refused(void **state)
{
    (void)state;
    AUTO(changes) struct changes *changes = NULL;
    struct err err = {0};
    int wakes = 0;
    assert_int_equal(changes_new(&changes, NULL), 0);
    for (int i = 0; i < 16; i++)
        assert_int_equal(changes_subscribe(changes, count_wake, &wakes, &err), 0);

    assert_true(changes_subscribe(changes, count_wake, &wakes, &err) < 0);
    assert_string_equal(err.text, "changes: more than 16 subscribers");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_counter_goes_up_by_one_and_wakes_its_subscribers),
        cmocka_unit_test(the_counter_is_raised_and_never_goes_back),
        cmocka_unit_test(a_wait_in_vain_gives_the_counter_unchanged),
        cmocka_unit_test(a_bump_of_another_thread_ends_the_wait),
        cmocka_unit_test(one_subscriber_too_many_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
