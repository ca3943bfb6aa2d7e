#pragma once

/* IEEE 754 binary16, as numpy ("<f2"), ONNX and TFLite (FLOAT16) store it. */

#include <stdint.h>

/* The value of the 16 bits; every binary16 value, NaN and infinity included, is a float. */
float half_decode(uint16_t bits);
