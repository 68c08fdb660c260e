#include "storage/row_hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

int64_t row_hash(int64_t key, const void *bytes, int64_t n)
{
    return (int64_t)XXH3_64bits_withSeed(bytes, (size_t)n, (XXH64_hash_t)key);
}
