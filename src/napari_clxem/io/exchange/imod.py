"""IMOD models: points and contours of an image, as 3dmod shows them.

Model coordinates count x and y from the corner of the first pixel (its centre is 0.5), y upwards
from the last row of an image shown rows down, and z from the centre of the first slice. Big-endian
binary as IMOD's "Binary File Format" describes it. Names of points are lost.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from napari_clxem.errors import ReadError, WriteError
from napari_clxem.io.exchange.points import Array, Pixels
from napari_clxem.io.exchange.text import read_bytes, write_bytes

ORIGIN = (0.0, 0.5, 0.5)
Kind = Literal["scattered", "open", "closed"]
_HEADER, _OBJECT, _CONTOUR = 232, 176, 16
_OPEN, _SCATTERED = 1 << 3, 1 << 9
# "the image was not flipped" and "has been written by 3dmod of today", as real files have it
_FLAGS = 62976
_MICROMETRES = -6


@dataclass(frozen=True, eq=False)
class ModelObject:
    """One object of a model.

    Attributes
    ----------
    name : str
        Of at most 63 characters.
    contours : tuple of (n, 3) array
        Points (z, y, x), µm.
    kind : str
        ``"scattered"`` points, ``"open"`` or ``"closed"`` contours.
    colour : tuple of float
        Red, green, blue, 0 to 1.
    size : int
        Radius at which 3dmod draws the points, px.
    """

    name: str
    contours: tuple[Array, ...]
    kind: Kind = "scattered"
    colour: tuple[float, float, float] = (0.0, 1.0, 0.0)
    size: int = 5


def upright(pixels: Pixels) -> Pixels:
    """Count rows from the bottom, as an MRC file does: y is flipped."""
    return replace(pixels, flip=tuple(sorted({*pixels.flip, "y"})))


def write_model(objects: Iterable[ModelObject], path: str | Path, pixels: Pixels) -> None:
    """Write an IMOD model.

    Parameters
    ----------
    objects : iterable of ModelObject
    path : str or Path
    pixels : Pixels
        Of the volume (z, y, x), shown rows down with its shape; rows are counted upwards.

    Raises
    ------
    WriteError
        Where the shape is not known, or points are not (z, y, x).
    """
    if pixels.shape is None or len(pixels.spacing) != 3:
        raise WriteError("An IMOD model needs pixel size and shape (z, y, x) of its volume.")
    found = list(objects)
    view = upright(pixels)
    depth, height, width = pixels.shape
    spacing = pixels.spacing
    parts = [
        b"IMODV1.2",
        struct.pack(
            ">128s4iI4i6f5ifii3f",
            b"IMOD-NewModel",
            *(width, height, depth, len(found), _FLAGS),
            *(1, 1, 0, 255),
            *(0.0, 0.0, 0.0, 1.0, 1.0, spacing[0] / spacing[2]),
            *(0, 0, 0, 3, 128),
            *(spacing[2], _MICROMETRES, 0),
            *(0.0, 0.0, 0.0),
        ),
    ]
    for one in found:
        parts.append(_object(one))
        for contour in one.contours:
            points = np.asarray(contour, float)
            if points.ndim != 2 or points.shape[1] != 3 or not np.isfinite(points).all():
                raise WriteError(f"The contours of {one.name!r} must be finite (z, y, x) in µm.")
            numbers = view.from_um(points, ORIGIN)[:, ::-1]
            parts.append(b"CONT" + struct.pack(">iIii", len(numbers), 0, 0, 0))
            parts.append(numbers.astype(">f4").tobytes())
    write_bytes(path, b"".join([*parts, b"IEOF"]))


def _object(one: ModelObject) -> bytes:
    flags = {"scattered": _OPEN | _SCATTERED, "open": _OPEN, "closed": 0}[one.kind]
    name = one.name.encode("ascii", "replace")[:63]
    shape = struct.pack(
        ">64s16IiIii3fi8Bii",
        name,
        *[0] * 16,
        *(len(one.contours), flags, 0, 1),
        *one.colour,
        one.size if one.kind == "scattered" else 0,
        *(1, 3, 1, 1, 0, 0, 0, 0),
        *(0, 0),
    )
    return b"OBJT" + shape


def read_model(path: str | Path, pixels: Pixels) -> tuple[ModelObject, ...]:
    """Read the objects of an IMOD model.

    Parameters
    ----------
    path : str or Path
    pixels : Pixels
        Of the volume (z, y, x), shown rows down with its shape.

    Raises
    ------
    ReadError
        Where it is no IMOD model, or truncated.
    WriteError
        Where the shape of the volume is not given.
    """
    path = Path(path)
    if pixels.shape is None or len(pixels.spacing) != 3:
        raise WriteError("An IMOD model needs pixel size and shape (z, y, x) of its volume.")
    raw = read_bytes(path)
    if raw[:8] != b"IMODV1.2" or len(raw) < 8 + _HEADER:
        raise ReadError(f"{path.name} is no IMOD model of version 1.2, or is truncated.")
    view = upright(pixels)
    found: list[ModelObject] = []
    at = 8 + _HEADER
    while True:
        tag, at = raw[at : at + 4], at + 4
        if tag == b"IEOF":
            break
        if tag == b"OBJT":
            found.append(_read_object(_slice(raw, at, _OBJECT, path)))
            at += _OBJECT
        elif tag == b"CONT" and found:
            (count,) = struct.unpack(">i", _slice(raw, at, _CONTOUR, path)[:4])
            size = 12 * count
            points = np.frombuffer(_slice(raw, at + _CONTOUR, size, path), ">f4").reshape(-1, 3)
            places = view.to_um(points[:, ::-1].astype(float), ORIGIN)
            found[-1] = replace(found[-1], contours=(*found[-1].contours, places))
            at += _CONTOUR + size
        elif tag == b"MESH":
            vertices, indices = struct.unpack(">ii", _slice(raw, at, 8, path))
            at += 16 + 12 * vertices + 4 * indices
        else:
            (size,) = struct.unpack(">i", _slice(raw, at, 4, path))
            if size < 0:
                raise ReadError(f"{path.name} is damaged at byte {at}; copy it again.")
            at += 4 + size
    return tuple(found)


def _slice(raw: bytes, at: int, size: int, path: Path) -> bytes:
    if size < 0 or at + size > len(raw):
        raise ReadError(f"{path.name} ends within an entry; it seems truncated. Copy it again.")
    return raw[at : at + size]


def _read_object(raw: bytes) -> ModelObject:
    name, *_, flags, _, _, red, green, blue, size = struct.unpack(
        ">64s16IiIii3fi", raw[: 64 + 64 + 32]
    )
    scattered, open_ = flags & _SCATTERED, flags & _OPEN
    kind: Kind = "scattered" if scattered else "open" if open_ else "closed"
    text = name.split(b"\0")[0].decode("latin-1")
    return ModelObject(text, (), kind, (red, green, blue), size)
