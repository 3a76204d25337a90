"""The examples and the notebook run as they are; what is missing for one is named."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[3] / "examples" / "python"


def run(name: str, folder: Path) -> str:
    done = subprocess.run([sys.executable, EXAMPLES / name, folder], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "proof.json").exists()
    return done.stdout


def test_numpy_alone_trains_and_proves(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    assert "accepted: the committed point" in run("numpy_alone.py", tmp_path)


def test_scikit_learn_trains_and_proves(tmp_path: Path) -> None:
    pytest.importorskip("sklearn")
    pytest.importorskip("skl2onnx")
    assert "changed, and rejected" in run("scikit_learn.py", tmp_path)


def test_the_notebook_runs_and_is_kept_without_results(tmp_path: Path) -> None:
    for package in ("sklearn", "skl2onnx", "tqdm", "ipykernel"):
        pytest.importorskip(package)
    nbclient = pytest.importorskip("nbclient")
    nbformat = pytest.importorskip("nbformat")
    notebook = nbformat.read(EXAMPLES / "prove_a_classifier.ipynb", as_version=4)
    nbformat.validate(notebook)
    codes = [cell for cell in notebook.cells if cell.cell_type == "code"]
    assert codes and all(not cell.outputs and cell.execution_count is None for cell in codes)
    place = {"metadata": {"path": tmp_path}}
    nbclient.NotebookClient(notebook, timeout=300, kernel_name="python3", resources=place).execute()
    assert any("the proof shows nothing" in output.get("text", "") for output in codes[-1].outputs)


def test_the_benchmark_measures(tmp_path: Path) -> None:
    model = Path(__file__).parents[3] / "tests" / "models" / "ops" / "gemm_plain.onnx"
    script = Path(__file__).parents[1] / "bench.py"
    command = [sys.executable, str(script), "--rounds", "1", "--model", str(model)]
    command += ["--input", str(model.with_suffix(".json"))]
    figures = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    assert figures["call_ms"] > figures["library_ms"] > 0 and figures["import_ms"] > 0
