#!/usr/bin/env python3
"""Writes docs/operators.md: every operator of ONNX's own domain up to an opset, whether it is read, with which limits, and the test models
that have it. operators.py [--check] compares instead, and ends with 1 where the file is another.

What is read is taken from circuits/onnx/src/import/operators.rs, the models from tests/models/ops. Each of those models has a proof that is
accepted and one of another output that is rejected (tests/tests/ops.rs). Needs onnx from PyPI.
"""
import re
import sys
from collections import defaultdict
from pathlib import Path

import onnx
from onnx import defs

OPSET = 23
ROOT = Path(__file__).parent.parent
# What an operator is not read with, or how it is read.
LIMITS = {
    "ArgMax": "one axis of two elements or more",
    "ArgMin": "one axis of two elements or more",
    "Attention": "without nonpad_kv_seqlen and the output of products; a mask for all keys",
    "AveragePool": "one to three spatial axes; not `ceil_mode` together with `count_include_pad`",
    "BatchNormalization": "of inference",
    "Cast": "to floats, whole numbers and truth values",
    "Conv": "one to three spatial axes, constant kernel",
    "ConvTranspose": "one or two spatial axes, constant kernel, pads that cut no more than the kernel adds",
    "CumSum": "constant axis, of at most 1024 elements",
    "Einsum": "one or two operands, products and sums of axes",
    "Equal": "of integers in the circuit: numbers within a scale's step are equal",
    "Gather": "indices that are constant, an input of the model, or by ArgMax, ArgMin or TopK; of at most 64 places where they are computed otherwise",
    "GatherElements": "as Gather",
    "GatherND": "as Gather",
    "Gelu": "",
    "GroupNormalization": "",
    "GRU": "sequences of one known length",
    "Hardmax": "of the circuit's integers the first greatest: where they are equal within a scale's step, not always the float model's",
    "If": "a condition that is known before the model runs",
    "InstanceNormalization": "",
    "IsNaN": "never holds: what a circuit computes is a number",
    "LRN": "an alpha of 0 or more, a bias above 0",
    "LSTM": "sequences of one known length",
    "LayerNormalization": "over the last axes, first output",
    "Loop": "a number of steps that is known before the model runs",
    "MatMul": "with weights or of two activations",
    "MaxPool": "one to three spatial axes, without indices",
    "Mod": "of integers in the circuit, as Equal",
    "OneHot": "as Gather; constant depth and values",
    "Pad": "constant pads; finite constants, edges and reflections",
    "Pow": "constant exponent that is not learned, or a constant base above 0",
    "RNN": "sequences of one known length",
    "ReduceMean": "also written out in normalisations",
    "Resize": "constant scales or sizes, not `tf_crop_and_resize`; axes of up to 4096 elements where it interpolates",
    "RotaryEmbedding": "constant caches",
    "Scan": "sequences of one known length",
    "ScatterElements": "constant indices without reduction; indices as of Gather where they cover the other axes, also added",
    "ScatterND": "constant indices, without reduction",
    "Slice": "constant positions",
    "Split": "constant sizes",
    "Tile": "constant repetitions",
    "TopK": "constant number; at most 16384 pairs of elements, or one place; of the circuit's integers, as Hardmax",
    "Upsample": "constant scales",
    "Where": "finite branches where the condition is computed",
}


# Of trees and linear models.
LEARNERS = {
    "LinearClassifier": "classes with numbers; post_transform NONE, SOFTMAX or LOGISTIC, as of all here",
    "LinearRegressor": "",
    "Normalizer": "",
    "Scaler": "",
    "TreeEnsembleClassifier": "classes with numbers, one kind of conditions, floats of 32 bits; 2^22 weights of paths",
    "TreeEnsembleRegressor": "sums and averages, as TreeEnsembleClassifier",
}
# Of models that are quantised already (circuits/onnx/src/import/quantised.rs).
QUANTISED = {"ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear"}

# Of those that fold, some that are in no list of the reader.
OVER_CONSTANTS = {"Compress", "Range", "TopK"}


def listed(name):
    text = (ROOT / "circuits/onnx/src/import/operators.rs").read_text()
    body = re.search(rf"const {name}: &\[&str\] =\s*&\[(.*?)\];", text, re.S).group(1)
    return set(re.findall(r'"(\w+)"', body))


def models(folder):
    found = defaultdict(set)
    for path in sorted((ROOT / "tests/models" / folder).glob("*.onnx")):
        for node in onnx.load(path).graph.node:
            found[node.op_type].add(path.stem)
    return found


def models_of(tests):
    tests = sorted(tests)
    return ", ".join(f"`{test}`" for test in tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")


def table():
    supported, folded, learners = (listed(f"{kind}_OPERATORS") for kind in ("SUPPORTED", "FOLDED", "LEARNER"))
    assert learners == LEARNERS.keys(), learners
    by_operator, quantised = models("ops"), models("quantised")
    names = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == "" and schema.since_version <= OPSET}
    rows = []
    for name in sorted(names):
        if name in supported:
            rows.append(f"| {name} | {LIMITS.get(name) or 'yes'} | {models_of(by_operator[name]) or 'none yet'} |")
        elif name in QUANTISED:
            rows.append(f"| {name} | of [quantised models](guide/models.md) | {', '.join(f'`{test}`' for test in sorted(quantised[name]))} |")
        elif name in folded | OVER_CONSTANTS:
            rows.append(f"| {name} | over constants | |")
        else:
            rows.append(f"| {name} | no | |")
    read = sum(name in supported for name in names)
    others = [f"| {name} | {LEARNERS[name] or 'yes'} | {models_of(by_operator[name])} |" for name in sorted(learners)]
    return f"""# Operators

All {len(names)} operators of ONNX's own domain up to opset {OPSET}: {read} are read over activations, with the limits that stand
here. What follows from constants and shapes alone is folded before anything is asked of it, whatever its operator is;
some are named for that. Each test model (`tests/models/ops`)
has a proof that is accepted, and one of another output that is rejected. Operators of models that are quantised already
have theirs in `tests/models/quantised`. `scripts/operators.py` writes this page.

| operator | read | test models |
|---|---|---|
""" + "\n".join(rows) + """

## Trees and linear models

Of the domain `ai.onnx.ml` these are read. What trees have learned is weights, as of other layers: a circuit's key shows
how many trees there are, and the conditions and leaves of the largest.

| operator | read | test models |
|---|---|---|
""" + "\n".join(others) + "\n"


if __name__ == "__main__":
    page, text = ROOT / "docs/operators.md", table()
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if page.read_text() == text else "docs/operators.md is another: scripts/operators.py writes it")
    page.write_text(text)
