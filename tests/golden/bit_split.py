#!/usr/bin/python3
"""BitSplit (Wang et al., ICML 2020) in numpy, on the data itself: every ternary value is tried and
the squared error of the outputs compared, instead of closed forms through a Gram matrix."""

import numpy as np

from c_header import Header
from layer_data import layer_data, write_data

WIDTHS = (2, 3, 4)

inputs, weights, targets = layer_data(31, 60, 4, 7)
x = inputs.astype(np.float64) - inputs.astype(np.float64).mean(axis=0)  # the best bias
t = targets.astype(np.float64) - targets.astype(np.float64).mean(axis=0)


def fit(wanted, direction):
    return (wanted @ direction) / (direction @ direction)


def best(candidates, error):
    errors = [error(c) for c in candidates]
    return candidates[int(np.argmin(errors))]


def solve(w, wanted, bits):
    highest = 2 ** (bits - 1) - 1
    # Rounding and scale in turn.
    scale, before = np.abs(w).max() / highest, None
    while scale != before:
        codes = np.clip(np.rint(w / scale), -highest, highest)
        before, scale = scale, fit(w, codes)
    # Ternary parts, the highest first.
    parts = np.array([np.sign(codes) * (np.abs(codes).astype(int) >> i & 1) * 2.0 ** i
                      for i in reversed(range(bits - 1))])
    if bits > 2:
        for _ in range(50):
            old = parts.copy()
            scale = fit(w, parts.sum(axis=0))
            for part, i in zip(parts, reversed(range(bits - 1))):
                for n in range(len(w)):
                    rest = parts[:, n].sum() - part[n]
                    part[n] = best([0.0, 2.0 ** i, -2.0 ** i],
                                   lambda c: (w[n] - scale * (rest + c)) ** 2)
            if (parts == old).all():
                break
    # The same for the outputs.
    for _ in range(100):
        old = parts.copy()
        scale = fit(wanted, x @ parts.sum(axis=0))
        for part, i in zip(parts, reversed(range(bits - 1))):
            for n in range(len(w)):
                rest = parts.sum(axis=0)
                rest[n] -= part[n]
                miss = wanted - scale * (x @ rest)
                part[n] = best([0.0, 2.0 ** i, -2.0 ** i],
                               lambda c: ((miss - scale * c * x[:, n]) ** 2).sum())
        if (parts == old).all():
            break
    codes = parts.sum(axis=0)
    return codes, fit(wanted, x @ codes)


header = Header(__file__, "codes and scales of BitSplit on a small layer, by trying")
write_data(header, inputs, weights, targets)
header.constant("GOLDEN_WIDTHS", len(WIDTHS))
header.array("int32_t", "golden_widths", WIDTHS)
codes, scales = [], []
for bits in WIDTHS:
    rows = [solve(weights[k].astype(np.float64), t[:, k], bits) for k in range(len(weights))]
    codes.append(np.concatenate([row[0] for row in rows]))
    scales.append([row[1] for row in rows])
header.array("int32_t", "golden_codes", np.array(codes))
header.array("double", "golden_scales", np.array(scales))
header.write()
