"""A small program, ``zkml-gpu-py`` or ``python -m zkml_gpu``: verifies, proves, and tells what files and devices are.

It ends with the exit codes of the command line ``zkml-gpu``, which has all the rest: 0 where all went well, 1 for a
proof that does not hold, 2 for bad input, 3 for what is not supported, 4 for what does not fit, 70 for a bug.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from typing import Any

from . import __version__, devices, inspect, prove, verify
from .errors import Error

EXIT_CODES = {"rejected": 1, "bad_input": 2, "unsupported": 3, "would_not_fit": 4, "bug": 70}


def parser() -> argparse.ArgumentParser:
    """The arguments."""
    about = "Prove that a quantised neural network gave an output."
    parser = argparse.ArgumentParser(prog="zkml-gpu-py", description=about)
    parser.add_argument("--version", action="version", version=f"zkml-gpu-py {__version__}")
    commands = parser.add_subparsers(dest="command", required=True)
    command = commands.add_parser("verify", help="accept or reject a proof")
    command.add_argument("proof", metavar="PROOF.json")
    command.add_argument("--vk", required=True, metavar="NAME.vk", help="the verifying key, from someone you trust")
    command = commands.add_parser("prove", help="prove an input")
    command.add_argument("key", metavar="NAME.pk")
    command.add_argument("input", metavar="INPUT.json")
    command.add_argument("--out", required=True, metavar="PROOF.json")
    command.add_argument("--backend", default="auto", metavar="NAME")
    command = commands.add_parser("inspect", help="tell what a file is")
    command.add_argument("file", metavar="FILE")
    commands.add_parser("devices", help="list what can prove")
    return parser


def run(options: argparse.Namespace) -> Any:
    """What the command prints, as one JSON value."""
    if options.command == "verify":
        verdict = verify(options.proof, options.vk)
        outputs = {output.name: None if output.reals is None else output.reals.tolist() for output in verdict.outputs}
        return {
            "accepted": True,
            "model": verdict.model,
            "outputs": outputs,
            "note": verdict.note,
            "insecure_srs": verdict.is_insecure,
        }
    if options.command == "prove":
        proof = prove(options.key, options.input, backend=options.backend)
        proof.write(options.out)
        return {"proof_file": options.out, "backend": proof.backend, "device": proof.device, "prove_ms": proof.prove_ms}
    if options.command == "inspect":
        return inspect(options.file)
    return devices()


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the program with these arguments, or those of the process; its exit code."""
    options = parser().parse_args(arguments)
    try:
        print(json.dumps(run(options), indent=2))
    except Error as error:
        print(f"error: {error}", file=sys.stderr)
        return EXIT_CODES[error.error_class]
    return 0


if __name__ == "__main__":
    sys.exit(main())
