"""The program ``python -m zkml_gpu``: what it prints, and its exit codes."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from conftest import Network


def run(*arguments: str | Path) -> tuple[int, str, str]:
    command = [sys.executable, "-m", "zkml_gpu", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode, done.stdout, done.stderr


def test_a_proof_is_made_inspected_and_verified(gemm: Network, softmax: Network, tmp_path: Path) -> None:
    key, verifying, other, proof = (tmp_path / name for name in ("m.pk", "m.vk", "o.vk", "proof.json"))
    gemm.key.write(key)
    gemm.key.verifying_key.write(verifying)
    softmax.key.verifying_key.write(other)
    code, out, _ = run("prove", key, gemm.samples, "--out", proof, "--backend", "cpu")
    assert (code, json.loads(out)["backend"]) == (0, "cpu")
    code, out, _ = run("verify", proof, "--vk", verifying)
    assert code == 0 and json.loads(out)["accepted"] and [len(reals[0]) for reals in json.loads(out)["outputs"].values()] == [4]
    assert json.loads(run("inspect", proof)[1])["kind"] == "proof"
    code, out, said = run("verify", proof, "--vk", other)
    assert (code, out) == (1, "") and "hint:" in said


def test_what_cannot_be_done_has_the_exit_codes_of_the_command_line(gemm: Network, tmp_path: Path) -> None:
    key = tmp_path / "m.pk"
    gemm.key.write(key)
    code, out, said = run("inspect", tmp_path / "none")
    assert (code, out) == (2, "") and said.startswith("error: ") and "no such file" in said
    assert run("prove", key, gemm.samples, "--out", tmp_path / "p.json", "--backend", "cuda:99")[0] == 3
    assert not (tmp_path / "p.json").exists()
    assert run("verify")[0] == 2 and run("no-command")[0] == 2
    code, out, _ = run("devices")
    assert code == 0 and "cpu" in out
