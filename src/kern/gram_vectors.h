#pragma once

/* Vectors of GRAM_LANES lanes, floats or quads, in AVX-512, which products of both are made of. */

#include "cpu.h"
#include "gram_products.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define INLINE inline __attribute__((always_inline))

/* sum + the products of four signed bytes and four codes, or of two floats, in each lane. Around
 * the intrinsics GCC 12 copies sums, some through memory, where a block takes most registers: that
 * halves the speed. */
CPU_AVX512_PRODUCTS static INLINE __m512i gram_add_lanes_avx512(bool floats, __m512i sum,
                                                                __m512i right, __m512i left)
{
    if (floats)
        __asm__("vfmadd231ps %2, %1, %0" : "+v"(sum) : "v"(right), "v"(left));
    else
        __asm__("vpdpbusd %1, %2, %0" : "+v"(sum) : "v"(right), "v"(left));
    return sum;
}

/* A vector as a factor on the right; codes − 128 modulo 256. */
CPU_AVX512_PRODUCTS static INLINE __m512i gram_factor_avx512(bool floats, __m512i lanes)
{
    return floats ? lanes : _mm512_xor_si512(lanes, _mm512_set1_epi8((char)GRAM_SHIFT));
}

CPU_AVX512_PRODUCTS static INLINE void gram_add_to_avx512(bool floats, __m512i sum, void *out)
{
    __m512i before = _mm512_loadu_si512(out);
    __m512i after = floats ? _mm512_castps_si512(_mm512_add_ps(_mm512_castsi512_ps(before),
                                                               _mm512_castsi512_ps(sum)))
                           : _mm512_add_epi32(before, sum);
    _mm512_storeu_si512(out, after);
}

#undef INLINE

#endif
