#!/usr/bin/python3
"""Equation 1 of arXiv 2203.05492 in numpy: scales, zero points and codes of every format.

x_int = clamp(round(x / s) + z, n, p), round half to even, in float32 as on a device.
"""

import numpy as np

from c_header import Header, literal

KINDS = ["asymmetric", "signed", "symmetric", "narrow"]


def codes_of(bits, kind):
    half = 2 ** (bits - 1)
    return {"asymmetric": (0, 2 * half - 1), "signed": (-half, half - 1),
            "symmetric": (-half, half - 1), "narrow": (1 - half, half - 1)}[kind]


def fit(bits, kind, low, high):
    """Scale and zero point of a clipping range, which is widened to hold zero (eq. 2)."""
    n, p = codes_of(bits, kind)
    low, high = min(low, 0.0), max(high, 0.0)
    if kind in ("symmetric", "narrow"):
        return np.float32(max(high / p, low / n)), 0
    scale = np.float32((high - low) / (p - n))
    return scale, int(min(max(n - np.rint(low / np.float64(scale)), n), p))


def encode(x, scale, zero, n, p):
    with np.errstate(over="ignore"):
        code = np.rint(x / scale) + np.float32(zero)
    return np.clip(code, n, p)


rng = np.random.default_rng(1)
SCALE = 0.25  # a power of two, so that ties are exact
ties = [(k + 0.5) * SCALE for k in range(-6, 6)] + [127.5 * SCALE, -63.5 * SCALE]
values = np.array(ties + [0.0, -0.0, 0.1, -0.1, 1e-30, 3e38, -3e38, np.inf, -np.inf]
                  + list(rng.normal(0, 2, 8)), np.float32)

rows = []
codes = []
for kind in KINDS:
    for bits in range(2, 9):
        n, p = codes_of(bits, kind)
        zero = 0 if kind in ("symmetric", "narrow") else n + (p - n) // 3
        exact = ((n - zero) * SCALE, (p - zero) * SCALE)
        for low, high in [exact, (-0.7, 1.9), (0.4, 3.3), (-5.0, -1.0)]:
            scale, z = fit(bits, kind, low, high)
            code = encode(values, scale, z, n, p)
            rows.append([str(bits), "%d" % (kind in ("symmetric", "narrow")),
                         "%d" % (kind == "narrow"), "%d" % (kind == "signed"),
                         literal("double", low), literal("double", high),
                         literal("float", scale), str(z)])
            codes.append(code)

header = Header(__file__, "equation 1 of the study, by numpy.")
header.constant("GOLDEN_VALUES", len(values))
header.constant("GOLDEN_FORMATS", len(rows))
header.array("float", "golden_values", values)
header.text("""struct golden_format {
    int bits, symmetric, narrow, signed_codes;
    double min, max; /* the clipping range */
    float scale;
    int32_t zero_point;
};""")
header.rows("golden_format", "golden_formats", rows)
header.array("int16_t", "golden_codes", codes)
header.write()
