/*
 * A vector of any dimension in 32 numbers, such that the distances of vectors stay.
 *
 * Shape    coordinate d goes into bucket d mod 32; from the 32nd on with a sign that a hash of d
 *          chose once and for all. Up to 32 dimensions nothing is lost. Beyond, the squared length
 *          of a projected vector is the vector's own on average over the signs, with a variance of
 *          at most 2/32 of its square: a distance is off by 12.5% (one standard error) or less
 * Threads  any. Plain enough for C++
 * Source   Weinberger, Dasgupta, Langford, Smola, Attenberg, "Feature hashing for large scale
 *          multitask learning", ICML 2009 (lemma 2), with buckets of equal size; the hash is the
 *          end of Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014
 */
#pragma once

#include <stdint.h>

enum {
    PROJECTION_BUCKETS = 32
};
#define PROJECTION_ERROR 0.125 /* standard error of a distance beyond 32 dimensions, relative */

static inline void projection_add(double *buckets, uint32_t d, double x)
{
    uint64_t mixed = (d + UINT64_C(1)) * UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    const int negative = d >= PROJECTION_BUCKETS && (mixed >> 63) != 0;
    buckets[d % PROJECTION_BUCKETS] += negative ? -x : x;
}
