/* xoshiro256** 1.0 and splitmix64, as published by their authors (prng.di.unimi.it). */

#include "ptqd/base/rng.h"

#include <math.h>

static uint64_t rotate_left(uint64_t x, unsigned bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* The output function of splitmix64: a bijection that maps 0 to 0. */
static uint64_t scramble(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

/* Stream 0 is the authors' own seeding; the others start where their scrambled number says. */
void rng_init(struct rng *rng, uint64_t seed, uint64_t stream)
{
    uint64_t x = seed ^ scramble(stream);
    for (int i = 0; i < 4; i++) {
        x += 0x9e3779b97f4a7c15u;
        rng->state[i] = scramble(x);
    }
}

uint64_t rng_u64(struct rng *rng)
{
    uint64_t *s = rng->state;
    uint64_t result = rotate_left(s[1] * 5, 7) * 9;
    uint64_t t = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= t;
    s[3] = rotate_left(s[3], 45);
    return result;
}

uint64_t rng_below(struct rng *rng, uint64_t bound)
{
    /* The lowest 2^64 mod bound values are thrown away; what is left divides evenly. */
    uint64_t excess = (0 - bound) % bound;
    uint64_t value;
    do {
        value = rng_u64(rng);
    } while (value < excess);
    return value % bound;
}

double rng_uniform(struct rng *rng)
{
    return (double)(rng_u64(rng) >> 11) * 0x1p-53;
}

/* The logarithm of x in (0, 1), from operations that IEEE 754 rounds in one way only: the C
 * library's log has variants with and without fused multiply-add that differ in the last bit from
 * processor to processor. With x = m·2^e and z = (m − 1)/(m + 1), log m = 2 atanh z; |z| ≤ 0.172,
 * so eleven terms of the series are good to 1e-17. */
static double portable_log(double x)
{
    int exponent;
    double m = frexp(x, &exponent);
    if (m < M_SQRT1_2) {
        m *= 2.0;
        exponent--;
    }
    double z = (m - 1.0) / (m + 1.0);
    double z2 = z * z;
    double series = 0.0;
    for (int k = 21; k >= 1; k -= 2)
        series = series * z2 + 1.0 / k;
    return 2.0 * z * series + exponent * M_LN2;
}

double rng_normal(struct rng *rng)
{
    double u;
    double square;
    do {
        u = 2.0 * rng_uniform(rng) - 1.0;
        double v = 2.0 * rng_uniform(rng) - 1.0;
        square = u * u + v * v;
    } while (square >= 1.0 || square == 0.0);
    return u * sqrt(-2.0 * portable_log(square) / square);
}

void rng_shuffle(struct rng *rng, int64_t *indices, size_t count)
{
    for (size_t i = count; i > 1; i--) {
        size_t j = (size_t)rng_below(rng, i);
        int64_t moved = indices[i - 1];
        indices[i - 1] = indices[j];
        indices[j] = moved;
    }
}
