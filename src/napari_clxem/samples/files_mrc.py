"""Writers of the sample's MRC files with their mdoc, and of the SerialEM navigator.

MRC rows run bottom-up, so the y axis of our frames is turned round on writing.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
_IMOD_STAMP = 1146047817
_AXES = {"x": 1, "y": 2, "z": 3}


def mrc_header(
    shape: tuple[int, int, int],
    order: str,
    spacing: tuple[float, float, float],
    statistics: tuple[float, float, float, float],
    signed: bool,
    title: str,
) -> bytes:
    """Make the 1024 bytes of an MRC header of mode 0 with IMOD's stamp.

    Parameters
    ----------
    shape : tuple of int
        Stored (sections, rows, columns).
    order : str
        Stored axes, slowest first, such as ``"yzx"``.
    spacing : tuple of float
        Pixel size (z, y, x), µm.
    statistics : tuple of float
        Minimum, maximum, mean and rms of the stored values.
    signed : bool
        Whether the bytes are signed (bit 0 of IMOD's flags).
    title : str
        Up to 80 characters.
    """
    sections, rows, columns = shape
    counts = dict(zip(order, shape, strict=True))
    pixel = dict(zip("zyx", spacing, strict=True))
    header = bytearray(1024)
    struct.pack_into(
        "<10i",
        header,
        0,
        columns,
        rows,
        sections,
        0,
        0,
        0,
        0,
        counts["x"],
        counts["y"],
        counts["z"],
    )
    cell = [counts[axis] * pixel[axis] * 1e4 for axis in "xyz"]
    struct.pack_into("<6f", header, 40, *cell, 90.0, 90.0, 90.0)
    struct.pack_into("<3i", header, 64, *(_AXES[axis] for axis in reversed(order)))
    struct.pack_into("<3f", header, 76, *statistics[:3])
    struct.pack_into("<i", header, 88, 1 if sections > 1 else 0)
    struct.pack_into("<i", header, 108, 20140)
    struct.pack_into("<2i", header, 152, _IMOD_STAMP, 1 if signed else 0)
    header[208:212] = b"MAP "
    header[212:216] = b"\x44\x44\x00\x00"
    struct.pack_into("<f", header, 216, statistics[3])
    struct.pack_into("<i", header, 220, 1)
    header[224:304] = title.encode("ascii")[:80].ljust(80)
    return bytes(header)


def write_mrc(
    path: Path,
    data: Bytes,
    spacing: tuple[float, float, float],
    title: str,
    order: str = "zyx",
    signed: bool = True,
) -> None:
    """Write a volume or an image as MRC of mode 0.

    Parameters
    ----------
    path : Path
        Where.
    data : (z, y, x) or (y, x) array of uint8
        Pixels in our frame: rows down, z towards the beam.
    spacing : tuple of float
        Pixel size (z, y, x), µm.
    title : str
        First label of the header.
    order : str
        How to store the axes, slowest first.
    signed : bool
        Store values minus 128 as signed bytes, as IMOD did for long; else as they are.
    """
    volume = data if data.ndim == 3 else data[None]
    turned = volume[:, ::-1].transpose(["zyx".index(axis) for axis in order])
    stored = np.ascontiguousarray(turned)
    values = stored.astype(np.int16) - (128 if signed else 0)
    statistics = tuple(float(v) for v in (values.min(), values.max(), values.mean(), values.std()))
    header = mrc_header(
        (stored.shape[0], stored.shape[1], stored.shape[2]),
        order,
        spacing,
        (statistics[0], statistics[1], statistics[2], statistics[3]),
        signed,
        title,
    )
    path.write_bytes(header + values.astype(np.int8 if signed else np.uint8).tobytes())


def autodoc(head: Mapping[str, Any], sections: Sequence[tuple[str, str, Mapping[str, Any]]]) -> str:
    """Write IMOD's autodoc text: global entries, then sections (kind, name, entries)."""

    def entries(pairs: Mapping[str, Any]) -> str:
        return "".join(f"{key} = {_value(value)}\n" for key, value in pairs.items())

    blocks = [entries(head)]
    blocks += [
        f"[{kind} = {name}]\n{entries(pairs)}" if pairs else f"[{kind} = {name}]\n"
        for kind, name, pairs in sections
    ]
    return "\n".join(blocks) + "\n"


def _value(value: Any) -> str:
    if isinstance(value, (tuple, list, np.ndarray)):
        return " ".join(_value(part) for part in value)
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.9g}"
    return str(value)
