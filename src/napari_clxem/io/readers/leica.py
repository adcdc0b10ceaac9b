"""Leica files: .lif and .lof hold their pixels, .xlef names the files beside it that do."""

from __future__ import annotations

import contextlib
import math
import re
import threading
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.guard import DAMAGE, hushed, reading
from napari_clxem.io.readers import leica_tiles, leica_xml
from napari_clxem.io.readers.planes import Plane, Planes, check_shape, lazy
from napari_clxem.io.stored import Stored

if TYPE_CHECKING:
    from liffile import LifFile

KIND = "a Leica file"

METRE = 1e6
_BINARY = b"\x70\0\0\0"
_XML = re.compile(rb"<\0?L\0?M\0?S\0?D\0?a\0?t\0?a\0?C\0?o\0?n\0?t\0?a\0?i\0?n\0?e\0?r\0?")
_AXES = {"X": "x", "Y": "y", "Z": "z", "T": "t", "C": "c", "S": "c", "λ": "c", "Λ": "c", "M": "m"}


def sniff(path: Path, head: bytes) -> bool:  # noqa: ARG001
    """Tell by the first block of a .lif or .lof, or by the root of a .xlef or .xlif."""
    if head.startswith(_BINARY) and head[8:9] == b"\x2a":
        return True
    return head[:4].lstrip(b"\xff\xfe\xef\xbb\xbf").startswith(b"<") and bool(_XML.search(head))


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images of a Leica file; those whose axes have no place here are named in a note."""
    leica_xml.check(path)
    opened = Leica(path)
    images, left = [], []
    with hushed("liffile"):
        for number, image in enumerate(opened.images):
            try:
                images.append(_stored(opened, number, image))
            except leica_xml.UnplacedError as error:
                left.append(f"Image {image.name!r} was left out: {error}")
    if not images:
        raise ReadError(
            " ".join(left) or f"{path.name} holds no image; export one from LAS X again."
        )
    if left:
        from dataclasses import replace

        images[0] = replace(images[0], missing=(*images[0].missing, *left))
    return tuple(images)


@dataclass(frozen=True)
class Leica:
    """A Leica file that is opened when needed, and pickled by its path."""

    path: Path
    lock: threading.Lock = field(default_factory=threading.Lock, compare=False, repr=False)

    def __reduce__(self) -> tuple[type[Leica], tuple[Path]]:
        return Leica, (self.path,)

    @cached_property
    def file(self) -> LifFile:
        """The open file."""
        import weakref

        from liffile import LifFile

        file = LifFile(self.path, squeeze=True)
        weakref.finalize(self, _close, file)
        return file

    @cached_property
    def images(self) -> tuple[Any, ...]:
        """Its images with pixels; lifetimes (FLIM) are others."""
        return tuple(image for image in self.file.images if not image.is_flim)


def _close(file: LifFile) -> None:
    """Close a file; the library opens its parts anew for that, which fails on damaged ones."""
    with contextlib.suppress(*DAMAGE):
        file.close()


@dataclass(frozen=True)
class Frame:
    """Reads a frame of an image whose pixels lie in other files."""

    leica: Leica
    number: int
    leading: tuple[str, ...]

    def __call__(self, index: tuple[int, ...]) -> Plane:
        """Read the frame of an index along the leading dimensions."""
        with reading(self.leica.path), self.leica.lock:
            image = self.leica.images[self.number]
            return np.asarray(image.frame(**dict(zip(self.leading, index, strict=True))))


def _stored(opened: Leica, number: int, image: Any) -> Stored:
    axes = _axes(image.dims)
    data = _pixels(opened, number, image)
    pixel, note = _pixel_size(image)
    notes: list[str] = []
    about = leica_xml.About(image.xml_element)
    if "S" in image.dims and about.is_bgr and not image.memory_block.frames:
        data = data[..., ::-1]
    if "y" not in axes:
        if axes[-1] != "x":
            raise leica_xml.UnplacedError(
                f"its dimensions {', '.join(image.dims)} lie in an order that is not read."
            )
        data, axes = data[..., np.newaxis, :], (*axes[:-1], "y", "x")
        pixel["y"] = pixel.get("x")
        notes.append("It is a section along the axis, one row thick, taken as wide as a column.")
    scan = None
    if "m" in axes:
        joined = _joined(opened, number, data, axes, leica_tiles.tile_scan(about.image), pixel)
        if joined is not None:
            data, axes, scan = joined
        elif "t" in axes:
            raise leica_xml.UnplacedError(
                "it is a tile scan that does not say where its tiles lie; join them in LAS X."
            )
        else:
            axes = tuple("t" if axis == "m" else axis for axis in axes)
            notes.append(
                "It is a tile scan that does not say how its tiles lie, shown as a series of them; "
                "join them in LAS X."
            )
    rows, columns = (data.shape[axes.index(axis)] for axis in "yx")
    stage, to_stage, stage_notes = about.stage(
        (rows, columns), pixel, *((scan.flips, scan.middle) if scan else ())
    )
    size = data.shape[axes.index("c")] if "c" in axes else 1
    return Stored(
        levels=(data,),
        axes=axes,
        pixel=pixel,
        pixel_note=note,
        channels=about.channels(size, rgb="S" in image.dims),
        stage=stage,
        to_stage=to_stage,
        name=image.path or image.name or opened.path.stem,
        meta={"format": "leica", **about.meta()},
        missing=(*notes, *stage_notes),
    )


def _joined(
    opened: Leica,
    number: int,
    data: Any,
    axes: tuple[str, ...],
    scan: leica_tiles.TileScan | None,
    pixel: dict[str, float | None],
) -> tuple[Any, tuple[str, ...], leica_tiles.TileScan] | None:
    """Join the tiles of a scan; None where they do not say how they lie."""
    if scan is None or axes[-2:] != ("y", "x"):
        return None
    about = leica_xml.About(opened.images[number].xml_element)
    shape = data.shape[axes.index("y")], data.shape[axes.index("x")]
    _, to_stage, _ = about.stage(shape, pixel, scan.flips, scan.middle)
    if to_stage is None:
        return None
    laid = leica_tiles.laid_out(scan, data.shape[axes.index("m")], shape, to_stage)
    if laid is None:
        return None
    whole = leica_tiles.joined(opened.path, data, axes, *laid, number)
    return whole, (*(axis for axis in axes if axis not in "myx"), "y", "x"), scan


def _axes(dims: tuple[str, ...]) -> tuple[str, ...]:
    axes = tuple(_AXES.get(dim, "") for dim in dims)
    if "" in axes or len(set(axes)) != len(axes) or "x" not in axes or not {"y", "z"} & set(axes):
        raise leica_xml.UnplacedError(
            f"its dimensions {', '.join(dims)} are not those of one image; export it in parts."
        )
    return axes


def _pixels(opened: Leica, number: int, image: Any) -> Any:
    """Map the pixels into memory where they lie in the file, else read them frame by frame."""
    name, dtype = opened.path.name, np.dtype(image.dtype)
    shape = tuple(image.shape)
    check_shape(name, shape, dtype.itemsize)
    block = image.memory_block
    if block.frames:
        frames = image.frames
        leading = tuple(dim for dim in image.dims if dim not in frames.frame_dims)
        if image.dims != (*leading, *frames.frame_dims) or len(frames.frame_dims) != 2:
            raise leica_xml.UnplacedError("its planes lie in an order that is not read.")
        check_shape(name, shape, dtype.itemsize, sum(frame.size for frame in block.frames))
        return lazy(Planes(opened.path, shape, dtype, Frame(opened, number, leading)), number)
    kept = _with_padding(image, shape, dtype.itemsize)
    needed = math.prod(kept) * dtype.itemsize
    if block.offset < 0 or block.size < needed:
        raise ReadError(
            f"{name}: image {image.name!r} needs {needed} bytes, its block has {block.size}; the "
            "file seems truncated or damaged."
        )
    if block.offset + needed > opened.path.stat().st_size:
        raise ReadError(
            f"{name} ends before the pixels of image {image.name!r} do; copy it again from where "
            "it was made."
        )
    data = np.memmap(opened.path, dtype, mode="r", offset=block.offset, shape=kept)
    return data[tuple(slice(0, n) for n in shape)]


def _with_padding(image: Any, shape: tuple[int, ...], itemsize: int) -> tuple[int, ...]:
    """Give the shape as it is stored: rows of colour pictures may be filled up at their end."""
    if image.dims[-3:] != ("Y", "X", "S"):
        return shape
    row = leica_xml.About(image.xml_element).row_bytes
    columns = row // (shape[-1] * itemsize) if row else shape[-2]
    return (*shape[:-2], max(columns, shape[-2]), shape[-1])


def _pixel_size(image: Any) -> tuple[dict[str, float | None], str]:
    """Distance of pixel centres, from their coordinates in metres."""
    found: dict[str, float | None] = {}
    for axis in "zyx":
        places = image.coords.get(axis.upper())
        if places is not None and len(places) > 1:
            found[axis] = abs(float(places[-1] - places[0])) / (len(places) - 1) * METRE
    foreign = leica_xml.About(image.xml_element).units - {"m", ""}
    if foreign:
        units = ", ".join(sorted(foreign))
        return (
            {},
            f"Its coordinates are in {units}, not metres; give its pixel size in µm as scale.",
        )
    return found, ""
