/* IEEE 754 binary16: sign 1, exponent 5 (bias 15), fraction 10. */

#include "ptqd/nn/half.h"

#include <math.h>

enum { FRACTION_BITS = 10, EXPONENT_BIAS = 15, EXPONENT_SPECIAL = 31 };

float half_decode(uint16_t bits)
{
    int exponent = (bits >> FRACTION_BITS) & EXPONENT_SPECIAL;
    int fraction = bits & ((1 << FRACTION_BITS) - 1);
    float magnitude;
    if (exponent == EXPONENT_SPECIAL)
        magnitude = fraction ? NAN : INFINITY;
    else if (exponent == 0) /* zero and subnormal numbers: no hidden bit */
        magnitude = ldexpf((float)fraction, 1 - EXPONENT_BIAS - FRACTION_BITS);
    else
        magnitude = ldexpf((float)(fraction | 1 << FRACTION_BITS),
                           exponent - EXPONENT_BIAS - FRACTION_BITS);
    return bits >> 15 ? -magnitude : magnitude;
}
