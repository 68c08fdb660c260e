#include "common/deadline.h"

#include <errno.h>

#include "tests/test.h"

static int64_t ns_of(const struct timespec *at)
{
    return (int64_t)at->tv_sec * 1000000000 + at->tv_nsec;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return ns_of(&now);
}

static void a_deadline_lies_so_many_milliseconds_after_now(void **state)
{
    (void)state;
    static const int64_t ms[] = {0, 1, 999, 1000, 1001, 59999, INT64_C(86400000) * 365};
    for (size_t i = 0; i < sizeof(ms) / sizeof(*ms); i++) {
        const int64_t before = now_ns();
        const struct timespec at = deadline_after(ms[i]);
        const int64_t after = now_ns();

        const int64_t asked_at = ns_of(&at) - ms[i] * 1000000;
        assert_true(asked_at >= before && asked_at <= after);
    }
}

/* Two thousand milliseconds in a row: half of them carry into the seconds. */
static void its_nanoseconds_are_less_than_a_second(void **state)
{
    (void)state;
    for (int64_t ms = 0; ms < 2000; ms++) {
        const struct timespec at = deadline_after(ms);

        assert_true(at.tv_nsec >= 0 && at.tv_nsec < 1000000000);
    }
}

static void a_deadline_before_now_is_now(void **state)
{
    (void)state;
    const int64_t before = now_ns();
    const struct timespec at = deadline_after(INT64_MIN);
    const int64_t after = now_ns();

    assert_true(ns_of(&at) >= before && ns_of(&at) <= after);
}

/* On the wall clock, which is decades ahead of the monotonic one, each of these would be over. */
static void a_condition_waits_until_its_deadline_and_no_less(void **state)
{
    (void)state;
    pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    pthread_cond_t never;
    deadline_cond_init(&never);
    const struct timespec until = deadline_after(20);

    pthread_mutex_lock(&lock);
    int rc = 0;
    while (rc == 0)
        rc = pthread_cond_timedwait(&never, &lock, &until);
    pthread_mutex_unlock(&lock);

    assert_int_equal(rc, ETIMEDOUT);
    assert_true(now_ns() >= ns_of(&until));
    pthread_cond_destroy(&never);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_deadline_lies_so_many_milliseconds_after_now),
        cmocka_unit_test(its_nanoseconds_are_less_than_a_second),
        cmocka_unit_test(a_deadline_before_now_is_now),
        cmocka_unit_test(a_condition_waits_until_its_deadline_and_no_less),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
