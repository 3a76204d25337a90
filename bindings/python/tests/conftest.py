"""Models, keys and proofs that tests share: small ones of the repository's own."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

import zkml_gpu

REPOSITORY = Path(__file__).parents[3]
OPS = REPOSITORY / "tests" / "models" / "ops"

Array = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Network:
    """A model with its samples, keys and one proof."""

    file: Path
    samples: Path
    calibration: list[Array]
    model: zkml_gpu.Model
    compiled: zkml_gpu.CompiledModel
    key: zkml_gpu.ProvingKey
    prover: zkml_gpu.Prover
    proof: zkml_gpu.Proof

    @property
    def sample(self) -> list[Array]:
        """The first sample, one array for each input."""
        return [array[0] for array in self.calibration]


def calibration(file: Path, model: zkml_gpu.Model) -> list[Array]:
    """The samples of a JSON file, an axis in front of each input's shape."""
    lists = json.loads(file.read_text())["input_data"]
    return [np.array(numbers, np.float32).reshape(-1, *shape) for numbers, (_, shape) in zip(lists, model.inputs)]


def network(name: str, segments: int | None = None) -> Network:
    file = OPS / f"{name}.onnx"
    samples = file.with_suffix(".json")
    model = zkml_gpu.Model.load(file)
    arrays = calibration(samples, model)
    compiled = zkml_gpu.compile(model, arrays, allow_error=True, segments=segments)
    key = zkml_gpu.setup(compiled, backend="cpu")
    prover = key.prover("cpu")
    proof = prover.prove([array[0] for array in arrays])
    return Network(file, samples, arrays, model, compiled, key, prover, proof)


@pytest.fixture(scope="session")
def gemm() -> Network:
    """One input of shape (1, 6), one output of shape (1, 4)."""
    return network("gemm_plain")


@pytest.fixture(scope="session")
def residual() -> Network:
    """One input of shape (1, 8), one output of shape (1, 8), in two segments."""
    return network("residual_add", segments=2)


@pytest.fixture(scope="session")
def two_inputs() -> Network:
    """Inputs of shapes (1, 2, 4, 4) and (1, 5), two outputs."""
    return network("two_inputs")


@pytest.fixture(scope="session")
def tokens() -> Network:
    """One input of indices, of shape (1, 5)."""
    return network("embedding")


@pytest.fixture(scope="session")
def softmax() -> Network:
    """Another architecture."""
    return network("softmax")
