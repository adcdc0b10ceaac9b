"""What this plugin adds to the start of napari: its manifest, and the modules it imports.

    python -P benchmarks/plugin_start.py

In each of several new processes npe2 first reads the manifests of all other plugins, as napari
does when it starts; then the clock runs while it finds, reads, checks and registers that of this
one. Given are the best and the median, processor and clock time, and which modules of this package
are imported by then (none should be).
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import sys

LIMIT = 50.0  # ms

SCRIPT = """
import sys, time
from importlib import metadata
from npe2 import PluginManager, PluginManifest
from npe2.manifest import schema
manager = PluginManager()
for result in PluginManifest.discover():
    if result.manifest and result.manifest.name != "napari-clxem":
        manager.register(result.manifest)
own, clock = time.process_time(), time.perf_counter()
manager.register(PluginManifest.from_distribution("napari-clxem"))
own, clock = time.process_time() - own, time.perf_counter() - clock
assert "napari-clxem" in {one.name for one in manager.iter_manifests()}
print(own * 1e3, clock * 1e3, *sorted(m for m in sys.modules if m.startswith("napari_clxem")))
"""


def trial() -> tuple[float, float, list[str]]:
    """Milliseconds of processor and clock, and the modules imported, in a new process."""
    run = subprocess.run(
        [sys.executable, "-P", "-c", SCRIPT], capture_output=True, text=True, check=True
    )
    own, clock, *modules = run.stdout.split()
    return float(own), float(clock), modules


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trials", type=int, default=9)
    options = parser.parse_args()
    trials = [trial() for _ in range(options.trials)]
    for name, values in (("processor", [t[0] for t in trials]), ("clock", [t[1] for t in trials])):
        print(f"{name}: best {min(values):.1f} ms, median {statistics.median(values):.1f} ms")
    modules = sorted({module for *_, found in trials for module in found})
    print(f"modules imported: {', '.join(modules) or 'none'}")
    best = min(own for own, _, _ in trials)
    print(f"{best:.1f} ms of processor; {LIMIT:.0f} ms are allowed")
    return 0 if best < LIMIT and not modules else 1


if __name__ == "__main__":
    raise SystemExit(main())
