#!/usr/bin/env python3
"""Figures of `zkml-gpu serve`: proofs for each second with many clients, beside the bare library's in turns; and what becomes of
a queue when the server is killed.

    scripts/bench_serve.py [--program target/release/zkml-gpu] [--clients 64] [--proofs 128] [--rounds 3] [--queued 500]

Needs numpy and the release build. The bare library is `zkml-gpu prove NAME.pk INPUT.json` on one file with all inputs: one process with
one load of the keys, whose time is that of all proofs together, each checked and written. The service's time is from the first request to
the last proof in a client's hands, each client sending its next input when it has the proof of the one before.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import statistics
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parent.parent
LENET = ROOT / "examples" / "lenet"


class Server:
    """The program, serving a key from a folder of jobs."""

    def __init__(self, program: Path, key: Path, jobs: Path, *options: str) -> None:
        command = [program, "serve", key, "--listen", "127.0.0.1:0", "--jobs", jobs, "--backend", "cpu", "--json", *options]
        self.process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        assert self.process.stdout is not None
        self.report = json.loads(self.process.stdout.readline())
        self.host = self.report["url"].removeprefix("http://")

    def ask(self, connection: http.client.HTTPConnection, method: str, path: str, body: bytes | None = None) -> tuple[int, dict]:
        connection.request(method, path, body, {"Content-Type": "application/json"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())

    def connect(self) -> http.client.HTTPConnection:
        return http.client.HTTPConnection(self.host, timeout=600)

    def proof(self, connection: http.client.HTTPConnection, path: str) -> dict:
        while True:
            status, proof = self.ask(connection, "GET", f"{path}?wait=60")
            if status != 202:
                assert status == 200, proof
                return proof

    def end(self, kill: bool = False) -> None:
        self.process.kill() if kill else self.process.terminate()
        self.process.wait()


def run(program: Path, *arguments: str | Path) -> dict:
    environment = os.environ | {"ZKML_GPU_NO_CACHE": "1"}
    done = subprocess.run([program, *arguments, "--json"], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def bare(program: Path, key: Path, images: np.ndarray, folder: Path) -> float:
    """Proofs for each second without a service."""
    inputs = folder / "inputs.json"
    inputs.write_text(json.dumps({"input_data": [images.ravel().tolist()]}))
    report = run(program, "prove", key, inputs, "--backend", "cpu", "--out", folder / "proofs")
    assert report["proved"] == len(images)
    return len(images) / report["prove_ms"] * 1e3


def served(program: Path, key: Path, images: np.ndarray, folder: Path, clients: int) -> tuple[float, float]:
    """Proofs for each second with so many clients, and the median time to an answer in milliseconds."""
    server = Server(program, key, folder / "jobs")
    left, lock, answers = list(range(len(images))), threading.Lock(), []

    def client() -> None:
        connection = server.connect()
        while True:
            with lock:
                if not left:
                    return
                index = left.pop()
            body = json.dumps({"input_data": [images[index].ravel().tolist()]}).encode()
            start = time.perf_counter()
            status, answer = server.ask(connection, "POST", "/v1/infer", body)
            answers.append(1e3 * (time.perf_counter() - start))
            assert status == 202, answer
            proof = server.proof(connection, answer["proof"])
            assert proof["outputs"][0]["values"] == answer["outputs"][0]["values"]

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    server.end()
    return len(images) / seconds, statistics.median(answers)


def killed(program: Path, key: Path, images: np.ndarray, folder: Path) -> dict:
    """Queues all, kills the server in the middle, starts it anew: what became of each job."""
    server = Server(program, key, folder / "queue")
    connection = server.connect()
    jobs, start = {}, time.perf_counter()
    for image in images:
        status, answer = server.ask(connection, "POST", "/v1/infer", json.dumps({"input_data": [image.ravel().tolist()]}).encode())
        assert status == 202, answer
        jobs[answer["id"]] = answer["outputs"][0]["values"]
    queued_s = time.perf_counter() - start
    time.sleep(5)
    done = [job["id"] for job in server.ask(connection, "GET", "/v1/proofs?limit=1000")[1]["jobs"] if job["state"] == "proved"]
    before = {job: (folder / "queue" / "proofs" / f"{job}.proof.json").read_bytes() for job in done}
    server.end(kill=True)
    server = Server(program, key, folder / "queue")
    left, connection = server.report["waiting"], server.connect()
    proofs = {job: server.proof(connection, f"/v1/proofs/{job}") for job in jobs}
    files = {file.name.removesuffix(".proof.json"): file.read_bytes() for file in (folder / "queue" / "proofs").iterdir()}
    server.end()
    return {
        "queued": len(jobs),
        "queued_s": round(queued_s, 2),
        "proved_before_the_kill": len(before),
        "left_after_it": left,
        "lost": len(jobs.keys() - proofs.keys()) + len(jobs.keys() - files.keys()),
        "with_other_outputs": sum(proofs[job]["outputs"][0]["values"] != values for job, values in jobs.items()),
        "proved_a_second_time": sum(files[job] != proof for job, proof in before.items()) + len(files.keys() - jobs.keys()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", type=Path, default=ROOT / "target" / "release" / "zkml-gpu")
    parser.add_argument("--clients", type=int, default=64)
    parser.add_argument("--proofs", type=int, default=128)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--queued", type=int, default=500)
    options = parser.parse_args()
    images = np.load(LENET / "heldout.npz")["images"][: max(options.proofs, options.queued)].astype(np.float32) / 255
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        run(options.program, "compile", LENET / "lenet.onnx", "--calibration", LENET / "calibration.json", "--out", folder / "lenet.zkml")
        run(options.program, "setup", folder / "lenet.zkml", "--out", folder / "keys")
        key = folder / "keys" / "lenet.pk"
        rates: dict[str, list[float]] = {"bare": [], "served": [], "answer_ms": []}
        for number in range(options.rounds):
            place = folder / str(number)
            place.mkdir()
            rates["bare"].append(bare(options.program, key, images[: options.proofs], place))
            rate, answer_ms = served(options.program, key, images[: options.proofs], place, options.clients)
            rates["served"].append(rate)
            rates["answer_ms"].append(answer_ms)
        medians = {name: round(statistics.median(all_), 3) for name, all_ in rates.items()}
        ratios = [served / bare for served, bare in zip(rates["served"], rates["bare"])]
        queue = killed(options.program, key, images[: options.queued], folder) if options.queued else None
    print(json.dumps({**medians, "served_over_bare": [round(ratio, 3) for ratio in ratios], "queue": queue}, indent=2))


if __name__ == "__main__":
    main()
