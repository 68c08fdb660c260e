/*
 * The hash beside stored bytes. SQLite does not notice a flipped bit in a value; what numbers or
 * offsets rest on carries this.
 *
 * Shape    XXH3-64, seeded with the row's key, so that bytes in a wrong place are seen too
 */
#pragma once

#include <stdint.h>

int64_t row_hash(int64_t key, const void *bytes, int64_t n);
