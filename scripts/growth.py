#!/usr/bin/env python3
"""Proves transformers of growing sequence length, width and depth, and plots processor time and peak memory with fitted exponents.

Needs numpy, onnx, onnxruntime and matplotlib from PyPI, and zkml-gpu built with --release. Usage:

    growth.py [--program target/release/zkml-gpu] [--out FOLDER] [--backend NAME] [--threads N] [--runs N] [--max-memory GIB]
              [--timeout S] [--quick]

Networks are encoder blocks with norms before their parts, erf GELU and a hidden layer four times as wide; weights are random, with fixed seeds.
Along each axis two of 16 tokens, width 32 (heads of 8) and one block stay. Each proof is of one pseudo-random input, in a process that may
use so much memory and time; after one that fails the larger networks of that axis are left out.

An exponent is the slope of a line through the logarithms: of all sizes, and of the larger half, where what does not grow weighs less.
FOLDER gets growth.json with all figures of `zkml-gpu prove --json` but the outputs, and growth.svg.
"""
import argparse
import json
import os
import statistics
import sys
from pathlib import Path

import matplotlib  # noqa: F401, missing it is told before the proofs
import numpy as np
import onnx

from bounded import Failed, available_gib, bounded
from make_models import dense_block
from network import write_json
from plots import figure, finish, logarithmic
from transformer import Transformer

ROOT = Path(__file__).resolve().parent.parent
BASE = {"length": 16, "width": 32, "depth": 1}
SIZES = {"length": [8, 16, 32, 64, 128], "width": [16, 32, 64, 128, 256], "depth": [1, 2, 3, 4, 6, 8]}
QUICK = {"length": [8, 16, 32], "width": [16, 32, 64], "depth": [1, 2, 3]}
HEAD = 8
# Address space of the program beyond the memory it may use: its code, stacks, and what allocators keep.
SLACK_GIB = 1.0
FIGURES = {"cpu_s": "CPU s of a proof", "peak_mb": "peak memory in MB"}


def network(length, width, depth):
    """The model, and an input for it."""
    random = np.random.RandomState(1)
    net = Transformer(length, width, width // HEAD, opset=17)
    x = "input"
    for _ in range(depth):
        x = net.block(x, dense_block(random, width))
    return net.proto([1, length, width]), random.randn(1, length, width).astype(np.float32)


def prove(options, model, data, folder):
    """The reports of `--runs` proofs, without the outputs."""
    command = [options.program, "prove", model, data, "--out", folder, "--backend", options.backend, "--json"]
    command += ["--threads", options.threads, "--max-memory", f"{int(options.max_memory * 1024)}MiB"]
    reports = [json.loads(bounded(command, options.max_memory + SLACK_GIB, options.timeout)) for _ in range(options.runs)]
    return [{key: value for key, value in report.items() if not key.startswith("output")} for report in reports]


def sweep(options, axis, sizes):
    """A row for each size; the last may be one that failed."""
    for size in sizes:
        name = f"{axis}_{size}"
        model, data = (options.out / "networks" / f"{name}.{ending}" for ending in ("onnx", "input.json"))
        proto, x = network(**{**BASE, axis: size})
        onnx.save(proto, model)
        write_json(data, x)
        row = {"axis": axis, "size": size, **BASE, axis: size}
        try:
            reports = prove(options, model, data, options.out / "networks" / name)
        except Failed as error:
            print(f"{axis} {size}: no proof: {error}", file=sys.stderr)
            yield {**row, "failed": str(error)}
            return
        cpu_s = statistics.median(report["prove_cpu_ms"] for report in reports) / 1e3
        peak_mb = max(report["peak_rss_bytes"] for report in reports) / 1e6
        print(f"{axis:<6} {size:>4}  k={reports[0]['k']:<2}  {cpu_s:>8.2f} CPU s  {peak_mb:>8.0f} MB", flush=True)
        yield {**row, "k": reports[0]["k"], "cpu_s": cpu_s, "peak_mb": peak_mb, "reports": reports}


def line(rows, figure):
    """Exponent and factor of the power that is nearest in the logarithms; none for fewer than two sizes."""
    if len(rows) < 2:
        return None
    exponent, logarithm = np.polyfit(np.log([row["size"] for row in rows]), np.log([row[figure] for row in rows]), 1)
    return {"exponent": float(exponent), "factor": float(np.exp(logarithm))}


def fits(rows):
    """For each axis and figure a line through all sizes and one through the larger half."""
    found = {}
    for axis in SIZES:
        chosen = [row for row in rows if row["axis"] == axis and "failed" not in row]
        parts = {"all": chosen, "larger_half": chosen[(len(chosen) - 1) // 2 :]}
        found[axis] = {name: {part: line(some, name) for part, some in parts.items()} for name in FIGURES}
    return found


def plot(path, rows, found):
    canvas, axes = figure(len(FIGURES), len(SIZES))
    for across, axis in zip(axes, FIGURES):
        for place, name in zip(across, SIZES):
            chosen = [row for row in rows if row["axis"] == name and "failed" not in row]
            sizes, values = [row["size"] for row in chosen], [row[axis] for row in chosen]
            place.plot(sizes, values, "o", label="measured")
            for part, style in (("all", "--"), ("larger_half", "-")):
                if fit := found[name][axis][part]:
                    some = sizes if part == "all" else sizes[(len(sizes) - 1) // 2 :]
                    label = f"{name}^{fit['exponent']:.2f}" + ("" if part == "all" else ", larger half")
                    place.plot(some, [fit["factor"] * size ** fit["exponent"] for size in some], style, label=label)
            if chosen:
                logarithmic(place, sizes, values, [f"k={row['k']}" for row in chosen], "{:.3g}".format)
            others = ", ".join(f"{key} {value}" for key, value in BASE.items() if key != name)
            place.set(title=f"{name} ({others})", xlabel=name)
        across[0].set_ylabel(FIGURES[axis])
    finish(canvas, path)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target/release/zkml-gpu")
    parser.add_argument("--out", type=Path, default=Path("growth"))
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--runs", type=int, default=1, help="proofs of each network; the median's time counts, the greatest memory")
    parser.add_argument("--max-memory", type=float, help="GiB of each proof; without it, three quarters of what is free")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds of each proof")
    parser.add_argument("--quick", action="store_true", help="three small sizes of each axis")
    for axis in SIZES:
        parser.add_argument(f"--{axis}", type=int, nargs="*", help="sizes, instead of " + " ".join(map(str, SIZES[axis])))
    options = parser.parse_args()
    if not options.program.is_file():
        sys.exit(f"error: {options.program}: no such program\nhint: cargo build --release -p zkml-gpu-cli")
    if options.max_memory is None:
        options.max_memory = available_gib()
    if any(size % HEAD for size in options.width or []):
        parser.error(f"--width: multiples of {HEAD}")
    options.program = options.program.resolve()
    (options.out / "networks").mkdir(parents=True, exist_ok=True)

    rows = []
    for axis, sizes in (QUICK if options.quick else SIZES).items():
        chosen = getattr(options, axis)
        rows += sweep(options, axis, sorted(sizes if chosen is None else chosen))
    found = fits(rows)
    for axis, figures in found.items():
        for name, parts in figures.items():
            words = [f"{part.replace('_', ' ')} {fit['exponent']:.2f}" for part, fit in parts.items() if fit]
            print(f"{FIGURES[name]}, exponent over {axis}: {', '.join(words) or 'too few sizes'}")
    setting = {"backend": options.backend, "threads": options.threads, "runs": options.runs, "max_memory_gib": options.max_memory}
    (options.out / "growth.json").write_text(json.dumps({"setting": setting, "fits": found, "rows": rows}, indent=1) + "\n")
    plot(options.out / "growth.svg", rows, found)
    print(f"written: {options.out / 'growth.json'}, {options.out / 'growth.svg'}")


if __name__ == "__main__":
    main()
