#!/usr/bin/python3
"""Percentiles of values, of their magnitudes, and of values that are counted several times, by
numpy.percentile."""

import numpy as np

from c_header import Header, literal
from samples import COUNT, sample_sets

sets, rows = [], []
counts = np.random.default_rng(4).integers(0, 5, COUNT)
counts[0] = 2
for index, (name, values, count) in enumerate(sample_sets()):
    values[:count].sort()
    sets.append(values)
    x = values[:count].astype(np.float64)
    for percent in (75.0, 99.0, 99.9, 99.99, 100.0):
        for weighted in (False, True):
            seen = np.repeat(x, counts[:count]) if weighted else x
            for symmetric in (False, True):
                if symmetric:
                    high = np.percentile(np.abs(seen), percent)
                    low = -high
                else:
                    low, high = np.percentile(seen, [100 - percent, percent])
                rows.append([str(index), str(count), literal("double", percent),
                             str(int(weighted)), str(int(symmetric)),
                             literal("double", min(max(low, seen.min()), 0.0)),
                             literal("double", max(min(high, seen.max()), 0.0))])

header = Header(__file__, "percentiles, by numpy.")
header.array("float", "golden_percentile_sets", sets)
header.array("double", "golden_weights", counts)
header.text("""struct golden_percentile {
    int set, count; /* of golden_percentile_sets; its first values */
    double percentile;
    int weighted, symmetric;
    double min, max;
};""")
header.constant("GOLDEN_PERCENTILES", len(rows))
header.rows("golden_percentile", "golden_percentiles", rows)
header.write()
