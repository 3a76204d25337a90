#!/usr/bin/env python3
"""Writes networks of the sizes that people run, to be proved in segments: GPT-2 (small and medium), BERT-base, ResNet-18 and -50, MobileNetV2 and VGG16 at 224 px.

Needs numpy, onnx and onnxruntime. Usage:

    make_scale_models.py FOLDER NAME... [--rows 16] [--side 224] [--layers N]

NAME is gpt2, gpt2_medium, bert_base, resnet18, resnet50, mobilenet_v2 or vgg16. Sizes and operators are the published ones; weights are drawn so that activations
keep their scale from layer to layer, as trained ones do, since no package of the registries holds the trained ones. What a proof costs depends on the sizes;
its error says nothing of a trained network's.

GPT-2 and BERT take `--rows` embeddings of 768 floats each (medium: 1,024), as the table of words gives them; GPT-2 gives the 50,257 logits of the last position, BERT its
rows. `--layers` takes fewer blocks. The others take an image [1, 3, side, side] and give 1,000 logits.

FOLDER gets NAME.onnx, its .samples.npz, .input.json and .calibration.json.
"""
import argparse
import sys
from pathlib import Path

import numpy as np

from network import Network, save, write_json
from transformer import Block, Transformer, causal_mask

VOCABULARY = 50257
SAMPLES = 3
# Width, heads and blocks.
SIZES = {"gpt2": (768, 12, 12), "gpt2_medium": (1024, 16, 24), "bert_base": (768, 12, 12)}


def drawn(random, inputs, outputs, gain=1.0):
    """Weights [inputs, outputs] with which sums of inputs of variance 1 have the variance `gain` squared, and a bias."""
    weights = random.normal(size=(inputs, outputs)) * gain / np.sqrt(inputs)
    return weights, random.normal(size=outputs) * 0.1


def block(random, width, layers):
    """Residual branches are as small as GPT-2 begins, so that the sums of all of them grow little."""
    small = 1 / np.sqrt(2 * layers)
    norm = lambda: (random.uniform(0.6, 1.4, width), random.normal(size=width) * 0.05)
    return Block(
        query=drawn(random, width, width, 1.2),
        key=drawn(random, width, width, 1.2),
        value=drawn(random, width, width),
        mix=drawn(random, width, width, small * 2),
        widen=drawn(random, width, 4 * width),
        narrow=drawn(random, 4 * width, width, small * 2),
        attention_norm=norm(),
        hidden_norm=norm(),
    )


def gpt2(random, rows, size):
    width, heads, layers = size
    net = Transformer(rows, width, heads, opset=17)
    x = "input"
    for _ in range(layers):
        x = net.block(x, block(random, width, layers), gelu="tanh", mask=causal_mask(rows))
    x = net.layer_norm(x, random.uniform(0.8, 1.2, width), random.normal(size=width) * 0.05)
    last = net.op("Gather", x, net.integers(rows - 1), axis=1)
    net.linear(last, random.normal(size=(width, VOCABULARY)) / np.sqrt(width))
    return net.proto([1, 1, VOCABULARY]), [rows, width]


def bert(random, rows, size):
    width, heads, layers = size
    net = Transformer(rows, width, heads, opset=17, epsilon=1e-12)
    x = "input"
    for _ in range(layers):
        x = net.block(x, block(random, width, layers), norms="after")
    return net.proto([1, rows, width]), [rows, width]


class Images(Network):
    """Convolutions with the batch norms that follow them folded in."""

    def __init__(self, random, side):
        super().__init__([1, 3, side, side], opset=13)
        self.random = random

    def layer(self, x, inputs, outputs, kernel, stride=1, groups=1, gain=1.4142, relu="Relu"):
        fan = inputs // groups * kernel * kernel
        weights = self.random.normal(size=(outputs, inputs // groups, kernel, kernel)) * gain / np.sqrt(fan)
        bias = self.random.normal(size=outputs) * 0.1
        sizes = {"kernel_shape": [kernel] * 2, "pads": [kernel // 2] * 4, "strides": [stride] * 2, "group": groups}
        x = self.op("Conv", x, self.constant(weights), self.constant(bias), **sizes)
        if relu == "Clip":
            return self.op("Clip", x, self.constant(0), self.constant(6))
        return self.op(relu, x) if relu else x

    def classify(self, x, features):
        x = self.op("Flatten", self.op("GlobalAveragePool", x))
        self.dense(x, self.random.normal(size=(1000, features)) / np.sqrt(features), np.zeros(1000))
        return self.proto([1, 1000])


def resnet(random, side, counts, bottleneck):
    net = Images(random, side)
    x = net.layer("input", 3, 64, 7, 2)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    channels = 64
    for stage, count in enumerate(counts):
        inner = 64 << stage
        outer = 4 * inner if bottleneck else inner
        for number in range(count):
            stride = 2 if stage and not number else 1
            short = x if channels == outer and stride == 1 else net.layer(x, channels, outer, 1, stride, gain=1.0, relu=None)
            if bottleneck:
                branch = net.layer(net.layer(x, channels, inner, 1), inner, inner, 3, stride)
                branch = net.layer(branch, inner, outer, 1, gain=0.5, relu=None)
            else:
                branch = net.layer(net.layer(x, channels, inner, 3, stride), inner, inner, 3, gain=0.5, relu=None)
            x, channels = net.relu(net.op("Add", branch, short)), outer
    return net.classify(x, channels)


def mobilenet_v2(random, side):
    net = Images(random, side)
    x, channels = net.layer("input", 3, 32, 3, 2, relu="Clip"), 32
    for factor, outputs, count, first in ((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)):
        for number in range(count):
            stride, inner = first if not number else 1, channels * factor
            y = net.layer(x, channels, inner, 1, relu="Clip") if factor > 1 else x
            y = net.layer(y, inner, inner, 3, stride, groups=inner, relu="Clip")
            y = net.layer(y, inner, outputs, 1, gain=1.0, relu=None)
            x, channels = net.op("Add", x, y) if stride == 1 and channels == outputs else y, outputs
    return net.classify(net.layer(x, channels, 1280, 1, relu="Clip"), 1280)


def vgg16(random, side):
    net = Images(random, side)
    x, channels = "input", 3
    for outputs, count in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
        for _ in range(count):
            x, channels = net.layer(x, channels, outputs, 3), outputs
        x = net.max_pool(x)
    x, features = net.op("Flatten", x), 512 * (side // 32) ** 2
    for outputs in (4096, 4096, 1000):
        x = net.dense(x, random.normal(size=(outputs, features)) * 1.4142 / np.sqrt(features), random.normal(size=outputs) * 0.1)
        x, features = net.relu(x) if outputs > 1000 else x, outputs
    return net.proto([1, 1000])


def images(random, side):
    """Smooth pictures of variance 1: noise of a few waves."""
    small = random.normal(size=(SAMPLES, 3, 8, 8))
    grid = np.linspace(0, 7, side)
    low = np.floor(grid).astype(int).clip(0, 6)
    part = grid - low
    rows = small[:, :, low] * (1 - part)[None, None, :, None] + small[:, :, low + 1] * part[None, None, :, None]
    both = rows[..., low] * (1 - part) + rows[..., low + 1] * part
    return both / both.std() + random.normal(size=both.shape) * 0.05


def make(name, random, options):
    if name in SIZES:
        width, heads, layers = SIZES[name]
        size = width, heads, options.layers or layers
        model, shape = (bert if name == "bert_base" else gpt2)(random, options.rows, size)
        return model, random.normal(size=(SAMPLES, *shape))
    side = options.side
    if name == "resnet18":
        return resnet(random, side, (2, 2, 2, 2), False), images(random, side)
    if name == "resnet50":
        return resnet(random, side, (3, 4, 6, 3), True), images(random, side)
    return {"mobilenet_v2": mobilenet_v2, "vgg16": vgg16}[name](random, side), images(random, side)


def main():
    names = [*SIZES, "resnet18", "resnet50", "mobilenet_v2", "vgg16"]
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("names", nargs="+", choices=names, metavar="NAME")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--side", type=int, default=224)
    parser.add_argument("--layers", type=int)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for name in options.names:
        model, x = make(name, np.random.default_rng(11), options)
        [x], y = save(options.folder, name, model, x)
        write_json(options.folder / f"{name}.input.json", x[:1])
        write_json(options.folder / f"{name}.calibration.json", x)
        print(f"{name}: outputs {y.min():.2f} to {y.max():.2f}, deviation {y.std():.2f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
