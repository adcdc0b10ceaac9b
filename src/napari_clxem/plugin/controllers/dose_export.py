"""Doses as CSV tables."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from napari_clxem.dose import Exposure
from napari_clxem.errors import WriteError
from napari_clxem.plugin.controllers.dose_scene import Scene
from napari_clxem.plugin.controllers.dose_settings import Settings
from napari_clxem.plugin.controllers.dose_tables import Findings
from napari_clxem.session.model import Session

EXPOSURES = (
    "id", "name", "modality", "state", "frame", "aim_y_um", "aim_x_um", "axis_height_um",
    "beam_radius_um", "beam_height_um", "beam_width_um", "tilts_deg", "axis_azimuth_deg",
    "pretilt_deg", "images", "fluence_per_image", "energy_eV", "dose_per_image_MGy",
    "dose_MGy", "material", "lower_bound", "at_surface", "linked", "time", "source", "basis",
)  # fmt: skip
TARGETS = (
    "name", "dose_MGy", "low_MGy", "high_MGy", "highest_MGy", "surface_MGy", "electrons_per_A2",
    "lower_bound", "amplitude_left",
)  # fmt: skip


def write_exposures(path: str | Path, session: Session, shown: Scene | None) -> None:
    """Write the exposures of a session, in time order where they are shown.

    Fluence is in photons/µm² for X-rays, in e⁻/Å² for electrons.

    Raises
    ------
    WriteError
        Where the file cannot be written.
    """
    known = {} if shown is None else {one.id: one for one in shown.history.exposures}
    lost = set() if shown is None else {one.id for one in shown.history.unreached}
    every = [*known.values(), *(one for one in session.exposures if one.id not in known)]
    doses = {} if shown is None else shown.doses
    lines = [_exposure(one, doses.get(one.id), one.id in known and one.id not in lost)
             for one in every]  # fmt: skip
    _write(path, EXPOSURES, lines)


def _exposure(one: Exposure, dose: float | None, linked: bool) -> tuple[Any, ...]:
    height, width = one.beam_size or ("", "")
    images = sum(one.weights or (1.0,) * len(one.tilts)) * one.images
    return (
        one.id, one.group, one.modality, "planned" if one.planned else "recorded", one.frame,
        *one.aim, one.axis_height, _or_empty(one.beam_radius), height, width,
        " ".join(f"{tilt:g}" for tilt in one.tilts), one.axis_azimuth, one.pretilt,
        one.image_count, _or_empty(one.fluence), _or_empty(one.energy),
        "" if dose is None else dose / images, _or_empty(dose), one.material,
        one.lower_bound, one.at_surface, linked, one.time, one.source, one.basis,
    )  # fmt: skip


def write_targets(path: str | Path, found: Findings, settings: Settings) -> None:
    """Write the doses of targets and cells; what they are held against is in the headings.

    Raises
    ------
    WriteError
        Where the file cannot be written.
    """
    names = tuple(one.name for one in settings.budget.estimates)
    periods = tuple(found.targets[0].resolution) if found.targets else ()
    modalities = sorted({kind for one in found.targets for kind in one.modalities})
    headings = (
        *TARGETS,
        *(f"share_of_{name}_at_{settings.d:g}_A" for name in names),
        *(f"supported_{name}_A" for name in periods),
        *(f"{name}_MGy" for name in modalities),
        "material",
    )
    lines = [
        (
            one.name, one.dose, one.low, one.high, one.highest, one.surface, one.equivalent,
            one.lower_bound, one.amplitude, *(one.shares[name] for name in names),
            *(one.resolution[name] for name in periods),
            *(one.modalities.get(name, 0.0) for name in modalities), settings.material,
        )
        for one in found.targets
    ]  # fmt: skip
    _write(path, headings, lines)


def _or_empty(value: float | None) -> Any:
    return "" if value is None else value


def _write(path: str | Path, headings: Sequence[str], lines: Iterable[Sequence[Any]]) -> None:
    try:
        with Path(path).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(headings)
            writer.writerows(
                [f"{cell:.8g}" if isinstance(cell, float) else cell for cell in line]
                for line in lines
            )
    except OSError as error:
        raise WriteError(f"{path} cannot be written ({error.strerror}); choose another.") from error
