#pragma once

/* Vectors of 16 float32 under CPU_AVX512, and halves of one, for functions whose sums stay in
 * registers. */

#include "cpu.h"

#include <stdint.h>

enum { LANES = 16, HALF_LANES = LANES / 2 };

/* At any address. */
typedef float lanes __attribute__((vector_size(64), aligned(4), may_alias));
typedef int32_t lanes_mask __attribute__((vector_size(64))); /* of a comparison */
typedef float half_lanes __attribute__((vector_size(32), aligned(4), may_alias));
typedef int32_t half_lanes_mask __attribute__((vector_size(32)));

#define LANES_INLINE static inline __attribute__((always_inline))

#if defined(__x86_64__)
#include <immintrin.h>

/* sum += a · b, of either size. In assembly: around intrinsics GCC 12 copies sums where a block
 * takes most registers. */
#define LANES_ADD_PRODUCT(sum, a, b) __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(a), "v"(b))

CPU_AVX512 LANES_INLINE lanes lanes_add_product(lanes sum, lanes a, lanes b)
{
    LANES_ADD_PRODUCT(sum, a, b);
    return sum;
}

/* sum + factor · a, for a constant. */
CPU_AVX512 LANES_INLINE lanes lanes_add_times(lanes sum, float factor, lanes a)
{
    return (lanes)_mm512_fmadd_ps((__m512)a, _mm512_set1_ps(factor), (__m512)sum);
}

#else

#define LANES_ADD_PRODUCT(sum, a, b) ((sum) += (a) * (b))

LANES_INLINE lanes lanes_add_product(lanes sum, lanes a, lanes b)
{
    return sum + a * b;
}

LANES_INLINE lanes lanes_add_times(lanes sum, float factor, lanes a)
{
    return sum + factor * a;
}

#endif

CPU_AVX512 LANES_INLINE lanes lanes_load(const float *from)
{
    return *(const lanes *)from;
}

CPU_AVX512 LANES_INLINE void lanes_store(lanes value, float *to)
{
    *(lanes *)to = value;
}

CPU_AVX512 LANES_INLINE lanes lanes_spread(float value)
{
    return (lanes){value, value, value, value, value, value, value, value,
                   value, value, value, value, value, value, value, value};
}

/* max(value, 0); a NaN stays. */
CPU_AVX512 LANES_INLINE lanes lanes_rectify(lanes value)
{
    return (lanes)(~(lanes_mask)(value <= 0.0f) & (lanes_mask)value);
}
