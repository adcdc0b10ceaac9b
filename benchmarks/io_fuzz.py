"""Damage files of every format by the hundred thousand, and count what comes of it.

    python benchmarks/io_fuzz.py --cases 100000 --seconds 3600

Each format runs in a process of its own, with a limit of memory and a watch over what is opened:
a network connection, a file outside the folder, or a crash is counted as an escape or a crash. The
table gives outcomes, the longest time of one case, and by how much memory grew. Every case is
opened and a block of every level read; contrast and what `napari-clxem info` says, which opens and
reads it anew, is asked of one case in four.
"""

from __future__ import annotations

import argparse
import gc
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
# Cases after which the counts are told.
BATCH = 500
MEMORY_DISK = "/dev/shm" if Path("/dev/shm").is_dir() else None
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
            name = os.fsdecode(arguments[0])
            # no link was put into the folder, so a plain name below it is what it seems
            if name.startswith(inside[0]) and ".." not in name:
                return
            place = os.path.realpath(name)
            if not place.startswith(inside):
                escapes.append(f"open {place}")

    sys.addaudithook(hook)


def outcome_of(path: Path, whole: bool) -> tuple[str, str]:
    """What comes of a look at a file, and where it went wrong."""
    signal.alarm(SECONDS)
    try:
        look_at(path, whole)
    except ClxemError:
        return "told", ""
    except Slow:
        return "slow", traceback.format_exc(limit=-8)
    except Exception:  # noqa: BLE001 - whatever comes is counted
        return "fault", traceback.format_exc(limit=-4)
    finally:
        signal.alarm(0)
    return "read", ""


def work(kind: str, first: int, last: int, until: float, begun: Any, queue: Any) -> None:
    """Run cases from `first` to before `last`; `begun` holds the number of each as it begins."""
    import dask

    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    signal.signal(signal.SIGALRM, lambda *_: (_ for _ in ()).throw(Slow()))
    dask.config.set(scheduler="synchronous")
    with tempfile.TemporaryDirectory(dir=MEMORY_DISK) as name:
        folder = Path(name).resolve()
        path = MAKERS[kind](folder)
        files = files_of(folder)
        whole = [file.read_bytes() for file in files]
        look_at(path)
        gc.freeze()
        before, longest = peak(), 0.0
        found: Counter[str] = Counter()
        escapes: list[str] = []
        watch(folder, escapes)
        for number in range(first, last):
            if number % BATCH == 0 or time.monotonic() > until:
                queue.put(("batch", number, found, longest, peak() - before))
                found = Counter()
            if time.monotonic() > until:
                queue.put(("end",))
                return
            rng = np.random.default_rng([20, number])
            chosen = int(rng.integers(len(files)))
            files[chosen].write_bytes(mutated(whole[chosen], rng))
            begun.value = number
            began = time.perf_counter()
            outcome, detail = outcome_of(path, number % 4 == 0)
            longest = max(longest, time.perf_counter() - began)
            if escapes:
                outcome, detail = "escape", escapes[0]
                escapes.clear()
            found[outcome] += 1
            if detail:
                queue.put(("detail", f"{kind} case {number}: {outcome}\n{detail}"))
            files[chosen].write_bytes(whole[chosen])
        queue.put(("batch", last, found, longest, peak() - before))
        queue.put(("end",))


def run(kind: str, first: int, last: int, seconds: float) -> tuple[Counter[str], float, int]:
    """Run all cases of a kind, in a new process after each crash; print each fault as it comes."""
    found: Counter[str] = Counter()
    longest, memory = 0.0, 0
    context = multiprocessing.get_context("spawn")
    until, ended = time.monotonic() + seconds, False
    while first < last and not ended:
        queue, begun = context.SimpleQueue(), context.RawValue("q", -1)
        arguments = (kind, first, last, until, begun, queue)
        process = context.Process(target=work, args=arguments)
        process.start()
        while process.is_alive() or not queue.empty():
            if queue.empty():
                time.sleep(0.05)
                continue
            told = queue.get()
            if told[0] == "detail":
                print(told[1], flush=True)
            elif told[0] == "batch":
                found += told[2]
                first, longest, memory = told[1], max(longest, told[3]), max(memory, told[4])
            else:
                ended = True
                break
        process.join()
        if not ended:
            if begun.value < 0:
                print(f"{kind}: the process ended by itself (status {process.exitcode})")
                found["crash"] += 1
                return found, longest, memory
            # what came since the last batch is lost from the counts
            found["crash"] += 1
            print(f"{kind} case {begun.value}: crash (status {process.exitcode})", flush=True)
            first = begun.value + 1
    return found, longest, memory


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="per format")
    parser.add_argument("--first", type=int, default=0, help="number of the first case")
    parser.add_argument("--seconds", type=float, default=600.0, help="at most, per format")
    parser.add_argument("--kinds", nargs="*", default=list(MAKERS), choices=list(MAKERS))
    options = parser.parse_args()
    print("format          cases     read     told  fault  slow  escape  crash   longest    memory")
    bad = 0
    for kind in options.kinds:
        began = time.monotonic()
        last = options.first + options.cases
        found, longest, memory = run(kind, options.first, last, options.seconds)
        counts = [found[key] for key in ("fault", "slow", "escape", "crash")]
        bad += sum(counts)
        each = (time.monotonic() - began) / max(found.total(), 1)
        print(
            f"{kind:12s} {found.total():8d} {found['read']:8d} {found['told']:8d} {counts[0]:6d}"
            f" {counts[1]:5d} {counts[2]:7d} {counts[3]:6d} {longest:8.2f}s"
            f" {memory / 2**20:7.0f}MB, {each * 1e3:.2f} ms a case",
            flush=True,
        )
    return 1 if bad else 0


if __name__ == "__main__":
    raise SystemExit(main())
