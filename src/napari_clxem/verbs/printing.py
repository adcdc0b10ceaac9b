"""What verbs share: aligned tables on stdout, progress on stderr, files put in place whole."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    Verbs = argparse._SubParsersAction[argparse.ArgumentParser]
else:
    Verbs = Any

Run = Callable[[argparse.Namespace], int]


def verb(verbs: Verbs, name: str, run: Run, text: str) -> argparse.ArgumentParser:
    """Add a verb with its one line of help."""
    parser = verbs.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.set_defaults(run=run)
    return parser


def number(low: float = -np.inf, *, above: bool = False) -> Callable[[str], float]:
    """Make a reader of finite numbers from `low` on, or above it."""

    def read(text: str) -> float:
        try:
            value = float(text)
        except ValueError:
            value = np.nan
        if not np.isfinite(value) or value < low or (above and value == low):
            bound = "" if np.isinf(low) else f" {'above' if above else 'from'} {low:g}"
            raise argparse.ArgumentTypeError(f"{text!r} is not a finite number{bound}")
        return value

    return read


positive = number(0.0, above=True)


def count(text: str) -> int:
    """Read a whole number from 1 on."""
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from 1 on")
    return int(text)


def pixel_argument(one: argparse.ArgumentParser) -> None:
    """Add the option of a pixel size."""
    one.add_argument("--pixel", type=positive, metavar="UM", help="pixel size, µm (as files say)")


def solver_arguments(one: argparse.ArgumentParser) -> None:
    """Add the options of a reconstruction."""
    one.add_argument("--method", choices=("SART", "SIRT"), default="SART", help="(SART)")
    one.add_argument("--iterations", type=count, default=5, help="passes through all tilts (5)")
    one.add_argument("--relaxation", type=positive, help="0 to 2 (0.36 of SART, 1 of SIRT)")


def aligned(
    head: Sequence[str], rows: Iterable[Sequence[str]], left: Collection[int] = (0,)
) -> str:
    """Write rows as columns two blanks apart; columns in `left` begin, the others end in line."""
    lines = [list(head), *(list(row) for row in rows)]
    widths = [max(len(line[i]) for line in lines) for i in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def figure(value: float | None, digits: int = 3) -> str:
    """Write a number for people; a dash where there is none."""
    return "–" if value is None or not np.isfinite(value) else f"{value:.{digits}g}"


def listed(title: str, sentences: Iterable[str]) -> None:
    """Print sentences below a title; nothing where there are none."""
    found = list(sentences)
    if found:
        print(f"\n{title}:")
        for sentence in found:
            print(f"    {sentence}")


def say(text: str) -> None:
    """Say on stderr what is going on."""
    print(text, file=sys.stderr, flush=True)


class Progress:
    """Says on stderr how far a calculation is, at most twice a second.

    Parameters
    ----------
    after : float
        Seconds before anything is said: what is done by then needs no word.
    """

    def __init__(self, after: float = 0.0) -> None:
        self._began = time.monotonic()
        self._said = -np.inf
        self._after = after

    def __call__(self, share: float, text: str) -> None:
        """Take the share done, 0 to 1, and what is being done."""
        now = time.monotonic()
        if now - self._began < self._after:
            return
        if now - self._said >= 0.5 or share >= 1:
            self._said = now
            say(f"[{now - self._began:5.1f} s] {share:4.0%}  {text}")


def write_csv(path: str | None, head: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Write a table as CSV, where a path is given."""
    from napari_clxem.io.exchange.text import table

    write_file(path, table([head, *rows]))


def write_file(path: str | None, text: str) -> None:
    """Write a text file whole, where a path is given, and say so."""
    from napari_clxem.io.exchange.text import write_text

    if path is not None:
        write_text(Path(path), text)
        say(f"{path} written")
