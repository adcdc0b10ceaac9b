"""A page to print and take to the microscope: the FIB picture with boxes and targets, and a table.

One HTML file with everything in it: the picture as PNG, the drawing on it as SVG.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import WriteError
from napari_clxem.io.exchange.listing import COLUMNS, Entry, cells_of
from napari_clxem.io.exchange.points import Array
from napari_clxem.io.exchange.text import write_text

# Pixels along the longer side of the picture: enough for a printed page.
_LARGEST = 1600
_BARS = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0, 200.0, 500.0)
_COLOURS = {"box": "#e69f00", "target": "#56b4e9", "joint": "#009e73"}
_STYLE = (
    "body{font:14px sans-serif;margin:2em;max-width:60em}table{border-collapse:collapse}"
    "td,th{border:1px solid #999;padding:.2em .5em;text-align:left}"
    "svg{max-width:100%;height:auto}@media print{body{margin:0}}"
)


@dataclass(frozen=True, eq=False)
class Shape:
    """Something drawn on the picture.

    Attributes
    ----------
    label : str
    corners : (n, 2) array
        (row, column) µm; one row is a point.
    kind : str
        ``"box"``, ``"target"`` or ``"joint"``.
    covariance : (2, 2) array or None
        Of a point, µm²: its 95 % ellipse is drawn.
    """

    label: str
    corners: Array
    kind: str = "box"
    covariance: Array | None = None


def write_page(
    path: str | Path,
    title: str,
    image: ArrayLike,
    pixel: tuple[float, float],
    shapes: Iterable[Shape] = (),
    entries: Sequence[Entry] = (),
    notes: Sequence[str] = (),
) -> None:
    """Write the page.

    Parameters
    ----------
    path : str or Path
    title : str
    image : (ny, nx) array_like
        The FIB picture.
    pixel : tuple of float
        Size (y, x), µm.
    shapes : iterable of Shape
    entries : sequence of Entry
        Lines of the table; columns without a value are left out.
    notes : sequence of str
        Sentences under the picture, such as what limits a lamella.

    Raises
    ------
    WriteError
        Where the image is no picture, or the file cannot be written.
    """
    data = np.asarray(image)
    if data.ndim != 2 or not data.size or min(pixel) <= 0:
        raise WriteError("The page needs one picture of rows and columns with its pixel size.")
    factor = int(np.ceil(max(data.shape) / _LARGEST))
    rows, columns = (n // factor * factor for n in data.shape)
    part = np.asarray(data[:rows, :columns], float)
    small = part.reshape(rows // factor, factor, columns // factor, factor).mean(axis=(1, 3))
    # drawing is in µm from the corner of the first pixel
    height, width = rows * pixel[0], columns * pixel[1]
    encoded = base64.b64encode(_png(_grey(small))).decode("ascii")
    drawn = "".join(_drawn(shape, pixel, width) for shape in shapes)
    parts = [
        f'<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}'
        f"</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>",
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.6g} {height:.6g}" '
        f'width="960"><image href="data:image/png;base64,{encoded}" width="{width:.6g}" '
        f'height="{height:.6g}" preserveAspectRatio="none"/>{drawn}{_bar(width, height)}</svg>',
        *(f"<p>{escape(note)}</p>" for note in notes),
        _table(entries),
        "</body></html>\n",
    ]
    write_text(path, "\n".join(parts))


def _grey(image: Array) -> Any:
    """Stretch an image to bytes between its 0.5 and 99.5 percentiles."""
    known = image[np.isfinite(image)]
    low, high = np.percentile(known, [0.5, 99.5]) if known.size else (0.0, 1.0)
    scaled = (np.nan_to_num(image, nan=low) - low) / max(high - low, 1e-12)
    return (np.clip(scaled, 0.0, 1.0) * 255).astype(np.uint8)


def _png(grey: Any) -> bytes:
    """Encode bytes (ny, nx) as PNG (ISO/IEC 15948)."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        check = zlib.crc32(kind + content)
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)

    head = struct.pack(">IIBBBBB", grey.shape[1], grey.shape[0], 8, 0, 0, 0, 0)
    lines = np.hstack([np.zeros((len(grey), 1), np.uint8), grey]).tobytes()
    return b"".join(
        [
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", head),
            chunk(b"IDAT", zlib.compress(lines, 6)),
            chunk(b"IEND", b""),
        ]
    )


def _drawn(shape: Shape, pixel: tuple[float, float], width: float) -> str:
    """Draw one shape with its label."""
    corners = np.asarray(shape.corners, float).reshape(-1, 2) + np.asarray(pixel) / 2
    if not np.isfinite(corners).all():
        raise WriteError(f"{shape.label!r} is not at a finite place; place it first.")
    colour, line = _COLOURS.get(shape.kind, _COLOURS["box"]), width / 400
    style = f'fill="none" stroke="{colour}" stroke-width="{line:.4g}"'
    row, column = corners[0] if len(corners) == 1 else corners[corners[:, 1].argmax()]
    parts = []
    if len(corners) > 1:
        text = " ".join(f"{x:.6g},{y:.6g}" for y, x in corners)
        parts.append(f'<polygon points="{text}" {style}/>')
    else:
        arm = 6 * line
        parts.append(
            f'<path d="M{column - arm:.6g} {row:.6g}h{2 * arm:.6g}M{column:.6g} '
            f'{row - arm:.6g}v{2 * arm:.6g}" {style}/>'
        )
        if shape.covariance is not None:
            parts.append(_ellipse(np.asarray(shape.covariance, float), row, column, style))
    parts.append(
        f'<text x="{column + 8 * line:.6g}" y="{row - 4 * line:.6g}" font-size="{12 * line:.4g}" '
        f'fill="{colour}">{escape(shape.label)}</text>'
    )
    return "".join(parts)


def _ellipse(covariance: Array, row: float, column: float, style: str) -> str:
    """Draw the 95 % region of a point: chi-squared of 2 degrees of freedom, 5.991."""
    values, vectors = np.linalg.eigh(covariance)
    radii = np.sqrt(np.maximum(values, 0.0) * 5.991)
    turn = np.rad2deg(np.arctan2(vectors[0, 1], vectors[1, 1]))
    return (
        f'<ellipse rx="{radii[1]:.6g}" ry="{radii[0]:.6g}" transform="translate({column:.6g} '
        f'{row:.6g}) rotate({turn:.6g})" {style}/>'
    )


def _bar(width: float, height: float) -> str:
    """Draw a scale bar of a round length, about a fifth of the picture."""
    length = min(_BARS, key=lambda size: abs(np.log(size / (0.2 * width))))
    x, y, line = 0.03 * width, 0.96 * height, width / 150
    return (
        f'<path d="M{x:.6g} {y:.6g}h{length:.6g}" stroke="white" stroke-width="{line:.4g}"/>'
        f'<text x="{x:.6g}" y="{y - line:.6g}" font-size="{width / 40:.4g}" fill="white">'
        f"{length:g} µm</text>"
    )


def _table(entries: Sequence[Entry]) -> str:
    """Write the entries as a table, without columns that are blank throughout."""
    rows = [cells_of(entry, digits=4) for entry in entries]
    used = [index for index in range(len(COLUMNS)) if any(row[index] for row in rows)]
    if not used:
        return ""
    head = "".join(f"<th>{escape(COLUMNS[index])}</th>" for index in used)
    body = "".join(
        "<tr>" + "".join(f"<td>{escape(row[index])}</td>" for index in used) + "</tr>"
        for row in rows
    )
    return f"<table><tr>{head}</tr>{body}</table>"
