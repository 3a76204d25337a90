"""The example of a deployment of Ray Serve, where that is installed: answers, restarts, and what it refuses."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from conftest import Network

import zkml_gpu

pytest.importorskip("ray.serve")

EXAMPLE = Path(__file__).parents[3] / "examples" / "python" / "ray_serve.py"
PATIENCE_S = 120


def ask(url: str, body: bytes | None = None) -> tuple[int, Any]:
    headers = {"Content-Type": "application/json"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status, json.loads(answer.read())
    except urllib.error.HTTPError as error:
        return error.code, json.loads(error.read())


@contextmanager
def served(key: Path, folder: Path, log: Path) -> Iterator[str]:
    """The example in a process of its own; killed in the end with all that is Ray's."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, str(EXAMPLE), str(key), str(folder), "--port", str(port)]
    environment = os.environ | {"RAY_USAGE_STATS_ENABLED": "0"}
    with log.open("ab") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        until = time.monotonic() + PATIENCE_S
        while True:
            try:
                if ask(f"{url}/healthz") == (200, {"status": "ok"}):
                    break
            except (OSError, json.JSONDecodeError):
                pass
            assert process.poll() is None and time.monotonic() < until, log.read_text()
            time.sleep(0.1)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def proof(url: str, path: str) -> tuple[int, Any]:
    until = time.monotonic() + PATIENCE_S
    while (answer := ask(url + path))[0] == 202:
        assert time.monotonic() < until
        time.sleep(0.05)
    return answer


def test_a_deployment_answers_and_its_jobs_outlast_it(gemm: Network, tmp_path: Path) -> None:
    key, folder = tmp_path / "gemm.pk", tmp_path / "jobs"
    gemm.key.write(key)
    random = np.random.default_rng(3)
    bodies = [json.dumps({"input_data": [random.uniform(-0.5, 0.5, 6).tolist()]}).encode() for _ in range(6)]
    with served(key, folder, tmp_path / "log") as url:
        answers = [ask(f"{url}/v1/infer", body) for body in bodies]
        assert all(status == 202 for status, _ in answers), answers
        for body in (b"", b"{}", b'{"input_data": [[NaN, 0, 0, 0, 0, 0]]}', b'{"input_data": [[1, 2]]}'):
            status, refused = ask(f"{url}/v1/infer", body)
            assert status == 400 and refused["detail"], body
        assert ask(f"{url}/v1/proofs/none")[0] == 404 and ask(f"{url}/v1/proofs/{'0' * 32}")[0] == 404
        assert proof(url, answers[0][1]["proof"])[0] == 200
    # Killed; one more job is there that it has accepted.
    name = "f" * 32
    (folder / "jobs" / f"{name}.json").write_bytes(bodies[0])
    with served(key, folder, tmp_path / "log") as url:
        for _, answer in answers:
            status, made = proof(url, answer["proof"])
            assert status == 200
            verdict = zkml_gpu.verify(json.dumps(made).encode(), gemm.key.verifying_key)
            shown = verdict.outputs[0].values
            assert shown is not None and shown.ravel().tolist() == answer["outputs"][0]["values"]
        assert proof(url, f"/v1/proofs/{name}")[0] == 200
    assert not list((folder / "jobs").iterdir()) and len(list((folder / "proofs").iterdir())) == 7
