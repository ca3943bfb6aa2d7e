/* Sums of columns (gram_sums.h). Elements are taken a few cache lines at a time, so that the sums
 * fit in registers. */

#include "gram_sums.h"
#include "simd.h"
#include "sizes.h"

enum {
    CHUNK = 64,  /* elements at once, ... */
    NARROW = 16, /* ... and of those that are left */
    FEW = 16,    /* rows whose sums are in float32 */
};

static inline void add_few(const float *x, int64_t count, int64_t step, int64_t width, double *out)
{
    float sum[CHUNK] = {0};
    for (int64_t n = 0; n < count; n++, x += step)
        for (int64_t c = 0; c < width; c++)
            sum[c] += x[c];
    for (int64_t c = 0; c < width; c++)
        out[c] += (double)sum[c];
}

KERN_CLONES static void add_rows(const float *x, int64_t count, int64_t step, int64_t C,
                                 double *out)
{
    for (; count > 0; count -= FEW, x += FEW * step) {
        int64_t few = least(count, FEW), c = 0;
        for (; c + CHUNK <= C; c += CHUNK)
            add_few(x + c, few, step, CHUNK, out + c); /* a constant width makes vectors */
        for (; c + NARROW <= C; c += NARROW)
            add_few(x + c, few, step, NARROW, out + c);
        add_few(x + c, few, step, C - c, out + c);
    }
}

void gram_sums_add(const float *x, int64_t count, int64_t step, int64_t C, double *out)
{
    add_rows(x, count, step, C, out);
}

KERN_CLONES static void accumulate(uint32_t *sum, int64_t count, int64_t step)
{
    for (int64_t first = step; first < count; first += step) {
        int64_t end = least(first + step, count);
        uint32_t *restrict to = sum + first;
        const uint32_t *restrict from = sum + first - step;
        for (int64_t i = 0; i < end - first; i++)
            to[i] += from[i];
    }
}

void gram_sums_accumulate(uint32_t *sum, int64_t count, int64_t step)
{
    accumulate(sum, count, step);
}
