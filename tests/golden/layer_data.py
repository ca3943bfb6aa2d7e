"""A small layer with its data, for the golden values of reconstruction methods."""

import numpy as np


def layer_data(seed, positions, rows, columns):
    """Quantized inputs with correlated columns, float weights, and the outputs that are wanted."""
    rng = np.random.default_rng(seed)
    common = rng.normal(size=(positions, 1))
    real = np.maximum(0.5 + common + rng.normal(size=(positions, columns)), 0)
    inputs = (np.rint(real * 4) / 4).astype(np.float32)
    weights = rng.normal(size=(rows, columns)).astype(np.float32)
    bias = rng.normal(size=rows)
    targets = (real @ weights.astype(np.float64).T + bias).astype(np.float32)
    return inputs, weights, targets


def write_data(header, inputs, weights, targets):
    header.constant("GOLDEN_POSITIONS", inputs.shape[0])
    header.constant("GOLDEN_K", weights.shape[0])
    header.constant("GOLDEN_D", weights.shape[1])
    header.array("float", "golden_inputs", inputs.ravel())
    header.array("float", "golden_weights", weights.ravel())
    header.array("float", "golden_targets", targets.ravel())
