/*
 * Which arm serves a unit: the contract's assignment hash, and a second, independent hash of the
 * same unit for everything else.
 *
 * Shape    bucket = top 53 bits of XXH64(salt + 0x1f + unit, seed 0) / 2^53, in [0, 1); a unit is
 *          in treatment when bucket < weight / 100, so whoever is in it at 5 is in it at 50 and
 *          100
 * Units    weight: percent 0..100
 * Errors   none: any bytes are a unit, the empty text too
 * Threads  any; no state, no allocation
 * Source   contract §6; xxHash specification 0.1.1. The same answer without libxxhash:
 *          deploy/client/assay_assignment.h
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* The assignment hash itself. */
uint64_t bucket_hash(const char *salt, size_t salt_bytes, const char *unit, size_t unit_bytes);

static inline double bucket_of_hash(uint64_t hash)
{
    return (double)(hash >> 11) * 0x1p-53;
}
static inline double bucket_of(const char *salt, size_t salt_bytes, const char *unit,
                               size_t unit_bytes)
{
    return bucket_of_hash(bucket_hash(salt, salt_bytes, unit, unit_bytes));
}

/*
 * Names the unit inside evidence (sets of seen units, variance buckets, sampling): the same bytes
 * under another seed. Never 0. With the assignment's own hash a treatment of 5 % would fill 5 % of
 * the variance buckets.
 */
uint64_t bucket_unit_hash(const char *salt, size_t salt_bytes, const char *unit, size_t unit_bytes);
