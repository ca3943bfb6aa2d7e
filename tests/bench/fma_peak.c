/* Twelve independent chains of fused multiply-adds: more than latency × units of any processor of
 * the day (4 cycles × 2), and few enough for sixteen registers. */

#include "fma_peak.h"

#include "measure.h"

#include <stdint.h>

#if defined(__x86_64__)

#include <immintrin.h>

enum { CHAINS = 12, REPEATS = 20 };
static const int64_t STEPS = 2000000;

/* One loop per vector width: the values stay where they are (x = x · 1 + 0), so that they never
 * become subnormal or infinite. The barrier keeps the compiler from noticing. */
#define DEFINE_LOOP(name, target_name, vector, set, fmadd)                                         \
    __attribute__((target(target_name))) static void name(void)                                    \
    {                                                                                              \
        vector chain[CHAINS], one = set(1.0f), zero = set(0.0f);                                   \
        for (int i = 0; i < CHAINS; i++)                                                           \
            chain[i] = one;                                                                        \
        __asm__ volatile("" : "+x"(one), "+x"(zero));                                              \
        for (int64_t step = 0; step < STEPS; step++) {                                             \
            _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS; i++) chain[i] =                   \
                fmadd(chain[i], one, zero);                                                        \
        }                                                                                          \
        _Pragma("GCC unroll 12") for (int i = 0; i < CHAINS;                                       \
                                      i++) __asm__ volatile("" ::"x"(chain[i]));                   \
    }

DEFINE_LOOP(run_avx512, "avx512f", __m512, _mm512_set1_ps, _mm512_fmadd_ps)
DEFINE_LOOP(run_avx2, "avx2,fma", __m256, _mm256_set1_ps, _mm256_fmadd_ps)

double fma_peak_gflops(void)
{
    __builtin_cpu_init();
    int lanes = 0;
    if (__builtin_cpu_supports("avx512f"))
        lanes = 16;
    else if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
        lanes = 8;
    if (lanes == 0)
        return 0;
    double best = 0;
    for (int i = 0; i < REPEATS; i++) {
        double start = measure_now();
        if (lanes == 16)
            run_avx512();
        else
            run_avx2();
        double gflops = 2e-9 * lanes * CHAINS * (double)STEPS / (measure_now() - start);
        best = gflops > best ? gflops : best;
    }
    return best;
}

#else

double fma_peak_gflops(void)
{
    return 0;
}

#endif
