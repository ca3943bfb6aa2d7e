#pragma once

/* Parts of the processor that functions are written for: an attribute under which the compiler uses
 * them, and the question whether they are there. A function with the attribute is called only where
 * the question of the same name says yes. */

#include <stdbool.h>

#if defined(__x86_64__)

#define CPU_AVX2            __attribute__((target("avx2,fma")))
#define CPU_AVX512          __attribute__((target("avx512f")))
#define CPU_AVX512_BYTES    __attribute__((target("avx512f,avx512bw,avx512vl")))
#define CPU_AVX512_PRODUCTS __attribute__((target("avx512f,avx512bw,avx512vnni"))) /* of bytes */

static inline bool cpu_has_avx2(void)
{
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
}

static inline bool cpu_has_avx512(void)
{
    return __builtin_cpu_supports("avx512f");
}

static inline bool cpu_has_avx512_bytes(void)
{
    return cpu_has_avx512() && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vl");
}

static inline bool cpu_has_avx512_products(void)
{
    return cpu_has_avx512() && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512vnni");
}

#else

#define CPU_AVX512

static inline bool cpu_has_avx512(void)
{
    return false;
}

#endif
