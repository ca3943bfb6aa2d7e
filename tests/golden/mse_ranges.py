#!/usr/bin/python3
"""The smallest squared error of quantized values over all clipping ranges, by brute force over both
ends in numpy."""

import numpy as np

from c_header import Header, literal
from samples import COUNT, sample_sets

ONE_END, TWO_ENDS = 4000, 300  # steps of an end


def grid(bits, symmetric, low, high):
    """Scale, lowest and highest value of the grid of a clipping range (eq. 2), for arrays of ends."""
    if symmetric:
        p, n = 2 ** (bits - 1) - 1, -2 ** (bits - 1)
        scale = np.maximum(high / p, low / n)
        return scale, n * scale, p * scale
    steps = 2 ** bits - 1
    scale = (high - low) / steps
    zero = np.clip(np.rint(-low / scale), 0, steps)
    return scale, -zero * scale, (steps - zero) * scale


def squared_errors(x, bits, symmetric, low, high):
    scale, bottom, top = (a[:, None] for a in grid(bits, symmetric, low, high))
    rounded = np.clip(np.rint(x / scale) * scale, bottom, top)
    return ((rounded - x) ** 2).sum(axis=1)


def smallest_error(x, bits, symmetric):
    low, high = min(x.min(), 0.0), max(x.max(), 0.0)
    if symmetric:
        ends = max(-low, high) * np.arange(1, ONE_END + 1) / ONE_END
        return squared_errors(x, bits, True, -ends, ends).min()
    if low == 0.0 or high == 0.0:
        share = np.arange(1, ONE_END + 1) / ONE_END
        return squared_errors(x, bits, False, low * share, high * share).min()
    share = np.arange(1, TWO_ENDS + 1) / TWO_ENDS
    return min(squared_errors(x, bits, False, np.full(TWO_ENDS, low * s), high * share).min()
               for s in share)


names, sets, rows = [], [], []
for index, (name, values, count) in enumerate(sample_sets()):
    names.append('"%s"' % name)
    sets.append(values)
    x = values[:count].astype(np.float64)
    for symmetric in (False, True):
        for bits in (2, 3, 4, 6):
            error = smallest_error(x, bits, symmetric)
            rows.append([str(index), str(count), str(bits), str(int(symmetric)),
                         literal("double", error)])

header = Header(__file__, "the best clipping ranges, by brute force over both ends.")
header.array("float", "golden_sets", sets)
header.text("static const char *const golden_names[%d] = {%s};" % (len(names), ", ".join(names)))
header.text("""struct golden_range {
    int set, count; /* of golden_sets; its first values */
    int bits, symmetric;
    double squared_error; /* the smallest of all ranges */
};""")
header.constant("GOLDEN_RANGES", len(rows))
header.constant("GOLDEN_COUNT", COUNT)
header.rows("golden_range", "golden_ranges", rows)
header.write()
