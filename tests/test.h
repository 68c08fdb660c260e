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
