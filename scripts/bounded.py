"""Programs that may use so much address space and time and no more, so that a sweep goes on after one that is too large."""
import os
import resource
import subprocess
from pathlib import Path

GIB = 1 << 30


class Failed(Exception):
    """A process that gave no figures."""


def available_gib():
    """Three quarters of the memory that is free."""
    free = next(line for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    return round(int(free.split()[1]) * 1024 * 0.75 / GIB, 1)


def bounded(command, max_memory, timeout, cwd=None):
    """Standard output of a process within `max_memory` GiB of address space and `timeout` seconds."""

    def limit():
        bytes_ = int(max_memory * GIB)
        resource.setrlimit(resource.RLIMIT_AS, (bytes_, bytes_))

    # Each arena of the C library takes address space that is never used.
    environment = {**os.environ, "MALLOC_ARENA_MAX": "2"}
    try:
        done = subprocess.run(
            [str(part) for part in command], cwd=cwd, env=environment, preexec_fn=limit, capture_output=True, text=True, timeout=timeout
        )
    except subprocess.TimeoutExpired as expired:
        raise Failed(f"more than {timeout} s") from expired
    except OSError as error:
        raise Failed(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        words = [line for line in done.stderr.splitlines() if line.strip()] or ["no message"]
        # The cause, where the program names it; a hint may follow.
        words += [line for line in words if line.startswith("error: ")][:1]
        how = f"signal {-done.returncode}" if done.returncode < 0 else f"exit code {done.returncode}"
        raise Failed(f"{how} within {max_memory:g} GiB: {words[-1][:160]}")
    return done.stdout
