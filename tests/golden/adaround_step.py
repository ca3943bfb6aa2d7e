#!/usr/bin/python3
"""Two steps of AdaRound (arXiv 2004.10568, eq. 21 to 25), with torch's autograd and its Adam, on the
data itself: no Gram matrix."""

import numpy as np
import torch

from c_header import Header
from layer_data import layer_data, write_data

LOW, HIGH = -4, 3  # three bits
ZETA, GAMMA, LAMBDA, BETA, RATE = 1.1, -0.1, 0.3, 7.0, 0.03

inputs, weights, targets = layer_data(11, 40, 3, 6)
scales = (np.abs(weights).max(axis=1) / 4.4).astype(np.float32)  # some weights are beyond the ends
x, t = torch.tensor(inputs, dtype=torch.float64), torch.tensor(targets, dtype=torch.float64)
w, s = torch.tensor(weights, dtype=torch.float64), torch.tensor(scales, dtype=torch.float64)[:, None]
rng = np.random.default_rng(12)
# All parts of the sigmoid: middle, flat ends, and beyond where it is cut off.
start = rng.normal(0, 1.5, weights.shape).astype(np.float32)
start[0, 1], start[1, 2], start[2, 3] = 4.0, -4.0, 2.2

alpha = torch.tensor(start, dtype=torch.float64, requires_grad=True)
unit = float((s ** 2 * x.var(dim=0, unbiased=False)[None, :]).mean())
adam = torch.optim.Adam([alpha], lr=RATE)


def step():
    h = torch.clamp(torch.sigmoid(alpha) * (ZETA - GAMMA) + GAMMA, 0, 1)
    soft = s * torch.clamp(torch.floor(w / s) + h, LOW, HIGH)
    miss = t - x @ soft.T
    miss = miss - miss.mean(dim=0)  # the best bias
    error = (miss ** 2).mean(dim=0).sum()
    loss = error / unit + LAMBDA * (1 - (2 * h - 1).abs() ** BETA).sum()
    adam.zero_grad()
    loss.backward()
    gradient = alpha.grad.clone()
    adam.step()
    return soft.detach(), float(loss), gradient, alpha.detach().clone()


header = Header(__file__, "steps of AdaRound, by torch")
write_data(header, inputs, weights, targets)
header.text("static const int golden_low = %d, golden_high = %d;\n"
            "static const double golden_lambda = %g, golden_beta = %g, golden_rate = %g;"
            % (LOW, HIGH, LAMBDA, BETA, RATE))
header.array("float", "golden_scales", scales)
header.array("float", "golden_alpha", start.ravel())
soft, loss, gradient, first = step()
header.array("double", "golden_soft", soft.numpy().ravel())
header.text("static const double golden_loss = %.17g;" % loss)
header.array("double", "golden_gradient", gradient.numpy().ravel())
header.array("double", "golden_first", first.numpy().ravel())
header.array("double", "golden_second", step()[3].numpy().ravel())
header.write()
