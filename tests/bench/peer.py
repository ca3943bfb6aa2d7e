"""The work of bench_peer.c in plain PyTorch, on one thread, as records with the same names.

    peer  network  work  torch  seconds

The four networks are built by hand with random weights and data: what a step costs does not depend
on values. Steps are written as the research code writes them (BRECQ, AdaRound, LSQ): rounding by
detached differences, learned logarithms of scales, torch.optim.Adam, batches of 32. Layer-wise
reconstruction is AdaRound's of every layer with its weights alone, 20 000 iterations each, of which
a hundred are timed; the width changes nothing in its cost.

Seconds are CPU time of the process, of the fastest of several groups of calls. Returns 77 without
torch. With PTQD_TEST_SHORT there is little, of DS-CNN alone.
"""

import os
import sys
import time

try:
    import torch
    import torch.nn.functional as F
except ImportError:
    sys.exit(77)

SHORT = "PTQD_TEST_SHORT" in os.environ
BATCH = 32
SAMPLES = 256  # that batches are drawn from
ADAROUND_ITERATIONS = 20000
BITS = 4


# ---- quantizers ----


def round_through(x):
    """Rounds; the gradient goes straight through."""
    return x + (torch.round(x) - x).detach()


def quantize(x, log_scale, zero, low, high):
    """LSQ with a zero point (arXiv 1902.08153, 2004.09576)."""
    scale = torch.exp(log_scale)
    zero = round_through(zero)
    return scale * (round_through(torch.clamp(x / scale + zero, low, high)) - zero)


class Quantizer(torch.nn.Module):
    """Of an activation: one learned scale and zero point."""

    def __init__(self, bits=BITS):
        super().__init__()
        self.log_scale = torch.nn.Parameter(torch.tensor(-1.0))
        self.zero = torch.nn.Parameter(torch.tensor(2.0))
        self.high = 2**bits - 1

    def forward(self, x):
        return quantize(x, self.log_scale, self.zero, 0, self.high)


# ---- networks ----


class Layer(torch.nn.Module):
    """A convolution or dense layer, with its rectifier."""

    def __init__(self, inputs, outputs, kernel=(), stride=1, pad=0, groups=1, relu=True):
        super().__init__()
        shape = (outputs, inputs // groups) + tuple(kernel)
        fan_in = torch.Size(shape[1:]).numel()
        self.weight = torch.nn.Parameter(torch.randn(shape) * (2 / fan_in) ** 0.5)
        self.bias = torch.nn.Parameter(torch.zeros(outputs))
        first = self.weight.detach().flatten(1).abs().amax(1) / 2 ** (BITS - 1)
        self.log_scale = torch.nn.Parameter(first.log().view((-1,) + (1,) * (len(shape) - 1)))
        self.convolve = {0: None, 1: F.conv1d, 2: F.conv2d}[len(kernel)]
        self.stride, self.pad, self.groups, self.relu = stride, pad, groups, relu

    def apply_weight(self, x, weight):
        if self.convolve is None:
            y = F.linear(x.flatten(1), weight, self.bias)
        else:
            y = self.convolve(x, weight, self.bias, self.stride, self.pad, 1, self.groups)
        return F.relu(y) if self.relu else y

    def quantized_weight(self):
        low, high = -(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1
        return quantize(self.weight, self.log_scale, torch.zeros(()), low, high)


class Block(torch.nn.Module):
    """Layers in a row; `skip` (a layer, or True for the input itself) is added. `before` and
    `after` are pooling."""

    def __init__(self, layers, skip=None, before=None, after=None, input_bits=BITS):
        super().__init__()
        self.layers = torch.nn.ModuleList(layers)
        self.skip = skip if isinstance(skip, Layer) else None
        self.adds = skip is not None
        self.before, self.after = before, after
        bits = [input_bits] + [BITS] * (len(layers) - 1)
        self.quantizers = torch.nn.ModuleList(Quantizer(b) for b in bits)
        self.sums = torch.nn.ModuleList(Quantizer(8) for _ in range(2 if self.adds else 0))

    def forward(self, x, quantized=False, seen=None):
        """`seen` gets every activation as it is in front of its quantizer."""

        def through(quantizer, x):
            if seen is not None:
                seen.append(x)
            return quantizer(x) if quantized else x

        def layer(at, x):
            return at.apply_weight(x, at.quantized_weight() if quantized else at.weight)

        x = through(self.quantizers[0], self.before(x) if self.before else x)
        y = x
        for i, at in enumerate(self.layers):
            y = layer(at, through(self.quantizers[i], y) if i else y)
        if self.skip is not None:
            y = through(self.sums[0], y) + through(self.sums[1], layer(self.skip, x))
        elif self.adds:
            y = through(self.sums[0], y) + x
        if self.adds:
            y = F.relu(y)
        return self.after(y) if self.after else y


class Network(torch.nn.Module):
    def __init__(self, shape, blocks):
        super().__init__()
        self.shape = shape
        self.blocks = torch.nn.ModuleList(blocks)

    def forward(self, x, quantized=False, seen=None):
        for block in self.blocks:
            x = block(x, quantized, seen)
        return x


def mean_of_map(x):
    return x.mean((2, 3))


def residual(inputs, outputs):
    stride = 1 if inputs == outputs else 2
    skip = True if stride == 1 else Layer(inputs, outputs, (1, 1), stride, 0, relu=False)
    return Block([Layer(inputs, outputs, (3, 3), stride, 1),
                  Layer(outputs, outputs, (3, 3), 1, 1, relu=False)], skip)


def separable(inputs, outputs, stride=1):
    return Block([Layer(inputs, inputs, (3, 3), stride, 1, groups=inputs),
                  Layer(inputs, outputs, (1, 1))])


def dense(inputs, outputs, before=None):
    return Block([Layer(inputs, outputs, relu=False)], before=before)


def resnet8():
    return Network((3, 32, 32), [
        Block([Layer(3, 16, (3, 3), 1, 1)], input_bits=8),
        residual(16, 16), residual(16, 32), residual(32, 64), dense(64, 10, mean_of_map)])


def ds_cnn():
    return Network((1, 49, 10), [
        Block([Layer(1, 64, (10, 4), 2, (5, 1))], input_bits=8),
        *[separable(64, 64) for _ in range(4)], dense(64, 12, mean_of_map)])


def mobilenet_v1():
    channels = [8, 16, 32, 32, 64, 64, 128, 128, 128, 128, 128, 128, 256, 256]
    halving = (1, 3, 5, 11)
    return Network((3, 96, 96), [
        Block([Layer(3, 8, (3, 3), 2, 1)], input_bits=8),
        *[separable(channels[i], channels[i + 1], 2 if i in halving else 1) for i in range(13)],
        dense(256, 2, mean_of_map)])


def har_cnn():
    return Network((9, 128), [
        Block([Layer(9, 64, (3,))], input_bits=8),
        Block([Layer(64, 64, (3,))], after=lambda x: F.max_pool1d(x, 2)),
        dense(3968, 6)])


NETWORKS = {"ResNet-8": resnet8, "DS-CNN": ds_cnn, "MobileNetV1": mobilenet_v1,
            "HAR CNN": har_cnn}


# ---- measurement ----


def best(call, groups, calls):
    """Seconds of a call, of the fastest group."""
    if SHORT:
        groups, calls = 1, 1
    call()
    seconds = []
    for _ in range(groups):
        since = time.process_time()
        for _ in range(calls):
            call()
        seconds.append((time.process_time() - since) / calls)
    return min(seconds)


def draw(*tensors):
    """The same 32 samples of each."""
    indices = torch.randperm(SAMPLES)[:BATCH]
    return [tensor[indices] for tensor in tensors]


def inference(network, data):
    """In the faster one of torch's two orders of axes."""

    def seconds(x):
        def call():
            with torch.no_grad():
                network(x)
        return best(call, 5, 5)

    x = data[:BATCH]
    plain = seconds(x)
    if x.dim() < 4:
        return plain
    return min(plain, seconds(x.contiguous(memory_format=torch.channels_last)))


def block_step(block, inputs, targets):
    optimizer = torch.optim.Adam(block.parameters(), lr=1e-4)

    def call():
        x, target = draw(inputs, targets)
        optimizer.zero_grad()
        F.mse_loss(block(x, True), target).backward()
        optimizer.step()

    return best(call, 4, 8)


def block_training(network, data):
    seconds = 0.0
    for block in network.blocks:
        with torch.no_grad():
            target = block(data)
        seconds += block_step(block, data, target)
        data = target
    return seconds


def divergence(student, teacher):
    return F.kl_div(F.log_softmax(student, 1), F.softmax(teacher, 1), reduction="batchmean")


def distance(ours, theirs):
    """Of the activations, relative to their size."""
    return sum(F.mse_loss(a, b) / b.square().mean() for a, b in zip(ours, theirs)) / len(ours)


def network_training(network, teacher, data):
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-4)

    def call():
        x, = draw(data)
        theirs, ours = [], []
        with torch.no_grad():
            target = teacher(x, seen=theirs)
        optimizer.zero_grad()
        output = network(x, True, ours)
        loss = divergence(output, target) + 0.5 * distance(ours[1:], theirs[1:])
        loss.backward()
        optimizer.step()

    return best(call, 4, 8)


def adaround_step(layer, inputs):
    """An iteration of AdaRound (arXiv 2004.10568, eq. 21 to 25) in the middle of its schedule."""
    with torch.no_grad():
        scale = layer.log_scale.exp()
        floor = torch.floor(layer.weight / scale)
        targets = layer.apply_weight(inputs, layer.weight)
    alpha = torch.zeros_like(layer.weight).requires_grad_()
    optimizer = torch.optim.Adam([alpha], lr=1e-3)
    low, high = -(2 ** (BITS - 1)), 2 ** (BITS - 1) - 1

    def call():
        x, target = draw(inputs, targets)
        optimizer.zero_grad()
        up = torch.clamp(torch.sigmoid(alpha) * 1.2 - 0.1, 0, 1)
        output = layer.apply_weight(x, scale * torch.clamp(floor + up, low, high))
        error = (output - target).square().sum(1).mean()
        (error + 0.01 * (1 - (2 * up - 1).abs().pow(10)).sum()).backward()
        optimizer.step()

    return best(call, 4, 25)


def layer_wise(network, data):
    seconds = 0.0
    x = data
    for block in network.blocks:
        with torch.no_grad():
            y = block.before(x) if block.before else x
        if block.skip is not None:
            seconds += adaround_step(block.skip, y)
        for layer in block.layers:
            seconds += adaround_step(layer, y)
            with torch.no_grad():
                y = layer.apply_weight(y, layer.weight)
        with torch.no_grad():
            x = block(x)
    return ADAROUND_ITERATIONS * seconds


def report(network, work, seconds):
    print("peer", network, work, "torch", "%.6g" % seconds, sep="\t", flush=True)


def main():
    torch.set_num_threads(1)
    torch.manual_seed(1)
    for name, create in NETWORKS.items():
        if SHORT and name != "DS-CNN":
            continue
        network = create()
        data = torch.randn(SAMPLES, *network.shape)
        report(name, "float inference", inference(network, data))
        report(name, "block training", block_training(network, data))
        report(name, "network training", network_training(network, create(), data))
        seconds = layer_wise(network, data)
        report(name, "layer-wise, W4", seconds)
        report(name, "layer-wise, W2", seconds)


main()
