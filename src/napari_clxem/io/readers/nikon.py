"""Nikon ND2 files, by the nd2 package: each position on the stage an image."""

from __future__ import annotations

import math
import threading
import warnings
import weakref
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import hushed, reading
from napari_clxem.io.image import Channel, StagePosition
from napari_clxem.io.readers.planes import MOST_PLANES, Plane, Planes, check_shape, lazy
from napari_clxem.io.stored import Stored

if TYPE_CHECKING:
    from nd2 import ND2File

KIND = "an ND2 file"

_MAGIC = b"\xda\xce\xbe\x0a"
_SIGNATURE = b"ND2 FILE SIGNATURE"
_RGB = (Channel("red", "#ff0000"), Channel("green", "#00ff00"), Channel("blue", "#0000ff"))

Matrix = tuple[tuple[float, ...], ...]


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell by the name of the first chunk."""
    return head.startswith(_MAGIC) and _SIGNATURE in head[:64]


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images of an ND2 file, one per position of the stage."""
    try:
        import nd2  # noqa: F401
    except ImportError as error:
        raise ReadError(
            f'{path.name} is an ND2 file, which needs another package; pip install "napari-clxem'
            '[nd2]".'
        ) from error
    opened = Nikon(path)
    with hushed("nd2"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sizes = _sizes(opened)
        return tuple(_stored(opened, sizes, number) for number in range(sizes.get("P", 1)))


@dataclass(frozen=True)
class Nikon:
    """An ND2 file that is opened when needed, and pickled by its path."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[Nikon], tuple[Path]]:
        return Nikon, (self.path,)

    @cached_property
    def file(self) -> ND2File:
        """The open file."""
        from nd2 import ND2File

        file = ND2File(self.path)
        weakref.finalize(self, file.close)
        return file


@dataclass(frozen=True)
class PlaneOf:
    """Reads the plane of an index (t, c, z) out of the frame that holds its channels."""

    nikon: Nikon
    frames: Mapping[tuple[int, int], int]
    shape: tuple[int, int]
    channels: int
    rgb: bool

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read a plane."""
        number = self.frames.get((index[0], index[2]))
        if number is None:
            raise ReadError(f"{self.nikon.path.name} has no frame for {index}; it seems damaged.")
        with reading(self.nikon.path), self.nikon.lock:
            frame = np.asarray(self.nikon.file.read_frame(number))
        if self.rgb:
            return frame.reshape(*self.shape, self.channels)[..., index[1]]
        found: Plane = frame.reshape(self.channels, *self.shape)[index[1]]
        return found


def _sizes(opened: Nikon) -> dict[str, int]:
    sizes = {axis: int(size) for axis, size in opened.file.sizes.items()}
    strange = set(sizes) - set("TPZCYXS")
    if strange or not {"Y", "X"} <= set(sizes) or min(sizes.values()) < 1:
        raise ReadError(
            f"{opened.path.name} has axes {', '.join(sizes)}, of which only T, P, Z, C, Y, X and S "
            "are read."
        )
    if sizes.get("S", 1) > 1 and sizes.get("C", 1) > 1:
        raise ReadError(f"{opened.path.name} has colour pictures in several channels; export it.")
    if math.prod(sizes.get(axis, 1) for axis in "TPZC") > MOST_PLANES:
        raise ReadError(f"{opened.path.name} states {sizes} planes; it seems damaged.")
    return sizes


def _stored(opened: Nikon, sizes: Mapping[str, int], position: int) -> Stored:
    path, file = opened.path, opened.file
    dtype = np.dtype(file.dtype)
    rgb = sizes.get("S", 1) > 1
    count = sizes.get("S", 1) if rgb else sizes.get("C", 1)
    shape = (sizes.get("T", 1), count, sizes.get("Z", 1), sizes["Y"], sizes["X"])
    check_shape(path.name, shape, dtype.itemsize, path.stat().st_size)
    frames = {
        (place.get("T", 0), place.get("Z", 0)): number
        for number, place in enumerate(file.loop_indices or ({},))
        if place.get("P", 0) == position
    }
    source = PlaneOf(opened, frames, (shape[3], shape[4]), count, rgb)
    data = lazy(Planes(path, shape, dtype, source), "nd2", position)
    kept = [i for i, n in enumerate(shape) if n > 1 or i >= 3]
    data = data[tuple(slice(None) if i in kept else 0 for i in range(5))]
    x, y, z = (float(size) for size in file.voxel_size())
    calibrated = _calibrated(file)
    stage, to_stage = _stage(file, position, frames, (shape[3], shape[4]))
    several = sizes.get("P", 1) > 1
    return Stored(
        levels=(data,),
        axes=tuple("tczyx"[i] for i in kept),
        pixel={"z": z, "y": y, "x": x} if calibrated else {},
        pixel_note=""
        if calibrated
        else "It is not calibrated; give its pixel size in µm as scale.",
        channels=_RGB[:count] if rgb else _channels(file, count),
        stage=stage,
        to_stage=to_stage,
        name=f"{path.stem} [{position}]" if several else path.stem,
        meta=_meta(file),
    )


def _volume(file: ND2File) -> Any:
    channels = getattr(file.metadata, "channels", None) or ()
    return channels[0].volume if channels else None


def _calibrated(file: ND2File) -> bool:
    volume = _volume(file)
    return volume is not None and all(volume.axesCalibrated[:2])


def _channels(file: ND2File, count: int) -> tuple[Channel, ...]:
    named = list(getattr(file.metadata, "channels", None) or ())
    found = []
    for number in range(count):
        if number >= len(named):
            found.append(Channel(f"channel {number}" if count > 1 else ""))
            continue
        about = named[number].channel
        colour = about.color
        shown = f"#{colour.r:02x}{colour.g:02x}{colour.b:02x}"
        wavelength = about.emissionLambdaNm
        usable = wavelength is not None and math.isfinite(wavelength) and wavelength > 0
        name = about.name or (f"channel {number}" if count > 1 else "")
        found.append(Channel(name, shown, float(wavelength) if usable else None))
    return tuple(found)


def _stage(
    file: ND2File,
    position: int,
    frames: Mapping[tuple[int, int], int],
    shape: tuple[int, int],
) -> tuple[StagePosition | None, Matrix | None]:
    """Stage of the middle of an image, and how its pixels lie there if the camera says so."""
    place = None
    for loop in file.experiment or ():
        points = getattr(loop.parameters, "points", None)
        if points and position < len(points):
            place = points[position].stagePositionUm
    if place is None and frames:
        about = file.frame_metadata(min(frames.values()))
        channels = getattr(about, "channels", None) or ()
        place = channels[0].position.stagePositionUm if channels else None
    if place is None or not any(place):
        return None, None
    stage = StagePosition((float(place[2]), float(place[1]), float(place[0])), convention="nikon")
    volume = _volume(file)
    matrix = getattr(volume, "pixelToStageTransformationMatrix", None)
    if matrix is None or not all(map(math.isfinite, matrix)):
        return stage, None
    xx, xy, _, yx, yy, _ = matrix
    if abs(xx * yy - xy * yx) < 1e-12:
        return stage, None
    middle = [(n - 1) / 2 for n in shape]
    start = (
        stage.position[1] - yy * middle[0] - yx * middle[1],
        stage.position[2] - xy * middle[0] - xx * middle[1],
    )
    return stage, ((yy, yx, start[0]), (xy, xx, start[1]), (0.0, 0.0, 1.0))


def _meta(file: ND2File) -> dict[str, Any]:
    found: dict[str, Any] = {"format": "nd2"}
    channels = getattr(file.metadata, "channels", None) or ()
    if channels:
        scope = channels[0].microscope
        for name, key in (
            ("objective", "objectiveName"),
            ("numerical_aperture", "objectiveNumericalAperture"),
            ("magnification", "objectiveMagnification"),
            ("refractive_index", "immersionRefractiveIndex"),
        ):
            value = getattr(scope, key, None)
            if isinstance(value, str) or (isinstance(value, int | float) and math.isfinite(value)):
                found[name] = value
    text = file.text_info or {}
    if isinstance(text.get("date"), str):
        found["date"] = text["date"]
    return {key: value for key, value in found.items() if value not in ("", None)}
