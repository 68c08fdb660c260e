#include "collector/waiting_order.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/test.h"

enum {
    N_STREAMS = 5,
    N_EVENTS = 300
};

static int in_order(const void *a, const void *b)
{
    const struct waiting *x = a, *y = b;
    if (x->stream != y->stream)
        return x->stream < y->stream ? -1 : 1;
    if (x->ts_ms != y->ts_ms)
        return x->ts_ms < y->ts_ms ? -1 : 1;
    if (x->hash != y->hash)
        return x->hash < y->hash ? -1 : 1;
    if (x->place != y->place)
        return x->place < y->place ? -1 : 1;
    return (x->value > y->value) - (x->value < y->value);
}

static bool same(const struct waiting *x, const struct waiting *y)
{
    return x->ts_ms == y->ts_ms && x->hash == y->hash && x->stream == y->stream &&
           x->place == y->place && x->value == y->value;
}

/* What the detectors of each stream get is what sorting everything would give them. */
static void assert_ordered(const struct waiting *waiting, size_t n)
{
    struct waiting_order order = {0};
    struct waiting *sorted = calloc(n + 1, sizeof(*sorted));
    assert_non_null(sorted);
    memcpy(sorted, waiting, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), in_order);

    assert_int_equal(waiting_order_by(&order, waiting, n), 0);

    size_t at = 0;
    for (uint32_t stream = 0; stream < N_STREAMS; stream++)
        for (size_t i = 0; i < n; i++)
            if (waiting[order.at[i]].stream == stream)
                assert_true(same(&waiting[order.at[i]], &sorted[at++]));
    assert_int_equal(at, n);
    waiting_order_finish(&order);
    free(sorted);
}

/* Predictions of all streams, some at the same time; outcomes with the time and id of theirs. */
static size_t fill(struct waiting *waiting, struct rng *rng)
{
    size_t n = 0;
    for (int i = 0; i < N_EVENTS; i++) {
        const int64_t ts = (int64_t)rng_below(rng, 40) - 20;
        const uint64_t hash = rng_below(rng, 3) << 62 | rng_below(rng, 4);
        for (uint32_t stream = 0; stream < N_STREAMS; stream++)
            waiting[n++] = (struct waiting){ts, hash, stream, (float)rng_below(rng, 3),
                                            (uint8_t)rng_below(rng, 3)};
        if (i % 3 == 0)
            waiting[n++] = (struct waiting){ts, hash, 2, 0, 1};
    }
    return n;
}

static void streams_stand_by_time_id_place_and_value(void **state)
{
    (void)state;
    struct waiting waiting[N_EVENTS * (N_STREAMS + 1)];
    struct rng rng = rng_of(1);
    const size_t n = fill(waiting, &rng);

    assert_ordered(waiting, n);
    assert_ordered(waiting, 1);
    assert_ordered(waiting, 0);
}

static void it_does_not_matter_how_they_came(void **state)
{
    (void)state;
    struct waiting waiting[N_EVENTS * (N_STREAMS + 1)];
    struct rng rng = rng_of(2);
    const size_t n = fill(waiting, &rng);
    for (size_t i = n; i > 1; i--) {
        const size_t other = rng_below(&rng, i);
        const struct waiting swap = waiting[i - 1];
        waiting[i - 1] = waiting[other];
        waiting[other] = swap;
    }

    assert_ordered(waiting, n);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_stand_by_time_id_place_and_value),
        cmocka_unit_test(it_does_not_matter_how_they_came),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
