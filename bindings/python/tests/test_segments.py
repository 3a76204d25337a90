"""Models in segments: files, proofs in one go and by tasks, refusals."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from conftest import Network

import zkml_gpu
from zkml_gpu import errors


def test_segments_are_compiled_kept_and_proved_like_any_model(residual: Network, tmp_path: Path) -> None:
    compiled, key = residual.compiled, residual.key
    assert compiled.segments == key.compiled.segments == key.verifying_key.segments == residual.prover.segments == 2
    assert "2 segments" in repr(compiled)
    again = zkml_gpu.CompiledModel.load(compiled.to_bytes())
    assert (again.segments, again.k, again.parameters, again.inputs) == (2, compiled.k, compiled.parameters, compiled.inputs)
    plan = compiled.plan()
    assert [segment["circuit"] for segment in plan["segments"]] == [0, 1]
    assert residual.prover.memory["memory_bytes"] > 0

    paths = key.write_pair(tmp_path, "net")
    read = zkml_gpu.ProvingKey.load(paths[0])
    verifying = zkml_gpu.VerifyingKey.load(paths[1])
    assert verifying.digest == key.verifying_key.digest == zkml_gpu.inspect(paths[1])["digest"]
    proof = zkml_gpu.prove(read, residual.sample, backend="cpu")
    assert proof.segments == 2 and proof.prove_ms and proof.proof_bytes
    verdict = zkml_gpu.verify(zkml_gpu.Proof.load(proof.to_bytes()), verifying)
    [shown], [inferred] = verdict.outputs, residual.prover.infer(residual.sample)
    assert shown.values is not None and inferred.values is not None
    np.testing.assert_array_equal(shown.values, inferred.values)
    [expected] = residual.model.run(residual.sample)
    assert shown.reals is not None
    extent = float(expected.max() - expected.min())
    assert np.abs(shown.reals - expected).max() < 0.02 * extent

    whole = zkml_gpu.compile(residual.model, residual.calibration, allow_error=True)
    other = zkml_gpu.setup(whole, backend="cpu", unproven_weights=True)
    assert other.verifying_key.segments is None
    with pytest.raises(errors.ArtifactError, match="in segments, the key is of a model in one piece"):
        other.verifying_key.verify(proof)
    with pytest.raises(errors.ArgumentsError, match="segments = 0"):
        zkml_gpu.compile(residual.model, residual.calibration, segments=0)


def test_segments_are_proved_as_tasks_in_any_order(residual: Network) -> None:
    job = residual.prover.begin(residual.sample)
    tasks = job.tasks
    assert len(tasks) == 2
    # Whoever has the key proves them, here from its bytes.
    worker = zkml_gpu.ProvingKey.load(residual.key.to_bytes()).prover("cpu")
    made = [worker.prove_segment(task) for task in reversed(tasks)]
    assert [segment for segment, _, _ in made] == [1, 0]
    assert all(times["prove_ms"] > 0 for _, _, times in made)
    proofs = [(segment, proof) for segment, proof, _ in made]
    with pytest.raises(errors.ArgumentsError, match="1 proofs"):
        job.finish(proofs[:1])
    with pytest.raises(errors.ArgumentsError, match="of 1 different segments"):
        job.finish([proofs[0], proofs[0]])
    # The proof of another inference's segment is about other tensors between.
    other = residual.prover.begin([array * 0.5 for array in residual.sample])
    strange = worker.prove_segment(other.tasks[1])
    with pytest.raises(errors.BugError, match="was rejected"):
        job.finish([proofs[1], strange[:2]])
    proof = job.finish(proofs)
    zkml_gpu.verify(proof, residual.key.verifying_key)
    with pytest.raises(errors.ArgumentsError, match="finished"):
        job.finish(proofs)


def test_tasks_of_others_and_damaged_ones_are_refused(residual: Network, gemm: Network) -> None:
    task = residual.prover.begin(residual.sample).tasks[0]
    strange = zkml_gpu.setup(residual.compiled, backend="cpu", unproven_weights=True).prover("cpu")
    with pytest.raises(errors.ArgumentsError, match="another key"):
        strange.prove_segment(task)
    for damaged in [task[:-1], task[:40], b"", task[:60] + bytes([task[60] ^ 1]) + task[61:], task + b"\0"]:
        with pytest.raises(errors.ArtifactError):
            residual.prover.prove_segment(damaged)
    with pytest.raises(errors.ArgumentsError, match="in one piece"):
        gemm.prover.begin(gemm.sample)
    with pytest.raises(errors.SaturationError):
        residual.prover.begin([array * 1e6 for array in residual.sample])


def test_tensors_of_segments_are_committed_to_and_retrained_keys_keep_circuits(residual: Network) -> None:
    compiled = zkml_gpu.compile(
        residual.model, residual.calibration, allow_error=True, segments=2, inputs={"input": "committed"}
    )
    key = zkml_gpu.setup(compiled, backend="cpu", unproven_weights=True)
    opening = zkml_gpu.commit(key, "input", residual.sample[0])
    proof = zkml_gpu.prove(key, residual.sample, openings={"input": opening}, backend="cpu")
    key.verifying_key.verify(proof, commitments={"input": opening.commitment})
    assert list(proof.openings) == ["input"]
    other = zkml_gpu.commit(key, "input", residual.sample[0])
    with pytest.raises(errors.RejectedError):
        key.verifying_key.verify(proof, commitments={"input": other.commitment})
    with pytest.raises(errors.ArgumentsError, match="no input or output 'z'"):
        zkml_gpu.commit(key, "z", residual.sample[0])

    new = residual.key.retrain(residual.file, residual.calibration, allow_error=True, backend="cpu")
    assert new.verifying_key.segments == 2 and new.verifying_key.digest != residual.key.verifying_key.digest
    proof = zkml_gpu.prove(new, residual.sample, backend="cpu")
    zkml_gpu.verify(proof, new.verifying_key)
    with pytest.raises(errors.RejectedError):
        zkml_gpu.verify(proof, residual.key.verifying_key)
