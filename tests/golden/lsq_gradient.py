#!/usr/bin/python3
"""The gradient of LSQ (arXiv 1902.08153, eq. 3) with zero points (LSQ+, arXiv 2004.09576), by torch's
autograd through a rounding whose gradient is 1, on the data itself: no Gram matrix."""

import numpy as np
import torch

from c_header import Header
from layer_data import layer_data, write_data

LOW, HIGH = -4, 3  # three bits

inputs, weights, targets = layer_data(21, 40, 3, 6)
scales = (np.abs(weights).max(axis=1) / 4.4).astype(np.float32)
zero_points = np.array([0, 1, -2])
x, t = torch.tensor(inputs, dtype=torch.float64), torch.tensor(targets, dtype=torch.float64)
w, s0 = torch.tensor(weights, dtype=torch.float64), torch.tensor(scales, dtype=torch.float64)
rng = np.random.default_rng(22)
offsets = rng.normal(0, 0.4, weights.shape).astype(np.float32)  # of the weights, in steps
logs = rng.normal(0, 0.2, len(scales)).astype(np.float32)       # of the scales


class Round(torch.autograd.Function):
    @staticmethod
    def forward(_, value):
        return torch.round(value)

    @staticmethod
    def backward(_, gradient):
        return gradient


offset = torch.tensor(offsets, dtype=torch.float64, requires_grad=True)
log = torch.tensor(logs, dtype=torch.float64, requires_grad=True)
zero = torch.tensor(zero_points, dtype=torch.float64, requires_grad=True)
s, z = (s0 * torch.exp(log))[:, None], Round.apply(zero)[:, None]
v = w + s0[:, None] * offset
q = s * (Round.apply(torch.clamp(v / s + z, LOW, HIGH)) - z)
miss = t - x @ q.T
miss = miss - miss.mean(dim=0)  # the best bias
error = (miss ** 2).mean(dim=0)
unit = (s0[:, None] ** 2 * x.var(dim=0, unbiased=False)[None, :]).mean(dim=1)
(error / unit).sum().backward()

header = Header(__file__, "gradients through the rounding, by torch")
write_data(header, inputs, weights, targets)
header.text("static const int golden_low = %d, golden_high = %d;" % (LOW, HIGH))
header.array("float", "golden_scales", scales)
header.array("int32_t", "golden_zero_points", zero_points)
header.array("float", "golden_offsets", offsets.ravel())
header.array("float", "golden_logs", logs)
header.array("double", "golden_quantized", q.detach().numpy().ravel())
header.array("double", "golden_errors", error.detach().numpy())
header.array("double", "golden_offset_gradient", offset.grad.numpy().ravel())
header.array("double", "golden_log_gradient", log.grad.numpy())
header.array("double", "golden_zero_gradient", zero.grad.numpy())
header.write()
