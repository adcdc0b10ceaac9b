"""Damage files of every format by the hundred thousand, and count what comes of it.

    python benchmarks/io_fuzz.py --cases 100000 --seconds 3600

Each format runs in a process of its own, with a limit of memory and a watch over what is opened:
a network connection, a file outside the folder, or a crash is counted as an escape or a crash. The
table gives outcomes, the longest time of one case, and by how much memory grew.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import resource
import signal
import site
import sys
import sysconfig
import tempfile
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests" / "io"))

from fuzz_seeds import MAKERS
from fuzzing import files_of, look_at, mutated, peak

from napari_clxem.errors import ClxemError

# Bytes that a process may map, and seconds that a case may take, before it counts as a fault.
MEMORY, SECONDS = 6 << 30, 20
ALLOWED = tuple(
    {
        *map(str, map(Path.resolve, map(Path, site.getsitepackages()))),
        str(Path(sysconfig.get_paths()["stdlib"]).resolve()),
        str(Path(__file__).resolve().parents[1]),
        sys.prefix,
        sys.base_prefix,
        "/proc",
        "/sys",
        "/dev",
        "/etc/localtime",
        "/usr/share/zoneinfo",
    }
)


class Slow(BaseException):
    """A case that took too long."""


def watch(folder: Path, escapes: list[str]) -> None:
    """Note every connection, and every file opened outside the folder and the libraries."""
    inside = (str(folder), *ALLOWED)

    def hook(event: str, arguments: tuple[Any, ...]) -> None:
        if event in ("socket.connect", "socket.getaddrinfo", "subprocess.Popen", "os.system"):
            escapes.append(f"{event} {arguments!r}"[:200])
        elif event == "open" and isinstance(arguments[0], str | bytes | os.PathLike):
            place = os.path.realpath(os.fsdecode(arguments[0]))
            if not place.startswith(inside):
                escapes.append(f"open {place}")

    sys.addaudithook(hook)


def work(kind: str, first: int, cases: int, until: float, queue: Any) -> None:
    """Run cases `first` and on; tell the number of each before it begins."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(Slow()))
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name).resolve()
        path = MAKERS[kind](folder)
        files = files_of(folder)
        whole = [file.read_bytes() for file in files]
        look_at(path)
        before = peak()
        escapes: list[str] = []
        watch(folder, escapes)
        for number in range(first, cases):
            if time.monotonic() > until:
                queue.put(("end", number, peak() - before, ""))
                return
            rng = np.random.default_rng([20, number])
            chosen = int(rng.integers(len(files)))
            files[chosen].write_bytes(mutated(whole[chosen], rng))
            queue.put(("begin", number, 0.0, ""))
            began = time.perf_counter()
            outcome, detail = "read", ""
            signal.alarm(SECONDS)
            try:
                look_at(path)
            except ClxemError:
                outcome = "told"
            except Slow:
                outcome, detail = "slow", traceback.format_exc(limit=-8)
            except Exception:  # noqa: BLE001 - whatever comes is counted
                outcome, detail = "fault", traceback.format_exc(limit=-4)
            finally:
                signal.alarm(0)
            if escapes:
                outcome, detail = "escape", escapes[0]
                escapes.clear()
            queue.put((outcome, number, time.perf_counter() - began, detail))
            files[chosen].write_bytes(whole[chosen])
        queue.put(("end", cases, peak() - before, ""))


def run(kind: str, cases: int, seconds: float) -> tuple[Counter[str], float, int, list[str]]:
    """Run all cases of a kind, in a new process after each crash."""
    found: Counter[str] = Counter()
    longest, memory, details = 0.0, 0, []
    context = multiprocessing.get_context("spawn")
    next_case, until = 0, time.monotonic() + seconds
    while next_case < cases:
        queue = context.SimpleQueue()
        process = context.Process(target=work, args=(kind, next_case, cases, until, queue))
        process.start()
        begun, ended = None, False
        while process.is_alive() or not queue.empty():
            if queue.empty():
                time.sleep(0.01)
                continue
            outcome, number, value, detail = queue.get()
            if outcome == "begin":
                begun = number
                continue
            if outcome == "end":
                memory, next_case, ended = max(memory, int(value)), cases, True
                break
            found[outcome] += 1
            begun, next_case, longest = None, number + 1, max(longest, value)
            if detail and len(details) < 20:
                details.append(f"{kind} case {number}: {outcome}\n{detail}")
        process.join()
        if not ended:
            if begun is None:
                details.append(f"{kind}: the process ended by itself (status {process.exitcode})")
                break
            found["crash"] += 1
            details.append(f"{kind} case {begun}: crash (status {process.exitcode})")
            next_case = begun + 1
    return found, longest, memory, details


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="per format")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most, per format")
    parser.add_argument("--kinds", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    options = parser.parse_args()
    print(f"{'format':12s} {'read':>8s} {'told':>8s} {'fault':>6s} {'slow':>5s} {'escape':>7s}"
          f" {'crash':>6s} {'longest':>9s} {'memory':>9s}")  # fmt: skip
    bad, everything = 0, []
    for kind in options.kinds:
        found, longest, memory, details = run(kind, options.cases, options.seconds)
        counts = [found[key] for key in ("fault", "slow", "escape", "crash")]
        bad += sum(counts)
        everything += details
        print(
            f"{kind:12s} {found['read']:8d} {found['told']:8d} {counts[0]:6d} {counts[1]:5d}"
            f" {counts[2]:7d} {counts[3]:6d} {longest:8.2f}s {memory / 2**20:7.0f}MB",
            flush=True,
        )
    print("\n".join(everything))
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
