#include "ptqd/base/mem.h"

bool mem_mul(size_t a, size_t b, size_t *out_product)
{
    size_t product;
    if (__builtin_mul_overflow(a, b, &product))
        return false;
    *out_product = product;
    return true;
}

bool mem_add(size_t a, size_t b, size_t *out_sum)
{
    size_t sum;
    if (__builtin_add_overflow(a, b, &sum))
        return false;
    *out_sum = sum;
    return true;
}

bool mem_mul_i64(int64_t a, int64_t b, int64_t *out_product)
{
    int64_t product;
    if (a < 0 || b < 0 || __builtin_mul_overflow(a, b, &product))
        return false;
    *out_product = product;
    return true;
}
