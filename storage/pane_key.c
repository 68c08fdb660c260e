#include "storage/pane_key.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

int64_t pane_hash(int64_t key, const void *state, int64_t n)
{
    return (int64_t)XXH3_64bits_withSeed(state, (size_t)n, (XXH64_hash_t)key);
}
