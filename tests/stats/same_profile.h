/* Two profiles are the same where they save to the same bytes. */
#pragma once

#include "stats/profile.h"
#include "tests/test.h"

static inline void assert_same_bytes(const struct profile *a, const struct profile *b)
{
    struct buf x, y;
    buf_init(&x, 1 << 24);
    buf_init(&y, 1 << 24);
    profile_save(a, &x);
    profile_save(b, &y);
    assert_false(buf_failed(&x) || buf_failed(&y));
    assert_int_equal(x.size, y.size);
    assert_memory_equal(x.data, y.data, x.size);
    buf_finish(&x);
    buf_finish(&y);
}
