"""Soft X-ray data of ALBA's Mistral beamline (HDF5), in every stage of their processing.

Raw (NXtomo, NXmosaic), normalised (TomoNormalized, SpecNormalized, MosaicNormalized), aligned
(FastAligned), and single images converted from Xradia files (metadata). Pixel sizes are µm; the
translations of NXmosaic are labelled mm and are µm as well.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.readers.hdf5 import Hdf5, opened
from napari_clxem.io.stored import Stored

KIND = "an HDF5 file"

_MAGIC = b"\x89HDF\r\n\x1a\n"
_LOST = "Its pixel size was lost when it was processed; give it in µm as scale."


@dataclass(frozen=True)
class Stage:
    """One stage of the processing: where its images and their records are.

    `data` is the dataset; the other names hold a value per image, or one for all.
    """

    name: str
    data: str
    angles: tuple[str, ...] = ()
    energies: tuple[str, ...] = ()
    times: tuple[str, ...] = ()
    currents: tuple[str, ...] = ()
    pixel: tuple[str, ...] = ()
    position: str = ""
    role: str = ""


def _raw(root: str) -> tuple[Stage, ...]:
    """Sample, flat and dark of a raw measurement."""
    instrument, sample = f"{root}/instrument", f"{root}/instrument/sample"
    energies = (f"{instrument}/source/energy", f"{sample}/energy")
    pixel = (f"{sample}/x_pixel_size", f"{sample}/y_pixel_size")
    kinds = {"flat": f"{instrument}/bright_field", "dark": f"{instrument}/dark_field"}
    return (
        Stage(
            root[1:],
            f"{sample}/data",
            (f"{root}/sample/rotation_angle",),
            energies,
            (f"{sample}/ExpTimes",),
            (f"{sample}/current",),
            pixel,
            f"{root}/sample",
        ),
        *(
            Stage(
                f"{root[1:]} {role}",
                f"{place}/data",
                (),
                (f"{place}/energy", *energies) if role == "flat" else (),
                (f"{place}/ExpTimes",),
                (f"{place}/current",),
                pixel,
                role=role,
            )
            for role, place in kinds.items()
        ),
    )


def _normalised(group: str, data: str) -> Stage:
    return Stage(
        group,
        f"/{group}/{data}",
        (f"/{group}/rotation_angle",),
        (f"/{group}/energy",),
        (f"/{group}/ExpTimesTomo", f"/{group}/ExpTimesSample"),
        (f"/{group}/CurrentsTomo", f"/{group}/CurrentsSample"),
        (f"/{group}/x_pixel_size", f"/{group}/y_pixel_size"),
    )


def _flat(group: str, data: str) -> Stage:
    return Stage(
        f"{group} {data}",
        f"/{group}/{data}",
        (),
        (f"/{group}/energy",),
        (f"/{group}/ExpTimesFF",),
        (f"/{group}/CurrentsFF",),
        (f"/{group}/x_pixel_size", f"/{group}/y_pixel_size"),
        role="flat",
    )


def _aligned(data: str) -> Stage:
    near = ("/TomoNormalized", "/SpecNormalized", "/FastAligned")
    return Stage(
        "FastAligned",
        f"/FastAligned/{data}",
        tuple(f"{group}/rotation_angle" for group in near),
        tuple(f"{group}/energy" for group in near),
        pixel=("/TomoNormalized/x_pixel_size", "/TomoNormalized/y_pixel_size"),
    )


_STAGES = (
    *_raw("/NXtomo"),
    *_raw("/NXmosaic"),
    _normalised("TomoNormalized", "TomoNormalized"),
    *(_flat("TomoNormalized", data) for data in ("FFNormalized", "AverageFF")),
    _normalised("SpecNormalized", "spectroscopy_normalized"),
    _normalised("MosaicNormalized", "mosaic_normalized"),
    _aligned("tomo_aligned"),
    _aligned("spec_aligned"),
)


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell an HDF5 file; whether it is of Mistral is seen when it is read."""
    return head.startswith(_MAGIC)


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images of every stage that a file holds, and its flat and dark images."""
    with opened(path) as file:
        found = [_stored(file, stage) for stage in _STAGES if file.dataset(stage.data) is not None]
        if not found:
            found = _converted(file)
    if not found:
        raise ReadError(
            f"{path.name} is an HDF5 file without images of the Mistral beamline (NXtomo, "
            "NXmosaic, TomoNormalized, SpecNormalized, MosaicNormalized, FastAligned); export it "
            "as TIFF or MRC."
        )
    return tuple(found)


def _stored(file: Hdf5, stage: Stage) -> Stored:
    data = file.pixels(stage.data)
    while data.ndim > 2 and data.shape[0] == 1:
        data = data[0]
    if data.ndim > 3:
        raise ReadError(f"{file.path.name}: {stage.data} has {data.ndim} axes, not 2 or 3.")
    count = data.shape[0] if data.ndim == 3 else 1
    records: Mapping[str, list[float]] = {
        "tilt_angles": _per_image(file.numbers(*stage.angles), count),
        "energies": _energies(file, stage.energies, count),
        "exposure_times": _per_image(file.numbers(*stage.times), count),
        "currents": _per_image(file.numbers(*stage.currents), count),
    }
    meta: dict[str, Any] = {"format": "alba", "stage": stage.name, "role": stage.role, **records}
    places = _positions(file, stage.position, count) if stage.position else []
    meta["positions"] = places
    series = data.ndim == 3
    x, y = (file.length(name) for name in stage.pixel) if stage.pixel else (None, None)
    tiles = stage.data.startswith("/NXmosaic") and series and not stage.role
    notes = (
        ("It is a mosaic, shown as a series of its tiles; they are not joined.",) if tiles else ()
    )
    return Stored(
        levels=(data,),
        axes=("t", "y", "x") if series else ("y", "x"),
        pixel={"y": y if y is not None else x, "x": x},
        pixel_note="" if x is not None else _LOST,
        channels=(Channel(""),),
        stage=_stage(places, records["tilt_angles"], series),
        name=f"{file.path.stem} {stage.name}",
        meta={key: value for key, value in meta.items() if value not in ([], "")},
        missing=notes,
    )


def _per_image(values: list[float], count: int) -> list[float]:
    """Give a value per image: those stated, or the one that is stated for all."""
    if len(values) == count:
        return values
    return values * count if len(values) == 1 else []


def _energies(file: Hdf5, names: tuple[str, ...], count: int) -> list[float]:
    for name in names:
        values = _per_image(file.numbers(name), count)
        if values:
            factor = 1000.0 if file.unit(name).lower() == "kev" else 1.0
            return [value * factor for value in values]
    return []


def _positions(file: Hdf5, place: str, count: int) -> list[list[float | None]]:
    """Stage (z, y, x) of every image, µm, whatever unit they are labelled with; z may be None."""
    z, y, x = (_per_image(file.numbers(f"{place}/{a}_translation"), count) for a in "zyx")
    if not y or not x:
        return []
    heights: list[float | None] = [*z] if z else [None] * count
    return [list(values) for values in zip(heights, y, x, strict=True)]


def _stage(
    places: list[list[float | None]], angles: list[float], series: bool
) -> StagePosition | None:
    """Stage of an image; of a series that of the least tilted one."""
    if not places:
        return None
    best = min(range(len(angles)), key=lambda i: abs(angles[i])) if series and angles else 0
    z, y, x = (math.nan if value is None else value for value in places[best])
    tilt = angles[0] if angles and not series else None
    return StagePosition((z, y, x), tilt=tilt, convention="xradia")


def _converted(file: Hdf5) -> list[Stored]:
    """Read an image converted from Xradia: its pixels at the top, its records in metadata."""
    names = file.group("/metadata")
    if not names:
        return []
    for name in ("data", *file.group("/")):
        found = file.dataset(name)
        if found is None or found.ndim < 2 or found.dtype.kind not in "iufb":
            continue
        stage = Stage(
            "converted",
            f"/{name}",
            ("/metadata/angle",),
            ("/metadata/energy",),
            ("/metadata/exposure_time", "/metadata/exposure"),
            ("/metadata/machine_current", "/metadata/current"),
            ("/metadata/pixel_size", "/metadata/pixel_size"),
        )
        image = _stored(file, stage)
        place = [file.length(f"/metadata/{axis}_position") for axis in "zyx"]
        if place[1] is None or place[2] is None:
            return [image]
        from dataclasses import replace

        z, y, x = (math.nan if value is None else value for value in place)
        tilt = next(iter(file.numbers("/metadata/angle")), None)
        return [replace(image, stage=StagePosition((z, y, x), tilt=tilt, convention="xradia"))]
    return []
