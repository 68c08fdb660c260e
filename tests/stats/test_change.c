/* Detectors that look after every event: how long they run without a change, and what they find. */
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "common/rng.h"
#include "stats/change_stream.h"
#include "stats/distribution.h"
#include "stats/run_length.h"
#include "tests/test.h"

static void a_cusum_of_zeros_and_ones_runs_as_long_as_its_law_says(void **state)
{
    (void)state;
    double curve[3];
    size_t filled;
    /* Steps +1 and -1 with equal chance, held at 0: to reach h takes h (h + 1) steps. */
    assert_int_equal(run_length_curve(0.5, 1, 1, INFINITY, curve, 3, &filled, NULL), 0);
    assert_int_equal(filled, 3);
    for (int h = 1; h <= 3; h++)
        assert_float_equal(curve[h - 1], h * (h + 1), 1e-9);

    assert_int_equal(run_length_curve(0.5, 1, 1, 5, curve, 3, &filled, NULL), 0);
    assert_int_equal(filled, 2); /* the second is long enough */
}

static double mean_run_of_rate(double p, double expected, int alarms)
{
    struct rng rng = rng_of(21);
    struct change_stream stream;
    struct change_found found;
    change_stream_rate(&stream, expected);
    while (stream.alarms < (uint64_t)alarms)
        assert_true(change_stream_update(&stream, 0, rng_uniform(&rng) < p, 0, &found, NULL) >= 0);
    return (double)stream.events / alarms;
}

static void a_rate_that_stays_alarms_as_seldom_as_asked(void **state)
{
    (void)state;
    const double rates[] = {0.5, 0.05, 0.98};
    for (int i = 0; i < 3; i++) {
        double run = mean_run_of_rate(rates[i], 2000, 200);
        print_message("rate %g: asked 2000, measured %.0f\n", rates[i], run);
        assert_true(run > 2000 * 0.85 && run < 2000 * 1.5);
    }
}

static void a_distribution_that_stays_alarms_as_seldom_as_asked(void **state)
{
    (void)state;
    struct rng rng = rng_of(22);
    const double references[] = {1000, 1e9};
    for (int i = 0; i < 2; i++) {
        struct change_shape shape;
        struct change_found found;
        double events = 0;
        int alarms = 0;
        change_shape_init(&shape, 5000, references[i], (double)NAN);
        change_shape_set_limit(&shape, change_shape_limit(5000, i == 1) *
                                           (i ? 1 : 1 / (1 + SHAPE_SHORT / references[i])));
        for (; alarms < 150; events++)
            alarms +=
                change_shape_update(&shape, 0, (unsigned)rng_below(&rng, SHAPE_BINS), 0, &found);
        print_message("%s: asked 5000, measured %.0f\n", i ? "both windows" : "the short window",
                      events / alarms);
        assert_true(events / alarms > 5000 * 0.8 && events / alarms < 5000 * 1.5);
    }
}

static void a_rate_that_doubles_is_found_dated_and_told_with_both_means(void **state)
{
    (void)state;
    struct rng rng = rng_of(23);
    struct change_rate rate;
    struct change_found found;
    change_rate_init(&rate, 100000);
    int64_t ts = 0;
    for (; ts < 12000; ts++)
        assert_int_equal(change_rate_update(&rate, ts, rng_uniform(&rng) < 0.05, &found, NULL), 0);

    while (!change_rate_update(&rate, ts, rng_uniform(&rng) < 0.12, &found, NULL))
        ts++;

    assert_int_equal(found.direction, CHANGE_UP);
    assert_in_range(ts, 12010, 12400);
    assert_in_range(found.began_ms, 11800, 12150);
    assert_int_equal(found.run, ts + 1);
    assert_int_equal(found.n_after, ts - found.began_ms + 1);
    assert_float_equal(found.before, 0.05, 0.015);
    assert_true(found.after > 0.09 && found.after < 0.3);
    assert_true(found.statistic >= found.limit);
    assert_int_equal(rate.n, 0); /* starts anew, and learns */
    assert_int_equal(rate.up.limit, 0);
}

static void a_rate_that_falls_to_nothing_is_found_too(void **state)
{
    (void)state;
    struct change_rate rate;
    struct change_found found;
    change_rate_init(&rate, 2000);
    int64_t ts = 0;
    for (; ts < 1000; ts++)
        assert_int_equal(change_rate_update(&rate, ts, ts % 2, &found, NULL), 0);
    while (!change_rate_update(&rate, ts, false, &found, NULL))
        ts++;
    assert_int_equal(found.direction, CHANGE_DOWN);
    assert_in_range(ts, 1002, 1030);
    assert_float_equal(found.after, 0, 0.05);
}

static void a_rate_that_was_never_seen_has_a_chart_all_the_same(void **state)
{
    (void)state;
    struct change_rate rate;
    struct change_found found;
    change_rate_init(&rate, 5000);
    for (int i = 0; i < 1000; i++)
        assert_int_equal(change_rate_update(&rate, i, false, &found, NULL), 0);
    assert_true(rate.level > 0 && rate.level < 0.002);
    int ones = 0;
    while (!change_rate_update(&rate, 1000, true, &found, NULL))
        ones++;
    assert_in_range(ones, 0, 10);
}

static void a_shift_of_a_distribution_is_found_and_dated(void **state)
{
    (void)state;
    struct rng rng = rng_of(24);
    struct change_shape shape;
    struct change_found found;
    int64_t ts = 0;
    change_shape_init(&shape, 50000, 10000, 0.5);
    for (; ts < 2000; ts++) {
        double u = rng_uniform(&rng);
        assert_int_equal(change_shape_update(&shape, ts, (unsigned)(u * SHAPE_BINS), u, &found), 0);
    }
    for (;; ts++) {
        double u = sqrt(rng_uniform(&rng)); /* mean 2/3 */
        if (change_shape_update(&shape, ts, (unsigned)(u * SHAPE_BINS), u, &found))
            break;
    }
    assert_int_equal(found.direction, CHANGE_SHAPE);
    assert_in_range(ts, 2020, 2150);
    assert_in_range(found.began_ms, 1850, 2100);
    assert_float_equal(found.before, 0.5, 0.03);
    assert_float_equal(found.after, 0.65, 0.08);
    assert_int_equal(shape.n, 0);
}

/* A mean that moves by half a standard deviation and stays there is told once, whether or not the
   reference is large enough for the long window; and once more when it has been back and goes again. */
static void a_change_that_stays_is_told_once(void **state)
{
    (void)state;
    static const double references[] = {1000, 4000, 10000};
    struct rng rng = rng_of(31);
    for (int r = 0; r < 3; r++) {
        struct change_shape shape;
        struct change_found found;
        int64_t ts = 0;
        change_shape_init(&shape, 100000, references[r], (double)NAN);
        for (int phase = 0; phase < 4; phase++) {
            const double moved = phase % 2 ? 0.5 : 0;
            int told = 0;
            for (int i = 0; i < 10000; i++) {
                const double below = 1 - normal_sf(rng_normal(&rng) + moved);
                const unsigned bin = below >= 1 ? SHAPE_BINS - 1 : (unsigned)(below * SHAPE_BINS);
                told += change_shape_update(&shape, ts++, bin, 0, &found);
            }
            assert_int_equal(told, phase % 2);
            assert_int_equal(shape.changed, phase % 2);
        }
    }
}

/* The distance of the last `size` of n bins, counted anew; 0 before there are so many. */
static double distance_of_last(const uint8_t *bins, size_t n, size_t size)
{
    int32_t deviation = 0, squares = 0, counts[SHAPE_BINS] = {0};
    for (size_t i = n - size; n >= size && i < n; i++)
        counts[bins[i]]++;
    for (int i = 0; n >= size && i < SHAPE_BINS; i++) {
        deviation += counts[i] - (int32_t)size / SHAPE_BINS;
        squares += deviation * deviation;
    }
    return squares / (double)(SHAPE_BINS * size);
}

/* Runs from a shape's start to its alarm. The share of what goes into the first bins wanders, so
   that distances are often close to their limits. */
static void run_beside_counting(struct rng *rng, double n_reference, uint64_t *by_long)
{
    enum {
        MOST = 20000
    };
    static uint8_t bins[MOST];
    struct change_shape shape;
    struct change_found found;
    size_t n = 0;
    bool expected = false, told = false;
    change_shape_init(&shape, 1000, n_reference, (double)NAN);
    while (!expected && !told && n < MOST) {
        const double share = 0.08 * sin((double)n / 300);
        const bool low = rng_uniform(rng) < fabs(share);
        bins[n] = (uint8_t)(rng_below(rng, low ? SHAPE_BINS / 2 : SHAPE_BINS));
        told = change_shape_update(&shape, (int64_t)n, bins[n], 0, &found);
        n++;
        const double last[] = {distance_of_last(bins, n, SHAPE_SHORT),
                               distance_of_last(bins, n, SHAPE_LONG)};
        const int which = last[0] < shape.limits[0];
        expected = last[which] >= shape.limits[which];
        assert_int_equal(told, expected);
        if (told) {
            assert_int_equal(found.run, n);
            assert_float_equal(found.statistic, last[which], 0);
            *by_long += (uint64_t)which;
        }
    }
    assert_true(expected);
}

static void an_alarm_falls_on_the_first_event_at_which_a_window_is_at_its_limit(void **state)
{
    enum {
        RUNS = 60
    };
    (void)state;
    struct rng rng = rng_of(41);
    uint64_t by_long = 0, none = 0;
    for (int i = 0; i < RUNS; i++) {
        run_beside_counting(&rng, 1e9, &by_long);
        run_beside_counting(&rng, 1000, &none); /* too few for the long window */
    }
    print_message("%d alarms, %d of the long window\n", RUNS, (int)by_long);
    assert_in_range(by_long, 1, RUNS - 1);
    assert_int_equal(none, 0);
}

static void a_spread_that_grows_keeps_its_mean_and_is_found(void **state)
{
    (void)state;
    struct rng rng = rng_of(25);
    struct change_shape shape;
    struct change_found found;
    change_shape_init(&shape, 50000, 10000, 0);
    int64_t ts = 0;
    bool alarm = false;
    for (; !alarm && ts < 5000; ts++) {
        double x = rng_normal(&rng) * (ts < 2000 ? 1 : 2), u = 0.5 * erfc(-x / sqrt(2));
        alarm = change_shape_update(&shape, ts, (unsigned)fmin(u * SHAPE_BINS, SHAPE_BINS - 1), x,
                                    &found);
    }
    assert_in_range(ts, 2100, 2500);
    assert_float_equal(found.after, 0, 0.4);
}

enum law {
    LAW_NORMAL,
    LAW_CAUCHY,  /* has no mean */
    LAW_AMOUNTS, /* four of five are 0, the others one of three prices */
    N_LAWS
};

static double draw(struct rng *rng, enum law law)
{
    switch (law) {
    case LAW_NORMAL:
        return rng_normal(rng);
    case LAW_CAUCHY:
        return fabs(tan(M_PI * (rng_uniform(rng) - 0.5)));
    default:
        return rng_uniform(rng) < 0.8 ? 0 : 9.99 + 5 * (double)rng_below(rng, 3);
    }
}

static void a_mean_that_stays_alarms_as_seldom_as_asked_whatever_its_law(void **state)
{
    (void)state;
    for (int law = 0; law < N_LAWS; law++) {
        struct rng rng = rng_of(31);
        struct change_stream stream;
        struct change_found found;
        change_stream_mean(&stream, 3000);
        while (stream.alarms < 200)
            assert_true(change_stream_update(&stream, 0, (unsigned)rng_below(&rng, MEAN_TIES),
                                             draw(&rng, (enum law)law), &found, NULL) >= 0);
        double run = (double)stream.events / 200;
        print_message("law %d: asked 3000, measured %.0f\n", law, run);
        assert_true(run > 3000 * 0.8 && run < 3000 * 1.5);
        change_stream_finish(&stream);
    }
}

static void an_error_that_grows_by_half_is_found_dated_and_told_with_both_means(void **state)
{
    (void)state;
    struct rng rng = rng_of(32);
    struct change_mean mean;
    struct change_found found;
    change_mean_init(&mean, 50000);
    int64_t ts = 0;
    for (; ts < 8000; ts++)
        assert_int_equal(change_mean_update(&mean, ts, fabs(rng_normal(&rng)), 0, &found, NULL), 0);
    assert_false(change_mean_learns(&mean));

    while (!change_mean_update(&mean, ts, 1.5 * fabs(rng_normal(&rng)), 0, &found, NULL))
        ts++;

    assert_int_equal(found.direction, CHANGE_UP);
    assert_in_range(ts, 8020, 8300);
    assert_in_range(found.began_ms, 7850, 8100);
    assert_int_equal(found.run, ts + 1);
    assert_int_equal(found.n_after, ts - found.began_ms + 1);
    assert_float_equal(found.before, 0.8, 0.03);
    assert_true(found.after > 1 && found.after < 1.6); /* 1.2 */
    assert_true(found.statistic >= found.limit);
    assert_int_equal(mean.n, 0); /* starts anew, and learns */
    change_mean_finish(&mean);
}

static void amounts_that_fall_are_found_however_many_are_zero(void **state)
{
    (void)state;
    struct rng rng = rng_of(33);
    struct change_mean mean;
    struct change_found found;
    change_mean_init(&mean, 20000);
    int64_t ts = 0;
    for (; ts < 4000; ts++)
        assert_int_equal(change_mean_update(&mean, ts, draw(&rng, LAW_AMOUNTS),
                                            (unsigned)rng_below(&rng, MEAN_TIES), &found, NULL),
                         0);
    while (!change_mean_update(&mean, ts, 0, (unsigned)rng_below(&rng, MEAN_TIES), &found, NULL))
        ts++;
    assert_int_equal(found.direction, CHANGE_DOWN);
    assert_in_range(ts, 4020, 4600);
    assert_true(found.after < 0.5 && found.before > 2);
}

static void one_outlier_is_no_change_of_a_mean(void **state)
{
    (void)state;
    struct rng rng = rng_of(34);
    struct change_mean mean;
    struct change_found found;
    change_mean_init(&mean, 100000);
    for (int i = 0; i < 8000; i++) {
        double value = i % 500 == 499 ? 1e30 : rng_uniform(&rng);
        assert_int_equal(change_mean_update(&mean, i, value, 0, &found, NULL), 0);
    }
}

static void a_mean_refuses_bytes_that_are_not_its_own(void **state)
{
    (void)state;
    struct rng rng = rng_of(35);
    struct change_mean mean, other;
    struct change_found found;
    struct buf bytes;
    struct err err;
    buf_init(&bytes, 1 << 16);
    change_mean_init(&mean, 2000);
    for (int i = 0; i < 300; i++)
        change_mean_update(&mean, i, rng_uniform(&rng), 0, &found, NULL);
    change_mean_save(&mean, &bytes);
    /* those that end before what is learned are of an older form: 2 bytes, 1 and 2 */
    for (size_t n = 0; n < bytes.size - 5; n++) {
        struct reader in = reader_of(bytes.data, n);
        assert_int_equal(change_mean_load(&other, &in, &err), ERR_CORRUPT);
        change_mean_finish(&other);
    }
    for (size_t at = 0; at < bytes.size; at++) { /* a damaged state is refused, or runs on */
        bytes.data[at] ^= 0x5a;
        struct reader in = reader_of(bytes.data, bytes.size);
        int rc = change_mean_load(&other, &in, &err);
        for (int i = 0; rc == 0 && i < 3000; i++)
            assert_true(change_mean_update(&other, i, rng_uniform(&rng), 255, &found, NULL) >= 0);
        change_mean_finish(&other);
        bytes.data[at] ^= 0x5a;
    }
    change_mean_finish(&mean);
    buf_finish(&bytes);
}

static void detectors_go_on_from_their_bytes_as_if_they_had_never_stopped(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++) {
        struct rng rng = rng_of(26);
        struct change_stream stream, other = {0};
        struct change_found found, again;
        struct buf bytes;
        buf_init(&bytes, 8192);
        if (kind == 2)
            change_stream_mean(&stream, 3000);
        else
            change_stream_rate(&stream, 3000);
        if (kind == 1) {
            stream.method = CHANGE_BY_SHAPE;
            change_shape_init(&stream.shape, 3000, 5000, 1);
        }
        for (int i = 0; i < 4000; i++) {
            unsigned place = (unsigned)rng_below(&rng, change_stream_places(&stream));
            if (i % 97 == 0) {
                buf_clear(&bytes);
                change_stream_save(&stream, &bytes);
                change_stream_finish(&other);
                struct reader in = reader_of(bytes.data, bytes.size);
                assert_int_equal(change_stream_load(&other, &in, NULL), 0);
                assert_int_equal(reader_left(&in), 0);
            }
            int rc = change_stream_update(&stream, i, place, i % 7, &found, NULL);
            assert_int_equal(change_stream_update(&other, i, place, i % 7, &again, NULL), rc);
            if (rc)
                assert_memory_equal(&found.run, &again.run, sizeof(found.run));
        }
        change_stream_finish(&other);
        struct reader cut = reader_of(bytes.data, bytes.size - 1);
        struct err err;
        assert_int_equal(change_stream_load(&other, &cut, &err), ERR_CORRUPT);
        assert_non_null(strstr(err.text, "the bytes are damaged"));
        change_stream_finish(&stream);
        buf_finish(&bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_cusum_of_zeros_and_ones_runs_as_long_as_its_law_says),
        cmocka_unit_test(a_rate_that_stays_alarms_as_seldom_as_asked),
        cmocka_unit_test(a_distribution_that_stays_alarms_as_seldom_as_asked),
        cmocka_unit_test(a_rate_that_doubles_is_found_dated_and_told_with_both_means),
        cmocka_unit_test(a_rate_that_falls_to_nothing_is_found_too),
        cmocka_unit_test(a_rate_that_was_never_seen_has_a_chart_all_the_same),
        cmocka_unit_test(a_shift_of_a_distribution_is_found_and_dated),
        cmocka_unit_test(a_change_that_stays_is_told_once),
        cmocka_unit_test(an_alarm_falls_on_the_first_event_at_which_a_window_is_at_its_limit),
        cmocka_unit_test(a_spread_that_grows_keeps_its_mean_and_is_found),
        cmocka_unit_test(a_mean_that_stays_alarms_as_seldom_as_asked_whatever_its_law),
        cmocka_unit_test(an_error_that_grows_by_half_is_found_dated_and_told_with_both_means),
        cmocka_unit_test(amounts_that_fall_are_found_however_many_are_zero),
        cmocka_unit_test(one_outlier_is_no_change_of_a_mean),
        cmocka_unit_test(a_mean_refuses_bytes_that_are_not_its_own),
        cmocka_unit_test(detectors_go_on_from_their_bytes_as_if_they_had_never_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
