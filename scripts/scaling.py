#!/usr/bin/env python3
"""Sweeps the size of circuits and the number of threads, fits the cost model to what proofs take, and plots both.

Needs numpy, scipy, onnx and matplotlib from PyPI, and zkml-gpu built with --release. Usage:

    scaling.py [--program target/release/zkml-gpu] [--out FOLDER] [--backend NAME] [--runs N] [--quick]

Sweeps: `rows`, a convolution over images of growing side (k grows with them); `width`, two dense layers of growing width; `layers`, more
dense layers of one width; `threads`, one network on one thread, two, and so on. Weights are random, with fixed seeds.

The cost model is a sum over kinds of work, each a quantity counted from the circuit times a price measured on the back end
(`zkml-gpu plan` uses the same). The fit finds a factor for each price that brings the sums nearest to the measured processor time, in
relative error; a factor is held towards 1 as far as the sweep does not tell it from others. Of each sweep every third network is
left out of the fit, so that its error says something. FOLDER gets scaling.json with all figures and scaling.svg with the plots.
"""
import argparse
import json
import math
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from scipy.optimize import lsq_linear

from plots import figure, finish, logarithmic

ROOT = Path(__file__).resolve().parent.parent
# How strongly a factor is held towards 1: a factor of 2 weighs as much as an error of 5 % of one network.
HOLD = 0.05


def network(shape, layers):
    """A chain of ("conv", channels, kernel), ("dense", outputs) and ("relu",) over one input."""
    random, nodes, constants, last = np.random.RandomState(1), [], [], "input"

    def node(kind, *others, **attributes):
        nonlocal last
        name = f"{kind.lower()}{len(nodes)}"
        nodes.append(helper.make_node(kind, [last, *others], [name], name=name, **attributes))
        last = name

    def weights(shape, inputs):
        bound = 1 / math.sqrt(inputs)
        name = f"weights{len(constants)}"
        constants.append(numpy_helper.from_array(random.uniform(-bound, bound, shape).astype(np.float32), name))
        return name

    size = list(shape)
    for layer in layers:
        if layer[0] == "conv":
            channels, kernel = layer[1:]
            inputs = size[0] * kernel * kernel
            node("Conv", weights((channels, size[0], kernel, kernel), inputs), weights((channels,), inputs), kernel_shape=[kernel] * 2)
            size = [channels, size[1] - kernel + 1, size[2] - kernel + 1]
        elif layer[0] == "dense":
            if len(size) > 1:
                node("Flatten")
                size = [math.prod(size)]
            node("Gemm", weights((layer[1], size[0]), size[0]), weights((layer[1],), size[0]), transB=1)
            size = [layer[1]]
        else:
            node("Relu")
    tensor = lambda name, dims: helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, *dims])
    graph = helper.make_graph(nodes, "network", [tensor("input", shape)], [tensor(last, size)], constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)


def sweeps(quick):
    """Sweep, size, and network."""
    sides = [8, 16, 32] if quick else [8, 12, 16, 24, 32, 48, 64]
    widths = [64, 256, 512] if quick else [64, 128, 256, 512, 768, 1024, 1536]
    depths = [1, 3, 6] if quick else [1, 2, 3, 4, 6, 8, 12]
    relu = ("relu",)
    for side in sides:
        yield "rows", side, network((3, side, side), [("conv", 8, 3), relu, ("conv", 8, 3), relu, ("dense", 10)])
    for width in widths:
        yield "width", width, network((width,), [("dense", width), relu, ("dense", width), relu, ("dense", 10)])
    for depth in depths:
        yield "layers", depth, network((256,), [("dense", 256), relu] * depth + [("dense", 10)])


def bench(options, models, threads):
    """Rows of `bench prove`, one for each model."""
    command = [options.program, "bench", "prove", *models, "--backend", options.backend, "--runs", options.runs]
    command += ["--threads", threads, "--json"]
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True)
    if done.returncode:
        sys.exit(f"error: zkml-gpu bench prove ended with {done.returncode}: {done.stderr.strip()}")
    report = json.loads(done.stdout)
    if report["unoptimised"]:
        print("warning: this program was built without optimisation: the figures say nothing", file=sys.stderr)
    return report, report["rows"]


def fit(rows):
    """Factors of the prices, by kind of work; every third row of a sweep is left out."""
    kinds = sorted(rows[0]["estimate"]["work"])
    terms = np.array([[price(row, kind) for kind in kinds] for row in rows])
    measured = np.array([row["prove_cpu_ms"]["median"] for row in rows])
    fitted = np.array([row["place"] % 3 != 1 for row in rows])
    # Relative errors; and the hold, scaled so that it does not grow with the number of networks.
    matrix = np.vstack([terms[fitted] / measured[fitted, None], HOLD * np.eye(len(kinds))])
    target = np.concatenate([np.ones(fitted.sum()), HOLD * np.ones(len(kinds))])
    factors = lsq_linear(matrix, target, bounds=(0, np.inf)).x
    return dict(zip(kinds, factors)), terms @ factors, fitted


# The names of the prices of a few kinds are not theirs with an `s` less.
SINGULAR = {"butterflies": "butterfly", "small_point_bits": "small_point_bit", "transferred": "transferred"}


def price(row, kind):
    """Milliseconds that the model's prices give to one kind of work."""
    name = SINGULAR.get(kind, kind.removesuffix("s"))
    return row["estimate"]["work"][kind] * row["estimate"]["prices"][f"{name}_ns"] / 1e6


def relative(predicted, measured):
    return np.asarray(predicted) / np.asarray(measured) - 1


def amdahl(rows):
    """The part of the time on one thread that more threads do not shorten, by least squares over 1 / threads."""
    inverse = np.array([[1, 1 / row["threads"]] for row in rows])
    constant, slope = lsq_linear(inverse, [row["prove_ms"]["median"] for row in rows], bounds=(0, np.inf)).x
    return constant / (constant + slope), constant, slope


def plot(path, rows, scaled, threads, serial):
    names = list(dict.fromkeys(row["sweep"] for row in rows))
    canvas, (axes,) = figure(1, len(names) + 1)
    for name, axis in zip(names, axes):
        chosen = [(row, value) for row, value in zip(rows, scaled) if row["sweep"] == name]
        sizes = [row["size"] for row, _ in chosen]
        spread = lambda end: [abs(row["prove_cpu_ms"]["median"] - row["prove_cpu_ms"][end]) for row, _ in chosen]
        medians = [row["prove_cpu_ms"]["median"] for row, _ in chosen]
        axis.errorbar(sizes, medians, yerr=[spread("lower_quartile"), spread("upper_quartile")], fmt="o", label="measured")
        axis.plot(sizes, [row["estimate"]["prove_cpu_ms"] for row, _ in chosen], "--", label="cost model")
        axis.plot(sizes, [value for _, value in chosen], "-", label="cost model, fitted")
        logarithmic(axis, sizes, medians, [f"k={row['k']}" for row, _ in chosen])
        axis.set(title=name, xlabel={"rows": "image side"}.get(name, name))
    axes[0].set_ylabel("CPU ms of a proof")
    count = [row["threads"] for row in threads]
    axes[-1].plot(count, [row["prove_ms"]["median"] for row in threads], "o", label="measured")
    axes[-1].plot(count, [row["estimate"]["prove_ms"] for row in threads], "--", label="cost model")
    share, constant, slope = serial
    axes[-1].plot(count, [constant + slope / number for number in count], "-", label=f"{100 * share:.0f} % on one thread")
    axes[-1].set(title="threads", xlabel="threads", ylabel="ms of a proof", ylim=(0, None))
    finish(canvas, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/zkml-gpu")
    parser.add_argument("--out", type=Path, default=Path("scaling"))
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--max-threads", type=int, default=os.cpu_count())
    parser.add_argument("--quick", action="store_true", help="three sizes of each sweep")
    options = parser.parse_args()
    if not options.program.is_file():
        sys.exit(f"error: {options.program}: no such program\nhint: cargo build --release -p zkml-gpu-cli")
    models = options.out / "models"
    models.mkdir(parents=True, exist_ok=True)
    subjects = []
    for sweep, size, model in sweeps(options.quick):
        path = models / f"{sweep}_{size}.onnx"
        onnx.save(model, path)
        subjects.append((sweep, size, path))

    # Prices are those of one thread, and so is the processor time that they are fitted to.
    report, rows = bench(options, [path for _, _, path in subjects], 1)
    places = {}
    for row, (sweep, size, _) in zip(rows, subjects):
        places[sweep] = places.get(sweep, -1) + 1
        row.update(sweep=sweep, size=size, place=places[sweep])
    factors, scaled, fitted = fit(rows)
    measured = [row["prove_cpu_ms"]["median"] for row in rows]
    before, after = relative([row["estimate"]["prove_cpu_ms"] for row in rows], measured), relative(scaled, measured)

    middle = [path for sweep, _, path in subjects if sweep == "width"][1]
    threads, number = [], 1
    while number <= options.max_threads:
        _, (row,) = bench(options, [middle], number)
        threads.append({**row, "threads": number})
        number *= 2
    serial = amdahl(threads)

    print(f"{report['machine']}; {options.backend}; {options.runs} proofs of each, medians")
    print(f"{'network':<14} {'k':>3} {'CPU ms':>9} {'± %':>6} {'model':>9} {'error':>7} {'fitted':>9} {'error':>7}")
    for row, value, one, two, used in zip(rows, scaled, before, after, fitted):
        spread = row["prove_cpu_ms"]
        half = 50 * (spread["upper_quartile"] - spread["lower_quartile"]) / spread["median"]
        print(
            f"{row['model']:<14} {row['k']:>3} {spread['median']:>9.1f} {half:>6.1f} {row['estimate']['prove_cpu_ms']:>9.1f}"
            f" {100 * one:>6.1f}% {value:>9.1f} {100 * two:>6.1f}%{'' if used else '  left out of the fit'}"
        )
    for name, errors in (("cost model", before), ("fitted, in the fit", after[fitted]), ("fitted, left out", after[~fitted])):
        print(f"{name:<20} median error {100 * np.median(np.abs(errors)):.1f} %, greatest {100 * np.max(np.abs(errors)):.1f} %")
    print("factors of the prices: " + ", ".join(f"{kind} {factor:.2f}" for kind, factor in factors.items()))
    for row in threads:
        print(f"{row['threads']} threads: {row['prove_ms']['median']:.1f} ms, estimated {row['estimate']['prove_ms']:.1f} ms")
    print(f"{100 * serial[0]:.0f} % of the time on one thread is not shortened by more")

    result = {"setting": {key: report[key] for key in ("machine", "version", "started_unix_s")}, "factors": factors}
    result.update(rows=[{**row, "fitted_ms": value} for row, value in zip(rows, scaled)], threads=threads, serial_share=serial[0])
    (options.out / "scaling.json").write_text(json.dumps(result, indent=1) + "\n")
    plot(options.out / "scaling.svg", rows, scaled, threads, serial)
    print(f"written: {options.out / 'scaling.json'}, {options.out / 'scaling.svg'}")


if __name__ == "__main__":
    main()
