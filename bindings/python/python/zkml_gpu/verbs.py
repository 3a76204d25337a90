"""The verbs of the command line, as functions."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

from ._native import (
    CompiledModel,
    Model,
    Opening,
    Proof,
    Prover,
    ProvingKey,
    Srs,
    Verdict,
    VerifyingKey,
    devices,
)
from .errors import ArgumentsError

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    import numpy.typing as npt

    from ._native import Commitment
    from ._types import (
        CompiledLike,
        Costs,
        ModelLike,
        Path,
        Precision,
        Progress,
        ProofLike,
        ProverLike,
        ProvingKeyLike,
        Samples,
        VerifyingKeyLike,
        Visibility,
        Weights,
    )

__all__ = ["bench", "calibrate", "commit", "compile", "evaluate", "plan", "prove", "retrain", "setup", "verify"]


def _model(model: ModelLike, dimensions: Mapping[str, int] | None, progress: Progress | None) -> Model:
    if isinstance(model, Model):
        if dimensions is not None:
            raise ArgumentsError(
                "dimensions are those of a file, and the model is read already\nhint: give them to Model.load",
                "arguments",
            )
        return model
    return Model.load(model, dimensions=dimensions, progress=progress)


def compile(
    model: ModelLike,
    calibration: Samples | None = None,
    *,
    precision: Precision | None = None,
    max_error: float = 0.016,
    allow_error: bool = False,
    weights: Weights = "committed",
    private: bool = False,
    inputs: Mapping[str, Visibility] | None = None,
    outputs: Mapping[str, Visibility] | None = None,
    min_k: int = 0,
    dimensions: Mapping[str, int] | None = None,
    costs: Costs = "reference",
    backend: str = "auto",
    inferences: int = 1,
    segments: int | None = None,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> CompiledModel:
    """Quantises a model and lays it out as a circuit.

    Args:
        model: An ONNX file (path or bytes), or a ``Model``.
        calibration: Typical inputs, ten or more if possible: an array of the model's shape with an axis of samples in
            front (or as its first axis, where that is 1), one for each input, or the path of a JSON file. A model that
            is quantised already needs none.
        precision: Bits of tensors, as ``calibrate(...)["precision"]`` has them, or a file of them; without it, the
            fewest that keep the error are searched, tensor by tensor.
        max_error: Error on the samples, as a part of the output's range, above which ``InaccurateError`` is raised.
        allow_error: Go on above that error, and write it into key and proof.
        weights: ``committed`` hides them; ``public`` and ``embedded`` do not.
        private: The weights are private: refuse what would publish them.
        inputs: Who sees inputs, by their names: ``public`` (the default), ``private``, ``committed`` or ``hashed``.
        outputs: Who sees outputs, likewise.
        min_k: Least size of the circuit, as log2 of its rows: models that share commitments have one size.
        dimensions: Sizes of symbolic dimensions, by their names.
        costs: Prices that the circuit is chosen by: ``reference``, ``measured`` on ``backend``, a file or a dictionary.
        backend: Where prices are measured.
        inferences: Inputs that each proof is of, together.
        segments: Circuits that the model is cut into, which are proved one after the other or side by side; without it
            one, or as many as the memory demands.
        max_memory: Bytes of memory that keys and proof may need, of segments each; without it, what is free.
        progress: Is called with each step.

    Returns:
        The compiled model, which holds the quantised weights.

    Raises:
        InvalidModelError, UnsupportedModelError: for the model.
        ShapeError, ElementTypeError, ValuesError, InputError, QuantiseError: for the samples.
        InaccurateError: above ``max_error``.
        PrivateWeightsError: where private weights would be published.
        WouldNotFitError: where no circuit, or no machine's memory, is large enough.
    """
    return _model(model, dimensions, progress).compile(
        calibration,
        precision=precision,
        max_error=max_error,
        allow_error=allow_error,
        weights=weights,
        private=private,
        inputs=inputs,
        outputs=outputs,
        min_k=min_k,
        costs=costs,
        backend=backend,
        inferences=inferences,
        segments=segments,
        max_memory=max_memory,
        progress=progress,
    )


def setup(
    compiled: CompiledLike,
    *,
    srs: Srs | Path | None = None,
    backend: str = "auto",
    unproven_weights: bool = False,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> ProvingKey:
    """Makes a compiled model's keys, once for any number of proofs.

    Args:
        compiled: A ``CompiledModel``, or its file (path or bytes).
        srs: The reference string of a ceremony, a file (.ptau, or Halo2's parameters) or an ``Srs``. Without it one is
            made on this machine, whose owner could forge proofs: keys and proofs say that they are insecure.
        backend: ``auto``, ``cpu``, ``wgpu[:N]``, ``cuda[:N]``, ``icicle``, or ``dual:A,B`` to compare two.
        unproven_weights: Do without the proof that the weights are integers that fit the architecture: proofs say so.
        max_memory: Bytes of memory that may be used; without it, what is free.
        progress: Is called with each step.

    Returns:
        The proving key, which is private; ``write_pair`` writes it and what is to be published.

    Raises:
        ArtifactError: for a damaged file.
        SrsError: for a reference string that is refused.
        NoDeviceError, DeviceError, WouldNotFitError: for the machine.
    """
    if not isinstance(compiled, CompiledModel):
        compiled = CompiledModel.load(compiled)
    return compiled.setup(
        srs, backend=backend, unproven_weights=unproven_weights, max_memory=max_memory, progress=progress
    )


def retrain(
    key: ProvingKeyLike,
    model: Path | bytes | bytearray,
    calibration: Samples,
    *,
    max_error: float = 0.016,
    allow_error: bool = False,
    backend: str = "auto",
    progress: Progress | None = None,
) -> ProvingKey:
    """Makes keys for a retrained model of the same architecture under an old key's circuit.

    Args:
        key: The proving key of the model before, or its file.
        model: The retrained model, an ONNX file (path or bytes).
        calibration: Samples on which the new error is measured, as ``compile`` takes them.
        max_error: Error on them above which nothing is made.
        allow_error: Go on above it.
        backend: As for ``setup``.
        progress: Is called with each step.

    Raises:
        OtherArchitectureError, SaturatesError, EmbeddedWeightsError, InaccurateError: where it cannot be.
    """
    if not isinstance(key, ProvingKey):
        key = ProvingKey.load(key)
    return key.retrain(
        model, calibration, max_error=max_error, allow_error=allow_error, backend=backend, progress=progress
    )


def commit(
    key: ProvingKey | VerifyingKey | Path | bytes | bytearray,
    name: str,
    values: npt.ArrayLike,
    *,
    srs: Srs | None = None,
) -> Opening:
    """Commits to a committed input or output of a model, before any proof.

    Args:
        key: The proving key, which has the points of its reference string; or a verifying key (or its file), with
            ``srs``.
        name: The input or output.
        values: Its numbers: an array of its shape, or a flat one.
        srs: The reference string that the key was made with.

    Returns:
        The opening, to keep: ``prove(openings={name: opening})`` makes proofs of this commitment;
        ``opening.commitment`` is to be published.

    Raises:
        ArgumentsError: where the model has no committed tensor of this name, or the reference string is another.
        ShapeError, ValuesError: for the numbers.
    """
    if not isinstance(key, (ProvingKey, VerifyingKey)):
        key = VerifyingKey.load(key)
    return Opening.commit(key, name, values, srs=srs)


def prove(
    key: ProverLike,
    inputs: Samples,
    *,
    backend: str = "auto",
    openings: Mapping[str, Opening] | None = None,
    salts: Mapping[str, str] | None = None,
    max_saturation: float = 0.01,
    check: bool = True,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> Proof:
    """Proves what the model gives for an input.

    Several proofs are made faster with a ``Prover``, which keeps keys and points on the back end: ``key.prover()``.

    Args:
        key: The proving key, its file (path or bytes), or a ``Prover``.
        inputs: One sample: an array of the model's shape, one for each input (a list, or by names), or the path of a
            JSON file. Of a model that is compiled for several inferences, as many samples. Elements are read in the
            order of the array's indices, wherever they lie in memory.
        backend: ``auto``, ``cpu``, ``wgpu[:N]``, ``cuda[:N]``, ``icicle``, or ``dual:A,B``; a ``Prover`` has its own.
        openings: Openings of committed inputs and outputs, by their names, whose commitments the proof shall have.
        salts: Salts of hashed inputs and outputs, by their names.
        max_saturation: Share of an input's values that may lie beyond the calibrated range, where they are clamped.
        check: Verify the proof before it is returned, as its receiver will.
        max_memory: Bytes of memory that may be used; without it, what is free.
        progress: Is called with each step.

    Returns:
        The proof. ``backend`` and ``device`` say what it was made on, ``outputs`` what it shows.

    Raises:
        ShapeError, ElementTypeError, ValuesError, SaturationError, InputError, InferencesError: for the inputs.
        ArgumentsError: for openings and salts that do not fit the key.
        NoDeviceError, DeviceError, WouldNotFitError: for the machine.
    """
    if not isinstance(key, Prover):
        if not isinstance(key, ProvingKey):
            key = ProvingKey.load(key, progress=progress)
        key = key.prover(backend, max_memory=max_memory, proofs=1, progress=progress)
    elif backend != "auto" or max_memory is not None:
        raise ArgumentsError(
            "a prover has its back end and its memory already\nhint: give them to ProvingKey.prover", "arguments"
        )
    return key.prove(
        inputs, openings=openings, salts=salts, max_saturation=max_saturation, check=check, progress=progress
    )


def verify(
    proof: ProofLike,
    key: VerifyingKeyLike,
    *,
    commitments: Mapping[str, Commitment] | None = None,
    hashes: Mapping[str, str] | None = None,
) -> Verdict:
    """Checks a proof.

    Args:
        proof: The proof, or its file (path or bytes), from whoever.
        key: The model's verifying key, or its file, from someone you trust.
        commitments: Commitments that inputs and outputs shall have, by their names.
        hashes: Hashes, likewise.

    Returns:
        What the proof shows, with numbers from the proof and everything else from the key.

    Raises:
        RejectedError: where it does not hold.
        FileError, ArtifactError: for files that are none.
    """
    if not isinstance(key, VerifyingKey):
        key = VerifyingKey.load(key)
    if not isinstance(proof, Proof):
        proof = Proof.load(proof)
    return key.verify(proof, commitments=commitments, hashes=hashes)


def evaluate(
    model: ModelLike,
    data: Samples,
    *,
    calibration: Samples | None = None,
    precision: Precision | None = None,
    bits: int = 8,
    max_bits: int | None = None,
    max_error: float = 0.016,
    dimensions: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Compares a model's integers with its own numbers on samples. No circuit is made.

    Args:
        model: An ONNX file (path or bytes), or a ``Model``.
        data: Samples, as ``compile`` takes them.
        calibration: Samples that choose the scales; without it, the data.
        precision: Bits of tensors, as for ``compile``, instead of a search.
        bits: Bits of activations to begin with, 2 to 16.
        max_bits: Most bits; 10, or ``bits`` where those are more.
        max_error: Error above which activations get more bits, as a part of the output's range.
        dimensions: Sizes of symbolic dimensions, by their names.
        progress: Is called with each step.

    Returns:
        ``samples``, ``activation_bits``, ``argmax_agreement``, and lists ``outputs`` and ``layers`` of errors: parts of
        each tensor's range in floating point. The worst layers come first.
    """
    return _model(model, dimensions, progress).evaluate(
        data,
        calibration=calibration,
        precision=precision,
        bits=bits,
        max_bits=max_bits,
        max_error=max_error,
        progress=progress,
    )


def calibrate(
    model: ModelLike,
    data: Samples,
    *,
    target: str = "speed",
    max_error: float = 0.016,
    min_bits: int = 4,
    max_bits: int | None = None,
    dimensions: Mapping[str, int] | None = None,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """Searches bits for all tensors.

    Args:
        model: An ONNX file (path or bytes), or a ``Model``.
        data: Samples, as ``compile`` takes them.
        target: ``speed`` for the fewest bits that keep the error, ``accuracy`` for the least error.
        max_error: Error on the samples that is to be kept, as a part of the output's range.
        min_bits: Fewest bits of a tensor, 2 to 16.
        max_bits: Most bits; 16, or ``min_bits`` where those are more.
        dimensions: Sizes of symbolic dimensions, by their names.
        progress: Is called with each step.

    Returns:
        ``precision``, for ``compile``, ``plan`` and ``evaluate``; ``reached``, whether the error is kept; what
        ``evaluate`` tells; and ``plan``, what it will cost by reference prices.
    """
    return _model(model, dimensions, progress).calibrate(
        data, target=target, max_error=max_error, min_bits=min_bits, max_bits=max_bits, progress=progress
    )


def plan(
    model: ModelLike | CompiledModel,
    calibration: Samples | None = None,
    *,
    costs: Costs = "measured",
    backend: str = "auto",
    max_memory: int | None = None,
    progress: Progress | None = None,
    **options: Any,
) -> dict[str, Any]:
    """Tells what keys, proof and verification will cost, before anything is proved.

    Args:
        model: An ONNX file (path or bytes) or a ``Model``, with ``calibration``; or a ``CompiledModel``.
        calibration: Samples, as ``compile`` takes them.
        costs: Prices: ``measured`` on ``backend`` (a tenth of a second), ``reference``, a file or a dictionary.
        backend: Where they are measured.
        max_memory: Bytes of memory that may be used; without it, what is free.
        progress: Is called with each step.
        options: Others of ``compile``.

    Returns:
        ``k``, columns, rows and ``layers``; ``prove_ms``, ``prove_cpu_ms`` and ``verify_ms`` in milliseconds;
        ``proof_bytes``, ``key_bytes`` and ``memory_bytes``; ``costs``, the prices, which ``compile`` takes.
    """
    if isinstance(model, CompiledModel):
        if calibration is not None or options:
            raise ArgumentsError(
                "a compiled model has its calibration and options already\nhint: leave them out", "arguments"
            )
        return model.plan(costs=costs, backend=backend, max_memory=max_memory, progress=progress)
    # What it would cost is no promise of accuracy.
    options.setdefault("allow_error", True)
    compiled = compile(
        model, calibration, costs=costs, backend=backend, max_memory=max_memory, progress=progress, **options
    )
    priced = compiled.about["source"]["costs"]
    return compiled.plan(costs=priced, backend=backend, max_memory=max_memory, progress=progress)


def bench(
    key: ProvingKeyLike,
    inputs: Samples,
    *,
    backends: Sequence[str] | None = None,
    rounds: int = 5,
    max_memory: int | None = None,
    progress: Progress | None = None,
) -> list[dict[str, Any]]:
    """Times proofs of one input on back ends, in turns, and verification of each proof.

    Args:
        key: The proving key, or its file.
        inputs: One sample, as ``prove`` takes it.
        backends: Their names; without them, all hardware that ``devices`` finds.
        rounds: Proofs on each, after one that is not counted.
        max_memory: Bytes of memory that may be used; without it, what is free.
        progress: Is called with each step.

    Returns:
        For each back end ``backend``, ``device``, ``load_ms``, ``proof_bytes``, and lists with one number for each
        round, in milliseconds: ``prove_ms``, ``prove_cpu_ms`` (of all threads of the process), ``witness_ms`` and
        ``verify_ms``; and the medians under ``median``.
    """
    # Its imports would be half of this package's.
    import statistics

    if rounds < 1:
        raise ArgumentsError(f"rounds = {rounds} measures nothing\nhint: 1 or more", "arguments")
    if not isinstance(key, ProvingKey):
        key = ProvingKey.load(key)
    names = list(backends) if backends is not None else _hardware()
    results: list[dict[str, Any]] = []
    provers: list[Prover] = []
    for name in names:
        start = time.perf_counter()
        prover = key.prover(name, max_memory=max_memory, progress=progress)
        result: dict[str, Any] = {"backend": prover.backend, "device": prover.device}
        result["load_ms"] = 1e3 * (time.perf_counter() - start)
        result |= {"prove_ms": [], "prove_cpu_ms": [], "witness_ms": [], "verify_ms": []}
        provers.append(prover)
        results.append(result)
    # In turns, so that what else the machine does is shared; a first round warms caches.
    for counted in [False] + [True] * rounds:
        for prover, result in zip(provers, results):
            cpu = time.process_time()
            proof = prover.prove(inputs, check=False, progress=progress)
            cpu_ms = 1e3 * (time.process_time() - cpu)
            verdict = prover.verifying_key.verify(proof)
            result["proof_bytes"] = len(proof.proof_bytes)
            if counted:
                result["prove_ms"].append(proof.prove_ms)
                result["prove_cpu_ms"].append(cpu_ms)
                result["witness_ms"].append(proof.witness_ms)
                result["verify_ms"].append(verdict.verify_ms)
    for result in results:
        result["median"] = {name: statistics.median(result[name]) for name in result if isinstance(result[name], list)}
    return results


def _hardware() -> list[str]:
    """Names of the back ends that run on hardware: a software GPU is measured if it is named."""
    names = []
    for device in devices():
        if device["available"] and not device["software"]:
            names.append(device["backend"] if device["index"] is None else f"{device['backend']}:{device['index']}")
    return names
