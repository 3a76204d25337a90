"""The module itself: progress, Python's lock, forks, types, documentation."""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from conftest import Network

import zkml_gpu
from zkml_gpu import errors

PACKAGE = Path(zkml_gpu.__file__).parent


def test_steps_are_told_as_they_begin_and_end(gemm: Network) -> None:
    told: list[tuple[str, float | None]] = []
    gemm.prover.prove(gemm.sample, progress=lambda step, seconds: told.append((step, seconds)))
    begun = [step for step, seconds in told if seconds is None]
    ended = [step for step, seconds in told if seconds is not None]
    assert sorted(begun) == sorted(ended) and {"commit advice", "quotient", "open", "verify"} <= set(begun)
    assert all(seconds is None or seconds >= 0 for _, seconds in told)
    # Without a callback nothing is told to the one before.
    count = len(told)
    gemm.prover.prove(gemm.sample)
    assert len(told) == count


def test_each_call_tells_its_own_callback(gemm: Network, softmax: Network) -> None:
    alone = []
    gemm.prover.prove(gemm.sample, progress=lambda step, seconds: alone.append(step))
    together: list[list[str]] = [[], []]

    def prove(network: Network, told: list[str]) -> None:
        for _ in range(3):
            network.prover.prove(network.sample, progress=lambda step, seconds: told.append(step))

    threads = [threading.Thread(target=prove, args=(network, told))
               for network, told in zip((gemm, softmax), together)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together[0] == 3 * alone and len(together[1]) > 0


def test_what_a_callback_raises_ends_the_call(gemm: Network) -> None:
    class Stop(Exception):
        pass

    def stop(step: str, seconds: float | None) -> None:
        raise Stop(step)

    with pytest.raises(Stop, match="key columns|load key"):
        gemm.key.prover("cpu", progress=stop)
    with pytest.raises(TypeError):
        gemm.prover.prove(gemm.sample, progress=lambda: None)  # type: ignore[arg-type]


def test_a_bar_of_tqdm_is_a_callback(gemm: Network) -> None:
    tqdm = pytest.importorskip("tqdm")
    with tqdm.tqdm(file=open(os.devnull, "w")) as bar:
        zkml_gpu.prove(gemm.key, gemm.sample, backend="cpu", progress=zkml_gpu.show_on(bar))
        assert bar.n > 5 and bar.desc == "verify"


def test_other_threads_run_while_a_proof_is_made(gemm: Network) -> None:
    """Without it the counter would stand still from the beginning of the call to its end."""
    counted: list[int] = [0]
    done = threading.Event()

    def count() -> None:
        while not done.is_set():
            counted[0] += 1
            time.sleep(0)

    before: list[int] = []
    thread = threading.Thread(target=count)
    thread.start()
    try:
        # A step's callback has the lock; between callbacks the counter has it.
        gemm.prover.prove(gemm.sample, progress=lambda step, seconds: before.append(counted[0]))
    finally:
        done.set()
        thread.join()
    assert len(set(before)) > 1


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_forked_process_is_refused_and_not_stuck(gemm: Network) -> None:
    context = multiprocessing.get_context("fork")
    receiver, sender = context.Pipe(duplex=False)

    def child() -> None:
        try:
            gemm.prover.prove(gemm.sample)
            sender.send("proved")
        except errors.ForkError as error:
            sender.send(error.hint)

    process = context.Process(target=child)
    process.start()
    assert receiver.poll(60), "the child is stuck"
    assert 'get_context("spawn")' in receiver.recv()
    process.join()


def test_numpy_is_not_imported_with_the_package() -> None:
    code = "import sys, zkml_gpu; assert 'numpy' not in sys.modules, 'numpy'"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_everything_public_is_documented() -> None:
    for name in zkml_gpu.__all__:
        item = getattr(zkml_gpu, name)
        if name in ("__version__", "errors"):
            continue
        assert item.__doc__, name
        if isinstance(item, type):
            for part, value in vars(item).items():
                if not part.startswith("_"):
                    assert value.__doc__, f"{name}.{part}"


def test_types_are_those_of_the_built_module(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy.stubtest", "zkml_gpu._native", "--ignore-disjoint-bases"]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path,
                          env=os.environ | {"MYPYPATH": str(PACKAGE.parent)})
    assert done.returncode == 0, done.stdout + done.stderr


def test_types_are_consistent(tmp_path: Path) -> None:
    pytest.importorskip("mypy")
    project = Path(__file__).parents[1] / "pyproject.toml"
    command = [sys.executable, "-m", "mypy", "--config-file", str(project), "--cache-dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=project.parent)
    assert done.returncode == 0, done.stdout + done.stderr
