/*
 * cmocka with the four headers it wants before it; include this, never cmocka.h itself
 * (clang-format would sort them, and then it does not compile).
 */
#pragma once

/* clang-format off */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
/* clang-format on */

#define MINUTE INT64_C(60000) /* ms */
#define HOUR INT64_C(3600000) /* ms */

/* |value - expected| <= tolerance in doubles; cmocka's assert_float_equal rounds both to float. */
#define assert_close(value, expected, tolerance)                                              \
    do {                                                                                      \
        double value_ = (value), expected_ = (expected), tolerance_ = (tolerance);            \
        if (!(value_ - expected_ <= tolerance_ && expected_ - value_ <= tolerance_))          \
            fail_msg("%s is %.17g, not %.17g (± %g)", #value, value_, expected_, tolerance_); \
    } while (0)
