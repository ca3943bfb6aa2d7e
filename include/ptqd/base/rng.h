#pragma once

/* Random numbers: xoshiro256** (Blackman and Vigna, "Scrambled Linear Pseudorandom Number
 * Generators", 2018), seeded through splitmix64. A stream is passed in; the seed is in the job and
 * in the report. The same seed and stream give the same numbers on every machine. */

#include <stddef.h>
#include <stdint.h>

struct rng {
    uint64_t state[4];
};

/* `stream` separates uses of one seed (drawing of samples, mini-batches, initial values …). */
void rng_init(struct rng *rng, uint64_t seed, uint64_t stream);

uint64_t rng_u64(struct rng *rng);
/* Uniform in [0, bound), without modulo bias; bound ≥ 1. */
uint64_t rng_below(struct rng *rng, uint64_t bound);
/* Uniform in [0, 1), 53 bits. */
double rng_uniform(struct rng *rng);
/* Normal with mean 0 and variance 1 (polar method of Marsaglia). */
double rng_normal(struct rng *rng);
/* Fisher-Yates shuffle of `count` indices. */
void rng_shuffle(struct rng *rng, int64_t *indices, size_t count);
