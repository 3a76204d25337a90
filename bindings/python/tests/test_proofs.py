"""From a model to an accepted proof, in every way of giving files and inputs."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest
from conftest import OPS, Network

import zkml_gpu
from zkml_gpu import errors


def test_a_proof_shows_what_the_model_gives(gemm: Network) -> None:
    verdict = zkml_gpu.verify(gemm.proof, gemm.key.verifying_key)
    (output,), (expected,) = verdict.outputs, gemm.model.run(gemm.sample)
    assert output.reals is not None and output.values is not None
    assert output.reals.shape == (1, 4) and output.reals.dtype == np.float64 and output.values.dtype == np.int64
    extent = float(np.ptp(expected))
    np.testing.assert_allclose(output.reals, expected, atol=0.2 * extent)
    np.testing.assert_array_equal(output.reals, output.values * output.mantissa * 2.0**-output.frac_bits)
    assert verdict.model == "gemm_plain" and verdict.verifying_key == gemm.key.verifying_key.digest
    assert verdict.is_insecure and "exact integers" in verdict.note and verdict.verify_ms > 0
    (given,) = verdict.inputs
    assert given.reals is not None
    np.testing.assert_allclose(given.reals, gemm.sample[0], atol=0.2 * float(np.ptp(gemm.sample[0])))


def test_outputs_are_told_before_their_proof(gemm: Network, two_inputs: Network) -> None:
    for network in (gemm, two_inputs):
        told = network.prover.infer(network.sample)
        for before, proved in zip(told, network.proof.outputs, strict=True):
            assert (before.name, before.shape, before.range) == (proved.name, proved.shape, proved.range)
            np.testing.assert_array_equal(before.values, proved.values)
    with pytest.raises(zkml_gpu.errors.ShapeError):
        gemm.prover.infer(np.zeros((6, 1)))
    with pytest.raises(zkml_gpu.errors.SaturationError):
        gemm.prover.infer(np.full((1, 6), 1e6))


def test_the_result_says_what_it_was_made_on(gemm: Network) -> None:
    assert gemm.proof.backend == "cpu" == gemm.prover.backend
    assert gemm.proof.device == gemm.prover.device and "processor" in (gemm.proof.device or "")
    assert (gemm.proof.prove_ms or 0) > (gemm.proof.witness_ms or 1e9) > 0
    read = zkml_gpu.Proof.load(gemm.proof.to_bytes())
    assert read.backend == "cpu" and read.device is None and read.prove_ms is None and read.openings == {}


def test_files_bytes_and_objects_are_one(gemm: Network, tmp_path: Path) -> None:
    # In files, from the model to the verdict.
    compiled = zkml_gpu.compile(str(gemm.file), gemm.samples, allow_error=True)
    compiled.write(tmp_path / "m.zkml")
    assert compiled.to_bytes() == (tmp_path / "m.zkml").read_bytes()
    key = zkml_gpu.setup(tmp_path / "m.zkml", backend="cpu")
    pk, vk, public = key.write_pair(tmp_path / "keys", "m")
    assert [Path(path).name for path in (pk, vk, public)] == ["m.pk", "m.vk", "m.public.zkml"]
    with pytest.raises(errors.ArgumentsError, match="is there already"):
        key.write_pair(tmp_path / "keys", "m")
    key.write_pair(tmp_path / "keys", "m", replace=True)
    with pytest.raises(errors.ArgumentsError, match="no name of a file"):
        key.write_pair(tmp_path, "../m")
    proof = zkml_gpu.prove(pk, gemm.sample[0], backend="cpu")
    proof.write(tmp_path / "proof.json")
    verdict = zkml_gpu.verify(tmp_path / "proof.json", vk)
    assert verdict.outputs[0].name == "gemm0"
    # In memory.
    model = zkml_gpu.Model.load(gemm.file.read_bytes(), name="gemm_plain")
    assert model.digest == gemm.model.digest and model.name == gemm.model.name
    key = zkml_gpu.ProvingKey.load(bytearray(Path(pk).read_bytes()))
    assert key.to_bytes() == Path(pk).read_bytes()
    assert zkml_gpu.VerifyingKey.load(Path(vk).read_bytes()).digest == key.verifying_key.digest
    zkml_gpu.verify(proof.to_bytes(), key.verifying_key.to_bytes())
    for path, kind in [("m.zkml", "compiled model"), ("keys/m.pk", "proving key"), ("keys/m.vk", "verifying key"),
                       ("keys/m.public.zkml", "public model"), ("proof.json", "proof")]:
        assert zkml_gpu.inspect(tmp_path / path)["kind"] == kind
    with pytest.raises(errors.ArgumentsError, match="no file of this program"):
        zkml_gpu.inspect(gemm.file)


def test_inputs_are_given_as_arrays_lists_names_or_a_file(two_inputs: Network, tmp_path: Path) -> None:
    first, second = two_inputs.sample
    names = [name for name, _ in two_inputs.model.inputs]
    sample = tmp_path / "one.json"
    flat = [array.ravel().tolist() for array in (first, second)]
    sample.write_text(f'{{"input_data": {flat}}}')
    expected = two_inputs.proof.outputs[0].values
    lists = [first.tolist(), second.tolist()]
    for inputs in ([first, second], (first, second), dict(zip(names, (first, second))), lists,
                   [first[0], second[0]], {names[1]: second, names[0]: first}, sample, str(sample)):
        proof = two_inputs.prover.prove(inputs)
        np.testing.assert_array_equal(proof.outputs[0].values, expected)
    zkml_gpu.verify(proof, two_inputs.key.verifying_key)


def test_indices_are_whole_numbers(tokens: Network) -> None:
    indices = tokens.sample[0].astype(np.int64)
    proof = tokens.prover.prove(indices)
    np.testing.assert_array_equal(proof.inputs[0].values, indices)
    with pytest.raises(errors.ValuesError, match=r"no index at \[0, 1\]\nhint: give whole numbers from 0 to"):
        tokens.prover.prove(indices + np.array([[0, 10**6, 0, 0, 0]]))
    with pytest.raises(errors.ValuesError, match="no index at"):
        tokens.prover.prove(indices + 0.5)


def test_several_inputs_are_proved_together(gemm: Network) -> None:
    compiled = zkml_gpu.compile(gemm.model, gemm.calibration[0], allow_error=True, inferences=2)
    assert compiled.inferences == 2 and compiled.inputs == gemm.model.inputs
    key = zkml_gpu.setup(compiled, backend="cpu", unproven_weights=True)
    together = np.concatenate([gemm.sample[0], gemm.sample[0] / 2])
    verdict = zkml_gpu.verify(zkml_gpu.prove(key, together, backend="cpu"), key.verifying_key)
    assert verdict.inferences == 2 and verdict.outputs[0].shape == [2, 4] and "field-valued" in verdict.note
    with pytest.raises(errors.InferencesError, match="a proof of 'gemm_plain' is of 2"):
        zkml_gpu.prove(key, gemm.sample, backend="cpu")
    with pytest.raises(errors.InferencesError):
        gemm.prover.prove(together)


def test_committed_tensors_are_opened_and_hashes_are_what_they_say(gemm: Network, tmp_path: Path) -> None:
    # Both ways of hiding need scales from samples that are no secret.
    compiled = zkml_gpu.compile(gemm.model, gemm.calibration, allow_error=True, inputs={"input": "committed"},
                                outputs={"gemm0": "hashed"})
    key = zkml_gpu.setup(compiled, backend="cpu", unproven_weights=True)
    opening = zkml_gpu.commit(key, "input", gemm.sample[0])
    salt = zkml_gpu.new_salt()
    proof = zkml_gpu.prove(key, gemm.sample, backend="cpu", openings={"input": opening}, salts={"gemm0": salt})
    hidden, hashed = proof.inputs[0], proof.outputs[0]
    assert (hidden.visibility, hidden.values, hidden.reals) == ("committed", None, None)
    assert hashed.visibility == "hashed" and hashed.values is None and len(hashed.hash or "") == 64
    verdict = zkml_gpu.verify(proof, key.verifying_key, commitments={"input": opening.commitment},
                              hashes={"gemm0": hashed.hash or ""})
    assert verdict.outputs[0].hash == hashed.hash
    opening.write(tmp_path / "x.opening")
    opening.commitment.write(tmp_path / "x.commitment.json")
    read = zkml_gpu.Opening.load(tmp_path / "x.opening")
    read.check(zkml_gpu.Commitment.load(tmp_path / "x.commitment.json"), key)
    assert read.commitment == opening.commitment and "input" in proof.openings
    # Another commitment to the same numbers, another hash, another salt.
    other = zkml_gpu.commit(key, "input", gemm.sample[0].ravel())
    assert other.commitment != opening.commitment
    with pytest.raises(errors.RejectedError, match="not the tensor of the commitment"):
        zkml_gpu.verify(proof, key.verifying_key, commitments={"input": other.commitment})
    with pytest.raises(errors.RejectedError, match="has not the hash"):
        zkml_gpu.verify(proof, key.verifying_key, hashes={"gemm0": zkml_gpu.new_salt()})
    with pytest.raises(errors.ArgumentsError, match="is not of this commitment"):
        read.check(other.commitment, key)
    with pytest.raises(errors.ArgumentsError, match="the salt of 'gemm0' is none") as raised:
        zkml_gpu.prove(key, gemm.sample, backend="cpu", salts={"gemm0": "secret"})
    assert "secret" not in str(raised.value)
    numbers = np.linspace(-0.1, 0.1, 4, dtype=np.float32)
    hashes = {zkml_gpu.hash_numbers(key, "gemm0", numbers, salt=salt) for salt in (salt, None, zkml_gpu.new_salt())}
    assert len(hashes) == 3
    with pytest.raises(errors.ArgumentsError, match="points of the reference string are missing"):
        zkml_gpu.commit(key.verifying_key, "input", gemm.sample[0])
    with pytest.raises(errors.ShapeError):
        zkml_gpu.commit(key, "input", np.zeros(5))
    with pytest.raises(errors.ArgumentsError, match="it has 'input', 'gemm0'"):
        zkml_gpu.commit(key, "none", gemm.sample[0])


def test_a_reference_string_is_kept_and_named(gemm: Network, tmp_path: Path) -> None:
    srs = zkml_gpu.Srs.development(gemm.compiled.k)
    srs.write(tmp_path / "own.srs")
    read = zkml_gpu.Srs.load(tmp_path / "own.srs", gemm.compiled.k)
    assert read.identity == srs.identity and read.is_insecure and read.k == gemm.compiled.k
    told = zkml_gpu.inspect(tmp_path / "own.srs")
    assert (told["kind"], told["format"], told["identity"]) == ("reference string", "own", srs.identity)
    keys = [zkml_gpu.setup(gemm.compiled, srs=given, backend="cpu", unproven_weights=True)
            for given in (srs, tmp_path / "own.srs")]
    assert {key.verifying_key.about["srs"] for key in keys} == {srs.identity}
    with pytest.raises(errors.SrsError):
        zkml_gpu.Srs.load(gemm.file, gemm.compiled.k)
    with pytest.raises(errors.SrsError):
        zkml_gpu.Srs.load(tmp_path / "own.srs", gemm.compiled.k + 1)


def test_a_retrained_model_keeps_the_circuit() -> None:
    # The same file is the simplest retrained one.
    file = OPS / "gemm_plain.onnx"
    key = zkml_gpu.setup(zkml_gpu.compile(file, file.with_suffix(".json"), allow_error=True), backend="cpu")
    new = zkml_gpu.retrain(key, file, file.with_suffix(".json"), allow_error=True, backend="cpu")
    assert new.verifying_key.about["circuit_key"] == key.verifying_key.about["circuit_key"]
    assert new.verifying_key.digest != key.verifying_key.digest
    with pytest.raises(errors.BadInputError, match="other tensors\nhint: take a model of the same architecture"):
        zkml_gpu.retrain(key, OPS / "softmax.onnx", OPS / "softmax.json", allow_error=True)


def test_accuracy_bits_and_cost_are_told(gemm: Network, tmp_path: Path) -> None:
    found = zkml_gpu.calibrate(gemm.model, gemm.calibration, max_error=0.05)
    assert found["reached"] and found["precision"]["activation_bits"] >= 4 and found["plan"]["k"] >= 5
    errors_of = zkml_gpu.evaluate(gemm.model, gemm.samples, precision=found["precision"])
    assert errors_of["outputs"][0]["max_error"] <= 0.05 and errors_of["samples"] == found["samples"]
    compiled = zkml_gpu.compile(gemm.model, gemm.calibration, precision=found["precision"], max_error=0.05)
    assert compiled.max_error <= 0.05 and compiled.about["quantisation"]["activation_bits"] <= 16
    told = zkml_gpu.plan(gemm.model, gemm.calibration, costs="reference", precision=found["precision"])
    assert told["k"] == compiled.k and told["prove_ms"] > 0 and told["memory_bytes"] > 0 and told["layers"]
    same = zkml_gpu.plan(compiled, costs=told["costs"])
    assert same["prove_ms"] == told["prove_ms"]
    with pytest.raises(errors.ArgumentsError, match="compiled model has its calibration"):
        zkml_gpu.plan(compiled, gemm.calibration)
    with pytest.raises(errors.InaccurateError, match=r"differ from the float model.*\nhint: "):
        zkml_gpu.compile(gemm.model, gemm.calibration, max_error=0.0)


def test_devices_are_found_and_named() -> None:
    found = zkml_gpu.devices()
    processor = next(device for device in found if device["backend"] == "cpu")
    assert processor["available"] and not processor["software"]
    # Every back end is in the wheel: what is missing is the machine's.
    assert {device["backend"] for device in found} == {"cpu", "cuda", "wgpu", "icicle"}
    for device in found:
        assert device["available"] or device["reason"]


def test_proofs_are_timed(gemm: Network) -> None:
    (result,) = zkml_gpu.bench(gemm.key, gemm.sample, backends=["cpu"], rounds=2)
    assert result["backend"] == "cpu" and len(result["prove_ms"]) == len(result["verify_ms"]) == 2
    assert result["median"]["prove_ms"] == sum(result["prove_ms"]) / 2 and result["proof_bytes"] > 1000
    with pytest.raises(errors.ArgumentsError, match="measures nothing"):
        zkml_gpu.bench(gemm.key, gemm.sample, rounds=0)


def test_threads_share_a_prover(gemm: Network) -> None:
    proofs: list[zkml_gpu.Proof] = []
    threads = [threading.Thread(target=lambda: proofs.append(gemm.prover.prove(gemm.sample))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({proof.proof_bytes for proof in proofs}) == 4, "each has randomness of its own"
    for proof in proofs:
        zkml_gpu.verify(proof, gemm.key.verifying_key)
