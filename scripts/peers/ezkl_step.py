#!/usr/bin/env python3
"""One step of EZKL on a model and an input, in the current folder: what ezkl.toml beside it has `zkml-gpu bench prove` run.

    ezkl_step.py setup MODEL.onnx INPUT.json      settings, calibration, compilation, keys; a reference string of its own
    ezkl_step.py witness MODEL.onnx INPUT.json    and the outputs, for the comparison with the float model's
    ezkl_step.py prove
    ezkl_step.py verify

Needs ezkl from PyPI (measured with 23.0.5). EZKL keeps its defaults: weights in the circuit, public input and output, scales
calibrated for resources on the one input. Every step may take three quarters of the memory that is free, as address space, and
no more, so that a model that is too large costs a row of the table and not the machine.
"""
import asyncio
import inspect
import json
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from bounded import GIB, available_gib  # noqa: E402


def wait_for(outcome):
    """What a function returned; some are coroutines."""
    if inspect.isawaitable(outcome):

        async def wait():
            return await outcome

        outcome = asyncio.run(wait())
    if outcome is False:
        sys.exit("error: ezkl returned false")
    return outcome


def setup(ezkl, model, data):
    arguments = ezkl.PyRunArgs()
    arguments.input_visibility = arguments.output_visibility = "public"
    arguments.param_visibility = "fixed"
    wait_for(ezkl.gen_settings(model, "settings.json", py_run_args=arguments))
    wait_for(ezkl.calibrate_settings(data, model, "settings.json", "resources"))
    wait_for(ezkl.compile_circuit(model, "model.compiled", "settings.json"))
    rows = json.loads(Path("settings.json").read_text())["run_args"]["logrows"]
    wait_for(ezkl.gen_srs("kzg.srs", rows))
    wait_for(ezkl.setup("model.compiled", "vk.key", "pk.key", "kzg.srs"))


def witness(ezkl, _model, data):
    wait_for(ezkl.gen_witness(data, "model.compiled", "witness.json"))
    outputs = json.loads(Path("witness.json").read_text())["pretty_elements"]["rescaled_outputs"]
    Path("outputs.json").write_text(json.dumps(outputs))


def prove(ezkl):
    wait_for(ezkl.prove("witness.json", "model.compiled", "pk.key", "proof.json", "kzg.srs"))
    # The proof alone: its file has the instances, and all of it in hexadecimal.
    proof = json.loads(Path("proof.json").read_text())["hex_proof"].removeprefix("0x")
    Path("proof.bin").write_bytes(bytes.fromhex(proof))


def verify(ezkl):
    wait_for(ezkl.verify("proof.json", "settings.json", "vk.key", "kzg.srs"))


def main():
    steps = {"setup": (setup, 2), "witness": (witness, 2), "prove": (prove, 0), "verify": (verify, 0)}
    step, count = steps.get(sys.argv[1] if len(sys.argv) > 1 else "", (None, 0))
    if step is None or len(sys.argv) != 2 + count:
        sys.exit(__doc__)
    try:
        import ezkl
    except ImportError:
        sys.exit("error: EZKL is not installed: pip install ezkl")
    limit = int(available_gib() * GIB)
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    step(ezkl, *sys.argv[2:])


if __name__ == "__main__":
    main()
