#!/usr/bin/env python3
"""Trains a small GPT on characters and writes it as ONNX, with samples: 4 layers of width 64, 4 heads, 64 positions, 65 characters.

Needs numpy, onnx and onnxruntime from PyPI, to train also jax and optax. Usage:

    train_nanogpt.py [--out FOLDER] [--text FOLDER] [--steps N] [--keep-model] [--calibration N]

It is trained on the licences of Debian's /usr/share/common-licenses, in the 65 commonest characters; others become the last of them. The last tenth
of each licence is held out. Of that come the samples: windows of which no 24 characters occur in the training text.

FOLDER gets, with opset 17, nanogpt.onnx from embeddings [1, 64, 64] (tokens and positions added) to logits [1, 64, 65], nanogpt_ids.onnx from integers
[1, 64], for each NAME.samples.npz, NAME.input.json and NAME.calibration.json, the last from the training text. nanogpt.samples.npz also has
`ids`, the tables `words` and `places`, and the `characters`. `--keep-model` trains nothing and makes all from nanogpt.onnx and those tables.

Seeds are fixed; weights differ in their last bits between machines. Exit code 1 where onnxruntime is more than 1e-4 from the script's own run.
"""
import argparse
import hashlib
import math
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
from onnx import numpy_helper

from network import save, write_json
from transformer import Block, Transformer, causal_mask

LAYERS, ROWS, WIDTH, HEADS, VOCABULARY = 4, 64, 64, 4, 65
EPSILON, TOLERANCE = 1e-5, 1e-4
# Distance of the greatest logit from the next that training asks for.
MARGIN = 1.0
LICENCES = "Apache-2.0 Artistic BSD CC0-1.0 GFDL-1.2 GFDL-1.3 GPL-1 GPL-2 GPL-3 LGPL-2 LGPL-2.1 LGPL-3 MPL-1.1 MPL-2.0".split()
# Of all licences one after another, as the committed model was trained on them.
TEXT_SHA256 = "e702fc128a22ec5f42b88d701ba068de1515b336f5af4e0d6e144a3795587db2"


# Text.


def read_text(folder):
    """Each licence's characters for training, and those held out."""
    texts = [(folder / name).read_bytes().decode("latin-1") for name in LICENCES]
    if hashlib.sha256("".join(texts).encode("latin-1")).hexdigest() != TEXT_SHA256:
        print(f"warning: the licences in {folder} are not those that the committed model was trained on", file=sys.stderr)
    ends = [len(text) * 9 // 10 for text in texts]
    return [text[:end] for text, end in zip(texts, ends)], [text[end:] for text, end in zip(texts, ends)]


def alphabet(texts):
    """The commonest characters, sorted; the last place is everything else's too."""
    return "".join(sorted(character for character, _ in Counter("".join(texts)).most_common(VOCABULARY)))


def encode(text, characters):
    places = {character: place for place, character in enumerate(characters)}
    return np.array([places.get(character, VOCABULARY - 1) for character in text], np.int64)


def unseen(held_out, training, characters, count, common=24):
    """Windows of held-out text without `common` characters in a row that occur in the training text."""
    seen = "\n".join(training)
    windows = [text[i : i + ROWS] for text in held_out for i in range(0, len(text) - ROWS + 1, ROWS)]
    fresh = [text for text in windows if not any(text[i : i + common] in seen for i in range(ROWS - common + 1))]
    chosen = np.random.RandomState(3).permutation(len(fresh))[:count]
    return np.stack([encode(fresh[i], characters) for i in sorted(chosen)])


# The model, on JAX's arrays or numpy's.


def initial(random):
    """Weights as GPT-2 begins: those into a residual sum smaller, with its number of summands."""
    normal = lambda *shape, deviation=0.02: (random.randn(*shape) * deviation).astype(np.float32)
    into_sum = 0.02 / math.sqrt(2 * LAYERS)
    gain = lambda: np.ones(WIDTH, np.float32)

    def block():
        square = {name: normal(WIDTH, WIDTH) for name in ("query", "key", "value")}
        square["mix"] = normal(WIDTH, WIDTH, deviation=into_sum)
        hidden = {"widen": normal(WIDTH, 4 * WIDTH), "narrow": normal(4 * WIDTH, WIDTH, deviation=into_sum)}
        return {"attention_norm": gain(), **square, "hidden_norm": gain(), **hidden}

    return {
        "words": normal(VOCABULARY, WIDTH),
        "places": normal(ROWS, WIDTH),
        "blocks": [block() for _ in range(LAYERS)],
        "norm": gain(),
        "head": normal(WIDTH, VOCABULARY),
    }


def forward(xp, p, x):
    """Logits [count, ROWS, VOCABULARY] of embeddings [count, ROWS, WIDTH]; `xp` is numpy or jax.numpy."""
    mask = causal_mask(ROWS).astype(np.float32)

    def norm(x, gain):
        x = x - x.mean(-1, keepdims=True)
        return x / xp.sqrt((x * x).mean(-1, keepdims=True) + EPSILON) * gain

    def attention(x, b):
        split = lambda weights: xp.swapaxes((x @ weights).reshape(-1, ROWS, HEADS, WIDTH // HEADS), 1, 2)
        query, key, value = split(b["query"]), split(b["key"]), split(b["value"])
        scores = query @ xp.swapaxes(key, 2, 3) / math.sqrt(WIDTH // HEADS) + mask
        weights = xp.exp(scores - scores.max(-1, keepdims=True))
        mixed = xp.swapaxes(weights / weights.sum(-1, keepdims=True) @ value, 1, 2)
        return mixed.reshape(x.shape) @ b["mix"]

    def gelu(x):
        return 0.5 * x * (1 + xp.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)))

    # One row a position: JAX transposes what a product of more axes takes.
    x = x.reshape(-1, WIDTH)
    for b in p["blocks"]:
        x = x + attention(norm(x, b["attention_norm"]), b)
        x = x + gelu(norm(x, b["hidden_norm"]) @ b["widen"]) @ b["narrow"]
    return (norm(x, p["norm"]) @ p["head"]).reshape(-1, ROWS, VOCABULARY)


def train(texts, held_out, characters, options):
    import jax
    import jax.numpy as jnp
    import optax

    tokens = np.concatenate([encode(text, characters) for text in texts])
    check = np.concatenate([encode(text, characters) for text in held_out])
    check = np.stack([check[i : i + ROWS + 1] for i in range(0, len(check) - ROWS - 1, ROWS)])

    def loss(p, ids):
        # Products with one-hot rows: JAX adds up gradients of looked-up rows one by one on a processor.
        hot = jax.nn.one_hot(ids, VOCABULARY)
        logits = forward(jnp, p, hot[:, :-1] @ p["words"] + p["places"])
        return -(jax.nn.log_softmax(logits) * hot[:, 1:]).sum(-1).mean(), logits

    def objective(p, ids):
        # A greatest logit that stands clear of the next is still the greatest after rounding.
        value, logits = loss(p, ids)
        first, second = jnp.moveaxis(jax.lax.top_k(logits, 2)[0], -1, 0)
        return value + options.clearness * jax.nn.relu(MARGIN - (first - second)).mean(), value

    rates = optax.warmup_cosine_decay_schedule(0, options.rate, 100, options.steps, options.rate / 10)
    decayed = lambda p: jax.tree.map(lambda a: a.ndim > 1, p)
    optimiser = optax.chain(optax.clip_by_global_norm(1), optax.adamw(rates, b2=0.99, weight_decay=0.1, mask=decayed))

    @jax.jit
    def step(p, state, ids):
        (_, value), gradient = jax.value_and_grad(objective, has_aux=True)(p, ids)
        change, state = optimiser.update(gradient, state, p)
        return optax.apply_updates(p, change), state, value

    random = np.random.RandomState(1)
    p = jax.tree.map(jnp.asarray, initial(random))
    state, recent, measure = optimiser.init(p), [], jax.jit(lambda p, ids: loss(p, ids)[0])
    for number in range(1, options.steps + 1):
        starts = random.randint(0, len(tokens) - ROWS, options.batch)
        p, state, value = step(p, state, tokens[starts[:, None] + np.arange(ROWS + 1)])
        recent.append(float(value))
        if number % 500 == 0 or number == options.steps:
            print(f"step {number}: loss {np.mean(recent[-500:]):.3f}, held out {float(measure(p, check)):.3f} nats a character", flush=True)
    return jax.tree.map(np.asarray, p)


# ONNX.


def export(p, ids):
    net = Transformer(ROWS, WIDTH, HEADS, opset=17, epsilon=EPSILON, ids=ids)
    x = net.embed("input", p["words"], p["places"]) if ids else "input"
    mask = net.constant(causal_mask(ROWS))
    for b in p["blocks"]:
        x = net.block(x, Block(**{name: (values,) for name, values in b.items()}), "tanh", mask)
    net.linear(net.layer_norm(x, p["norm"]), p["head"])
    return net.proto([1, ROWS, VOCABULARY])


def weights_of(model, tables):
    """The weights of an exported model: vectors and matrices in the order of their use."""
    arrays = [numpy_helper.to_array(constant) for constant in model.graph.initializer]
    arrays = iter([array for array in arrays if array.dtype == np.float32 and array.ndim in (1, 2)])
    names = "attention_norm query key value mix hidden_norm widen narrow".split()
    blocks = [{name: next(arrays) for name in names} for _ in range(LAYERS)]
    return {"words": tables["words"], "places": tables["places"], "blocks": blocks, "norm": next(arrays), "head": next(arrays)}


def write(folder, p, characters, samples, calibration, keep_model):
    """Both models with their samples; the greatest difference of onnxruntime's outputs from this script's."""
    embed = lambda ids: p["words"][ids] + p["places"]
    expected = forward(np, p, embed(samples)).reshape(len(samples), -1)
    worst = 0
    for name, ids in (("nanogpt", False), ("nanogpt_ids", True)):
        form = (lambda ids: ids) if ids else embed
        model = onnx.load(folder / f"{name}.onnx") if keep_model and not ids else export(p, ids)
        (x,), y = save(folder, name, model, form(samples))
        if not ids:
            np.savez_compressed(folder / f"{name}.samples.npz", x=x, y=y, ids=samples, words=p["words"], places=p["places"], characters=characters)
        write_json(folder / f"{name}.input.json", x[:1])
        write_json(folder / f"{name}.calibration.json", form(calibration))
        error = np.abs(y - expected).max()
        print(f"{name}: {(folder / f'{name}.onnx').stat().st_size:,} bytes, greatest error {error:.2g}")
        worst = max(worst, error)
    return worst


def report_gaps(y):
    """How far the greatest logit is above the next, relative to the range of a position's logits."""
    logits = np.sort(y.reshape(-1, VOCABULARY), -1)
    gaps = logits[:, -1] - logits[:, -2]
    spans = logits[:, -1] - logits[:, 0]
    print(f"logits from {logits.min():.2f} to {logits.max():.2f}, of one position {np.median(spans):.2f} apart in the median")
    for title, values in (("gap", gaps), ("gap / range", gaps / spans)):
        quantiles = np.quantile(values, [0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75])
        print(f"{title:<12} " + ", ".join(f"{q} {value:.5f}" for q, value in zip("least 0.1% 1% 5% 10% 25% 50% 75%".split(), quantiles)))
    share = gaps / spans
    print("positions below " + ", ".join(f"{bound:g}: {int((share < bound).sum())}" for bound in (0.001, 0.002, 0.005, 0.01, 0.02, 0.05)) + f" of {len(gaps)}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("."))
    parser.add_argument("--text", type=Path, default=Path("/usr/share/common-licenses"), help="folder of the licences")
    parser.add_argument("--steps", type=int, default=2500)
    parser.add_argument("--batch", type=int, default=16, help="windows of a step")
    parser.add_argument("--rate", type=float, default=3e-3, help="greatest learning rate")
    parser.add_argument("--clearness", type=float, default=0.5, help="weight of the distance between the two greatest logits in training")
    parser.add_argument("--samples", type=int, default=20)
    parser.add_argument("--calibration", type=int, default=16, help="windows of the calibration set")
    parser.add_argument("--keep-model", action="store_true")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    training, held_out = read_text(options.text)
    if options.keep_model:
        tables = np.load(options.out / "nanogpt.samples.npz")
        characters = str(tables["characters"])
        p = weights_of(onnx.load(options.out / "nanogpt.onnx"), tables)
    else:
        characters = alphabet(training)
        p = train(training, held_out, characters, options)
    samples = unseen(held_out, training, characters, options.samples)
    tokens = np.concatenate([encode(text, characters) for text in training])
    starts = np.random.RandomState(4).randint(0, len(tokens) - ROWS, options.calibration)
    error = write(options.out, p, characters, samples, tokens[starts[:, None] + np.arange(ROWS)], options.keep_model)
    report_gaps(np.load(options.out / "nanogpt.samples.npz")["y"])
    if error > TOLERANCE:
        sys.exit(f"error: onnxruntime is {error:.2g} from the script's own run, more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()
