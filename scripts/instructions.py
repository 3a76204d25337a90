#!/usr/bin/env python3
"""Counts instructions of operations, keys and a proof, and compares them with a stored baseline: a machine's load does not change them.

Needs valgrind and Rust; Linux. Usage:

    instructions.py              compare with benches/instructions.json; exit code 1 where something takes over 10 % more
    instructions.py --update     store what is counted as the new baseline

One thread, and the portable code of the processor back end, for valgrind knows no AVX-512. The build is the tests' (optimised, but not
linked as a release): what changes an algorithm or a loop shows. Another compiler, or valgrind, gives other counts; the baseline
names those that it was made with, and a difference is said.
"""
import argparse
import json
import os
import re
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BASELINE = ROOT / "benches/instructions.json"
# More than this part above the baseline is a regression. Hash tables are seeded at random, which is worth far less.
TOLERANCE = 0.10
ENVIRONMENT = {**os.environ, "ZKML_CPU": "portable", "RAYON_NUM_THREADS": "1"}
# The function of benches/benches/instructions.rs in which counters are on, with whatever the compiler makes of its name.
COUNTED = "*instructions*counted*"


def run(command, **options):
    try:
        return subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE, **options).stdout
    except FileNotFoundError:
        sys.exit(f"error: {command[0]} is not installed")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: {' '.join(command)} ended with {error.returncode}")


def build(cargo):
    """The program that does the work. As a part of the workspace, so that nothing is compiled that the tests did not."""
    command = [*cargo, "build", "--locked", "--workspace", "--bench", "instructions", "--message-format=json-render-diagnostics"]
    messages = [json.loads(line) for line in run(command).splitlines() if line.startswith("{")]
    built = [message["executable"] for message in messages if message.get("executable")]
    return built[-1]


def count(program):
    """Instructions by name of the work, in its order: a process for each, as many at a time as there are processors."""
    names = run([program], env=ENVIRONMENT).split()
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return dict(zip(names, pool.map(lambda name: count_one(program, name), names)))


def count_one(program, name):
    with tempfile.TemporaryDirectory(prefix="instructions-") as folder:
        out = Path(folder) / "out"
        # Counters are on inside the function only.
        command = ["valgrind", "--tool=callgrind", f"--callgrind-out-file={out}", f"--toggle-collect={COUNTED}", program, name]
        run(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
        total = int(re.search(r"^totals: (\d+)", out.read_text(), re.MULTILINE)[1])
    if not total:
        sys.exit(f"error: nothing was counted for {name}: is there still one function {COUNTED}?")
    return total


def compare(old, new):
    """Prints both counts of everything; what takes more than it may."""
    print(f"{'work':<20} {'baseline':>15} {'now':>15} {'change':>8}")
    slower = []
    for name in {**old, **new}:
        if name not in new or name not in old:
            before, now = (f"{counts[name]:,}" if name in counts else "-" for counts in (old, new))
            print(f"{name:<20} {before:>15} {now:>15}   {'gone' if name in old else 'new'}")
            continue
        change = new[name] / old[name] - 1
        flag = "  REGRESSION" if change > TOLERANCE else ""
        print(f"{name:<20} {old[name]:>15,} {new[name]:>15,} {100 * change:>+7.1f}%{flag}")
        slower += [name] if flag else []
    return slower


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true", help="store the counts as the new baseline")
    parser.add_argument("--cargo", default="cargo", help="the command to build with")
    options = parser.parse_args()
    tools = {
        "rustc": run(["rustc", "--version"]).strip(),
        "valgrind": run(["valgrind", "--version"]).strip(),
        "target": re.search(r"^host: (.*)$", run(["rustc", "-vV"]), re.MULTILINE)[1],
    }
    counts = count(build(options.cargo.split()))
    if options.update:
        BASELINE.write_text(json.dumps({"tools": tools, "instructions": counts}, indent=1) + "\n")
        print(f"{len(counts)} counts stored in {BASELINE.relative_to(ROOT)}")
        return
    if not BASELINE.is_file():
        sys.exit("error: there is no baseline\nhint: make one with --update")
    baseline = json.loads(BASELINE.read_text())
    for name, value in tools.items():
        if baseline["tools"][name] != value:
            print(f"warning: the baseline was made with {baseline['tools'][name]}, this is {value}", file=sys.stderr)
    slower = compare(baseline["instructions"], counts)
    if slower:
        sys.exit(f"error: over {100 * TOLERANCE:.0f} % more instructions: {', '.join(slower)}\nhint: if it must be so, --update")


if __name__ == "__main__":
    main()
