#pragma once

/* Vectors of float32 for functions whose sums stay in registers: 16, as AVX-512 has them, and half
 * as many. */

#include "cpu.h"

#include <stdint.h>

enum { LANES = 16, HALF_LANES = LANES / 2 };

/* Floats at any address, and what comparing them gives. */
#define DEFINE_LANES(name, COUNT)                                                                  \
    typedef float name                                                                             \
        __attribute__((vector_size((COUNT) * sizeof(float)), aligned(4), may_alias));              \
    typedef int32_t name##_mask __attribute__((vector_size((COUNT) * sizeof(float))))

DEFINE_LANES(lanes, LANES);
DEFINE_LANES(half_lanes, HALF_LANES);

/* max(value, 0) of such a type; a NaN stays. */
#define LANES_RECTIFIED(type, value)                                                               \
    ((type)(~(type##_mask)((value) <= 0.0f) & (type##_mask)(value)))

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

CPU_AVX512 LANES_INLINE lanes lanes_rectify(lanes value)
{
    return LANES_RECTIFIED(lanes, value);
}
