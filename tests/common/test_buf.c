#include "common/buf.h"

#include <float.h>
#include <stdio.h>
#include <string.h>

#include "tests/test.h"

static void what_is_written_is_read_back(void **state)
{
    (void)state;
    const __int128 wide = -((__int128)1 << 126) + 12345;
    struct buf buf;
    buf_init(&buf, 1 << 20);
    buf_varint(&buf, 0);
    buf_varint(&buf, UINT64_MAX);
    buf_zigzag(&buf, INT64_MIN);
    buf_int128(&buf, wide);
    buf_double(&buf, -DBL_MIN);
    buf_u32(&buf, 0xdeadbeef);
    buf_string(&buf, "berlin", 6);
    buf_printf(&buf, "%d", 42);
    assert_false(buf_failed(&buf));

    struct reader r = reader_of(buf.data, buf.size);
    size_t n = 0;
    assert_int_equal(reader_varint(&r), 0);
    assert_true(reader_varint(&r) == UINT64_MAX);
    assert_true(reader_zigzag(&r) == INT64_MIN);
    assert_true(reader_int128(&r) == wide);
    assert_true(reader_double(&r) == -DBL_MIN);
    assert_int_equal(reader_u32(&r), 0xdeadbeef);
    assert_memory_equal(reader_string(&r, &n), "berlin", 6);
    assert_int_equal(n, 6);
    assert_memory_equal(reader_bytes(&r, 2), "42", 2);
    assert_false(reader_failed(&r));
    buf_finish(&buf);
}

enum {
    MANY = 300
};

/* One to ten bytes long, with bytes behind and, the last one, without. */
static void whole_numbers_of_every_length_are_read_back(void **state)
{
    (void)state;
    for (int bits = 1; bits <= 64; bits++) {
        const uint64_t most = UINT64_MAX >> (64 - bits),
                       mixed = most & UINT64_C(0xa5c3f01e9b274d68);
        struct buf buf;
        buf_init(&buf, 100);
        buf_varint(&buf, most);
        buf_varint(&buf, mixed);
        buf_varint(&buf, most);

        struct reader r = reader_of(buf.data, buf.size);

        assert_true(reader_varint(&r) == most);
        assert_true(reader_varint(&r) == mixed);
        assert_true(reader_varint(&r) == most);
        assert_int_equal(reader_left(&r), 0);
        assert_false(reader_failed(&r));
        buf_finish(&buf);
    }
}

static void what_is_skipped_is_as_long_as_what_is_read(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 10000);
    for (int i = 0; i < MANY; i++)
        buf_varint(&buf, UINT64_MAX >> (i < MANY / 2 ? 60 : i * 37 % 64));
    for (uint64_t n = 0; n <= MANY; n++) {
        struct reader read = reader_of(buf.data, buf.size), skipping = read;
        for (uint64_t i = 0; i < n; i++)
            (void)reader_varint(&read);

        reader_skip_varints(&skipping, n);

        assert_ptr_equal(skipping.next, read.next);
        assert_false(reader_failed(&skipping));
    }
    struct reader r = reader_of(buf.data, buf.size);
    reader_skip_varints(&r, MANY + 1);
    assert_true(reader_failed(&r));
    buf_finish(&buf);
}

static void many_at_once_are_read_as_one_by_one(void **state)
{
    (void)state;
    struct buf buf;
    uint64_t out[MANY + 2];
    buf_init(&buf, 10000);
    for (int i = 0; i < MANY; i++)
        buf_varint(&buf, UINT64_MAX >> (i % 3 ? 60 : i * 37 % 64));
    for (size_t n = 0; n <= MANY; n++) {
        struct reader one = reader_of(buf.data, buf.size), many = one;

        reader_varints(&many, out, n);

        for (size_t i = 0; i < n; i++)
            assert_true(out[i] == reader_varint(&one));
        assert_ptr_equal(many.next, one.next);
        assert_false(reader_failed(&many));
    }
    struct reader r = reader_of(buf.data, buf.size);
    out[MANY + 1] = 7;
    reader_varints(&r, out, MANY + 2);
    assert_true(reader_failed(&r));
    assert_int_equal(out[MANY + 1], 0);
    buf_finish(&buf);
}

static void a_read_past_the_end_fails_once_and_stays_failed(void **state)
{
    (void)state;
    const unsigned char endless[] = {0xff, 0xff, 0xff};
    struct reader r = reader_of(endless, sizeof(endless));
    assert_int_equal(reader_varint(&r), 0);
    assert_true(reader_failed(&r));
    assert_int_equal(reader_u64(&r), 0);

    size_t n = 7;
    const unsigned char liar[] = {0xff, 0x7f, 'a'}; /* says 16,383 bytes, has one */
    r = reader_of(liar, sizeof(liar));
    assert_null(reader_string(&r, &n));
    assert_int_equal(n, 0);
    assert_true(reader_failed(&r));
}

static void a_write_past_the_limit_fails_and_keeps_what_was_there(void **state)
{
    (void)state;
    struct buf buf;
    buf_init(&buf, 100);
    char bytes[90] = {0};
    buf_bytes(&buf, bytes, sizeof(bytes));
    assert_false(buf_failed(&buf));
    buf_bytes(&buf, bytes, sizeof(bytes));
    assert_true(buf_failed(&buf));
    assert_int_equal(buf.size, 90);
    buf_clear(&buf);
    assert_false(buf_failed(&buf));
    buf_finish(&buf);
}

/* Texts that just fit, just do not, and grow the buffer. */
static void what_is_printed_is_whole_wherever_the_room_ends(void **state)
{
    (void)state;
    for (int n = 0; n < 200; n++) {
        struct buf buf;
        char expected[256];
        buf_init(&buf, 256);
        buf_bytes(&buf, "head:", 5);
        buf_printf(&buf, "%*d", n, n % 10);
        buf_printf(&buf, "%s", "tail");
        snprintf(expected, sizeof(expected), "head:%*dtail", n, n % 10);
        assert_int_equal(buf.size, strlen(expected));
        assert_memory_equal(buf.data, expected, buf.size);
        buf_finish(&buf);
    }
    struct buf full;
    buf_init(&full, 64);
    buf_printf(&full, "%63d", 1); /* and its NUL */
    assert_false(buf_failed(&full));
    buf_printf(&full, "%d", 2);
    assert_true(buf_failed(&full));
    assert_int_equal(full.size, 63);
    buf_finish(&full);
}

static void counts_that_no_stream_reaches_are_damage(void **state)
{
    (void)state;
    const int64_t most = INT64_C(1) << 53;
    const int64_t counts[] = {0, 7, -7, most, -most, most + 1, -most - 1, INT64_MIN, INT64_MAX};
    for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
        struct buf buf;
        buf_init(&buf, 100);
        buf_zigzag(&buf, counts[i]);
        struct reader r = reader_of(buf.data, buf.size);
        assert_true(reader_count(&r) == (i < 5 ? counts[i] : 0));
        assert_int_equal(reader_failed(&r), i >= 5);
        buf_finish(&buf);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_that_no_stream_reaches_are_damage),
        cmocka_unit_test(what_is_written_is_read_back),
        cmocka_unit_test(whole_numbers_of_every_length_are_read_back),
        cmocka_unit_test(what_is_skipped_is_as_long_as_what_is_read),
        cmocka_unit_test(many_at_once_are_read_as_one_by_one),
        cmocka_unit_test(a_read_past_the_end_fails_once_and_stays_failed),
        cmocka_unit_test(a_write_past_the_limit_fails_and_keeps_what_was_there),
        cmocka_unit_test(what_is_printed_is_whole_wherever_the_room_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
