#include "common/backoff.h"

#include "tests/test.h"

static void statuses_are_judged_as_the_contract_says(void **state)
{
    (void)state;
    static const struct {
        int status;
        enum delivery delivery;
    } rows[] = {
        {200, DELIVERY_DONE},    {204, DELIVERY_DONE},    {299, DELIVERY_DONE},
        {0, DELIVERY_RETRY},     {429, DELIVERY_RETRY},   {500, DELIVERY_RETRY},
        {503, DELIVERY_RETRY},   {408, DELIVERY_RETRY},   {301, DELIVERY_REFUSED},
        {400, DELIVERY_REFUSED}, {404, DELIVERY_REFUSED}, {410, DELIVERY_GONE},
    };
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_int_equal(delivery_judge(rows[i].status), rows[i].delivery);
}

static void it_doubles_to_a_quarter_of_an_hour_with_jitter(void **state)
{
    (void)state;
    struct rng rng = rng_of(1);
    for (int attempt = 1; attempt <= 100; attempt++) {
        int64_t plain = attempt <= 10 ? INT64_C(1000) << (attempt - 1) : BACKOFF_LONGEST_MS;
        if (plain > BACKOFF_LONGEST_MS)
            plain = BACKOFF_LONGEST_MS;
        int64_t delay = backoff_delay(attempt, -1, &rng);
        assert_in_range(delay, plain * 8 / 10, plain * 12 / 10);
    }
}

static void a_receiver_may_ask_for_longer_but_not_for_ever(void **state)
{
    (void)state;
    struct rng rng = rng_of(1);
    assert_int_equal(backoff_delay(1, 30000, &rng), 30000);
    assert_in_range(backoff_delay(12, 30000, &rng), BACKOFF_LONGEST_MS * 8 / 10,
                    BACKOFF_LONGEST_MS * 12 / 10);
    assert_int_equal(backoff_delay(1, INT64_C(1) << 50, &rng), 3600000);
}

static void seventy_two_hours_of_outage_are_a_few_hundred_attempts(void **state)
{
    (void)state;
    struct rng rng = rng_of(7);
    int64_t now_ms = 0;
    int64_t attempts = 0;
    while (now_ms < BACKOFF_GIVE_UP_MS)
        now_ms += backoff_delay(++attempts, -1, &rng);
    assert_in_range(attempts, 250, 400);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(statuses_are_judged_as_the_contract_says),
        cmocka_unit_test(it_doubles_to_a_quarter_of_an_hour_with_jitter),
        cmocka_unit_test(a_receiver_may_ask_for_longer_but_not_for_ever),
        cmocka_unit_test(seventy_two_hours_of_outage_are_a_few_hundred_attempts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
