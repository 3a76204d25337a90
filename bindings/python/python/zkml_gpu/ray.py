"""Many proofs on a cluster of Ray's.

    import ray, zkml_gpu.ray

    ray.init()
    for result in zkml_gpu.ray.prove("lenet.pk", images, num_cpus=4):
        if result.error:
            print(result.index, "set aside:", result.error)
        else:
            result.proof.write(f"{result.index}.proof.json")

Every input is a task of Ray's with the resources that it declares, and of a model in segments every segment of it: Ray
chooses where it runs, and runs it again where a worker or a node goes away. The key is put into the object store once, from where each node has one copy; a worker
process loads it with its first proof and keeps it. Results come as they are made. An input that has no proof is set
aside with its error, and the others go on.

The nodes need this package and numpy. **The key is private**, and so is the task of a segment: whoever may run tasks on
the cluster may read both.

Needs ``ray``, which this package does not install.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import ray
from ray.exceptions import RayError, RayTaskError

from ._native import Job, Proof, Prover, ProvingKey
from .errors import ArgumentsError, Error

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ._types import ProvingKeyLike, Samples

__all__ = ["Result", "prove"]

#: Keys that a process keeps loaded: each takes as much memory as its proofs.
_MOST_LOADED = 1
_loaded: dict[str, Prover] = {}


@dataclass(frozen=True)
class Result:
    """What became of an input."""

    #: Which input, from 0.
    index: int
    #: Its proof; none where it was set aside.
    proof: Proof | None
    #: Why it was set aside: an exception of this package, or of Ray's where a worker ended with it again and again.
    error: Exception | None
    #: Wall time of the proof in milliseconds; of a model in segments from its first task to its last.
    prove_ms: float | None
    #: The device that it was made on, in words.
    device: str | None
    #: Ray's name of the node, and the worker's process there; of a model in segments those of its last segment.
    node: str | None
    worker: int | None


@dataclass(frozen=True)
class _Made:
    """What a task returns: plain values, since a proof's object stays in its process."""

    #: The proof's bytes, and of which segment they are, where the model has any.
    proof: bytes | None
    segment: int
    error: Error | None
    prove_ms: float | None
    device: str
    node: str
    worker: int


def prove(
    key: ProvingKeyLike,
    inputs: Iterable[Samples],
    *,
    backend: str | None = None,
    num_cpus: float = 1,
    num_gpus: float = 0,
    memory: int | None = None,
    resources: Mapping[str, float] | None = None,
    max_saturation: float = 0.01,
    max_retries: int = 3,
    in_flight: int | None = None,
    ordered: bool = False,
) -> Iterator[Result]:
    """Proves inputs on the cluster that ``ray.init`` has connected to, and yields a `Result` for each.

    ``key`` is a `ProvingKey`, its path or its bytes. ``inputs`` are what `Prover.prove` takes, one after the other: an
    array of the model's shape, a list or a dictionary of arrays, or a path that every node has. They may be endless: no
    more than ``in_flight`` are out at a time (twice what the cluster has room for, unless another number is given).

    Each proof, or each segment's, is a task that declares ``num_cpus`` (and runs as many threads), ``num_gpus``, ``memory`` in bytes and
    other ``resources``. ``backend`` is ``"cpu"`` where no GPU is declared, and ``"auto"`` where one is: Ray shows a
    task the GPUs that are its own. A task whose worker or node goes away is run again ``max_retries`` times.

    Results come as they are made, or with ``ordered`` in the order of the inputs. Who stops before the end ends the
    tasks that are out.

    Raises the key's errors, and `ArgumentsError`; errors of inputs are in their results.
    """
    if num_cpus <= 0 and num_gpus <= 0:
        problem = "a task without resources would run everywhere at once"
        raise ArgumentsError(f"{problem}\nhint: declare num_cpus or num_gpus", "arguments")
    if in_flight is not None and in_flight < 1:
        raise ArgumentsError(f"in_flight = {in_flight} lets nothing run\nhint: 1 at least", "arguments")
    own = key if isinstance(key, ProvingKey) else ProvingKey.load(key)
    # Before an iterator is asked: what is wrong with the call is said where it is called.
    placed = ray.put(np.frombuffer(own.to_bytes(), np.uint8))
    threads = max(1, int(num_cpus))
    task = _prove.options(
        num_cpus=num_cpus,
        num_gpus=num_gpus,
        memory=memory,
        resources=dict(resources or {}),
        max_retries=max_retries,
        # A node where the key cannot be loaded is not the only one.
        retry_exceptions=[_NotLoadedError],
        # A process has its threads from its first proof on: those with another number are other processes.
        runtime_env={"env_vars": {"RAYON_NUM_THREADS": str(threads)}},
    )
    chosen = backend or ("auto" if num_gpus > 0 else "cpu")
    most = in_flight or 2 * max(1, _room(num_cpus, num_gpus))
    if own.verifying_key.segments is None:
        results = _results(task, [placed], chosen, inputs, max_saturation, most)
    else:
        # What comes before the segments' proofs is a hundredth of them.
        results = _segmented(task, [placed], chosen, inputs, max_saturation, most, own.prover("cpu"))
    return _in_order(results) if ordered else results


def _room(num_cpus: float, num_gpus: float) -> int:
    """Tasks that the cluster has room for at a time."""
    there: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
    rooms = [there.get(name, 0) / wanted for name, wanted in (("CPU", num_cpus), ("GPU", num_gpus)) if wanted > 0]
    return int(min(rooms))


def _results(
    task: Any, placed: list[Any], backend: str, inputs: Iterable[Samples], max_saturation: float, most: int
) -> Iterator[Result]:
    """Results as they are made."""
    out: dict[Any, int] = {}
    left = enumerate(inputs)
    try:
        while True:
            while len(out) < most and (following := next(left, None)) is not None:
                index, sample = following
                out[task.remote(placed, backend, sample, max_saturation)] = index
            if not out:
                return
            [done], _ = ray.wait(list(out), num_returns=1)
            yield _result(out.pop(done), done)
    finally:
        for reference in out:
            ray.cancel(reference, force=True)


def _result(index: int, reference: Any) -> Result:
    made = _made(reference)
    if isinstance(made, Exception):
        return Result(index, None, made, None, None, None, None)
    proof = None if made.proof is None else Proof.load(made.proof)
    return Result(index, proof, made.error, made.prove_ms, made.device, made.node, made.worker)


def _made(reference: Any) -> _Made | Exception:
    """What a task returned, or why it returned nothing."""
    try:
        made: _Made = ray.get(reference)
    except RayTaskError as error:
        cause = error.cause if isinstance(error.cause, Exception) else error
        return cause.error if isinstance(cause, _NotLoadedError) else cause
    except RayError as error:
        # Its workers ended again and again, and Ray has given up.
        return error
    return made


@dataclass
class _Begun:
    """An input whose segments are being proved."""

    job: Job
    left: int
    proofs: list[tuple[int, bytes]]


def _segmented(
    task: Any,
    placed: list[Any],
    backend: str,
    inputs: Iterable[Samples],
    max_saturation: float,
    most: int,
    prover: Prover,
) -> Iterator[Result]:
    """Results as they are made, of a model in segments: each of them is a task."""
    out: dict[Any, int] = {}
    begun: dict[int, _Begun] = {}
    left = enumerate(inputs)
    try:
        while True:
            while len(out) < most and (following := next(left, None)) is not None:
                index, sample = following
                try:
                    job = prover.begin(sample, max_saturation=max_saturation)
                except Error as error:
                    yield Result(index, None, error, None, None, None, None)
                    continue
                tasks = job.tasks
                begun[index] = _Begun(job, len(tasks), [])
                for segment in tasks:
                    out[task.remote(placed, backend, segment, max_saturation)] = index
            if not out:
                return
            [done], _ = ray.wait(list(out), num_returns=1)
            index = out.pop(done)
            if (result := _joined(index, begun, _made(done))) is not None:
                del begun[index]
                # An input that is set aside needs no other segment of its own.
                for reference in [reference for reference, own in out.items() if own == index]:
                    ray.cancel(reference, force=True)
                    del out[reference]
                yield result
    finally:
        for reference in out:
            ray.cancel(reference, force=True)


def _joined(index: int, begun: dict[int, _Begun], made: _Made | Exception) -> Result | None:
    """An input's result, once all its segments are proved or one of them cannot be."""
    own = begun[index]
    if isinstance(made, Exception):
        return Result(index, None, made, None, None, None, None)
    if made.proof is None:
        return Result(index, None, made.error, None, made.device, made.node, made.worker)
    own.proofs.append((made.segment, made.proof))
    own.left -= 1
    if own.left > 0:
        return None
    try:
        proof = own.job.finish(own.proofs)
    except Error as error:
        return Result(index, None, error, None, made.device, made.node, made.worker)
    return Result(index, proof, None, proof.prove_ms, made.device, made.node, made.worker)


def _in_order(results: Iterator[Result]) -> Iterator[Result]:
    early: dict[int, Result] = {}
    following = 0
    for result in results:
        early[result.index] = result
        while following in early:
            yield early.pop(following)
            following += 1


class _NotLoadedError(Exception):
    """The key cannot be loaded where the task runs: no fault of the input's."""

    def __init__(self, error: Error) -> None:
        super().__init__(error)
        self.error = error


def _prover(placed: list[Any], backend: str) -> Prover:
    """The key on a back end, which this process keeps."""
    [reference] = placed
    name = f"{reference.hex()} {backend}"
    if name not in _loaded:
        while len(_loaded) >= _MOST_LOADED:
            _loaded.pop(next(iter(_loaded)))
        try:
            _loaded[name] = ProvingKey.load(ray.get(reference).tobytes()).prover(backend)
        except Error as error:
            raise _NotLoadedError(error) from error
    return _loaded[name]


@ray.remote
def _prove(placed: list[Any], backend: str, sample: Any, max_saturation: float) -> _Made:
    """One proof in a worker's process; of a model in segments that of a segment, whose task the sample is.

    The key comes inside a list, so that Ray does not fetch it for every task.
    """
    prover = _prover(placed, backend)
    node, worker = ray.get_runtime_context().get_node_id(), os.getpid()
    try:
        if prover.segments is not None:
            segment, made, times = prover.prove_segment(sample)
            return _Made(made, segment, None, times["prove_ms"], prover.device, node, worker)
        proof = prover.prove(sample, max_saturation=max_saturation)
    except Error as error:
        return _Made(None, 0, error, None, prover.device, node, worker)
    return _Made(proof.to_bytes(), 0, None, proof.prove_ms, prover.device, node, worker)
