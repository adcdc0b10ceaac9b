"""Bytes of tiny files, put together without any reading or writing library."""

from __future__ import annotations

import struct

import numpy as np

ORDER = {"x": 1, "y": 2, "z": 3}


def mrc_bytes(
    data: np.ndarray,
    mode: int,
    cell: tuple[float, float, float] = (4.0, 3.0, 2.0),
    axes: str = "zyx",
    order: str = "<",
    space_group: int = 1,
    depth: int | None = None,
    extended: bytes = b"",
    imod_flags: int | None = None,
    label: str = "",
) -> bytes:
    """An MRC file by `struct` alone; `cell` is (x, y, z) in Å, `axes` the stored ones."""
    counts = dict(zip(axes, data.shape, strict=True))
    header = bytearray(1024)
    struct.pack_into(f"{order}4i", header, 0, *data.shape[::-1], mode)
    grid = [counts["x"], counts["y"], counts["z"] if depth is None else depth]
    struct.pack_into(f"{order}3i", header, 28, *grid)
    struct.pack_into(f"{order}6f", header, 40, *cell, 90, 90, 90)
    struct.pack_into(f"{order}3i", header, 64, *(ORDER[a] for a in reversed(axes)))
    struct.pack_into(f"{order}2i", header, 88, space_group, len(extended))
    if imod_flags is not None:
        struct.pack_into(f"{order}2i", header, 152, 1146047817, imod_flags)
    struct.pack_into(f"{order}3f", header, 196, 1.0, 2.0, 3.0)
    header[208:216] = b"MAP " + (b"DD\0\0" if order == "<" else b"\x11\x11\0\0")
    struct.pack_into(f"{order}i", header, 220, 1 if label else 0)
    header[224:304] = label.encode().ljust(80)
    return bytes(header) + extended + data.astype(data.dtype.newbyteorder(order)).tobytes()


def ome_xml(
    shape: tuple[int, int, int, int, int] = (1, 1, 1, 3, 4),
    pixels: str = "",
    inner: str = "",
    image: str = 'Name="cell"',
    before: str = "",
    data: str = "<TiffData/>",
    extra: str = "",
) -> str:
    """OME-XML of one image of `shape` (t, c, z, y, x), uint16."""
    t, c, z, y, x = shape
    return (
        '<?xml version="1.0" encoding="UTF-8"?>'
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
        f'{before}<Image ID="Image:0" {image}>{extra}'
        f'<Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint16" SizeX="{x}" SizeY="{y}" '
        f'SizeZ="{z}" SizeC="{c}" SizeT="{t}" {pixels}>{inner}{data}</Pixels></Image></OME>'
    )
