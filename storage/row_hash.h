/*
 * The hash beside stored bytes. SQLite does not notice a flipped bit in a value; what numbers or
 * offsets rest on carries this.
 *
 * Shape    XXH3-64, seeded with the row's key, so that bytes in a wrong place are seen too; of many
 *          bytes piece by piece, while a piece is at hand
 */
#pragma once

#include <stdint.h>

#define XXH_STATIC_LINKING_ONLY /* the state's size */
#include <xxhash.h>

struct row_hashing {
    XXH3_state_t state;
};

int64_t row_hash(int64_t key, const void *bytes, int64_t n);

void row_hash_begin(struct row_hashing *hashing, int64_t key);
void row_hash_add(struct row_hashing *hashing, const void *bytes, int64_t n);
int64_t row_hash_end(const struct row_hashing *hashing); /* as row_hash of all of them */
