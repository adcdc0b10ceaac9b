"""Results of the SXT analysis as CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import WriteError
from napari_clxem.plugin.controllers.sxt_resolving import Resolved
from napari_clxem.plugin.controllers.sxt_weighing import Weighed
from napari_clxem.plugin.controllers.sxt_words import THRESHOLDS
from napari_clxem.xray import Proximity

CURVE = (
    "frequency_per_um", "full_period_nm", "correlation", "sd", "samples", "half_bit_threshold",
)  # fmt: skip
SUMMARY = (
    "threshold", "full_period_nm", "half_pitch_nm", "full_period_low_nm", "full_period_high_nm",
    "nyquist_period_nm", "halves", "mask", "notes",
)  # fmt: skip

LIMITS = (
    "diameter_um", "sigma_g_cm3", "wedge_factor", "decision_limit_g_cm3", "detection_limit_g_cm3",
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


def write_clusters(path: str | Path, weighed: Weighed) -> list[Path]:
    """Write clusters and totals, and beside them, as ``…-limits.csv``, the limits by size.

    Masses are in pg and fg, lengths in µm; the contrast and its source are in every line.

    Raises
    ------
    WriteError
        Where a file cannot be written.
    """
    path = Path(path)
    found, how = weighed.found, weighed.how
    shared = {
        "k": float(found.scale),
        "k sd": np.nan if weighed.scale_sd is None else weighed.scale_sd,
        "contrast (cm2/g)": float(found.contrast.value),
        "contrast sd (cm2/g)": float(found.contrast.sd),
        "contrast source": found.contrast.source,
        "above edge": how.high.name,
        "below edge": "" if how.low is None else how.low.name,
        "wedge": "calibrated" if how.wedge is not None else "not calibrated",
    }
    near = {one.cluster: one for one in weighed.near}
    rows: list[dict[str, Any]] = [
        {"what": "cluster", **row, **_beside(near.get(int(row["cluster"])))} for row in found.rows()
    ]
    totals = [("total", found.total), ("generous mask", found.masked)]
    if found.projection is not None:
        totals.append(("projection without tilt", found.projection))
    for what, mass in totals:
        low, high = mass.interval
        rows.append(
            {"what": what, "mass (pg)": mass.value, "mass low (pg)": low, "mass high (pg)": high}
        )
    rows = [{**_in_femtograms(row), **shared} for row in rows]
    headings = list(dict.fromkeys(name for row in rows for name in row))
    write_table(path, headings, [[row.get(name, "") for name in headings] for row in rows])
    beside = path.with_name(f"{path.stem}-limits.csv")
    limits = found.limits
    columns = (limits.diameters, limits.sigma, limits.wedge, limits.decision, limits.detection)
    write_table(beside, LIMITS, list(zip(*(one.tolist() for one in columns), strict=True)))
    return [path, beside]


def _beside(near: Proximity | None) -> dict[str, Any]:
    if near is None:
        return {}
    return {
        "organelle": near.organelle,
        "distance (um)": near.distance,
        "centre distance (um)": near.centre_distance,
        "distance sd (um)": near.distance_sd,
        "overlap": near.overlap,
        "expected overlap": near.expected_overlap,
        "overlap by chance": near.chance,
    }


def _in_femtograms(row: dict[str, Any]) -> dict[str, Any]:
    return {**row, "mass (fg)": 1e3 * row["mass (pg)"]}
