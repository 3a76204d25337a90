"""A network that numpy alone has trained: written as ONNX layer by layer, calibrated, and proved with a hidden input.

    pip install zkml-gpu onnx
    python numpy_alone.py [FOLDER]

The verifier sees the answer and a commitment to the input: who keeps the opening can use the same input again.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

import zkml_gpu

Weights = list[tuple[np.ndarray, np.ndarray]]


def moons(count: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Points of two interleaved half circles, and which one each is of."""
    which = random.integers(0, 2, count)
    angle = np.pi * random.random(count)
    x = np.where(which == 0, np.cos(angle), 1 - np.cos(angle))
    y = np.where(which == 0, np.sin(angle), 0.5 - np.sin(angle))
    points = np.stack([x, y], axis=1) + 0.1 * random.standard_normal((count, 2))
    return points.astype(np.float32), which


def run(weights: Weights, x: np.ndarray) -> list[np.ndarray]:
    """The activations of all layers: ReLU between products, nothing after the last."""
    values = [x]
    for depth, (w, b) in enumerate(weights):
        x = x @ w + b
        values.append(x if depth == len(weights) - 1 else np.maximum(x, 0))
        x = values[-1]
    return values


def train(points: np.ndarray, which: np.ndarray, random: np.random.Generator) -> Weights:
    """Gradient descent on the cross entropy of both classes."""
    sizes = [2, 16, 16, 2]
    weights: Weights = [
        (random.standard_normal((a, b)) * np.sqrt(2 / a), np.zeros(b)) for a, b in zip(sizes, sizes[1:])
    ]
    for _ in range(1500):
        values = run(weights, points)
        odds = np.exp(values[-1] - values[-1].max(axis=1, keepdims=True))
        gradient = odds / odds.sum(axis=1, keepdims=True)
        gradient[np.arange(len(which)), which] -= 1
        gradient /= len(which)
        for depth in reversed(range(len(weights))):
            w, b = weights[depth]
            step = (values[depth].T @ gradient, gradient.sum(axis=0))
            gradient = (gradient @ w.T) * (values[depth] > 0)
            weights[depth] = (w - 0.5 * step[0], b - 0.5 * step[1])
    return weights


def to_onnx(weights: Weights) -> bytes:
    """The network as an ONNX file: one Gemm for each layer, and a ReLU after all but the last."""
    nodes, constants, name = [], [], "point"
    for depth, (w, b) in enumerate(weights):
        constants += [
            numpy_helper.from_array(w.astype(np.float32), f"w{depth}"),
            numpy_helper.from_array(b.astype(np.float32), f"b{depth}"),
        ]
        last = depth == len(weights) - 1
        product = "scores" if last else f"sum{depth}"
        nodes.append(helper.make_node("Gemm", [name, f"w{depth}", f"b{depth}"], [product]))
        if not last:
            nodes.append(helper.make_node("Relu", [product], [f"layer{depth}"]))
        name = f"layer{depth}"
    graph = helper.make_graph(
        nodes,
        "moons",
        [helper.make_tensor_value_info("point", TensorProto.FLOAT, [1, 2])],
        [helper.make_tensor_value_info("scores", TensorProto.FLOAT, [1, 2])],
        constants,
    )
    # The oldest versions that have these operators: any reader takes them.
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def main(folder: Path) -> None:
    random = np.random.default_rng(1)
    points, which = moons(400, random)
    weights = train(points, which, random)
    unseen, of_unseen = moons(200, random)
    right = np.argmax(run(weights, unseen)[-1], axis=1) == of_unseen
    print(f"accuracy on unseen points: {right.mean():.3f}")

    model = zkml_gpu.Model.load(to_onnx(weights), name="moons")
    calibration = zkml_gpu.calibrate(model, points[:64], max_error=0.01)
    compiled = zkml_gpu.compile(
        model, points[:64], precision=calibration["precision"], max_error=0.01, inputs={"point": "committed"}
    )
    key = zkml_gpu.setup(compiled)
    _, verifying_key, _ = key.write_pair(folder / "keys", "moons", replace=True)

    # The commitment is there before the proof, and is for others to refer to.
    opening = zkml_gpu.commit(key, "point", unseen[:1])
    opening.commitment.write(folder / "point.commitment.json")
    proof = zkml_gpu.prove(key, unseen[0], openings={"point": opening})
    proof.write(folder / "proof.json")
    assert proof.inputs[0].values is None, "nobody sees the point"

    commitment = zkml_gpu.Commitment.load(folder / "point.commitment.json")
    verdict = zkml_gpu.verify(folder / "proof.json", verifying_key, commitments={"point": commitment})
    scores = verdict.outputs[0].reals
    assert scores is not None
    expected = run(weights, unseen[:1])[-1]
    print(f"accepted: the committed point is of moon {np.argmax(scores)}, scores {scores.round(3).tolist()}")
    assert np.argmax(scores) == np.argmax(expected)
    np.testing.assert_allclose(scores, expected, atol=0.02 * float(np.ptp(run(weights, points)[-1])))


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
