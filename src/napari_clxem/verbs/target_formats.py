"""Targets as they lie in one image, in the formats of other programs."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_clxem.errors import SessionError, WriteError
from napari_clxem.io import exchange
from napari_clxem.io.exchange import Entry, NamedPoint
from napari_clxem.session.geometry import Place, place
from napari_clxem.session.model import Dataset, Session, Target
from napari_clxem.session.summary import nanometres
from napari_clxem.verbs.image_places import Stage, image_of, pixels_of, stage_of_image
from napari_clxem.verbs.landmark_formats import format_for
from napari_clxem.verbs.printing import aligned


@dataclass(frozen=True, eq=False)
class Placed:
    """Targets in the frame of an image.

    Attributes
    ----------
    session : Session
    dataset : Dataset
        The image.
    targets : tuple of (Target, Place)
    left_out : tuple of str
        Which are not among them and why, each a sentence.
    """

    session: Session
    dataset: Dataset
    targets: tuple[tuple[Target, Place], ...]
    left_out: tuple[str, ...]


Writer = Callable[[Placed, Path, str | None], list[str]]


def export(session: Session, options: argparse.Namespace) -> tuple[str, list[str]]:
    """Write targets as asked for; gives a table of them and notes.

    Raises
    ------
    ClxemError
        Where no target lies in the image, or the format cannot hold them.
    """
    if options.onto and options.format != "nav":
        raise WriteError("Only a Navigator file can be added to; use --onto with --format nav.")
    found = placed(session, _frame(session, options.frame))
    notes = TARGET_FORMATS[options.format](found, Path(options.file), options.onto)
    rows = [
        [
            target.name or target.id,
            target.site or "–",
            *(f"{value:.3f}" for value in there.position[-2:]),
            f"± {nanometres(there.lateral)}",
        ]
        for target, there in found.targets
    ]
    head = ["target", "site", "y, µm", "x, µm", "predicted error"]
    table = aligned(head, rows, left=(0, 1))
    text = f"Targets in {found.dataset.frame}, written to {options.file}:\n\n{table}"
    return text, [*found.left_out, *notes]


def placed(session: Session, frame: str) -> Placed:
    """Place targets in the frame of an image; those of other sites than the image's are left out.

    Raises
    ------
    SessionError
        Where none can be placed.
    """
    dataset = image_of(session, frame)
    found, lost = [], []
    for target in session.targets:
        if dataset.site is not None and target.site not in (None, dataset.site):
            continue
        there = place(session, target, frame)
        if there is None:
            lost.append(f"{target.name or target.id} is left out: no links lead to {frame}.")
        else:
            found.append((target, there))
    if not found:
        reason = "no links lead there" if lost else "the session has none for that image"
        raise SessionError(f"No target can be placed in {frame}: {reason}.")
    others = len(session.targets) - len(found) - len(lost)
    if others:
        lost.append(f"{others} targets of other sites than {dataset.site} are left out.")
    return Placed(session, dataset, tuple(found), tuple(lost))


def _frame(session: Session, given: str | None) -> str:
    if given is not None:
        return given
    frames = {target.frame for target in session.targets}
    if len(frames) != 1:
        names = ", ".join(sorted(frames)) or "none, as there is no target"
        raise SessionError(f"Targets are in several frames ({names}); choose one with --frame.")
    return frames.pop()


def _named(found: Placed) -> list[NamedPoint]:
    return [NamedPoint(target.name or target.id, there.position) for target, there in found.targets]


def _stages(found: Placed) -> tuple[Stage, list[tuple[float, float, float]]]:
    stage = stage_of_image(found.dataset)
    return stage, stage.of(np.array([there.position for _, there in found.targets]))


def _stage_notes(stage: Stage, program: str = "", conventions: Sequence[str] = ()) -> list[str]:
    notes = list(stage.notes)
    if program and stage.convention not in conventions:
        whose = f"of {stage.convention}" if stage.convention else "unknown"
        notes.append(f"The image's stage is {whose}: {program} drives another one.")
    return notes


def _note(there: Place) -> str:
    return f"predicted error {nanometres(there.lateral)}"


def _navigator(found: Placed, path: Path, onto: str | None) -> list[str]:
    stage, places = _stages(found)
    points = [
        exchange.NavPoint(label=target.name or target.id, stage=where, note=_note(there))
        for (target, there), where in zip(found.targets, places, strict=True)
    ]
    exchange.write_navigator(points, path, onto)
    return _stage_notes(stage, "SerialEM", ("serialem",))


def _openfibsem(found: Placed, path: Path, _onto: str | None) -> list[str]:
    stage, places = _stages(found)
    points = [
        exchange.StagePoint(target.name or target.id, where, stage.rotation, stage.tilt)
        for (target, _), where in zip(found.targets, places, strict=True)
    ]
    exchange.write_positions(points, path)
    return _stage_notes(stage, "OpenFIBSEM", ("fei",))


def _odemis(found: Placed, path: Path, _onto: str | None) -> list[str]:
    stage, places = _stages(found)
    features = [
        exchange.Feature(target.name or target.id, where)
        for (target, _), where in zip(found.targets, places, strict=True)
    ]
    exchange.write_features(features, path)
    return _stage_notes(stage)


def _listing(found: Placed, path: Path, _onto: str | None) -> list[str]:
    pixel = pixels_of(found.dataset).spacing
    notes: list[str] = []
    stages: Sequence[tuple[float, float, float] | None] = [None] * len(found.targets)
    tilt = rotation = None
    try:
        stage, stages = _stages(found)
        notes = _stage_notes(stage)
        tilt, rotation = stage.tilt, stage.rotation
    except SessionError as error:
        notes = [f"Stage coordinates are blank: {error}"]
    entries = [
        Entry(
            name=target.name or target.id,
            site=target.site or "",
            stage=where,
            stage_tilt=tilt,
            stage_rotation=rotation,
            image=found.dataset.name,
            pixel=(there.position[-2] / pixel[-2], there.position[-1] / pixel[-1]),
            radius=target.radius,
            sd=_deviations(there),
        )
        for (target, there), where in zip(found.targets, stages, strict=True)
    ]
    exchange.write_list(entries, path)
    return notes


def _deviations(there: Place) -> tuple[float, float] | None:
    row, column = np.sqrt(np.diag(there.covariance)[-2:]).tolist()
    return (row, column) if np.isfinite([row, column]).all() else None


def _in_pixels(name: str) -> Writer:
    def write(found: Placed, path: Path, _onto: str | None) -> list[str]:
        one = format_for(name, path)
        one.write(_named(found), path, found.session, found.dataset.frame)
        return [] if one.named else ["Names are not in the file: their order tells them apart."]

    return write


TARGET_FORMATS: dict[str, Writer] = {
    "3dct": _in_pixels("3dct"),
    "csv": _listing,
    "ec-clem": _in_pixels("ec-clem"),
    "imod": _in_pixels("imod"),
    "nav": _navigator,
    "odemis": _odemis,
    "openfibsem": _openfibsem,
}
