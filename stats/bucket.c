#include "stats/bucket.h"

#define XXH_STATIC_LINKING_ONLY
#include <string.h>
#include <xxhash.h>

enum {
    SEPARATOR = 0x1f,    /* ASCII unit separator: (a, bc) and (ab, c) differ */
    ON_STACK_BYTES = 512 /* joined here when it fits: three times as fast as streaming */
};
#define EVIDENCE_SEED UINT64_C(0x9e3779b97f4a7c15) /* 2^64 / golden ratio: just not 0 */

static uint64_t joined_hash(const char *salt, size_t salt_bytes, const char *unit,
                            size_t unit_bytes, uint64_t seed)
{
    if (salt_bytes < ON_STACK_BYTES && unit_bytes < ON_STACK_BYTES - salt_bytes) {
        char joined[ON_STACK_BYTES];
        if (salt_bytes)
            memcpy(joined, salt, salt_bytes);
        joined[salt_bytes] = SEPARATOR;
        if (unit_bytes)
            memcpy(joined + salt_bytes + 1, unit, unit_bytes);
        return XXH64(joined, salt_bytes + 1 + unit_bytes, seed);
    }
    const char separator = SEPARATOR;
    XXH64_state_t state;
    XXH64_reset(&state, seed);
    if (salt_bytes)
        XXH64_update(&state, salt, salt_bytes);
    XXH64_update(&state, &separator, 1);
    if (unit_bytes)
        XXH64_update(&state, unit, unit_bytes);
    return XXH64_digest(&state);
}

uint64_t bucket_hash(const char *salt, size_t salt_bytes, const char *unit, size_t unit_bytes)
{
    return joined_hash(salt, salt_bytes, unit, unit_bytes, 0);
}

uint64_t bucket_unit_hash(const char *salt, size_t salt_bytes, const char *unit, size_t unit_bytes)
{
    uint64_t hash = joined_hash(salt, salt_bytes, unit, unit_bytes, EVIDENCE_SEED);
    return hash ? hash : 1;
}
