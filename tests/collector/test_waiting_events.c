/* What waits for a look is taken in one order, however it came. */
#include "collector/waiting_events.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "common/rng.h"
#include "tests/lib/fault_malloc.h"
#include "tests/test.h"

enum {
    N_STREAMS = 5,
    N_EVENTS = 300
};

/* One event of one stream. */
struct waiting {
    int64_t ts_ms;
    uint64_t hash;
    uint32_t stream;
    float value;
    uint8_t place;
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

/* Does the event of x say something of y's stream, too? */
static bool goes_on(const struct waiting *x, const struct waiting *y)
{
    return x->ts_ms == y->ts_ms && x->hash == y->hash && x->stream < y->stream;
}

/* A row for each event: neighbours of the same time and id, each of another stream. */
static void add_rows(struct waiting_events *events, const struct waiting *waiting, size_t n)
{
    for (size_t i = 0; i < n;) {
        const struct waiting *first = &waiting[i];
        assert_int_equal(waiting_begin(events, first->ts_ms, first->hash, n - i, NULL), 0);
        do {
            waiting_add(events, waiting[i].stream, waiting[i].place, (double)waiting[i].value);
            i++;
        } while (i < n && goes_on(&waiting[i - 1], &waiting[i]));
        waiting_end(events);
    }
}

/* What a stream gets from the rows, at `out`; returns how many. */
static size_t taken_of(const struct waiting_events *events, uint32_t stream, struct waiting *out)
{
    size_t n = 0;
    for (size_t i = 0; i < events->n_rows; i++) {
        const struct waiting_row *row = &events->rows[i];
        for (uint32_t k = 0; k < row->n; k++) {
            const struct waiting_item *item = &events->items[row->first + k];
            if (item->stream == stream)
                out[n++] = (struct waiting){waiting_ts_ms(row), waiting_hash(row), stream,
                                            (float)item->value, item->place};
        }
    }
    return n;
}

/* What the detectors of each stream get is what sorting everything would give them. */
static void assert_ordered_since(const struct waiting *waiting, size_t n, int64_t since_ms)
{
    struct waiting_events events = {0};
    struct waiting *sorted = calloc(n + 1, sizeof(*sorted)), *taken = calloc(n + 1, sizeof(*taken));
    assert_non_null(sorted);
    assert_non_null(taken);
    memcpy(sorted, waiting, n * sizeof(*sorted));
    qsort(sorted, n, sizeof(*sorted), in_order);

    add_rows(&events, waiting, n);
    assert_int_equal(waiting_order(&events, 0, events.n_rows, since_ms, NULL), 0);

    size_t at = 0;
    for (uint32_t stream = 0; stream < N_STREAMS; stream++)
        at += taken_of(&events, stream, taken + at);
    assert_int_equal(at, n);
    for (size_t i = 0; i < n; i++)
        assert_true(same(&taken[i], &sorted[i]));
    waiting_finish(&events);
    free(sorted);
    free(taken);
}

/* Wherever what is taken for old begins. */
static void assert_ordered(const struct waiting *waiting, size_t n)
{
    const int64_t since_ms[] = {INT64_MIN, -5, 0, 7, 1000, INT64_MAX};
    for (size_t i = 0; i < sizeof(since_ms) / sizeof(*since_ms); i++)
        assert_ordered_since(waiting, n, since_ms[i]);
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

/* A few places off, as partitions interleave: no merge is needed then. */
static void neighbours_may_have_changed_places(void **state)
{
    (void)state;
    struct waiting waiting[N_EVENTS];
    for (int i = 0; i < N_EVENTS; i++)
        waiting[i] = (struct waiting){(i ^ 3) / 2, (uint64_t)(i * 37 % 5), (uint32_t)i % N_STREAMS,
                                      (float)i, (uint8_t)(i % 3)};

    assert_ordered(waiting, N_EVENTS);
}

/* Each partition tells of its predictions from 1000 ms on, and of labels of older ones. */
static void partitions_and_their_labels_come_in_orders_of_their_own(void **state)
{
    (void)state;
    const int n_partitions[] = {1, 2, 3, 7, 40};
    for (size_t k = 0; k < sizeof(n_partitions) / sizeof(*n_partitions); k++) {
        struct waiting waiting[N_EVENTS];
        const int p = n_partitions[k], each = N_EVENTS / p;
        for (int i = 0; i < each * p; i++) {
            const int nth = i % each, partition = i / each;
            const bool label = nth % 2 == 1;
            waiting[i] = (struct waiting){(label ? 0 : 1000) + nth / 2 * p + partition,
                                          (uint64_t)i * UINT64_C(0x9e3779b97f4a7c15),
                                          (uint32_t)label, (float)i, 1};
        }

        assert_ordered(waiting, (size_t)each * (size_t)p);
    }
}

/* A row without an item is none, and what was begun and not ended leaves nothing. */
static void only_what_says_something_waits(void **state)
{
    (void)state;
    struct waiting_events events = {0};

    assert_int_equal(waiting_begin(&events, 5, 1, 2, NULL), 0);
    waiting_end(&events);
    assert_int_equal(events.n_rows, 0);

    assert_int_equal(waiting_begin(&events, -5, UINT64_MAX, 2, NULL), 0);
    waiting_add(&events, 3, 1, 2.5);
    waiting_end(&events);
    assert_int_equal(events.n_rows, 1);
    assert_int_equal(waiting_ts_ms(&events.rows[0]), -5);
    assert_true(waiting_hash(&events.rows[0]) == UINT64_MAX);

    waiting_clear(&events);
    assert_int_equal(events.n_rows, 0);
    waiting_finish(&events);
}

static void begin_and_end(struct waiting_events *events, int64_t ts_ms, size_t n_items)
{
    assert_int_equal(waiting_begin(events, ts_ms, (uint64_t)ts_ms, n_items, NULL), 0);
    for (size_t i = 0; i < n_items; i++)
        waiting_add(events, (uint32_t)i, 1, (double)ts_ms);
    waiting_end(events);
}

/* As looks take them: the first ones are put in order and go, the others wait on. */
static void rows_before_a_look_go_and_those_behind_it_stay_as_they_came(void **state)
{
    (void)state;
    struct waiting_events events = {0};
    begin_and_end(&events, 9, 2);
    begin_and_end(&events, 7, 3);
    begin_and_end(&events, 9, 1); /* one event with the first: the two are joined */
    begin_and_end(&events, 8, 4);
    begin_and_end(&events, 6, 1);

    assert_int_equal(waiting_order(&events, 0, 3, 0, NULL), 0);
    assert_int_equal(waiting_ts_ms(&events.rows[0]), 7);
    assert_int_equal(waiting_ts_ms(&events.rows[1]), 9);
    assert_int_equal(events.rows[1].n, 3);
    assert_int_equal(events.rows[2].n, 0);
    waiting_drop(&events, 3);
    assert_int_equal(events.n_rows, 2);
    assert_int_equal(events.n_items, 5);
    assert_int_equal(waiting_ts_ms(&events.rows[0]), 8);
    assert_int_equal(events.rows[0].n, 4);
    assert_true(events.items[events.rows[0].first + 3].value == 8);
    assert_int_equal(waiting_ts_ms(&events.rows[1]), 6);
    assert_true(events.items[events.rows[1].first].value == 6);

    begin_and_end(&events, 5, 1);
    assert_int_equal(waiting_order(&events, 1, 3, 0, NULL), 0); /* but the first */
    assert_int_equal(waiting_ts_ms(&events.rows[0]), 8);
    assert_int_equal(waiting_ts_ms(&events.rows[1]), 5);
    waiting_drop(&events, 3);
    assert_int_equal(events.n_rows, 0);
    waiting_finish(&events);
}

static void a_row_that_is_undone_leaves_nothing(void **state)
{
    (void)state;
    struct waiting_events events = {0};
    begin_and_end(&events, 1, 2);
    assert_int_equal(waiting_begin(&events, 2, 2, 2, NULL), 0);
    waiting_add(&events, 0, 1, 1);
    waiting_undo(&events);
    begin_and_end(&events, 3, 1);
    assert_int_equal(events.n_rows, 2);
    assert_int_equal(events.n_items, 3);
    assert_int_equal(waiting_ts_ms(&events.rows[1]), 3);
    waiting_finish(&events);
}

/* Beyond what a float can hold it stays finite. */
static void values_wait_as_floats(void **state)
{
    (void)state;
    struct waiting_events events = {0};
    assert_int_equal(waiting_begin(&events, 1, 1, 3, NULL), 0);
    waiting_add(&events, 0, 1, 1e308);
    waiting_add(&events, 0, 1, -1e308);
    waiting_add(&events, 0, 1, 0.1);
    waiting_end(&events);
    assert_true(events.items[0].value == (double)FLT_MAX);
    assert_true(events.items[1].value == (double)-FLT_MAX);
    assert_true(events.items[2].value == (double)0.1F);
    waiting_finish(&events);
}

/* What was begun is then not there; what waited before is. */
static void without_memory_nothing_else_is_lost(void **state)
{
    (void)state;
    struct waiting_events events = {0};
    struct err err = {0};
    for (int64_t at = 1; at <= 2; at++) {
        fault_malloc_at(at); /* the row, its items */
        assert_int_equal(waiting_begin(&events, 5, 1, 1, &err), -ENOMEM);
        assert_string_equal(err.text,
                            "collector: no memory for what detectors of changes wait for");
    }
    fault_malloc_at(0);
    for (size_t n = 1; n <= 1024; n += 1023) { /* two rows of one event fill the room */
        assert_int_equal(waiting_begin(&events, 5, 1, n, &err), 0);
        for (size_t i = 0; i < n; i++)
            waiting_add(&events, (uint32_t)i, 0, 1);
        waiting_end(&events);
    }
    assert_int_equal(events.n_rows, 2);

    fault_malloc_at(1);
    assert_int_equal(waiting_order(&events, 0, 2, 0, &err), -ENOMEM); /* no room to join them */
    fault_malloc_at(0);
    assert_int_equal(waiting_order(&events, 0, 2, 0, &err), 0);
    assert_int_equal(events.rows[0].n, 1025);
    waiting_finish(&events);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(streams_stand_by_time_id_place_and_value),
        cmocka_unit_test(it_does_not_matter_how_they_came),
        cmocka_unit_test(neighbours_may_have_changed_places),
        cmocka_unit_test(partitions_and_their_labels_come_in_orders_of_their_own),
        cmocka_unit_test(only_what_says_something_waits),
        cmocka_unit_test(rows_before_a_look_go_and_those_behind_it_stay_as_they_came),
        cmocka_unit_test(a_row_that_is_undone_leaves_nothing),
        cmocka_unit_test(values_wait_as_floats),
        cmocka_unit_test(without_memory_nothing_else_is_lost),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
