"""Figures of the binding: what a call from Python adds to the library's, how long the import takes, the wheel's size.

    python bench.py [--rounds N] [--wheel FILE] [--model MODEL.onnx --input INPUT.json]

Each round's proof is timed twice in one run: around the call in Python, and inside it around the library's. What is
between them is the binding: arrays that are read, Python's lock that is given back and taken, the result's objects.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path

import numpy as np

import zkml_gpu

LENET = Path(__file__).parents[2] / "examples" / "lenet"
#: Times the import in a fresh interpreter, numpy not imported.
IMPORT = "import time; t = time.perf_counter(); import zkml_gpu; print(1e3 * (time.perf_counter() - t))"


def call_overhead(model: Path, sample: Path, rounds: int) -> dict[str, float]:
    """Medians in milliseconds, and what the call adds, in percent of the library's time."""
    loaded = zkml_gpu.Model.load(model)
    flat = json.loads(sample.read_text())["input_data"]
    arrays = [np.array(numbers, np.float32).reshape(shape) for numbers, (_, shape) in zip(flat, loaded.inputs)]
    compiled = loaded.compile(arrays, allow_error=True)
    prover = zkml_gpu.setup(compiled, unproven_weights=True).prover()
    prover.prove(arrays, check=False)
    calls, inside = [], []
    for _ in range(rounds):
        start = time.perf_counter()
        proof = prover.prove(arrays, check=False)
        calls.append(1e3 * (time.perf_counter() - start))
        assert proof.prove_ms is not None
        inside.append(proof.prove_ms)
    added = [100 * (call - own) / own for call, own in zip(calls, inside)]
    return {
        "call_ms": statistics.median(calls),
        "library_ms": statistics.median(inside),
        "added_percent": statistics.median(added),
        "added_percent_most": max(added),
    }


def import_ms(rounds: int) -> float:
    """Median of fresh interpreters, the first one not counted: it reads the module from the disk."""
    times = []
    for _ in range(rounds + 1):
        done = subprocess.run([sys.executable, "-c", IMPORT], capture_output=True, text=True, check=True)
        times.append(float(done.stdout))
    return statistics.median(times[1:])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--wheel", type=Path)
    parser.add_argument("--model", type=Path, default=LENET / "lenet.onnx")
    parser.add_argument("--input", type=Path, default=LENET / "seven.json")
    options = parser.parse_args()
    figures: dict[str, object] = dict(call_overhead(options.model, options.input, options.rounds))
    figures["import_ms"] = import_ms(options.rounds)
    if options.wheel:
        figures["wheel_bytes"] = options.wheel.stat().st_size
    print(json.dumps(figures, indent=2))


if __name__ == "__main__":
    main()
