"""PyTorch's side of one workload: a process that runs a round whenever it is told to.

    python worker.py NAME --threads N --exchange FOLDER [--variant eager]

The module of a workload has the name up to the first dash; the rest of the name goes to its
`setup`. It speaks the protocol of ../src/protocol.rs.
"""

import argparse
import importlib
import json
import math
import os
import sys
import time
from pathlib import Path

# A round lasts about this long, in seconds; as in ../src/worker.rs.
ROUND = 2.0
# More than on weft's side: a compiled function is compiled anew for the second shape it meets.
WARM_UP_STEPS = 6
WARM_UP_SECONDS = 0.5


class Workload:
    """Something that is done over and over."""

    unit = "samples"
    parameters = None
    notes = ()
    # Memory of this workload's other processes.
    others_mib = 0.0

    def __init__(self):
        # Figures of the first step, by name; both sides must agree on them.
        self.check = {}

    def step(self):
        """Does it once; returns how many units of work that was."""
        raise NotImplementedError

    def prepare(self):
        """Before a round, not timed."""

    def settle(self):
        """After a round, not timed: returns when nothing computes any more."""

    def first(self, **figures):
        """Keeps figures unless a step before this one gave some."""
        if not self.check:
            self.check = {
                name: list(values) if hasattr(values, "__len__") else [values]
                for name, values in figures.items()
            }


def memory_mib(figure):
    """VmHWM, the largest resident set so far, or VmRSS, the present one; 0 where nothing tells."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0.0
    kib = [line.split()[1] for line in status.splitlines() if line.startswith(f"{figure}:")]
    return float(kib[0]) / 1024 if kib else 0.0


def reset_peak():
    try:
        Path("/proc/self/clear_refs").write_text("5")
    except OSError:
        pass


def warm_up(workload):
    """Takes the first steps and returns the seconds of the last."""
    begun, taken = time.perf_counter(), 0
    workload.prepare()
    while True:
        step = time.perf_counter()
        workload.step()
        now = time.perf_counter()
        taken += 1
        if taken >= WARM_UP_STEPS and now - begun >= WARM_UP_SECONDS:
            workload.settle()
            return now - step


def timed(workload, steps):
    workload.prepare()
    begun = time.perf_counter()
    work = sum(workload.step() for _ in range(steps))
    seconds = time.perf_counter() - begun
    workload.settle()
    peak = memory_mib("VmHWM") + workload.others_mib
    return {"seconds": seconds, "work": work, "peak_rss_mib": peak}


def answer(line):
    OUT.write(json.dumps(line) + "\n")
    OUT.flush()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--exchange", type=Path, required=True)
    parser.add_argument("--variant", default="eager")
    parser.add_argument("--pictures", type=Path)
    args = parser.parse_args()

    import torch

    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    base = memory_mib("VmRSS")
    module, *rest = args.name.split("-")
    workload = importlib.import_module(module).setup(args, *rest)
    steps = max(1, math.ceil(ROUND / warm_up(workload)))
    reset_peak()
    answer(
        {
            "ready": args.name,
            "unit": workload.unit,
            "parameters": workload.parameters,
            "base_rss_mib": base,
            "check": workload.check,
            "notes": list(workload.notes),
        }
    )
    for line in sys.stdin:
        if line.strip() != "go":
            sys.exit(f"expected 'go', read {line!r}")
        answer(timed(workload, steps))


if __name__ == "__main__":
    # Answers go to what was the standard output; whatever else is printed goes to the errors.
    OUT = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    # Workloads import this file by its name, and must find the same classes.
    sys.modules["worker"] = sys.modules["__main__"]
    main()
