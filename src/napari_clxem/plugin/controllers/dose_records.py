"""Making, changing and removing exposures of the session: one step to undo each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from napari_clxem.dose import Exposure, Preset
from napari_clxem.dose.exposure import XRAYS
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.controllers.tasks import Progress
from napari_clxem.session import Session, Store, edits, open_dataset
from napari_clxem.session.model import Dataset
from napari_clxem.session.records import Known, Record, record_dataset, without_known


def recorded(store: Store, preset: Preset | None, material: str, progress: Progress) -> Record:
    """Make exposures of what the files of all images say; run in a thread.

    Parameters
    ----------
    store : Store
        Of the session.
    preset : Preset, optional
        How X-ray images were exposed that do not say it themselves.
    material : str
        What doses are stated for.
    progress : callable
        Told how far it is; may end it.

    Returns
    -------
    Record
        The exposures that the session does not have; notes begin with the image's name.
    """
    session = store.session
    found: list[Exposure] = []
    notes: list[str] = []
    for number, dataset in enumerate(session.datasets):
        progress(number / max(1, len(session.datasets)), f"Looking at {dataset.name}…")
        try:
            record = _of_dataset(store, dataset, preset, material)
        except ClxemError as error:
            record = Record((), (str(error),))
        found += record.exposures
        notes += [f"{dataset.name}: {note}" for note in record.notes]
    new = without_known(session, found)
    return Record(new.exposures, (*notes, *new.notes))


def _of_dataset(store: Store, dataset: Dataset, preset: Preset | None, material: str) -> Record:
    xrays = dataset.modality.lower() in XRAYS
    known = Known(material=material, preset=preset if xrays else None)
    record = record_dataset(dataset, open_dataset(store, dataset), known)
    made, notes = list(record.exposures), list(record.notes)
    if preset is not None and xrays:
        for index, one in enumerate(made):
            if one.image_dose() is None and len(one.tilts) == 1:
                made[index] = assumed(one, preset, has_depth="z" in dataset.axes)
                notes = [f"The file says nothing of its dose: it is assumed, {preset.name}."]
    return Record(tuple(made), tuple(notes))


def assumed(one: Exposure, preset: Preset, has_depth: bool) -> Exposure:
    """Give an X-ray exposure the numbers of a preset: tilts too where it became a volume."""
    tilts = preset.tilts if has_depth else (0.0,)
    return replace(
        one,
        energy=preset.energy,
        fluence=preset.image_fluence,
        tilts=tilts,
        pretilt=preset.pretilt if has_depth else 0.0,
        beam_radius=preset.beam_radius if has_depth else one.beam_radius,
        beam_size=None if has_depth else one.beam_size,
        times=(),
        basis=f"Assumed as preset {preset.name}: {preset.source}",
    )


def from_preset(
    preset: Preset, frame: str, place: Floats, height: float, material: str
) -> Exposure:
    """Make a planned exposure as an instrument is usually run.

    Parameters
    ----------
    preset : Preset
    frame : str
        Frame shown.
    place : (2,) array
        (y, x) of the aim, µm.
    height : float
        Of the tilt axis in a 3D frame, µm.
    material : str
        What the dose is stated for.
    """
    aim = tuple(np.asarray(place, float).round(6).tolist())
    return preset.exposure(frame, aim, axis_height=height, material=material, group=preset.name)


def put(review: DoseReview, exposures: Iterable[Exposure], label: str) -> None:
    """Add exposures to the session, or change those of the same id."""
    items = tuple(exposures)
    if items:
        review.workspace.store.commit(lambda now: edits.put(now, *items), label)


def drop(review: DoseReview, ids: Iterable[str]) -> None:
    """Remove exposures from the session."""
    names = tuple(ids)

    def without(now: Session) -> Session:
        return replace(now, exposures=tuple(e for e in now.exposures if e.id not in set(names)))

    if names:
        plural = "s" if len(names) > 1 else ""
        review.workspace.store.commit(without, f"Remove {len(names)} exposure{plural}")


def exposure(session: Session, name: str) -> Exposure | None:
    """Find an exposure by id."""
    return next((one for one in session.exposures if one.id == name), None)
