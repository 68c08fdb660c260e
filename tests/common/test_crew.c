#include "common/crew.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

#include "tests/test.h"

enum {
    N_ITEMS = 1000,
    N_CALLERS = 6,
    N_ROUNDS = 50
};

struct tally {
    atomic_int done[N_ITEMS];
    size_t fails_at; /* N_ITEMS: none */
};

static int count_one(void *context, size_t item, struct err *err)
{
    struct tally *tally = context;
    atomic_fetch_add(&tally->done[item], 1);
    return item == tally->fails_at ? err_set(err, -EDOM, "item %zu is off", item) : 0;
}

static void assert_each_once(const struct tally *tally)
{
    for (int i = 0; i < N_ITEMS; i++)
        assert_int_equal(atomic_load(&tally->done[i]), 1);
}

static void each_item_is_done_once_by_however_many_threads(void **state)
{
    (void)state;
    for (int n_threads = 0; n_threads <= CREW_MOST + 2; n_threads++) {
        AUTO(crew) struct crew *crew = NULL;
        struct tally tally = {.fails_at = N_ITEMS};
        assert_int_equal(crew_new(&crew, n_threads, NULL), 0);
        assert_int_equal(crew_each(crew, N_ITEMS, count_one, &tally, NULL), 0);
        assert_each_once(&tally);
    }
}

static void without_a_crew_the_caller_does_all(void **state)
{
    (void)state;
    struct tally tally = {.fails_at = N_ITEMS};
    assert_int_equal(crew_each(NULL, N_ITEMS, count_one, &tally, NULL), 0);
    assert_each_once(&tally);
}

static void nothing_to_do_is_done_at_once(void **state)
{
    (void)state;
    AUTO(crew) struct crew *crew = NULL;
    struct tally tally = {.fails_at = 0};
    assert_int_equal(crew_new(&crew, 2, NULL), 0);
    assert_int_equal(crew_each(crew, 0, count_one, &tally, NULL), 0);
    assert_int_equal(atomic_load(&tally.done[0]), 0);
}

static void a_failure_and_its_message_come_back_and_the_crew_goes_on_working(void **state)
{
    (void)state;
    AUTO(crew) struct crew *crew = NULL;
    struct tally failing = {.fails_at = 7}, well = {.fails_at = N_ITEMS};
    struct err err = {0};
    assert_int_equal(crew_new(&crew, 2, NULL), 0);

    assert_int_equal(crew_each(crew, N_ITEMS, count_one, &failing, &err), -EDOM);
    assert_string_equal(err.text, "item 7 is off");
    assert_int_equal(crew_each(crew, N_ITEMS, count_one, &failing, NULL), -EDOM);
    assert_int_equal(crew_each(crew, N_ITEMS, count_one, &well, NULL), 0);
    assert_each_once(&well);
}

static void *call_often(void *argument)
{
    struct crew *crew = argument;
    for (int round = 0; round < N_ROUNDS; round++) {
        struct tally tally = {.fails_at = N_ITEMS};
        if (crew_each(crew, N_ITEMS, count_one, &tally, NULL))
            return argument;
        for (int i = 0; i < N_ITEMS; i++)
            if (atomic_load(&tally.done[i]) != 1)
                return argument;
    }
    return NULL;
}

static void many_callers_at_once_each_get_their_own_items_done(void **state)
{
    (void)state;
    AUTO(crew) struct crew *crew = NULL;
    pthread_t callers[N_CALLERS];
    assert_int_equal(crew_new(&crew, 2, NULL), 0);
    for (int i = 0; i < N_CALLERS; i++)
        assert_int_equal(pthread_create(&callers[i], NULL, call_often, crew), 0);
    for (int i = 0; i < N_CALLERS; i++) {
        void *wrong = crew;
        assert_int_equal(pthread_join(callers[i], &wrong), 0);
        assert_null(wrong);
    }
}

static void it_is_no_larger_than_the_machine_and_its_bound(void **state)
{
    (void)state;
    assert_in_range(crew_size(), 0, CREW_MOST);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_item_is_done_once_by_however_many_threads),
        cmocka_unit_test(without_a_crew_the_caller_does_all),
        cmocka_unit_test(nothing_to_do_is_done_at_once),
        cmocka_unit_test(a_failure_and_its_message_come_back_and_the_crew_goes_on_working),
        cmocka_unit_test(many_callers_at_once_each_get_their_own_items_done),
        cmocka_unit_test(it_is_no_larger_than_the_machine_and_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
