"""A grid described in a file: what a user knows of it, before anything was measured.

``grid.json`` names the sites, the images with their modality and frame, the images that share a
stage, the landmark files picked by hand, and the targets. The result is a session whose frames
hang together by the stage readings only.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ClxemError, ReadError
from napari_clxem.frames import Affine, Calibration, UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import StagePosition
from napari_clxem.session.geometry import estimate
from napari_clxem.session.landmarks import read_landmarks
from napari_clxem.session.model import Dataset, Frame, Grid, Link, Session, Site, Target
from napari_clxem.session.opening import dataset_from_file

# How far a stage reading may be trusted: position µm, turn degrees, scale relative.
STAGE_SD = (1.5, 1.0, 0.02)
# Conventions whose stage y runs against the rows of the image.
Y_UP = ("fei",)
# What is known of an affine map onto a view from any side before its landmarks are looked at.
OBLIQUE_VIEW = Calibration(scale_sd=0.02, shear_sd=0.002, axial_sd=0.02, axial_shear_sd=0.02)
# Views that do not look along the stage's z: their image axes do not run along its axes.
OBLIQUE = ("fib", "tem")
# Those of them that show what is higher further up.
UPRIGHT = ("fib",)


def describe(path: str | Path) -> Session:
    """Make a session from a grid description.

    Parameters
    ----------
    path : str or Path
        The JSON file; the files it names are relative to its folder.

    Returns
    -------
    Session
        Not saved yet; file paths are absolute.

    Raises
    ------
    ReadError
        Where the file is not JSON or lacks an entry.
    ClxemError
        Where a file it names cannot be opened.
    """
    path = Path(path)
    folder = path.resolve().parent
    found = _parsed(path)
    try:
        grid = found["grid"]
        session = Session(
            name=str(found["name"]),
            grid=Grid(name=str(grid["name"]), type=str(grid.get("type", ""))),
            sites=tuple(
                Site(id=str(site["name"]), name=str(site["name"]), status=site["status"])
                for site in found["sites"]
            ),
        )
        for entry in found["datasets"]:
            session = _with_dataset(session, entry, folder)
        for entry in found["instruments"]:
            session = with_stage(session, f"{entry['name']} stage", entry["frames"])
        return replace(
            session,
            links=(
                *session.links,
                *(_picked(session, entry, folder) for entry in found["landmarks"]),
            ),
            targets=tuple(_target(entry) for entry in found["targets"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        if isinstance(error, ClxemError):
            raise
        raise ReadError(
            f"{path.name} is no complete grid description ({type(error).__name__}: {error}); "
            "compare it with the one of the sample grid."
        ) from error


def _parsed(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ReadError(f"{path} cannot be read ({error.strerror}); check the path.") from error
    except ValueError as error:
        raise ReadError(f"{path.name} is not JSON ({error}); mend or replace it.") from error
    if not isinstance(found, dict):
        raise ReadError(f"{path.name} is no grid description: it holds no JSON object.")
    return found


def _with_dataset(session: Session, entry: Mapping[str, Any], folder: Path) -> Session:
    site = entry.get("site")
    dataset, image = dataset_from_file(
        folder / str(entry["file"]),
        name=str(entry["name"]),
        modality=str(entry["modality"]),
        site=None if site is None else str(site),
        frame=str(entry["frame"]),
    )
    dataset = replace(
        dataset, id=str(entry["name"]), axial_scaling=float(entry.get("axial_scaling", 1.0))
    )
    if dataset.stage is None and entry.get("stage"):
        z, y, x = (float(value) for value in entry["stage"])
        dataset = replace(dataset, stage=StagePosition((z, y, x), convention="described"))
    height = entry.get("z")
    frame = Frame(
        name=dataset.frame,
        ndim=3 if image.ndim_spatial == 3 else 2,
        z=None if height is None else (float(height[0]), float(height[1])),
    )
    return replace(session, datasets=(*session.datasets, dataset), frames=(*session.frames, frame))


def with_stage(session: Session, name: str, frames: Sequence[str]) -> Session:
    """Hang the frames that share a stage onto a frame of that stage."""
    links = []
    for dataset in session.datasets:
        if dataset.frame in frames and dataset.modality not in OBLIQUE:
            reading = stage_map(dataset)
            if reading is not None:
                links.append(
                    Link(
                        id=f"stage-{dataset.frame}",
                        moving=dataset.frame,
                        fixed=name,
                        kind="stage",
                        model="similarity",
                        estimate=estimate(reading),
                    )
                )
    stage = Frame(name=name, ndim=2, z=(0.0, 50.0))
    return replace(session, frames=(*session.frames, stage), links=(*session.links, *links))


def stage_map(dataset: Dataset) -> UncertainAffine | None:
    """Give the map from a dataset's plane to its stage, as its file declares it.

    The stage position is that of the middle of the field; where the file gives no matrix, image
    axes run along stage axes. None where the file has no stage position or no scale.
    """
    stage = dataset.stage
    if stage is None or dataset.scale is None or not np.isfinite(stage.position[1:]).all():
        return None
    middle = _extent(dataset)[-2:] / 2
    if stage.image_to_stage is None:
        # a stage whose y runs up is counted downwards, so that the frame keeps its hand
        place = np.array(stage.position[1:]) * ((-1.0, 1.0) if stage.convention in Y_UP else 1.0)
        matrix = Affine.planar(0.0, 1.0, place - middle).matrix
    else:
        matrix = np.array(stage.image_to_stage)
    shift, angle, scale = STAGE_SD
    return UncertainAffine.declared(matrix, middle, shift, angle_sd=angle, scale_sd=scale)


def _extent(dataset: Dataset) -> Floats:
    shape = [n for n, axis in zip(dataset.shape, dataset.axes, strict=True) if axis in "zyx"]
    return np.asarray((np.array(shape) - 1.0) * np.array(dataset.scale))


def _picked(session: Session, entry: Mapping[str, Any], folder: Path) -> Link:
    moving, fixed = str(entry["moving"]), str(entry["fixed"])
    views = {data.frame for data in session.datasets if data.modality in UPRIGHT}
    model = str(entry["model"])
    return Link(
        id=f"picked-{moving}-{fixed}",
        moving=moving,
        fixed=fixed,
        kind="landmarks",
        model=model,
        prior=OBLIQUE_VIEW if model == "affine" else None,
        upright=fixed in views,
        landmarks=read_landmarks(folder / str(entry["file"])),
        note=str(entry.get("note", "")),
    )


def _target(entry: Mapping[str, Any]) -> Target:
    return Target(
        id=str(entry["name"]),
        name=str(entry["name"]),
        site=None if entry.get("site") is None else str(entry["site"]),
        frame=str(entry["frame"]),
        position=tuple(float(x) for x in entry["position"]),
        radius=float(entry["radius"]),
        sigma=tuple(float(x) for x in entry["sigma"]) if entry.get("sigma") else None,
    )
