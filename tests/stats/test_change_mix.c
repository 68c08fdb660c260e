/* A mixture of categories that a stream learned: how often it alarms without a change, and how soon
 * with one. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "common/rng.h"
#include "stats/change_stream.h"
#include "stats/sample.h"
#include "tests/test.h"

enum {
    EXPECTED = 3000,
    LEARNED = 512
};

/* Some id of category k; of 600 the k-th is as frequent as 1 / k. */
static uint64_t id_of(unsigned k)
{
    char text[16];
    return class_id(text, (size_t)snprintf(text, sizeof(text), "c%u", k));
}

static unsigned category_of(struct rng *rng, unsigned n)
{
    return n < 100 ? (unsigned)rng_below(rng, n) : (unsigned)exp(rng_uniform(rng) * log(n));
}

static int take(struct change_stream *stream, struct rng *rng, unsigned category, int64_t ts_ms,
                struct change_found *found)
{
    struct err err = {0};
    return change_stream_update(stream, ts_ms, change_mix_place(id_of(category)), rng_uniform(rng),
                                found, &err);
}

static struct change_stream mixture(void)
{
    struct change_stream stream;
    struct err err = {0};
    assert_int_equal(change_stream_mix(&stream, EXPECTED, &err), 0);
    return stream;
}

/* Means of 200 runs, whose standard error is 6%. */
static void runs_without_a_change_are_as_long_as_asked(void **state)
{
    (void)state;
    static const unsigned categories[] = {2, 7, 600};
    for (int c = 0; c < 3; c++) {
        struct rng rng = rng_of(40 + (uint64_t)c);
        struct change_stream stream = mixture();
        struct change_found found;
        double events = 0;
        for (int alarms = 0; alarms < 200; events++)
            alarms += take(&stream, &rng, category_of(&rng, categories[c]), 0, &found);
        print_message("%u categories: asked %d, measured %.0f\n", categories[c], EXPECTED,
                      events / 200);
        assert_true(events / 200 > 0.85 * EXPECTED && events / 200 < 1.6 * EXPECTED);
        change_stream_finish(&stream);
    }
}

static void a_category_that_is_new_is_found_soon_and_learned(void **state)
{
    (void)state;
    struct rng rng = rng_of(45);
    struct change_stream stream = mixture();
    struct change_found found = {0};
    int i = 0, rc = 0;
    for (; i < 1000; i++)
        assert_int_equal(take(&stream, &rng, category_of(&rng, 7), i, &found), 0);
    assert_int_equal(change_stream_learned(&stream)->n, LEARNED);
    for (; !rc && i < 1400; i++) /* every other is one that never was */
        rc = take(&stream, &rng, rng_below(&rng, 2) ? category_of(&rng, 7) : 99, i, &found);

    assert_int_equal(rc, 1);
    assert_in_range(i, 1020, 1250);
    assert_int_equal(found.direction, CHANGE_SHAPE);
    assert_int_equal(found.run, i);
    assert_in_range(found.began_ms, 900, i);
    assert_true(isnan(found.before) && isnan(found.after));
    assert_int_equal(found.learned.n, LEARNED);
    assert_int_equal(found.learned.from_ms, 0);
    assert_int_equal(found.learned.to_ms, LEARNED - 1);
    assert_null(change_stream_learned(&stream));
    const int found_at = i;
    for (; i < found_at + LEARNED; i++) /* it is usual now */
        assert_int_equal(take(&stream, &rng, rng_below(&rng, 2) ? 3 : 99, i, &found), 0);
    assert_int_equal(change_stream_learned(&stream)->n, LEARNED);
    assert_int_equal(change_stream_learned(&stream)->from_ms, found_at);
    change_stream_finish(&stream);
}

/* Saved at any event, learning or not, and read again: the same alarms to the bit. */
static void a_state_goes_on_as_it_was_saved_and_no_other_bytes_are_one(void **state)
{
    (void)state;
    struct buf bytes, other;
    struct err err = {0};
    buf_init(&bytes, 1 << 16);
    buf_init(&other, 1 << 16);
    for (int events = 0; events < 1400; events += 333) {
        struct rng rng = rng_of(50);
        struct change_stream stream = mixture(), loaded;
        struct change_found found;
        for (int i = 0; i < events; i++)
            take(&stream, &rng, category_of(&rng, 600), i, &found);
        buf_clear(&bytes);
        change_stream_save(&stream, &bytes);
        for (size_t n = 0; n < bytes.size; n++) {
            struct reader cut = reader_of(bytes.data, n);
            assert_int_equal(change_stream_load(&loaded, &cut, &err), ERR_CORRUPT);
            change_stream_finish(&loaded);
        }
        struct reader in = reader_of(bytes.data, bytes.size);
        assert_int_equal(change_stream_load(&loaded, &in, &err), 0);
        struct rng again = rng;
        for (int i = events; i < 3000; i++) {
            struct change_found x = {0}, y = {0};
            const unsigned category = category_of(&rng, 600) + (i > 2000 ? 300 : 0);
            category_of(&again, 600);
            assert_int_equal(take(&stream, &rng, category, i, &x),
                             take(&loaded, &again, category, i, &y));
            assert_memory_equal(&x, &y, sizeof(x));
        }
        assert_true(stream.alarms > 0);
        buf_clear(&bytes);
        buf_clear(&other);
        change_stream_save(&stream, &bytes);
        change_stream_save(&loaded, &other);
        assert_int_equal(bytes.size, other.size);
        assert_memory_equal(bytes.data, other.data, bytes.size);
        change_stream_finish(&stream);
        change_stream_finish(&loaded);
    }
    buf_finish(&bytes);
    buf_finish(&other);
}

static void damaged_bytes_are_refused_or_run_on(void **state)
{
    (void)state;
    struct rng rng = rng_of(52);
    struct change_stream stream = mixture(), loaded;
    struct change_found found;
    struct err err = {0};
    struct buf bytes;
    buf_init(&bytes, 1 << 16);
    for (int i = 0; i < 900; i++)
        take(&stream, &rng, category_of(&rng, 600), i, &found);
    change_stream_save(&stream, &bytes);
    for (size_t at = 0; at < bytes.size; at++) {
        bytes.data[at] ^= 0x5a;
        struct reader in = reader_of(bytes.data, bytes.size);
        if (change_stream_load(&loaded, &in, &err) == 0)
            for (int i = 0; i < 600; i++)
                if (loaded.method == CHANGE_BY_MIX)
                    take(&loaded, &rng, category_of(&rng, 600), i, &found);
        change_stream_finish(&loaded);
        bytes.data[at] ^= 0x5a;
    }
    change_stream_finish(&stream);
    buf_finish(&bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(runs_without_a_change_are_as_long_as_asked),
        cmocka_unit_test(a_category_that_is_new_is_found_soon_and_learned),
        cmocka_unit_test(a_state_goes_on_as_it_was_saved_and_no_other_bytes_are_one),
        cmocka_unit_test(damaged_bytes_are_refused_or_run_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
