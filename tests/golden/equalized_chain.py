#!/usr/bin/python3
"""Cross-layer equalization (arXiv 1906.04721, section 4.1) of a chain, in numpy, to convergence.

dense 1x1 (3 to 4 channels), depthwise 3x3 (4), dense 1x1 (4 to 5), dense 1x1 (5 to 3), a Relu
between each. Given are the weights, and what every channel's range has become.
"""

import numpy as np

from c_header import Header

rng = np.random.default_rng(2)


def spread(rows):
    """Ranges that differ by up to 100 times from row to row."""
    return 10.0 ** rng.uniform(-1, 1, (rows, 1))


# Every layer as [K][inputs][taps].
first = (rng.normal(size=(4, 3)) * spread(4))[:, :, None].astype(np.float32)
depthwise = (rng.normal(size=(4, 9)) * spread(4))[:, None, :].astype(np.float32)
third = (rng.normal(size=(5, 4)) * spread(5))[:, :, None].astype(np.float32)
last = (rng.normal(size=(3, 5)) * spread(3))[:, :, None].astype(np.float32)
biases = [rng.normal(size=k).astype(np.float32) for k in (4, 4, 5, 3)]

layers = [w.astype(np.float64) for w in (first, depthwise, third, last)]
scaled = [b.astype(np.float64) for b in biases]


def columns(index):
    """The layer with its input channels as the first axis; a depthwise one has them there."""
    return layers[index] if index == 1 else layers[index].transpose(1, 0, 2)


for _ in range(2000):
    for i in range(3):
        r1 = np.abs(layers[i]).max(axis=(1, 2))
        r2 = np.abs(columns(i + 1)).max(axis=(1, 2))
        s = np.sqrt(r1 * r2) / r2
        layers[i] /= s[:, None, None]
        scaled[i] /= s
        columns(i + 1)[...] *= s[:, None, None]

header = Header(__file__, "a chain of layers, equalized by numpy.")
for name, weights in (("first", first), ("depthwise", depthwise), ("third", third),
                      ("last", last)):
    header.array("float", "golden_%s" % name, weights.reshape(-1))
for i, bias in enumerate(biases):
    header.array("float", "golden_bias_%d" % i, bias)
    header.array("float", "golden_equalized_bias_%d" % i, scaled[i])
for i in range(3):
    header.array("double", "golden_range_%d" % i, np.abs(layers[i]).max(axis=(1, 2)))
header.array("double", "golden_range_3", np.abs(columns(3)).max(axis=(1, 2)))
header.write()
