"""Prove that a quantised neural network produced an output, with a Halo2 zero-knowledge proof.

    import numpy as np
    import zkml_gpu

    compiled = zkml_gpu.compile("lenet.onnx", calibration)   # arrays, or a JSON file
    key = zkml_gpu.setup(compiled, srs="powers.ptau")        # without srs: insecure, for development
    proof = zkml_gpu.prove(key, image)                       # an array of the model's shape
    proof.write("proof.json")
    verdict = zkml_gpu.verify(proof, key.verifying_key)      # raises RejectedError where it does not hold
    print(verdict.outputs[0].reals)

The functions are the verbs of the command line `zkml-gpu`, with its options as arguments; the classes are what they
work with, and files are theirs. Models, keys and proofs are given as objects, paths or bytes; inputs as numpy arrays,
or as the path of a JSON file. Long work runs without Python's lock, on all processors, and `progress` is called with
each step. Which device proved is in the proof (`Proof.backend`, `Proof.device`).

Exceptions are in `zkml_gpu.errors`, and each says what to do.
"""

from . import errors
from ._native import (
    Commitment,
    CompiledModel,
    Job,
    Model,
    Opening,
    Proof,
    Prover,
    ProvingKey,
    PublicTensor,
    Srs,
    Verdict,
    VerifyingKey,
    __version__,
    devices,
    hash_numbers,
    inspect,
    new_salt,
    start_threads,
)
from .errors import Error, RejectedError
from .progress import show_on
from .verbs import bench, calibrate, commit, compile, evaluate, plan, prove, retrain, setup, verify

__all__ = [
    "Commitment",
    "CompiledModel",
    "Error",
    "Job",
    "Model",
    "Opening",
    "Proof",
    "Prover",
    "ProvingKey",
    "PublicTensor",
    "RejectedError",
    "Srs",
    "Verdict",
    "VerifyingKey",
    "__version__",
    "bench",
    "calibrate",
    "commit",
    "compile",
    "devices",
    "errors",
    "evaluate",
    "hash_numbers",
    "inspect",
    "new_salt",
    "plan",
    "prove",
    "retrain",
    "setup",
    "show_on",
    "start_threads",
    "verify",
]
