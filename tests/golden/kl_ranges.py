#!/usr/bin/python3
"""Entropy calibration in numpy, twice.

As src/quant/observers/kl.c defines it, but with the distributions P and Q written out bin by bin:
the same candidates must win. And as published for one side and 2^b levels (Migacz, GTC 2017, in the
form of NVIDIA's pytorch-quantization: bin 0 gets the count of bin 1), which the definition should
come close to.
"""

import numpy as np

from c_header import Header, literal

COUNT = 400  # values, evenly spaced, one in each bin of most formats
BINS = 2048


def entropy(p, q):
    """KL(p || q) of two counts, with 1e-4 of a count in q where only p has something."""
    kept = q.sum()  # the smoothing is too little to be counted
    q = np.where((q == 0) & (p > 0), 1e-4, q) / kept
    p = p / p.sum()
    used = p > 0
    return float((p[used] * np.log(p[used] / q[used])).sum())


def histogram(x, weights, low, high, levels):
    bins = int(min(max(weights.sum() / 8, 2 * levels), BINS))
    width = (high - low) / bins
    index = np.clip(((x - low) / width).astype(int), 0, bins - 1)
    counts = np.bincount(index, weights, bins)
    zero = min(max(int((0.0 - low) / width), 0), bins - 1)
    below = counts[zero - 1] if zero > 0 else counts[zero + 1]
    above = counts[zero + 1] if zero + 1 < bins else below
    counts[zero] = (below + above) / 2
    return counts, width


def divergence(counts, origin, width, bits, symmetric, low, high):
    if symmetric:
        n, p = -2 ** (bits - 1), 2 ** (bits - 1) - 1
        scale, zero = max(high / p, low / n), 0
    else:
        n, p = 0, 2 ** bits - 1
        scale = (high - low) / p
        zero = min(max(-np.rint(low / scale), 0), p)
    if scale < width:
        return np.inf
    centres = origin + width * (np.arange(len(counts)) + 0.5)
    level = np.floor(centres / scale + zero + 0.5)
    inside = np.flatnonzero((level >= n) & (level <= p))
    if len(inside) == 0 or counts[inside].sum() == 0:
        return np.inf
    P = counts[inside].copy()
    Q = np.zeros(len(inside))
    P[0] += counts[:inside[0]].sum()
    P[-1] += counts[inside[-1] + 1:].sum()
    for k in np.unique(level[inside]):
        cell = level[inside] == k
        full = cell & (P > 0)
        if full.any():
            Q[full] = counts[inside][cell].sum() / full.sum()
    return round(entropy(P, Q), 9)  # what is equal but for rounding is equal


def shares(centre_low, centre_high, step, points, two):
    for i in range(points):
        high = centre_high - step * i
        if not 1e-6 < high <= 1:
            continue
        for j in range(points if two else 1):
            low = centre_low - step * j if two else high
            if 1e-6 < low <= 1:
                yield low, high


def search(x, weights, bits, symmetric, low, high):
    low, high = min(low, 0.0), max(high, 0.0)
    if symmetric:
        low, high = -max(-low, high), max(-low, high)
    two = not symmetric and low < 0 < high
    counts, width = histogram(x, weights, low, high, 2 ** bits)
    points = 24 if two else 100
    step, best, at = 1.0 / points, np.inf, (1.0, 1.0)
    start = (1.0, 1.0)
    for round_ in range(3):
        for a, b in shares(*start, step, points, two):
            error = divergence(counts, low, width, bits, symmetric, low * a, high * b)
            if error < best:
                best, at = error, (a, b)
        start, points = (at[0] + step, at[1] + step), 9
        step /= 4
    return low * at[0], high * at[1]


def published(x, weights, bits, high):
    """The threshold of one-sided values, by the published loop over the number of bins kept."""
    levels = 2 ** bits
    counts = np.histogram(x, COUNT, (0, high), weights=weights)[0].astype(float)
    counts[0] = counts[1]
    best, threshold = np.inf, high
    for kept in range(levels, COUNT + 1):
        P = counts[:kept].copy()
        P[-1] += counts[kept:].sum()
        part = np.digitize(np.arange(kept), np.linspace(0, kept, levels + 1)) - 1
        Q = np.zeros(kept)
        for k in range(levels):
            full = (part == k) & (counts[:kept] > 0)
            if full.any():
                Q[full] = counts[:kept][full].sum() / full.sum()
        used = P > 0
        if Q[used].min() <= 0:
            continue
        p, q = P / P.sum(), Q / Q.sum()
        error = float((p[used] * np.log(p[used] / q[used])).sum())
        if error <= best:
            best, threshold = error, high * kept / COUNT
    return threshold


def evenly(low, high):
    return (low + (high - low) * (np.arange(COUNT) + 0.5) / COUNT).astype(np.float32)


one, both = evenly(0, 6), evenly(-5, 7)
curves = [("bell", both, -5, 7, np.exp(-0.5 * both ** 2)),
          ("tails", both, -5, 7, np.exp(-np.abs(both))),
          ("half a bell", one, 0, 6, np.exp(-0.5 * one ** 2)),
          ("one tail", one, 0, 6, np.exp(-1.5 * one))]
values, weights, rows = [], [], []
for index, (name, x, low, high, density) in enumerate(curves):
    count = np.rint(8 * COUNT * density / density.sum())
    values.append(x)
    weights.append(count)
    x = x.astype(np.float64)
    for symmetric in (False, True):
        for bits in (2, 3, 4, 5, 6):
            found = search(x, count, bits, symmetric, low, high)
            threshold = published(x, count, bits, high) if low == 0 and not symmetric else 0.0
            rows.append([str(index), str(bits), str(int(symmetric)), literal("double", found[0]),
                         literal("double", found[1]), literal("double", threshold)])

header = Header(__file__, "entropy calibration, by numpy.")
header.constant("GOLDEN_KL_COUNT", COUNT)
header.array("float", "golden_kl_values", values)
header.array("double", "golden_kl_weights", weights)
header.array("double", "golden_kl_ends", [curve[2:4] for curve in curves])
header.text("""struct golden_kl {
    int set, bits, symmetric;
    double min, max;
    double published; /* the threshold of the published loop; 0: not computed */
};""")
header.constant("GOLDEN_KL_RANGES", len(rows))
header.rows("golden_kl", "golden_kl_ranges", rows)
header.write()
