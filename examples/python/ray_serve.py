"""A model behind HTTP as a deployment of Ray Serve, with the requests of `zkml-gpu serve`: the output at once, its
proof when it is made.

    pip install zkml-gpu "ray[serve]"
    python ray_serve.py keys/lenet.pk jobs [--provers N] [--port PORT]

    curl -H 'Content-Type: application/json' --data-binary @seven.json http://127.0.0.1:8000/v1/infer
    curl -o proof.json http://127.0.0.1:8000/v1/proofs/ID

Two deployments: `Service` answers, and has jobs in a folder before it does; `Prover` proves, on as many replicas as are
asked for, wherever Ray has room. A job outlasts both: a replica that goes away is asked again by another name, and a
service that is started anew goes on with what it finds. It has no token: put it behind something that has.
"""

# Ray takes the service's class with the names that are there when it is decorated: annotations are not postponed, and
# functions come first.
import argparse
import asyncio
import json
import os
import secrets
import tempfile
import time
from pathlib import Path
from typing import Any, cast

import numpy as np
import ray
from fastapi import FastAPI, HTTPException, Request, Response
from ray import serve
from ray.exceptions import RayActorError, RayTaskError
from ray.serve.handle import DeploymentHandle

import zkml_gpu

#: Jobs that wait, at most: beyond, requests are answered with 429.
QUEUE = 1000
#: The error of a replica that has gone away, rather than of an input.
GONE = (RayActorError,)

app = FastAPI()


def keep(path: Path, content: bytes) -> None:
    """A file that is whole under its name, and on the disk."""
    with tempfile.NamedTemporaryFile(dir=path.parent, prefix=".", delete=False) as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    os.replace(file.name, path)


def arrays(body: bytes, wanted: list[tuple[str, list[int]]]) -> list[np.ndarray]:
    """The arrays of an input file, ``{"input_data": [[...], ...]}``: one flat list for each input."""
    lists = json.loads(body)["input_data"]
    if len(lists) != len(wanted):
        raise ValueError(f"{len(lists)} lists, and the model has {len(wanted)} inputs")
    return [np.array(numbers, np.float64).reshape(shape) for numbers, (_, shape) in zip(lists, wanted)]


def values(array: np.ndarray | None) -> list[float]:
    """The numbers of a tensor; none where it is hidden."""
    return [] if array is None else array.ravel().tolist()


@serve.deployment(max_ongoing_requests=1)
class Prover:
    """Has the key loaded, and proves one input at a time."""

    def __init__(self, key: bytes, backend: str) -> None:
        self.prover = zkml_gpu.ProvingKey.load(key).prover(backend)

    def prove(self, sample: list[np.ndarray]) -> bytes:
        return self.prover.prove(sample).to_bytes()


@serve.deployment(max_ongoing_requests=100)
@serve.ingress(app)
class Service:
    """Answers with outputs, keeps jobs, and has them proved."""

    def __init__(self, key: bytes, folder: str, provers: "DeploymentHandle[Any]", at_a_time: int) -> None:
        self.prover = zkml_gpu.ProvingKey.load(key).prover("cpu")
        self.provers = provers
        self.jobs, self.proofs = Path(folder) / "jobs", Path(folder) / "proofs"
        for path in (self.jobs, self.proofs):
            path.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.places = asyncio.Semaphore(at_a_time)
        self.waiting: dict[str, asyncio.Task[None]] = {}
        # In the order of their files' times: what an earlier service has left.
        for job in sorted(self.jobs.glob("*.json"), key=lambda job: job.stat().st_mtime_ns):
            self._start(job.stem)

    def _start(self, name: str) -> None:
        self.waiting[name] = asyncio.get_running_loop().create_task(self._prove(name))

    async def _prove(self, name: str) -> None:
        """Until there is a proof, or an error of the input's."""
        job = self.jobs / f"{name}.json"
        try:
            async with self.places:
                sample = arrays(job.read_bytes(), self.prover.inputs)
                while True:
                    try:
                        keep(self.proofs / f"{name}.json", await self.provers.prove.remote(sample))
                        break
                    except GONE:
                        await asyncio.sleep(1)
                    except (zkml_gpu.Error, RayTaskError) as error:
                        keep(self.proofs / f"{name}.error", str(error).encode())
                        break
            job.unlink()
        finally:
            self.waiting.pop(name, None)

    @app.post("/v1/infer", status_code=202)
    async def infer(self, request: Request) -> dict[str, Any]:
        if len(self.waiting) >= QUEUE:
            raise HTTPException(429, "the queue is full", {"Retry-After": "5"})
        body = await request.body()
        try:
            outputs = self.prover.infer(arrays(body, self.prover.inputs))
        except (zkml_gpu.errors.BadInputError, ValueError, KeyError, TypeError) as error:
            raise HTTPException(400, str(error)) from error
        name = secrets.token_hex(16)
        keep(self.jobs / f"{name}.json", body)
        self._start(name)
        shown = [
            {"name": output.name, "shape": output.shape, "values": values(output.values), "reals": values(output.reals)}
            for output in outputs
        ]
        return {"id": name, "proof": f"/v1/proofs/{name}", "outputs": shown}

    @app.get("/v1/proofs/{name}")
    async def proof(self, name: str) -> Response:
        if len(name) != 32 or not set(name) <= set("0123456789abcdef"):
            raise HTTPException(404, "no job has this name")
        if (made := self.proofs / f"{name}.json").exists():
            return Response(made.read_bytes(), media_type="application/json")
        if (error := self.proofs / f"{name}.error").exists():
            raise HTTPException(422, error.read_text())
        if name in self.waiting:
            return Response(json.dumps({"id": name, "state": "waiting"}), 202, media_type="application/json")
        raise HTTPException(404, "there is no such job")

    @app.get("/healthz")
    async def health(self) -> dict[str, str]:
        return {"status": "ok"}


def application(key: Path, folder: Path, provers: int = 1, backend: str = "cpu") -> serve.Application:
    """The deployments of a key."""
    content = key.read_bytes()
    # The decorators make deployments of the classes.
    prover, service = cast(Any, Prover), cast(Any, Service)
    resources = {"num_cpus": 1, "num_gpus": 0 if backend == "cpu" else 1}
    made = prover.options(num_replicas=provers, ray_actor_options=resources).bind(content, backend)
    asked = service.options(ray_actor_options={"num_cpus": 0.1}).bind(content, str(folder.absolute()), made, provers)
    return cast(serve.Application, asked)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("key", type=Path)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--provers", type=int, default=1)
    parser.add_argument("--backend", default="cpu")
    parser.add_argument("--port", type=int, default=8000)
    options = parser.parse_args()
    ray.init(include_dashboard=False)
    serve.start(http_options={"host": "127.0.0.1", "port": options.port})
    serve.run(application(options.key, options.folder, options.provers, options.backend))
    while True:
        time.sleep(3600)


if __name__ == "__main__":
    main()
