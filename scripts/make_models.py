#!/usr/bin/env python3
"""Makes the benchmark models that tests and benches use, with samples.

Needs numpy, onnx and onnxruntime from PyPI; mlp_digits also jax and scikit-learn, dense_4m scikit-learn. Usage:

    make_models.py [--out FOLDER] [mlp_digits | cnn_264k | dense_4m | resblock | micro_transformer | tiny_transformer |
                                   nanogpt_block | minilm_small]...

Each model is NAME.onnx (opset 13, minilm_small 17; batch 1, float32) and NAME.samples.npz: `x` the inputs, `y` onnxruntime's outputs.
Weights other than mlp_digits' are pseudo-random, distributed as PyTorch initialises layers, with fixed seeds.
"""
import argparse
import math
from dataclasses import replace
from pathlib import Path

import numpy as np

from network import Network, save
from transformer import Block, Transformer, causal_mask, plain_norm


def dense_weights(random, outputs, inputs):
    k = 1 / math.sqrt(inputs)
    return random.uniform(-k, k, (outputs, inputs)), random.uniform(-k, k, (outputs,))


def conv_weights(random, outputs, inputs, kernel):
    k = 1 / math.sqrt(inputs * kernel * kernel)
    return random.uniform(-k, k, (outputs, inputs, kernel, kernel)), random.uniform(-k, k, (outputs,))


def adam(loss, params, batches, rate):
    """Trains `params` (a list of arrays) with Adam over `batches` (an iterator of argument tuples of `loss`)."""
    import jax
    import jax.numpy as jnp

    @jax.jit
    def step(params, m, v, t, *batch):
        gradient = jax.grad(loss)(params, *batch)
        m = [0.9 * a + 0.1 * g for a, g in zip(m, gradient)]
        v = [0.999 * a + 0.001 * g * g for a, g in zip(v, gradient)]
        scale = lambda a, b: rate * (a / (1 - 0.9**t)) / (jnp.sqrt(b / (1 - 0.999**t)) + 1e-8)
        return [p - scale(a, b) for p, a, b in zip(params, m, v)], m, v

    params = [jnp.asarray(p, jnp.float32) for p in params]
    m = v = [jnp.zeros_like(p) for p in params]
    for t, batch in enumerate(batches, 1):
        params, m, v = step(params, m, v, float(t), *batch)
    return [np.asarray(p) for p in params]


def epochs(inputs, labels, count, size, seed=0):
    """Batches of shuffled samples, `count` times over."""
    random = np.random.RandomState(seed)
    for _ in range(count):
        order = random.permutation(len(inputs))
        for i in range(0, len(inputs) - size + 1, size):
            yield inputs[order[i : i + size]], labels[order[i : i + size]]


def cross_entropy(forward):
    import jax

    def loss(params, x, labels):
        log_p = jax.nn.log_softmax(forward(params, x))
        return -log_p[np.arange(len(labels)), labels].mean()

    return loss


def mlp_digits(folder):
    """64-32-10, trained on scikit-learn's 8 x 8 digits."""
    import jax
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.RandomState(0).permutation(len(digits.data))
    x, labels = (digits.data / 16).astype(np.float32)[order], digits.target[order]
    random = np.random.RandomState(2)
    params = [*dense_weights(random, 32, 64), *dense_weights(random, 10, 32)]
    forward = lambda p, x: jax.nn.relu(x @ p[0].T + p[1]) @ p[2].T + p[3]
    p = adam(cross_entropy(forward), params, epochs(x[:1400], labels[:1400], 60, 32), 3e-3)
    net = Network([1, 64])
    net.dense(net.relu(net.dense("input", p[0], p[1])), p[2], p[3])
    save(folder, "mlp_digits", net.proto([1, 10]), x[1400:1420])


def cnn_264k(folder):
    """A LeNet scaled to 264k parameters over CIFAR-sized images: 12 and 33 channels, 247 and 173 features."""
    c1, c2, f1, f2 = 12, 33, 247, 173
    random = np.random.RandomState(3)
    net = Network([1, 3, 32, 32])
    x = net.max_pool(net.relu(net.conv("input", *conv_weights(random, c1, 3, 5))))
    x = net.max_pool(net.relu(net.conv(x, *conv_weights(random, c2, c1, 5))))
    x = net.op("Flatten", x, axis=1)
    x = net.relu(net.dense(x, *dense_weights(random, f1, c2 * 25)))
    x = net.relu(net.dense(x, *dense_weights(random, f2, f1)))
    net.dense(x, *dense_weights(random, 10, f2))
    save(folder, "cnn_264k", net.proto([1, 10]), random.uniform(-1, 1, (4, 3, 32, 32)))


def dense_4m(folder):
    """Five layers of 1,000 and one of 3 over the iris features: 4,012,003 parameters, 16 MB."""
    from sklearn.datasets import load_iris

    iris = load_iris().data
    iris = (iris - iris.min(0)) / (iris.max(0) - iris.min(0)) * 2 - 1
    random = np.random.RandomState(4)
    net, x, width = Network([1, 4]), "input", 4
    for outputs in [1000] * 5 + [3]:
        x, width = net.relu(net.dense(x, *dense_weights(random, outputs, width))), outputs
    save(folder, "dense_4m", net.proto([1, 3]), iris[random.permutation(len(iris))[:4]])


def resblock(folder):
    """Two 3 x 3 convolutions with batch normalisation and a residual sum, 16 channels of 16 x 16."""
    c, n = 16, 16
    random = np.random.RandomState(6)
    net = Network([1, c, n, n])

    def block(x):
        weights, _ = conv_weights(random, c, c, 3)
        ranges = [(0.8, 1.2), (-0.1, 0.1), (-0.2, 0.2), (0.2, 0.6)]
        parameters = [net.constant(random.uniform(*r, c)) for r in ranges]
        return net.op("BatchNormalization", net.conv(x, weights, pad=1), *parameters, epsilon=1e-5)

    net.relu(net.op("Add", block(net.relu(block("input"))), "input"))
    save(folder, "resblock", net.proto([1, c, n, n]), random.randn(4, c, n, n))


def dense_block(random, width):
    """A block as PyTorch initialises it, with a hidden layer four times as wide."""

    def linear(outputs, inputs):
        weights, bias = dense_weights(random, outputs, inputs)
        return weights.T, bias

    parts = [linear(width, width) for _ in range(4)] + [linear(4 * width, width), linear(width, 4 * width)]
    return Block(*parts, plain_norm(width), plain_norm(width))


def encoder(folder, name, rows, width, heads):
    """An encoder block with the erf form of GELU."""
    random = np.random.RandomState(5)
    net = Transformer(rows, width, heads)
    net.block("input", dense_block(random, width))
    save(folder, name, net.proto([1, rows, width]), random.randn(4, rows, width))


def micro_transformer(folder):
    """An encoder block with 8 rows of width 32 and 2 heads."""
    encoder(folder, "micro_transformer", 8, 32, 2)


def tiny_transformer(folder):
    """An encoder block with 16 rows of width 64 and 4 heads."""
    encoder(folder, "tiny_transformer", 16, 64, 4)


def nanogpt_block(folder):
    """A causal block without biases, 64 rows of width 64, 4 heads, the tanh form of GELU written out."""
    rows, width = 64, 64
    random = np.random.RandomState(7)
    linear = lambda inputs, outputs, deviation=0.02: (random.randn(inputs, outputs) * deviation,)
    into_sum = 0.02 / math.sqrt(8)
    parts = [linear(width, width) for _ in range(3)] + [linear(width, width, into_sum)]
    parts += [linear(width, 4 * width), linear(4 * width, width, into_sum)]
    net = Transformer(rows, width, 4)
    net.block("input", Block(*parts, plain_norm(width), plain_norm(width)), "tanh", causal_mask(rows))
    save(folder, "nanogpt_block", net.proto([1, rows, width]), random.randn(2, rows, width) * 0.5)


def minilm_small(folder):
    """A sentence encoder like MiniLM but small: 8 rows of width 32, 4 heads, one layer, the mean of its rows at unit length."""
    rows, width = 8, 32
    random = np.random.RandomState(8)
    net = Transformer(rows, width, 4, opset=17, epsilon=1e-12)
    block = dense_block(random, width)
    norm = lambda: (random.uniform(0.7, 1.3, width), random.randn(width) * 0.1)
    block = replace(block, attention_norm=norm(), hidden_norm=norm())
    net.to_unit_length(net.pool(net.block("input", block, norms="after")))
    save(folder, "minilm_small", net.proto([1, width]), random.randn(4, rows, width))


TRANSFORMERS = (micro_transformer, tiny_transformer, nanogpt_block, minilm_small)
MODELS = {f.__name__: f for f in (mlp_digits, cnn_264k, dense_4m, resblock, *TRANSFORMERS)}

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("models", nargs="*", choices=[[], *MODELS])
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    for name in arguments.models or MODELS:
        MODELS[name](arguments.out)
