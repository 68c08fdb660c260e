/* cmocka with the four headers it wants before it; include this, never cmocka.h itself. */
#pragma once

/* clang-format off: cmocka.h needs exactly this order */
#include <cmocka.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* clang-format on */

#define MINUTE INT64_C(60000) /* ms */
#define HOUR INT64_C(3600000) /* ms */
