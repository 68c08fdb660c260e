/* One piece of work after the other, on a thread beside. */
#include "collector/aside.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#include "tests/test.h"

enum {
    PIECES = 2000
};

struct piece {
    int given, told;
    pthread_t by;
    char name[16];
};

static void take(void *context)
{
    struct piece *piece = context;
    piece->told = 2 * piece->given;
    piece->by = pthread_self();
    pthread_getname_np(pthread_self(), piece->name, sizeof(piece->name));
}

/* Without a lock of their own: giving and waiting order it. */
static void each_side_has_what_the_other_did(void **state)
{
    (void)state;
    struct err err = {0};
    AUTO(aside) struct aside *aside = NULL;
    assert_int_equal(aside_new(&aside, "beside", &err), 0);
    struct piece piece = {0};
    assert_true(aside_is_free(aside));
    for (int i = 1; i <= PIECES; i++) {
        piece.given = i;
        assert_true(aside_give(aside, take, &piece));
        aside_wait(aside);
        assert_true(aside_is_free(aside));
        assert_int_equal(piece.told, 2 * i);
    }
    assert_false(pthread_equal(piece.by, pthread_self()));
    assert_string_equal(piece.name, "beside");
}

struct gate {
    sem_t entered, open;
    int passed;
};

static void pass(void *context)
{
    struct gate *gate = context;
    sem_post(&gate->entered);
    sem_wait(&gate->open);
    gate->passed++;
}

static void gate_init(struct gate *gate)
{
    *gate = (struct gate){0};
    sem_init(&gate->entered, 0, 0);
    sem_init(&gate->open, 0, 0);
}

static void gate_finish(struct gate *gate)
{
    sem_destroy(&gate->entered);
    sem_destroy(&gate->open);
}

static void it_is_not_free_while_it_works(void **state)
{
    (void)state;
    struct err err = {0};
    struct gate gate;
    gate_init(&gate);
    AUTO(aside) struct aside *aside = NULL;
    assert_int_equal(aside_new(&aside, "beside", &err), 0);
    assert_true(aside_give(aside, pass, &gate));
    sem_wait(&gate.entered);
    assert_false(aside_is_free(aside));

    sem_post(&gate.open);
    aside_wait(aside);
    assert_true(aside_is_free(aside));
    assert_int_equal(gate.passed, 1);
    gate_finish(&gate);
}

static void freeing_it_waits_for_what_was_given(void **state)
{
    (void)state;
    struct err err = {0};
    struct gate gate;
    gate_init(&gate);
    sem_post(&gate.open);
    struct aside *aside = NULL;
    assert_int_equal(aside_new(&aside, "beside", &err), 0);
    assert_true(aside_give(aside, pass, &gate));
    aside_free(aside);
    assert_int_equal(gate.passed, 1);
    gate_finish(&gate);

    assert_int_equal(aside_new(&aside, "beside", &err), 0); /* nothing was ever given */
    aside_wait(aside);
    aside_free(aside);
    aside_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_side_has_what_the_other_did),
        cmocka_unit_test(it_is_not_free_while_it_works),
        cmocka_unit_test(freeing_it_waits_for_what_was_given),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
