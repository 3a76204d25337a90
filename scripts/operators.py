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
    "AveragePool": "one or two spatial axes; not `ceil_mode` together with `count_include_pad`",
    "BatchNormalization": "of inference",
    "Cast": "to floats, whole numbers and truth values",
    "Conv": "one or two spatial axes, constant kernel",
    "ConvTranspose": "one or two spatial axes, constant kernel, pads that cut no more than the kernel adds",
    "CumSum": "constant axis, of at most 1024 elements",
    "Einsum": "one or two operands, products and sums of axes",
    "Equal": "of integers in the circuit: numbers within a scale's step are equal",
    "Gather": "constant indices, or indices that are an input of the model into a constant table",
    "GatherElements": "constant indices",
    "GatherND": "constant indices",
    "GRU": "sequences of one known length",
    "Gelu": "",
    "GroupNormalization": "",
    "If": "a condition that is known before the model runs",
    "InstanceNormalization": "",
    "IsNaN": "never holds: what a circuit computes is a number",
    "LSTM": "sequences of one known length",
    "LayerNormalization": "over the last axes, first output",
    "Loop": "a number of steps that is known before the model runs",
    "MatMul": "with weights or of two activations",
    "MaxPool": "one or two spatial axes, without indices",
    "Pad": "constant pads; finite constants, edges and reflections",
    "Pow": "constant exponent that is not learned, or a constant base above 0",
    "RNN": "sequences of one known length",
    "ReduceMean": "also written out in normalisations",
    "Resize": "mode `nearest`",
    "Scan": "sequences of one known length",
    "ScatterElements": "constant indices, without reduction",
    "ScatterND": "constant indices, without reduction",
    "Slice": "constant positions",
    "Split": "constant sizes",
    "Tile": "constant repetitions",
    "Where": "finite branches where the condition is computed",
}


# Of models that are quantised already (circuits/onnx/src/import/quantised.rs).
QUANTISED = {"ConvInteger", "DequantizeLinear", "DynamicQuantizeLinear", "MatMulInteger", "QLinearConv", "QLinearMatMul", "QuantizeLinear"}

# Of those that fold, some that are in no list of the reader.
OVER_CONSTANTS = {"Compress", "Range", "TopK"}


def listed(name):
    text = (ROOT / "circuits/onnx/src/import/operators.rs").read_text()
    body = re.search(rf"const {name}: &\[&str\] = &\[(.*?)\];", text, re.S).group(1)
    return set(re.findall(r'"(\w+)"', body))


def models(folder):
    found = defaultdict(set)
    for path in sorted((ROOT / "tests/models" / folder).glob("*.onnx")):
        for node in onnx.load(path).graph.node:
            found[node.op_type].add(path.stem)
    return found


def table():
    supported, folded = listed("SUPPORTED_OPERATORS"), listed("FOLDED_OPERATORS")
    by_operator, quantised = models("ops"), models("quantised")
    names = {schema.name for schema in defs.get_all_schemas_with_history() if schema.domain == "" and schema.since_version <= OPSET}
    rows = []
    for name in sorted(names):
        if name in supported:
            tests = sorted(by_operator[name])
            shown = ", ".join(f"`{test}`" for test in tests[:3]) + (f" and {len(tests) - 3} more" if len(tests) > 3 else "")
            rows.append(f"| {name} | {LIMITS.get(name) or 'yes'} | {shown or 'none yet'} |")
        elif name in QUANTISED:
            rows.append(f"| {name} | of [quantised models](guide/models.md) | {', '.join(f'`{test}`' for test in sorted(quantised[name]))} |")
        elif name in folded | OVER_CONSTANTS:
            rows.append(f"| {name} | over constants | |")
        else:
            rows.append(f"| {name} | no | |")
    read = sum(name in supported for name in names)
    return f"""# Operators

All {len(names)} operators of ONNX's own domain up to opset {OPSET}: {read} are read over activations, with the limits that stand
here. What follows from constants and shapes alone is folded before anything is asked of it, whatever its operator is;
some are named for that. Each test model (`tests/models/ops`)
has a proof that is accepted, and one of another output that is rejected. Operators of models that are quantised already
have theirs in `tests/models/quantised`. `scripts/operators.py` writes this page.

| operator | read | test models |
|---|---|---|
""" + "\n".join(rows) + "\n"


if __name__ == "__main__":
    page, text = ROOT / "docs/operators.md", table()
    if sys.argv[1:] == ["--check"]:
        sys.exit(0 if page.read_text() == text else "docs/operators.md is another: scripts/operators.py writes it")
    page.write_text(text)
