"""What is wrong is refused with an exception of its own, which says what to do; nothing ends the interpreter."""

from __future__ import annotations

import contextlib
import json
import os
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import OPS, Network

import zkml_gpu
from zkml_gpu import errors


def refused(error: pytest.ExceptionInfo[errors.Error], kind: str) -> errors.Error:
    """The exception, which has all its parts."""
    value = error.value
    assert value.kind == kind and value.problem and value.hint and f"{value.problem}\nhint: {value.hint}" == str(value)
    return value


@pytest.mark.parametrize("shape", [(6, 1), (7,), (1, 1, 1, 6), (2, 5), (3, 2), (), (0, 6), (0,), (6, 6, 1)])
def test_arrays_of_another_shape(gemm: Network, shape: tuple[int, ...]) -> None:
    with pytest.raises(errors.ShapeError, match="input 'input'") as error:
        gemm.prover.prove(np.zeros(shape, np.float32))
    refused(error, "shape")


def test_a_transposed_image_is_not_taken_for_the_image(two_inputs: Network) -> None:
    image, other = two_inputs.sample
    with pytest.raises(errors.ShapeError, match=r"the model takes \[1, 2, 4, 4\]"):
        two_inputs.prover.prove([image.transpose(0, 2, 3, 1), other])
    with pytest.raises(errors.ShapeError, match="samples"):
        two_inputs.model.compile([np.concatenate([image, image]), np.concatenate([other] * 3)])


@pytest.mark.parametrize(
    "array",
    [
        np.zeros((1, 6), np.complex64),
        np.zeros((1, 6), object),
        np.full((1, 6), "0"),
        np.zeros((1, 6), "datetime64[s]"),
        np.zeros((1, 6), [("a", "f4")]),
        np.ma.masked_equal(np.zeros((1, 6), np.float32), 0),
        {"input": None},
        [[1, 2], [3]],
        None,
        object(),
    ],
    ids=["complex", "object", "text", "time", "record", "masked", "none_by_name", "ragged", "none", "other"],
)
def test_arrays_of_another_type(gemm: Network, array: Any) -> None:
    with pytest.raises(errors.ElementTypeError, match="hint: give numbers") as error:
        gemm.prover.prove(array)
    refused(error, "element_type")
    assert isinstance(error.value, (TypeError, ValueError))


@pytest.mark.parametrize("dtype", ["f2", "f4", "f8", ">f4", ">f8", "i1", "u1", ">i2", "i4", "i8", "u8", "?", "g"])
def test_numbers_of_every_type_are_the_same_numbers(gemm: Network, dtype: str) -> None:
    numbers = np.array([[0, 1, 1, 0, 1, 0]])
    expected = gemm.prover.prove(numbers.astype(np.float32), max_saturation=1).inputs[0].values
    proof = gemm.prover.prove(numbers.astype(dtype), max_saturation=1)
    np.testing.assert_array_equal(proof.inputs[0].values, expected)


def test_arrays_are_read_by_their_indices_wherever_they_lie(two_inputs: Network) -> None:
    image, other = two_inputs.sample
    expected = two_inputs.proof.inputs[0].values
    wide = np.zeros((1, 2, 4, 8), np.float32)
    wide[..., ::2] = image
    packed = np.zeros(image.size, [("pad", "u1"), ("x", "f4")])
    packed["x"] = image.ravel()
    fixed = image.copy()
    fixed.setflags(write=False)
    for array in (
        np.asfortranarray(image),
        image[..., ::-1].copy()[..., ::-1],
        image[:, ::-1, ::-1].copy()[:, ::-1, ::-1],
        np.ascontiguousarray(image.transpose(3, 1, 2, 0)).transpose(3, 1, 2, 0),
        wide[..., ::2],
        packed["x"].reshape(image.shape),
        np.asfortranarray(image.astype(">f8")),
        fixed,
    ):
        values = two_inputs.prover.prove([array, other]).inputs[0].values
        np.testing.assert_array_equal(values, expected)
    # And what is in another order by its indices is another input.
    values = two_inputs.prover.prove([image[..., ::-1], other]).inputs[0].values
    assert not np.array_equal(values, expected)  # type: ignore[arg-type]


@pytest.mark.parametrize("number, words", [(np.nan, "NaN"), (np.inf, "infinite"), (-np.inf, "infinite")])
def test_arrays_with_what_is_no_number(gemm: Network, number: float, words: str) -> None:
    array = np.zeros((1, 6), np.float32)
    array[0, 4] = number
    with pytest.raises(errors.ValuesError, match=rf"{words}.*at \[0, 4\]") as error:
        gemm.prover.prove(array)
    refused(error, "values")
    # Among samples, too.
    with pytest.raises(errors.ValuesError, match=words):
        zkml_gpu.compile(gemm.model, np.concatenate([np.zeros((3, 6)), array]))


@pytest.mark.parametrize("number", [1e39, -1e300, 2**24 + 1, 2**53 + 1, -(2**63)])
def test_numbers_that_no_32_bit_float_is(gemm: Network, number: float) -> None:
    array = np.zeros((1, 6), np.float64 if isinstance(number, float) else np.int64)
    array[0, 5] = number
    with pytest.raises(errors.ValuesError, match=r"at \[0, 5\] that no 32-bit float is") as error:
        gemm.prover.prove(array)
    refused(error, "values")


def test_inputs_beyond_the_calibration(gemm: Network) -> None:
    with pytest.raises(errors.SaturationError, match="the range of the calibration") as error:
        gemm.prover.prove(np.full((1, 6), 1e6, np.float32))
    refused(error, "saturation")
    proof = gemm.prover.prove(np.full((1, 6), 1e6, np.float32), max_saturation=1.0)
    assert proof.saturation is not None and proof.saturation["share"] == 1.0
    with pytest.raises(errors.ArgumentsError, match="is no share"):
        gemm.prover.prove(gemm.sample, max_saturation=2)


def test_inputs_by_other_names_or_numbers(two_inputs: Network) -> None:
    first, second = two_inputs.sample
    cases: list[tuple[Any, str]] = [
        ([first], "1 array is given, and the model has 2 inputs"),
        ([first, second, second], "3 arrays are given"),
        ({"input": first}, "input 'other' is missing"),
        ({"input": first, "other": second, "third": second}, "no input 'third'"),
    ]
    for inputs, words in cases:
        with pytest.raises(errors.ArgumentsError, match=words) as error:
            two_inputs.prover.prove(inputs)
        refused(error, "arguments")


def test_a_file_of_another_format(gemm: Network, tmp_path: Path) -> None:
    file = tmp_path / "input.json"
    for text in ["", "{}", '{"input_data": [[1]]}', '{"input_data": [[NaN, 0, 0, 0, 0, 0]]}']:
        file.write_text(text)
        with pytest.raises(errors.InputError, match="input.json") as error:
            gemm.prover.prove(file)
        refused(error, "input")
    with pytest.raises(errors.FileError, match="there is no such file") as missing:
        gemm.prover.prove(tmp_path / "none.json")
    assert isinstance(refused(missing, "file"), OSError)


def test_a_proof_of_another_key(gemm: Network, softmax: Network) -> None:
    with pytest.raises(errors.RejectedError, match="hint: the proof shows nothing") as error:
        zkml_gpu.verify(gemm.proof, softmax.key.verifying_key)
    refused(error, "rejected")
    # Of the same circuit, made anew: another commitment to the same weights.
    other = zkml_gpu.setup(gemm.compiled, backend="cpu").verifying_key
    with pytest.raises(errors.RejectedError):
        zkml_gpu.verify(gemm.proof, other)


def test_a_proof_that_was_changed(gemm: Network) -> None:
    proof = json.loads(gemm.proof.to_bytes())
    for change in [{"backend": "wgpu:0"}, {"proof": proof["proof"][:-8]}, {"outputs": []}, {"checksum": "0" * 64}]:
        with pytest.raises(errors.RejectedError) as error:
            zkml_gpu.verify(json.dumps(proof | change).encode(), gemm.key.verifying_key)
        refused(error, "rejected")
    # A shape that its values have not is found before they are shown.
    tensor = proof["outputs"][0] | {"shape": [3, 5]}
    forged = zkml_gpu.Proof.load(json.dumps(proof | {"outputs": [tensor]}).encode())
    with pytest.raises(errors.ArtifactError, match="have not the shape"):
        forged.outputs[0].reals
    tensor["shape"] = [2**40, 2**40]
    with pytest.raises(errors.ArtifactError):
        zkml_gpu.Proof.load(json.dumps(proof | {"outputs": [tensor]}).encode()).outputs[0].values


def test_keys_that_are_cut_damaged_or_others(gemm: Network, tmp_path: Path) -> None:
    pk, vk, zkml = gemm.key.to_bytes(), gemm.key.verifying_key.to_bytes(), gemm.compiled.to_bytes()
    loads: list[tuple[Callable[[Any], object], bytes]] = [
        (zkml_gpu.ProvingKey.load, pk),
        (zkml_gpu.VerifyingKey.load, vk),
        (zkml_gpu.CompiledModel.load, zkml),
    ]
    for load, good in loads:
        changed = bytearray(good)
        changed[len(good) // 2] ^= 1
        bad = [good[: len(good) // 2], good[:-1], good[:7], b"", bytes(changed), b"x" * len(good)]
        bad += [other for _, other in loads if other is not good]
        for number, content in enumerate(bad):
            file = tmp_path / "key"
            file.write_bytes(content)
            for source in (content, file):
                with pytest.raises(errors.ArtifactError) as error:
                    load(source)
                name = "bytes in memory" if isinstance(source, bytes) else str(file)
                assert name in refused(error, "artifact").problem, number


@contextlib.contextmanager
def without_rights() -> Iterator[None]:
    """Not as root, whom the system lets write everywhere."""
    user = os.geteuid()
    if user != 0:
        yield
        return
    os.seteuid(65534)
    try:
        yield
    finally:
        os.seteuid(user)


@pytest.mark.skipif(os.name != "posix", reason="rights are others on this system")
def test_a_folder_without_rights(gemm: Network, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    gemm.key.write(folder / "m.pk")
    folder.chmod(0o500)
    # Of whom the folder is not, the system asks the same.
    tmp_path.chmod(0o755)
    try:
        with without_rights():
            for write in (gemm.proof.write, gemm.key.write, gemm.compiled.write):
                with pytest.raises(errors.FileError, match="do not let you write") as error:
                    write(folder / "file")
                refused(error, "file")
            with pytest.raises(errors.FileError, match="do not let you write"):
                gemm.key.write_pair(folder / "keys")
            if os.geteuid() == 65534:
                with pytest.raises(errors.FileError, match="do not let you read"):
                    zkml_gpu.ProvingKey.load(folder / "m.pk")
    finally:
        folder.chmod(0o700)


def test_a_folder_that_takes_no_file(gemm: Network, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    places = [tmp_path / "none" / "x", tmp_path / "file" / "x", tmp_path]
    # Nobody may write there, root neither.
    places += [place / "x" for place in [Path("/proc/self")] if place.is_dir()]
    for write in (gemm.proof.write, gemm.key.write, gemm.key.verifying_key.write, gemm.compiled.write):
        for place in places:
            with pytest.raises(errors.FileError, match="cannot write") as error:
                write(place)
            assert isinstance(refused(error, "file"), OSError)
    assert not (tmp_path / "none").exists() and (tmp_path / "file").read_text() == ""


def test_models_that_are_none_or_have_no_circuit(tmp_path: Path) -> None:
    with pytest.raises(errors.InvalidModelError) as error:
        zkml_gpu.Model.load(b"no model")
    assert error.value.error_class == "bad_input" and isinstance(error.value, ValueError)
    with pytest.raises(errors.FileError):
        zkml_gpu.Model.load(tmp_path / "none.onnx")
    with pytest.raises(errors.InvalidModelError):
        zkml_gpu.Model.load(OPS / "symbolic_rows.onnx")
    with pytest.raises(errors.ArgumentsError, match="none are given"):
        zkml_gpu.compile(OPS / "gemm_plain.onnx")
    refusals = OPS.parents[1] / "corpus"
    classes = set()
    for file in sorted(refusals.rglob("*.onnx")):
        with pytest.raises(errors.Error) as refusal:
            zkml_gpu.compile(file, np.zeros(1, np.float32))
        assert not isinstance(refusal.value, errors.BugError), file
        classes.add(type(refusal.value).__name__)
    assert "InvalidModelError" in classes


@pytest.mark.parametrize(
    "options, exception",
    [
        ({"weights": "hidden"}, errors.ArgumentsError),
        ({"inputs": {"input": "secret"}}, errors.ArgumentsError),
        ({"inputs": {"none": "private"}}, errors.ArgumentsError),
        ({"max_error": -1.0}, errors.ArgumentsError),
        ({"max_error": float("nan")}, errors.ArgumentsError),
        ({"inferences": 0}, errors.ArgumentsError),
        ({"min_k": 23}, errors.ArgumentsError),
        ({"backend": "gpu", "costs": "measured"}, errors.UnknownBackendError),
        ({"costs": {"no": "prices"}}, errors.ArgumentsError),
        ({"precision": {"activation_bits": 99, "tensor_bits": {}}}, errors.QuantiseError),
        ({"precision": object()}, errors.ArgumentsError),
        ({"private": True, "weights": "embedded"}, errors.PrivateWeightsError),
        ({"max_memory": 1}, errors.WouldNotFitError),
        ({"dimensions": {"n": 3}}, errors.ArgumentsError),
    ],
)
def test_options_that_mean_nothing(gemm: Network, options: dict[str, Any], exception: type[errors.Error]) -> None:
    with pytest.raises(exception) as error:
        zkml_gpu.compile(gemm.model, gemm.calibration, **({"allow_error": True} | options))
    assert error.value.hint


def test_machines_that_are_not_there(gemm: Network) -> None:
    with pytest.raises(errors.UnknownBackendError):
        gemm.key.prover("gpu")
    with pytest.raises(errors.NoDeviceError):
        gemm.key.prover("wgpu:999")
    with pytest.raises(errors.WouldNotFitError) as error:
        gemm.key.prover("cpu", max_memory=1)
    assert isinstance(error.value, MemoryError) and error.value.error_class == "would_not_fit"
    with pytest.raises(errors.ArgumentsError, match="a prover has its back end"):
        zkml_gpu.prove(gemm.prover, gemm.sample, backend="cpu")
    with pytest.raises(errors.ArgumentTypeError, match="a file is given as int"):
        zkml_gpu.VerifyingKey.load(3)  # type: ignore[arg-type]
    with pytest.raises(errors.ArgumentsError, match="cannot be started"):
        zkml_gpu.start_threads(2)


def test_a_panic_is_an_exception_of_its_own(gemm: Network) -> None:
    with pytest.raises(errors.PanicError, match="panicked: with words\nhint: this is a bug") as error:
        zkml_gpu._native._panic_for_tests("with words")
    assert isinstance(refused(error, "panic"), errors.BugError)
    # What came before is as good as it was.
    zkml_gpu.verify(gemm.prover.prove(gemm.sample), gemm.key.verifying_key)


def test_every_exception_has_a_class_and_survives_pickle() -> None:
    for name in errors.__all__:
        exception = getattr(errors, name)
        error = exception("problem\nhint: do", "kind")
        same = pickle.loads(pickle.dumps(error))
        assert (type(same), str(same), same.kind, same.hint) == (exception, str(error), "kind", "do")
        assert error.error_class in {"bad_input", "unsupported", "would_not_fit", "rejected", "bug"}
        assert exception("problem").hint is None
