"""Results of the SXT analysis as CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import WriteError
from napari_clxem.plugin.controllers.sxt_resolving import Resolved
from napari_clxem.plugin.controllers.sxt_words import THRESHOLDS

CURVE = (
    "frequency_per_um", "full_period_nm", "correlation", "sd", "samples", "half_bit_threshold",
)  # fmt: skip
SUMMARY = (
    "threshold", "full_period_nm", "half_pitch_nm", "full_period_low_nm", "full_period_high_nm",
    "nyquist_period_nm", "halves", "mask", "notes",
)  # fmt: skip


def write_curve(path: str | Path, found: Resolved) -> list[Path]:
    """Write a curve, and beside it, as ``…-resolution.csv``, what the thresholds give.

    Raises
    ------
    WriteError
        Where a file cannot be written.
    """
    path = Path(path)
    beside = path.with_name(f"{path.stem}-resolution.csv")
    curve = found.curve
    columns = (
        curve.frequency, _periods(curve.frequency), curve.correlation, curve.deviation,
        curve.samples, curve.threshold_curve("half-bit"),
    )  # fmt: skip
    write_table(path, CURVE, list(zip(*(one.tolist() for one in columns), strict=True))[1:])
    lines = []
    for threshold, _ in THRESHOLDS:
        period, (low, high) = curve.resolution(threshold), curve.interval(threshold)
        lines.append(
            (
                threshold, 1e3 * period, 5e2 * period, 1e3 * low, 1e3 * high, 1e3 / curve.nyquist,
                " | ".join(found.names), found.mask, " ".join((*curve.notes, *found.notes)),
            )
        )  # fmt: skip
    write_table(beside, SUMMARY, lines)
    return [path, beside]


def write_table(path: str | Path, headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    """Write a table; numbers that are not known are left empty.

    Raises
    ------
    WriteError
        Where the file cannot be written.
    """
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(headings)
            writer.writerows([_cell(cell) for cell in line] for line in lines)
    except OSError as error:
        raise WriteError(f"{path} cannot be written ({error.strerror}); choose another.") from error


def _cell(value: Any) -> Any:
    if not isinstance(value, float):
        return value
    return f"{value:.8g}" if np.isfinite(value) else ""


def _periods(frequency: Any) -> Any:
    return np.divide(1e3, frequency, out=np.full(len(frequency), np.nan), where=frequency > 0)
