"""Doses as tables for other programs: CSV with a unit in every heading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence

from napari_clxem.dose.history import History
from napari_clxem.dose.review import TargetDose


def exposures_csv(history: History) -> str:
    """Write every exposure of a history, in time order, those that are in no sum included.

    Parameters
    ----------
    history : History

    Returns
    -------
    str
        CSV; `dose_mgy` is that of all images in the middle of the beam.
    """
    lost = {one.id for one in history.unreached}
    rows = []
    for index, one in enumerate(history.exposures):
        dose = float(history.doses[index] * one.relative_doses.sum())
        known = one.id not in history.reasons
        problem = "no link reaches its frame" if one.id in lost else history.reasons.get(one.id, "")
        rows.append(
            (
                *(one.id, one.group, one.modality, "planned" if one.planned else "recorded"),
                *(one.time, one.frame, one.aim[0], one.aim[1]),
                *(one.image_count, min(one.tilts), max(one.tilts)),
                f"{dose:.6g}" if known else "",
                *(history.material, "yes" if one.at_surface else "no"),
                *("yes" if one.lower_bound else "no", problem, one.basis, one.source),
            )
        )
    head = (
        *("id", "group", "modality", "state", "time", "frame", "aim_y_um", "aim_x_um", "images"),
        *("first_tilt_deg", "last_tilt_deg", "dose_mgy", "material", "surface_only"),
        *("lower_bound", "problem", "basis", "source"),
    )
    return _text(head, rows)


def targets_csv(rows: Sequence[TargetDose]) -> str:
    """Write the rows of :func:`napari_clxem.dose.target_table` as CSV."""
    estimates = sorted({name for row in rows for name in row.shares})
    kinds = sorted({name for row in rows for name in row.modalities})
    head = (
        *("name", "dose_mgy", "low_mgy", "high_mgy", "highest_mgy", "surface_mgy"),
        *("equivalent_e_per_A2", "amplitude_left", "lower_bound"),
        *(f"share_of_{name}" for name in estimates),
        *(f"{name}_mgy" for name in kinds),
    )
    body = [
        (
            row.name,
            *(f"{v:.6g}" for v in (row.dose, row.low, row.high, row.highest, row.surface)),
            f"{row.equivalent:.6g}",
            f"{row.amplitude:.6g}",
            "yes" if row.lower_bound else "no",
            *(f"{row.shares.get(name, 0.0):.6g}" for name in estimates),
            *(f"{row.modalities.get(name, 0.0):.6g}" for name in kinds),
        )
        for row in rows
    ]
    return _text(head, body)


def _text(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows(rows)
    return stream.getvalue()
