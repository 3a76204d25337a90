"""Proofs on a local cluster of several worker processes, where Ray is installed."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Network

import zkml_gpu
from zkml_gpu import errors

ray = pytest.importorskip("ray")
zkml_ray = pytest.importorskip("zkml_gpu.ray")

#: Of the cluster, whatever the machine has.
WORKERS = 2


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    # Nothing is asked of or sent to others, and no page is served.
    os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray.init(num_cpus=WORKERS, include_dashboard=False, log_to_driver=False, object_store_memory=100 << 20)
    yield
    ray.shutdown()


def inputs(count: int) -> list[np.ndarray[Any, Any]]:
    random = np.random.default_rng(7)
    return list(random.uniform(-0.5, 0.5, (count, 1, 6)).astype(np.float32))


def check(network: Network, result: Any, sample: np.ndarray[Any, Any]) -> None:
    """The proof holds, and is of the input."""
    assert result.error is None, result
    verdict = zkml_gpu.verify(result.proof, network.key.verifying_key)
    shown, step = verdict.inputs[0].reals, 2.0 ** -verdict.inputs[0].frac_bits
    assert shown is not None
    np.testing.assert_allclose(shown, sample, rtol=0, atol=0.51 * step)
    assert result.proof.backend == "cpu"
    assert result.prove_ms > 0


def test_results_come_from_several_processes_with_the_threads_that_were_declared(
    cluster: None, gemm: Network
) -> None:
    samples = inputs(8)
    results = list(zkml_ray.prove(gemm.key, samples))
    assert sorted(result.index for result in results) == list(range(8))
    for result in results:
        check(gemm, result, samples[result.index])
        assert "1 thread" in result.device
    workers = {result.worker for result in results}
    assert 1 < len(workers) <= WORKERS and os.getpid() not in workers
    ordered = list(zkml_ray.prove(gemm.key.to_bytes(), samples[:4], ordered=True, num_cpus=2))
    assert [result.index for result in ordered] == [0, 1, 2, 3]
    assert all("2 threads" in result.device for result in ordered)


def test_a_worker_that_is_killed_in_the_middle_loses_nothing(cluster: None, gemm: Network) -> None:
    samples = inputs(12)
    killed: set[int] = set()
    results = []
    for result in zkml_ray.prove(gemm.key, samples, in_flight=4):
        results.append(result)
        # All that are known, twice: what they were at is run again by others.
        if len(results) in (2, 6) and result.worker is not None:
            for worker in {known.worker for known in results[-2:]} - killed:
                os.kill(worker, signal.SIGKILL)
                killed.add(worker)
    assert killed and sorted(result.index for result in results) == list(range(12))
    for result in results:
        check(gemm, result, samples[result.index])
    assert {result.worker for result in results} - killed


def test_inputs_without_a_proof_are_set_aside_with_their_error(cluster: None, gemm: Network) -> None:
    good = inputs(3)
    nan = good[0].copy()
    nan[0, 3] = np.nan
    samples: list[Any] = [good[0], nan, good[1], np.zeros((6, 1)), good[2], good[0] * 1e6]
    samples += [np.array([["a"]]), Path("none.json")]
    results = list(zkml_ray.prove(gemm.key, samples, ordered=True))
    expected = [None, errors.ValuesError, None, errors.ShapeError, None, errors.SaturationError,
                errors.ElementTypeError, errors.FileError]
    for result, kind, sample in zip(results, expected, samples, strict=True):
        if kind is None:
            check(gemm, result, sample)
        else:
            assert type(result.error) is kind and result.proof is None and result.error.hint


class Fatal:
    """Ends whatever process it arrives at."""

    def __reduce__(self) -> Any:
        return os._exit, (1,)


def test_an_input_that_ends_its_worker_is_set_aside_in_the_end(cluster: None, gemm: Network) -> None:
    samples: list[Any] = [*inputs(2), Fatal(), *inputs(1)]
    results = list(zkml_ray.prove(gemm.key, samples, ordered=True, max_retries=1, in_flight=1))
    assert [result.error is None for result in results] == [True, True, False, True]
    assert isinstance(results[2].error, ray.exceptions.WorkerCrashedError)


def test_segments_of_a_model_are_tasks_of_their_own(cluster: None, residual: Network) -> None:
    random = np.random.default_rng(8)
    samples: list[Any] = list(random.uniform(-0.5, 0.5, (4, 1, 8)).astype(np.float32))
    samples[2] = np.full((1, 8), np.nan, np.float32)
    results = list(zkml_ray.prove(residual.key, samples, ordered=True, in_flight=4))
    assert [result.error is None for result in results] == [True, True, False, True]
    assert isinstance(results[2].error, errors.ValuesError)
    for index in (0, 1, 3):
        check(residual, results[index], samples[index])
        assert results[index].proof.segments == 2
    # Two workers share a proof, and one that is killed loses nothing.
    killed = False
    done = []
    for result in zkml_ray.prove(residual.key, samples[:2] * 3, in_flight=4):
        done.append(result)
        if not killed and result.worker is not None:
            os.kill(result.worker, signal.SIGKILL)
            killed = True
    assert killed and sorted(result.index for result in done) == list(range(6))
    for result in done:
        check(residual, result, samples[result.index % 2])


def test_endless_inputs_are_taken_as_there_is_room(cluster: None, gemm: Network) -> None:
    taken = 0

    def endless() -> Iterator[Any]:
        nonlocal taken
        while True:
            taken += 1
            yield inputs(1)[0]

    results = zkml_ray.prove(gemm.key, endless(), in_flight=3)
    for _ in range(4):
        assert next(results).error is None
    results.close()
    assert taken <= 7
    # The cluster is free again.
    assert next(zkml_ray.prove(gemm.key, inputs(1))).error is None


def test_calls_that_mean_nothing(cluster: None, gemm: Network, tmp_path: Path) -> None:
    with pytest.raises(errors.ArgumentsError, match="without resources"):
        zkml_ray.prove(gemm.key, [], num_cpus=0)
    with pytest.raises(errors.ArgumentsError, match="in_flight = 0"):
        zkml_ray.prove(gemm.key, [], in_flight=0)
    with pytest.raises(errors.FileError):
        zkml_ray.prove(tmp_path / "none.pk", [])
    with pytest.raises(errors.ArtifactError):
        zkml_ray.prove(gemm.key.verifying_key.to_bytes(), [])
    [result] = zkml_ray.prove(gemm.key, inputs(1), backend="cuda:99", max_retries=0)
    assert isinstance(result.error, errors.NoDeviceError)
    assert list(zkml_ray.prove(gemm.key, [])) == []
