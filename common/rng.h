/*
 * Random numbers that a seed replays: for simulations, jitter and tests; never for secrets.
 *
 * Shape    64 bits of state; equal seeds give equal series on every machine
 * Owner    the caller's memory
 * Threads  one generator, one thread
 * Source   SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
 *          OOPSLA 2014; normal by Box–Muller
 */
#pragma once

#include <stdint.h>

struct rng {
    uint64_t state;
};

static inline struct rng rng_of(uint64_t seed)
{
    return (struct rng){seed};
}

uint64_t rng_u64(struct rng *rng);
double rng_uniform(struct rng *rng);                  /* [0, 1), 53 bits */
double rng_normal(struct rng *rng);                   /* mean 0, variance 1 */
double rng_exponential(struct rng *rng, double mean); /* > 0 */
uint64_t rng_below(struct rng *rng, uint64_t n);      /* 0..n-1; n > 0 */
