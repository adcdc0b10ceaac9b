"""Doses as tables for other programs: CSV with a unit in every heading."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Sequence
from typing import Any

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.history import History
from napari_clxem.dose.limits import Budget
from napari_clxem.dose.quantities import each, expected
from napari_clxem.dose.review import TargetDose
from napari_clxem.errors import ClxemError

EXPOSURES = (
    *("id", "name", "modality", "state", "time", "frame", "aim_y_um", "aim_x_um"),
    *("axis_height_um", "beam_radius_um", "beam_height_um", "beam_width_um", "tilts_deg"),
    *("axis_azimuth_deg", "pretilt_deg", "images", "fluence_per_image", "energy_eV"),
    *("dose_per_image_MGy", "dose_MGy", "material", "lower_bound", "surface_only"),
    *("problem", "basis", "source"),
)
TARGETS = (
    *("name", "dose_MGy", "low_MGy", "high_MGy", "highest_MGy", "surface_MGy"),
    *("equivalent_e_per_A2", "amplitude_left", "lower_bound", "material"),
)


def exposures_csv(history: History, others: Iterable[Exposure] = ()) -> str:
    """Write every exposure of a history, in time order, those that are in no sum included.

    Parameters
    ----------
    history : History
    others : iterable of Exposure
        More of them, which the history leaves out.

    Returns
    -------
    str
        CSV. Fluence is in photons/µm² for X-rays, else in e⁻/Å²; `dose_MGy` is that of all images
        in the middle of the beam, in the history's material; `problem` says why an exposure is
        in no sum.
    """
    expected(history, History, "The history")
    lost = {one.id for one in history.unreached}
    rows = []
    for one, dose in zip(history.exposures, history.doses.tolist(), strict=True):
        problem = "no link reaches its frame" if one.id in lost else history.reasons.get(one.id, "")
        known = None if one.id in history.reasons else dose
        rows.append(_exposure(one, known, history.material, problem))
    rows += [_left_out(one) for one in each(others, Exposure, "The other exposures")]
    return _text(EXPOSURES, rows)


def _left_out(one: Exposure) -> tuple[object, ...]:
    try:
        dose, problem = one.image_dose(), "not among those that are shown"
    except ClxemError as error:
        dose, problem = None, str(error)
    return _exposure(one, dose, one.material, problem)


def _exposure(one: Exposure, dose: float | None, material: str, problem: str) -> tuple[object, ...]:
    height, width = one.beam_size or (None, None)
    return (
        *(one.id, one.group, one.modality, "planned" if one.planned else "recorded", one.time),
        *(one.frame, *one.aim, one.axis_height, one.beam_radius, height, width),
        *(" ".join(f"{tilt:g}" for tilt in one.tilts), one.axis_azimuth, one.pretilt),
        *(one.image_count, one.fluence, one.energy, dose),
        *(None if dose is None else float(dose * one.relative_doses.sum()), material),
        *(one.lower_bound, one.at_surface, problem, one.basis, one.source),
    )


def targets_csv(rows: Sequence[TargetDose], limit: Budget) -> str:
    """Write the rows of :func:`napari_clxem.dose.target_table` as CSV.

    Parameters
    ----------
    rows : sequence of TargetDose
    limit : Budget
        What the doses are held against; its resolution stands in the headings.
    """
    expected(limit, Budget, "The limit")
    found = each(rows, TargetDose, "The rows")
    estimates = [one.name for one in limit.estimates]
    periods = list(found[0].resolution) if found else []
    kinds = sorted({name for row in found for name in row.modalities})
    head = (
        *TARGETS,
        *(f"share_of_{name}_at_{limit.d:g}_A" for name in estimates),
        *(f"supported_{name}_A" for name in periods),
        *(f"{name}_MGy" for name in kinds),
    )
    body = [
        (
            *(row.name, row.dose, row.low, row.high, row.highest, row.surface),
            *(row.equivalent, row.amplitude, row.lower_bound, limit.material),
            *(row.shares[name] for name in estimates),
            *(row.resolution[name] for name in periods),
            *(row.modalities.get(name, 0.0) for name in kinds),
        )
        for row in found
    ]
    return _text(head, body)


def _text(head: Iterable[str], rows: Iterable[Iterable[object]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    writer.writerows([_cell(value) for value in row] for row in rows)
    return stream.getvalue()


def _cell(value: Any) -> object:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.8g}"
    return "" if value is None else value
