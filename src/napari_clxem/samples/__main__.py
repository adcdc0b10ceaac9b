"""Write the sample grid: ``python -m napari_clxem.samples --folder sample_data``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from napari_clxem.errors import ClxemError
from napari_clxem.samples.sizes import SIZES
from napari_clxem.samples.writing import SEED, write_grid


def main(arguments: list[str] | None = None) -> int:
    """Run the command; gives the exit status."""
    parser = argparse.ArgumentParser(
        prog="python -m napari_clxem.samples", description="Render and write a sample grid."
    )
    parser.add_argument("--folder", type=Path, default=Path("sample_data"))
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("--size", choices=sorted(SIZES), default="shipped")
    chosen = parser.parse_args(arguments)
    try:
        write_grid(
            chosen.folder,
            chosen.seed,
            chosen.size,
            lambda done, total, name: print(f"{done:2d}/{total} {name}", flush=True),
        )
    except ClxemError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
