#define XXH_INLINE_ALL
#include "storage/row_hash.h"

int64_t row_hash(int64_t key, const void *bytes, int64_t n)
{
    return (int64_t)XXH3_64bits_withSeed(bytes, (size_t)n, (XXH64_hash_t)key);
}

void row_hash_begin(struct row_hashing *hashing, int64_t key)
{
    XXH3_64bits_reset_withSeed(&hashing->state, (XXH64_hash_t)key);
}

void row_hash_add(struct row_hashing *hashing, const void *bytes, int64_t n)
{
    XXH3_64bits_update(&hashing->state, bytes, (size_t)n);
}

int64_t row_hash_end(const struct row_hashing *hashing)
{
    return (int64_t)XXH3_64bits_digest(&hashing->state);
}
