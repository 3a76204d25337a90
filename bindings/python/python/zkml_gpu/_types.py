"""Types of arguments, for whoever checks them; nothing imports this as it runs."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal, Protocol, TypeAlias

import numpy.typing as npt

from ._native import CompiledModel, Model, Proof, Prover, ProvingKey, VerifyingKey

Path: TypeAlias = str | os.PathLike[str]
#: A file, by its path or its bytes.
Source: TypeAlias = Path | bytes | bytearray
#: Samples: one array for a model of one input; one for each input, in a list or by names; or the path of a JSON file.
Samples: TypeAlias = npt.ArrayLike | Sequence[npt.ArrayLike] | Mapping[str, npt.ArrayLike] | Path
Weights: TypeAlias = Literal["committed", "public", "embedded"]
Visibility: TypeAlias = Literal["public", "private", "committed", "hashed"]
#: Prices that a circuit is chosen by.
Costs: TypeAlias = Literal["measured", "reference"] | Path | Mapping[str, Any]
#: Bits of tensors: a file, or the dictionary in what ``calibrate`` gives.
Precision: TypeAlias = Path | Mapping[str, Any]
ModelLike: TypeAlias = Model | Source
CompiledLike: TypeAlias = CompiledModel | Source
ProvingKeyLike: TypeAlias = ProvingKey | Source
VerifyingKeyLike: TypeAlias = VerifyingKey | Source
ProofLike: TypeAlias = Proof | Source
ProverLike: TypeAlias = Prover | ProvingKey | Source


class Progress(Protocol):
    """Is called as a step begins, with None, and as it ends, with its seconds."""

    def __call__(self, step: str, seconds: float | None, /) -> object:
        """Hears of a step. What it raises ends the call that it belongs to, once that call's work is done."""
