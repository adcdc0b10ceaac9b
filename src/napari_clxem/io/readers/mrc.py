"""MRC files (.mrc, .map, .rec, .st, .ali): the header, and the pixels memory-mapped behind it.

Cheng et al. 2015, J. Struct. Biol. 192, 146 (MRC2014); IMOD's additions at bytes 152 to 160.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.image import Channel
from napari_clxem.io.pixel_size import is_usable
from napari_clxem.io.readers import serialem
from napari_clxem.io.readers.montage import montages
from napari_clxem.io.stored import Stored
from napari_clxem.units import length_factor

KIND = "an MRC file"

_SUFFIXES = (".mrc", ".map", ".rec", ".st", ".ali", ".mrcs", ".preali", ".ccp4")
_STACKS = (".st", ".ali", ".mrcs", ".preali")
_IMOD_STAMP = 1146047817
_HEADER = 1024
_AXES = {1: "x", 2: "y", 3: "z"}
_TYPES = {0: "i1", 1: "i2", 2: "f4", 6: "u2", 12: "f2"}
_OTHER_MODES = {3: "complex integers", 4: "a Fourier transform", 101: "4-bit pixels"}
_ORDERS = {b"DD": "<", b"DA": "<", b"\x11\x11": ">"}


@dataclass(frozen=True)
class Header:
    """The part of an MRC header that is used.

    `shape` is the stored (sections, rows, columns); `pixel` maps axes to µm, None where the
    header states none; `axes` are the stored axes, slowest first.
    """

    shape: tuple[int, int, int]
    mode: int
    dtype: np.dtype[Any]
    offset: int
    axes: tuple[str, str, str]
    pixel: dict[str, float | None]
    grid: dict[str, int]
    start: tuple[int, int, int]
    origin: tuple[float, float, float]
    space_group: int
    imod: bool
    labels: tuple[str, ...]


def sniff(path: Path, head: bytes) -> bool:
    """Tell by the word MAP, or for old files by a header that makes sense under such a name."""
    if head[208:211] == b"MAP":
        return True
    if path.suffix.lower() not in _SUFFIXES:
        return False
    return len(head) < _HEADER or _byte_order(head) is not None


def read(path: Path) -> tuple[Stored, ...]:
    """Give the images of an MRC file: one, each section that is a map, or each montage."""
    header = read_header(path)
    data = _pixels(path, header)
    company = serialem.company(path, header.shape)
    plain = _described(path, header, data, company)
    if header.shape[0] > 1 and company.sections_are_maps:
        return tuple(_section(plain, company, k) for k in range(header.shape[0]))
    joined = montages(path, plain, company.sections)
    if joined:
        return tuple(serialem.placed_montage(one, company, i) for i, one in enumerate(joined))
    return (serialem.placed(plain, company, 0 if header.shape[0] == 1 else None),)


def _fields(raw: bytes, order: str) -> Any:
    from mrcfile.dtypes import HEADER_DTYPE

    return np.frombuffer(raw, HEADER_DTYPE.newbyteorder(order), count=1)[0]


def _byte_order(raw: bytes) -> str | None:
    """Find the byte order that makes sense of size and mode, the stamped one first."""
    stamped = _ORDERS.get(raw[212:214])
    for order in [stamped] if stamped else ["<", ">"]:
        fields = _fields(raw, order)
        sizes = [int(fields[key]) for key in ("nx", "ny", "nz")]
        known = int(fields["mode"]) in {*_TYPES, *_OTHER_MODES}
        if known and all(0 < size < 1 << 24 for size in sizes):
            return order
    return None


def read_header(path: Path) -> Header:
    """Read the header of an MRC file, without its extended header.

    Parameters
    ----------
    path : Path
        The file.

    Raises
    ------
    ReadError
        Where the header makes no sense, or its mode is not one of images.
    """
    with path.open("rb") as file:
        raw = file.read(_HEADER)
    if len(raw) < _HEADER:
        raise ReadError(
            f"{path.name} is truncated: an MRC header has {_HEADER} bytes, the file {len(raw)}."
        )
    order = _byte_order(raw) or _ORDERS.get(raw[212:214], "<")
    fields = _fields(raw, order)
    shape = (int(fields["nz"]), int(fields["ny"]), int(fields["nx"]))
    if min(shape) < 1:
        raise ReadError(
            f"{path.name} states {shape[2]} columns, {shape[1]} rows and {shape[0]} sections, "
            "which cannot be; its header is damaged."
        )
    extended = int(fields["nsymbt"])
    if extended < 0:
        raise ReadError(
            f"{path.name} states an extended header of {extended} bytes; it is damaged."
        )
    grid = {axis: int(fields[f"m{axis}"]) for axis in "xyz"}
    imod = int.from_bytes(raw[152:156], "little" if order == "<" else "big") == _IMOD_STAMP
    return Header(
        shape=shape,
        mode=int(fields["mode"]),
        dtype=_dtype(path, raw, order, int(fields["mode"]), imod),
        offset=_HEADER + extended,
        axes=_axes(fields),
        pixel={axis: _voxel(float(fields["cella"][axis]), grid[axis]) for axis in "zyx"},
        grid=grid,
        start=(int(fields["nzstart"]), int(fields["nystart"]), int(fields["nxstart"])),
        origin=tuple(float(fields["origin"][axis]) for axis in "zyx"),  # type: ignore[arg-type]
        space_group=int(fields["ispg"]),
        imod=imod,
        labels=_labels(fields),
    )


def _dtype(path: Path, raw: bytes, order: str, mode: int, imod: bool) -> np.dtype[Any]:
    if mode not in _TYPES:
        what = _OTHER_MODES.get(mode, "unknown")
        raise ReadError(
            f"{path.name} has mode {mode} ({what}); images of mode 0, 1, 2, 6 and 12 are read."
        )
    flags = int.from_bytes(raw[156:160], "little" if order == "<" else "big")
    # IMOD wrote unsigned bytes for long, and marks its signed ones by the first flag.
    unsigned = mode == 0 and imod and not flags & 1
    return np.dtype("u1" if unsigned else order + _TYPES[mode])


def _axes(fields: Any) -> tuple[str, str, str]:
    """Give the stored axes, slowest first; a header that names them wrongly means (z, y, x)."""
    named = [_AXES.get(int(fields[key]), "") for key in ("maps", "mapr", "mapc")]
    if sorted(named) != ["x", "y", "z"]:
        return ("z", "y", "x")
    return (named[0], named[1], named[2])


def _voxel(cell: float, count: int) -> float | None:
    """Pixel size in µm of a cell in Å divided into `count`."""
    if count == 0 or cell == 0.0:
        return None
    return cell / count * length_factor("angstrom")


def _labels(fields: Any) -> tuple[str, ...]:
    count = min(max(int(fields["nlabl"]), 0), 10)
    texts = (bytes(label).decode("latin-1") for label in fields["label"][:count])
    return tuple("".join(c for c in text if c.isprintable()).strip() for text in texts)


def _pixels(path: Path, header: Header) -> Any:
    """Map the pixels into memory; of foreign byte order, turn them as they are read."""
    expected = header.offset + math.prod(header.shape) * header.dtype.itemsize
    found = path.stat().st_size
    if found < expected:
        sections, rows, columns = header.shape
        raise ReadError(
            f"{path.name} is truncated: {columns} x {rows} x {sections} pixels of mode "
            f"{header.mode} make {expected} bytes, the file has {found}; copy it again."
        )
    data = np.memmap(path, header.dtype, mode="r", offset=header.offset, shape=header.shape)
    if header.dtype.isnative:
        return data
    import dask.array as da

    lazy = da.from_array(data, chunks=(1, *header.shape[1:]))  # type: ignore[no-untyped-call]
    return lazy.astype(header.dtype.newbyteorder("="))


def _described(path: Path, header: Header, data: Any, company: serialem.Company) -> Stored:
    """Describe the whole file; a stack of images has time in place of its third axis."""
    axes: tuple[str, ...] = header.axes
    notes: tuple[str, ...] = company.notes
    if header.space_group >= 401 and 0 < header.grid["z"] < header.shape[0]:
        depth = header.grid["z"]
        if header.shape[0] % depth:
            raise ReadError(
                f"{path.name} is a stack of volumes that do not fill it; it is damaged."
            )
        data = data.reshape(-1, depth, *header.shape[1:])
        axes = ("t", *axes)
    elif axes[0] == "z" and header.shape[0] == 1:
        data, axes = data[0], axes[1:]
    elif axes[0] == "z" and _is_stack(path, header, company):
        axes = ("t", *axes[1:])
    if all(value is not None and abs(value * 1e4 - 1) < 1e-6 for value in header.pixel.values()):
        notes += (
            "Its voxel size is 1 Å, which programs write when they do not know it; check it.",
        )
    pixel = header.pixel
    turned = axes == ("z", "y", "x") and unrotated(header.labels)
    if turned:
        axes = ("y", "z", "x")
        pixel = {"z": pixel["y"], "y": pixel["z"], "x": pixel["x"]}
        notes += (
            "Its label says that it is a reconstruction by IMOD as it left the program: its "
            "sections are taken as y and its rows as z, upside down.",
        )
    elif axes == ("z", "y", "x") and _looks_upright(header.shape):
        notes += (
            f"It has {header.shape[1]} rows and {header.shape[0]} sections: the rows may be its "
            "thickness, as Tomo3D and AreTomo store volumes; if so, give axes (y, z, x).",
        )
    rows_up = header.imod or company.found or any("SerialEM" in label for label in header.labels)
    return Stored(
        levels=(data,),
        axes=axes,
        pixel=pixel if is_usable(pixel["x"]) else company.pixel or pixel,
        flip=(*(("z",) if turned else ()), *(("y",) if rows_up or turned else ())),
        channels=(Channel(""),),
        name=path.stem,
        meta={**_meta(header), **company.meta},
        missing=notes,
    )


def unrotated(labels: tuple[str, ...]) -> bool:
    """Tell by its labels a volume of IMOD's tilt that was not rotated afterwards.

    There y runs along the sections, and z down the rows; ``clip rotx`` and ``trimvol -rx`` turn it
    by -90 degrees about x, ``flipyz`` exchanges both axes.
    """
    texts = [label.lower() for label in labels]
    made = [i for i, text in enumerate(texts) if text.startswith("tilt: tomographic")]
    if not made:
        return False
    turns = ("rotx", "flipyz", "flipzy", "rotatevol", "rotation by")
    return not any(turn in text for text in texts[made[-1] + 1 :] for turn in turns)


def _looks_upright(shape: tuple[int, int, int]) -> bool:
    """Tell by its sizes a volume whose rows may be its thickness."""
    sections, rows, columns = shape
    return 2 * rows <= min(sections, columns) and rows > 1


def _is_stack(path: Path, header: Header, company: serialem.Company) -> bool:
    """Tell images from sections of a volume: by their mdoc, space group 0 with mz 1, or name."""
    if company.describes_sections:
        return True
    if header.space_group == 0 and header.grid["z"] == 1:
        return True
    return path.suffix.lower() in _STACKS


def _section(plain: Stored, company: serialem.Company, index: int) -> Stored:
    from dataclasses import replace

    one = replace(
        plain,
        levels=(plain.levels[0][index],),
        axes=tuple(axis for axis in plain.axes if axis != "t"),
        name=f"{plain.name} [{index}]",
    )
    return serialem.placed(one, company, index)


def _meta(header: Header) -> dict[str, Any]:
    """Numbers of the header as plain values; origin in Å, (z, y, x)."""
    return {
        "format": "mrc",
        "mode": header.mode,
        "start": list(header.start),
        "origin": [value if math.isfinite(value) else None for value in header.origin],
        "space_group": header.space_group,
        "imod": header.imod,
        "labels": list(header.labels),
    }
