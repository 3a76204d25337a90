"""A classifier of scikit-learn: trained, exported to ONNX, calibrated, and one of its answers proved.

    pip install zkml-gpu scikit-learn skl2onnx
    python scikit_learn.py [FOLDER]

The verifier sees the picture and the answer; the weights stay hidden.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import numpy as np
from skl2onnx import to_onnx
from skl2onnx.helpers.onnx_helper import select_model_inputs_outputs
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from sklearn.neural_network import MLPClassifier

import zkml_gpu


def train() -> tuple[MLPClassifier, np.ndarray, np.ndarray, np.ndarray]:
    """A small network for 8 x 8 digits, with the pictures that it was trained on and those that it was not."""
    pictures, digits = load_digits(return_X_y=True)
    pictures = (pictures / 16).astype(np.float32)
    seen, unseen, of_seen, of_unseen = train_test_split(pictures, digits, test_size=0.25, random_state=1)
    network = MLPClassifier((24,), max_iter=600, random_state=1).fit(seen, of_seen)
    print(f"accuracy on unseen pictures: {network.score(unseen, of_unseen):.3f}")
    return network, seen, unseen, of_unseen


def main(folder: Path) -> None:
    network, seen, unseen, of_unseen = train()

    # One picture at a time. The label is what is greatest: only the probabilities are kept, as a tensor.
    options = {id(network): {"zipmap": False}}
    onnx = to_onnx(network, seen[:1], options=options, target_opset=15)
    onnx = select_model_inputs_outputs(onnx, outputs=["probabilities"])
    axes = onnx.graph.input[0].type.tensor_type.shape.dim
    sizes = {axis.dim_param: 1 for axis in axes if axis.dim_param}
    model = zkml_gpu.Model.load(onnx.SerializeToString(), dimensions=sizes, name="digits")
    print(f"inputs {model.inputs}, outputs {model.outputs}")

    # Bits for all tensors that keep the error on typical inputs, and what a proof will cost.
    calibration = zkml_gpu.calibrate(model, seen[:32], max_error=0.02)
    print(f"error {calibration['outputs'][-1]['max_error']:.4f}, circuit of 2^{calibration['plan']['k']} rows")

    # The owner of the model, once. A real reference string comes from a ceremony: srs="powers.ptau".
    compiled = zkml_gpu.compile(model, seen[:32], precision=calibration["precision"], max_error=0.02)
    key = zkml_gpu.setup(compiled)
    _, verifying_key, _ = key.write_pair(folder / "keys", "digits", replace=True)

    # The owner of the model, for each input.
    proof = zkml_gpu.prove(key, unseen[0])
    proof.write(folder / "proof.json")
    print(f"proved on {proof.backend} ({proof.device}) in {proof.prove_ms:.0f} ms")

    # Whoever has the verifying key.
    verdict = zkml_gpu.verify(folder / "proof.json", verifying_key)
    probabilities = verdict.outputs[0].reals
    assert probabilities is not None
    print(f"accepted: the network says {np.argmax(probabilities)}, the picture is a {of_unseen[0]}")
    assert np.argmax(probabilities) == np.argmax(network.predict_proba(unseen[:1]))

    # A proof says nothing of another answer.
    changed = json.loads(proof.to_bytes())
    changed["outputs"][0]["values"].reverse()
    try:
        zkml_gpu.verify(json.dumps(changed).encode(), verifying_key)
    except zkml_gpu.RejectedError as error:
        print(f"changed, and rejected: {error.problem}")
    else:
        raise SystemExit("a changed proof was accepted")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        main(Path(sys.argv[1]))
    else:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
