/*
 * Assay's assignment in one header without dependencies: which arm of an experiment serves a unit.
 *
 *     const char *salt = "credit-v4", *unit = "user-1";
 *     double bucket = assay_bucket(salt, strlen(salt), unit, strlen(unit));
 *     int treatment = assay_in_treatment(bucket, 50.0);
 *
 * bucket = top 53 bits of XXH64(salt + 0x1f + unit, seed 0) / 2^53; treatment when
 * bucket < weight / 100. Sticky without any state, and monotone: a unit in treatment at 5 % is in
 * it at 50 % and 100 %. Salt and unit are UTF-8 bytes. C99 or C++, any byte order, no allocation.
 * Vectors to check a port against: ASSAY_ASSIGNMENT_VECTORS below.
 *
 * A client that asks less often than `valid_for_ms` of an assignment answer serves control.
 *
 * SPDX-License-Identifier: Apache-2.0
 * Source: Assay's contract §6; XXH64 after the xxHash specification 0.1.1.
 */
#ifndef ASSAY_ASSIGNMENT_H
#define ASSAY_ASSIGNMENT_H

#include <stddef.h>
#include <stdint.h>

#define ASSAY_P1 UINT64_C(0x9E3779B185EBCA87)
#define ASSAY_P2 UINT64_C(0xC2B2AE3D27D4EB4F)
#define ASSAY_P3 UINT64_C(0x165667B19E3779F9)
#define ASSAY_P4 UINT64_C(0x85EBCA77C2B2AE63)
#define ASSAY_P5 UINT64_C(0x27D4EB2F165667C5)

static inline uint64_t assay_rotl(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* Byte `i` of salt + 0x1f + unit. */
static inline uint64_t assay_byte(const char *salt, size_t salt_bytes, const char *unit, size_t i)
{
    if (i < salt_bytes)
        return (unsigned char)salt[i];
    return i == salt_bytes ? 0x1f : (unsigned char)unit[i - salt_bytes - 1];
}

static inline uint64_t assay_word(const char *salt, size_t salt_bytes, const char *unit, size_t at,
                                  int bytes)
{
    uint64_t word = 0;
    for (int k = 0; k < bytes; k++)
        word |= assay_byte(salt, salt_bytes, unit, at + (size_t)k) << (8 * k);
    return word;
}

static inline uint64_t assay_round(uint64_t lane, uint64_t word)
{
    return assay_rotl(lane + word * ASSAY_P2, 31) * ASSAY_P1;
}

static inline uint64_t assay_hash(const char *salt, size_t salt_bytes, const char *unit,
                                  size_t unit_bytes)
{
    const size_t n = salt_bytes + 1 + unit_bytes;
    size_t at = 0;
    uint64_t h = ASSAY_P5;
    if (n >= 32) {
        uint64_t lane[4] = {ASSAY_P1 + ASSAY_P2, ASSAY_P2, 0, 0 - ASSAY_P1};
        for (; n - at >= 32; at += 32)
            for (int k = 0; k < 4; k++)
                lane[k] =
                    assay_round(lane[k], assay_word(salt, salt_bytes, unit, at + (size_t)k * 8, 8));
        h = assay_rotl(lane[0], 1) + assay_rotl(lane[1], 7) + assay_rotl(lane[2], 12) +
            assay_rotl(lane[3], 18);
        for (int k = 0; k < 4; k++)
            h = (h ^ assay_round(0, lane[k])) * ASSAY_P1 + ASSAY_P4;
    }
    h += (uint64_t)n;
    for (; n - at >= 8; at += 8) {
        h ^= assay_round(0, assay_word(salt, salt_bytes, unit, at, 8));
        h = assay_rotl(h, 27) * ASSAY_P1 + ASSAY_P4;
    }
    if (n - at >= 4) {
        h ^= assay_word(salt, salt_bytes, unit, at, 4) * ASSAY_P1;
        h = assay_rotl(h, 23) * ASSAY_P2 + ASSAY_P3;
        at += 4;
    }
    for (; at < n; at++) {
        h ^= assay_byte(salt, salt_bytes, unit, at) * ASSAY_P5;
        h = assay_rotl(h, 11) * ASSAY_P1;
    }
    h = (h ^ (h >> 33)) * ASSAY_P2;
    h = (h ^ (h >> 29)) * ASSAY_P3;
    return h ^ (h >> 32);
}

/* In [0, 1). */
static inline double assay_bucket(const char *salt, size_t salt_bytes, const char *unit,
                                  size_t unit_bytes)
{
    return (double)(assay_hash(salt, salt_bytes, unit, unit_bytes) >> 11) / 9007199254740992.0;
}

/* 1 when the treatment serves the unit, 0 when control does; weight is percent 0..100. */
static inline int assay_in_treatment(double bucket, double weight)
{
    return bucket < weight / 100.0;
}

/* clang-format off */
/* {salt, unit, bucket, arm at 5 %, arm at 50 %}; 1 = treatment */
#define ASSAY_ASSIGNMENT_VECTORS                              \
    {"credit-v4", "", 0.5330236890683239, 0, 0},              \
    {"credit-v4", "a", 0.8243342506971116, 0, 0},             \
    {"credit-v4", "user-1", 0.7698120066279184, 0, 0},        \
    {"credit-v4", "user-2", 0.0845290336669331, 0, 1},        \
    {"credit-v4", "123", 0.16975619494072058, 0, 1},          \
    {"credit-v4", "9f1c2c1e-7a55-4a6e-8a77-0c1d0c0b7e11", 0.09025544258542084, 0, 1}, \
    {"credit-v4", "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", 0.30508078102392355, 0, 1}
/* clang-format on */

#endif
