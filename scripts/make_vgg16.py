#!/usr/bin/env python3
"""VGG16 for 32 x 32 pixels (15 M parameters) with random weights: make_vgg16.py [FOLDER].

What a proof costs depends on shapes only; weights are scaled so that activations keep their size from layer to layer. Writes vgg16.onnx,
vgg16.input.json and vgg16.calibration.json (one and four random images). Needs numpy, onnx and onnxruntime.
"""
import sys
from pathlib import Path

import numpy as np

from network import Network, outputs, write_json

# Channels of convolutions; a zero is a maximum pooling (Simonyan and Zisserman 2015, configuration D).
LAYERS = [64, 64, 0, 128, 128, 0, 256, 256, 256, 0, 512, 512, 512, 0, 512, 512, 512, 0]

def main(folder):
    random = np.random.default_rng(16)
    network, x, channels = Network([1, 3, 32, 32]), "input", 3
    for width in LAYERS:
        if width == 0:
            x = network.max_pool(x)
            continue
        weights = random.standard_normal((width, channels, 3, 3)) * np.sqrt(2 / (9 * channels))
        x = network.relu(network.conv(x, weights, 0.01 * random.standard_normal(width), pad=1))
        channels = width
    x = network.op("Flatten", x)
    for width in [512, 10]:
        x = network.dense(x, random.standard_normal((width, channels)) * np.sqrt(2 / channels), 0.01 * random.standard_normal(width))
        x, channels = (network.relu(x) if width > 10 else x), width
    model = network.proto([1, 10])
    (folder / "vgg16.onnx").write_bytes(model.SerializeToString())
    images = random.random((4, 3, 32, 32), np.float32).round(3)
    print("outputs of the first image:", outputs(model, images[:1])[0].round(3))
    write_json(folder / "vgg16.input.json", images[0])
    write_json(folder / "vgg16.calibration.json", images)


main(Path(sys.argv[1] if len(sys.argv) > 1 else "."))
