"""Values that ranges are found for: tails, a Relu, an outlier, both signs unevenly, one sign, few."""

import numpy as np

COUNT = 400


def sample_sets():
    rng = np.random.default_rng(3)
    normal = rng.normal(0, 1, COUNT)
    tails = rng.laplace(0, 1, COUNT)
    outlier = rng.normal(0, 1, COUNT)
    outlier[7] = 25.0
    uneven = rng.gamma(2.0, 1.0, COUNT) - 1.0
    negative = -np.abs(rng.normal(0, 1, COUNT)) - 0.5
    few = np.zeros(COUNT)  # nine, as a depthwise filter has; the rest is not looked at
    few[:9] = rng.normal(0, 1, 9)
    sets = [("normal", normal, COUNT), ("rectified", np.maximum(normal, 0), COUNT),
            ("tails", tails, COUNT), ("outlier", outlier, COUNT), ("uneven", uneven, COUNT),
            ("negative", negative, COUNT), ("few", few, 9)]
    return [(name, values.astype(np.float32), count) for name, values, count in sets]
