/* Detectors of changes without memory, and on streams that never vary or know
 * no bounds. */
#include <errno.h>
#include <float.h>
#include <math.h>
#include <string.h>

#include "common/rng.h"
#include "stats/change_stream.h"
#include "tests/lib/fault_malloc.h"
#include "tests/test.h"

enum {
    EXPECTED = 2000,
    N_EVENTS = 1500 /* beyond what is learned */
};

enum kind {
    RATE,
    MEAN,
    N_KINDS
};

static void start(struct change_stream *stream, enum kind kind)
{
    if (kind == RATE)
        change_stream_rate(stream, EXPECTED);
    else
        change_stream_mean(stream, EXPECTED);
}

static int take(struct change_stream *stream, int i, struct err *err)
{
    struct change_found found;
    unsigned place = stream->method == CHANGE_BY_RATE ? i % 7 == 0 : (unsigned)i % MEAN_TIES;
    return change_stream_update(stream, i, place, i * 37 % 101, &found, err);
}

/* Its state as bytes, which have room for it. */
static void save(const struct change_stream *stream, struct buf *bytes)
{
    buf_clear(bytes);
    change_stream_save(stream, bytes);
    assert_false(buf_failed(bytes));
}

static void assert_same_state(const struct change_stream *a, const struct change_stream *b)
{
    struct buf x, y;
    buf_init(&x, 1 << 16);
    buf_init(&y, 1 << 16);
    save(a, &x);
    save(b, &y);
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}

/* The event that there was no memory for is taken again, and nothing is
 * different. */
static void an_event_without_memory_changes_nothing_and_may_come_again(void **state)
{
    (void)state;
    for (enum kind kind = RATE; kind < N_KINDS; kind++) {
        int failures = 0;
        for (int64_t at = 1;; at++) {
            struct change_stream stream, calm;
            struct err err = {0};
            bool failed = false;
            start(&stream, kind);
            start(&calm, kind);
            fault_malloc_at(at);
            for (int i = 0; i < N_EVENTS; i++) {
                int rc = take(&stream, i, &err);
                if (rc < 0) {
                    assert_int_equal(rc, -ENOMEM);
                    assert_non_null(strstr(err.text, "no memory"));
                    rc = take(&stream, i, &err);
                    failed = true;
                }
                assert_true(rc >= 0);
            }
            fault_malloc_at(0);
            for (int i = 0; i < N_EVENTS; i++)
                assert_true(take(&calm, i, NULL) >= 0);
            assert_same_state(&stream, &calm);
            change_stream_finish(&stream);
            change_stream_finish(&calm);
            failures += failed;
            if (!failed)
                break;
        }
        assert_true(failures >= 1);
    }
}

/* Events 0 to 199 are a tenth of the run; the alarm says so, and that it is learned anew. */
static void an_alarm_says_which_events_were_learned(void **state)
{
    (void)state;
    struct err err = {0};
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct change_stream stream;
        struct change_found found = {0};
        start(&stream, kind);
        int i = 1000, rc = 0;
        for (; i < 1200; i++)
            assert_int_equal(take(&stream, i, &err), 0);
        for (; rc == 0 && i < 4000; i++)
            rc = change_stream_update(&stream, i, kind == RATE ? 1 : (unsigned)i % MEAN_TIES, 1000,
                                      &found, &err);
        assert_int_equal(rc, 1);
        assert_int_equal(found.learned.n, 200);
        assert_int_equal(found.learned.from_ms, 1000);
        assert_int_equal(found.learned.to_ms, 1199);
        assert_null(change_stream_learned(&stream));
        assert_int_equal(take(&stream, 5000, &err), 0);
        assert_int_equal(change_stream_learned(&stream)->from_ms, 5000);
        change_stream_finish(&stream);
    }
}

/* Bytes of before end where what is learned follows now: 1 byte a number below 64. */
static void a_state_from_before_learned_times_were_kept_goes_on(void **state)
{
    (void)state;
    struct err err = {0};
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    for (enum kind kind = 0; kind < N_KINDS; kind++) {
        struct change_stream stream, loaded;
        start(&stream, kind);
        for (int i = 0; i < 60; i++)
            assert_int_equal(take(&stream, i, &err), 0);
        save(&stream, &bytes);
        struct reader in = reader_of(bytes.data, bytes.size - 3);

        assert_int_equal(change_stream_load(&loaded, &in, &err), 0);

        const struct change_learned *learned = change_stream_learned(&loaded);
        assert_int_equal(learned->n, 60);
        assert_true(learned->from_ms == INT64_MIN && learned->to_ms == INT64_MIN);
        assert_int_equal(take(&loaded, 60, &err), 0);
        learned = change_stream_learned(&loaded);
        assert_true(learned->n == 61 && learned->from_ms == INT64_MIN && learned->to_ms == 60);
        change_stream_finish(&stream);
        change_stream_finish(&loaded);
    }
    buf_finish(&bytes);
}

static void a_given_level_needs_memory_for_its_limits(void **state)
{
    (void)state;
    struct change_rate rate;
    struct err err = {0};
    int64_t at = 1;
    for (int rc = -1; rc; at++) {
        fault_malloc_at(at);
        rc = change_rate_init_level(&rate, EXPECTED, 5000, 1000, &err);
        assert_true(rc == 0 || rc == -ENOMEM);
        assert_int_equal(rc == 0, !fault_malloc_has_failed());
    }
    fault_malloc_at(0);
    assert_true(at > 3); /* it failed more than once */
    assert_true(rate.up.limit > 0 && rate.down.limit > 0);
}

static void bytes_without_memory_are_refused_and_leave_nothing_behind(void **state)
{
    (void)state;
    struct change_stream stream, loaded;
    struct err err = {0};
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    start(&stream, MEAN);
    for (int i = 0; i < 50; i++) /* it still learns: the values are its memory */
        assert_int_equal(take(&stream, i, NULL), 0);
    save(&stream, &bytes);
    fault_malloc_at(1);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(change_stream_load(&loaded, &in, &err), -ENOMEM);
    fault_malloc_at(0);
    assert_string_equal(err.text, "change of a mean: no memory to learn 200 values");
    change_stream_finish(&loaded);

    in = reader_of(bytes.data, bytes.size);
    assert_int_equal(change_stream_load(&loaded, &in, &err), 0);
    assert_same_state(&stream, &loaded);
    change_stream_finish(&loaded);
    change_stream_finish(&stream);
    buf_finish(&bytes);
}

static void a_mixture_without_memory_is_none(void **state)
{
    (void)state;
    struct change_stream stream, loaded;
    struct change_found found;
    struct err err = {0};
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    fault_malloc_at(1);
    assert_int_equal(change_stream_mix(&stream, EXPECTED, &err), -ENOMEM);
    fault_malloc_at(0);
    assert_int_equal(change_stream_update(&stream, 1, 0, 0.5, &found, &err), 0);
    change_stream_finish(&stream);

    assert_int_equal(change_stream_mix(&stream, EXPECTED, &err), 0);
    save(&stream, &bytes);
    fault_malloc_at(1);
    struct reader in = reader_of(bytes.data, bytes.size);
    assert_int_equal(change_stream_load(&loaded, &in, &err), -ENOMEM);
    fault_malloc_at(0);
    change_stream_finish(&loaded);
    change_stream_finish(&stream);
    buf_finish(&bytes);
}

static void a_stream_that_never_varies_is_no_change_until_it_does(void **state)
{
    (void)state;
    struct rng rng = rng_of(3);
    struct change_mean mean;
    struct change_found found;
    change_mean_init(&mean, 100000);
    int i = 0;
    for (; i < 9000; i++)
        assert_int_equal(
            change_mean_update(&mean, i, 5, (unsigned)rng_below(&rng, MEAN_TIES), &found, NULL), 0);
    while (!change_mean_update(&mean, i, 5.5, (unsigned)rng_below(&rng, MEAN_TIES), &found, NULL))
        i++;
    assert_int_equal(found.direction, CHANGE_UP);
    assert_true(i < 9020);
    assert_true(found.before > 4.999 && found.before < 5.001 && found.after > 5);
    change_mean_finish(&mean);

    for (int one = 0; one < 2; one++) {
        struct change_rate rate;
        change_rate_init(&rate, 100000);
        for (i = 0; i < 20000; i++)
            assert_int_equal(change_rate_update(&rate, i, one, &found, NULL), 0);
        while (!change_rate_update(&rate, i, !one, &found, NULL))
            i++;
        assert_int_equal(found.direction, one ? CHANGE_DOWN : CHANGE_UP);
        assert_true(i < 20010);
    }
}

/* The largest floats: what the collector makes of numbers beyond them. */
static void the_largest_numbers_have_finite_means(void **state)
{
    (void)state;
    struct rng rng = rng_of(4);
    struct change_mean mean;
    struct change_shape shape;
    struct change_found found;
    change_mean_init(&mean, 10000);
    change_shape_init(&shape, 10000, 10000, 0);
    int i = 0;
    for (; i < 3000; i++)
        assert_int_equal(change_mean_update(&mean, i, (double)(i % 2 ? FLT_MAX : -FLT_MAX),
                                            (unsigned)rng_below(&rng, MEAN_TIES), &found, NULL),
                         0);
    while (!change_mean_update(&mean, i, (double)FLT_MAX, 255, &found, NULL))
        i++;
    assert_int_equal(found.direction, CHANGE_UP);
    assert_true(isfinite(found.before) && isfinite(found.after) && found.after > 0);
    change_mean_finish(&mean);

    for (i = 0; !change_shape_update(&shape, i, SHAPE_BINS - 1, (double)FLT_MAX, &found); i++)
        assert_true(i < SHAPE_SHORT);
    assert_int_equal(found.direction, CHANGE_SHAPE);
    assert_true(found.after == (double)FLT_MAX && isfinite(found.before));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_event_without_memory_changes_nothing_and_may_come_again),
        cmocka_unit_test(an_alarm_says_which_events_were_learned),
        cmocka_unit_test(a_state_from_before_learned_times_were_kept_goes_on),
        cmocka_unit_test(a_given_level_needs_memory_for_its_limits),
        cmocka_unit_test(bytes_without_memory_are_refused_and_leave_nothing_behind),
        cmocka_unit_test(a_mixture_without_memory_is_none),
        cmocka_unit_test(a_stream_that_never_varies_is_no_change_until_it_does),
        cmocka_unit_test(the_largest_numbers_have_finite_means),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
