"""3DCT, the 3D correlation toolbox: lists of points, and its report.

A point is ``x y z`` in pixels, tab or comma between them, without a header. x and y count from
the corner of the first pixel (its centre is 0.5), z counts slices from 0, as its fits along z do.
Points of the FIB image carry a z of 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.exchange.points import Array, NamedPoint, Pixels, positions, vector
from napari_clxem.io.exchange.text import exact, number, read_text, table, write_text

ORIGIN = (0.0, 0.5, 0.5)


def write_tdct_points(points: Iterable[NamedPoint], path: str | Path, pixels: Pixels) -> None:
    """Write points for 3DCT; their names are lost.

    Parameters
    ----------
    points : iterable of NamedPoint
        (z, y, x) of a volume or (y, x) of an image, µm.
    path : str or Path
    pixels : Pixels
        Of that volume or image.
    """
    found = pixels.from_um(positions(points, len(pixels.spacing)), ORIGIN)
    if found.shape[1] == 2:
        found = np.column_stack([np.zeros(len(found)), found])
    write_text(path, table([[exact(v) for v in row[::-1]] for row in found], delimiter="\t"))


def read_tdct_points(path: str | Path, pixels: Pixels) -> tuple[NamedPoint, ...]:
    """Read points of 3DCT, named by their number from 1.

    Raises
    ------
    ReadError
        Naming the line that is not three numbers.
    """
    name = Path(path).name
    found = []
    for index, line in enumerate(read_text(path).splitlines(), start=1):
        if not line.strip():
            continue
        cells = line.replace(",", "\t").split()
        if len(cells) != 3:
            raise ReadError(
                f"{name}, line {index}: {len(cells)} values, but a point of 3DCT has x, y and z."
            )
        found.append([number(cell, f"{name}, line {index}") for cell in cells])
    array = np.array(found, float).reshape(-1, 3)[:, ::-1]
    places = pixels.to_um(array[:, 3 - len(pixels.spacing) :], ORIGIN)
    return tuple(NamedPoint(str(i + 1), vector(place)) for i, place in enumerate(places))


@dataclass(frozen=True, eq=False)
class TdctReport:
    """What 3DCT reports of a correlation, in its own pixels.

    Attributes
    ----------
    markers : (n, 3) array
        Initial 3D markers (x, y, z), px.
    transformed : (n, 3) array
        The same in the image's pixels.
    clicked : (n, 2) array
        Their places in the image (x, y), px.
    residuals : (n, 2) array
        Transformed minus clicked, px.
    spots, correlated : (m, 3) array
        Points of interest in the volume, and where they show (x, y, z), px.
    """

    markers: Array
    transformed: Array
    clicked: Array
    residuals: Array
    spots: Array
    correlated: Array


def read_tdct_report(path: str | Path) -> TdctReport:
    """Read the tables of a 3DCT report.

    Raises
    ------
    ReadError
        Where it has no table of markers.
    """
    name = Path(path).name
    markers, spots, wanted = [], [], ""
    for index, line in enumerate(read_text(path).splitlines(), start=1):
        if line.startswith("#"):
            head = line.lower()
            if "transformation of initial" in head:
                wanted = "markers"
            elif "correlation of 3d spots" in head:
                wanted = "spots"
            elif "poi distance" in head:
                wanted = ""
            continue
        cells = line.split()
        if wanted == "markers" and len(cells) == 10:
            markers.append([number(cell, f"{name}, line {index}") for cell in cells])
        elif wanted == "spots" and len(cells) == 6:
            spots.append([number(cell, f"{name}, line {index}") for cell in cells])
    if not markers:
        raise ReadError(f"{name} holds no table of markers; is it a report of 3DCT?")
    table_, pois = np.array(markers), np.array(spots).reshape(-1, 6)
    return TdctReport(
        table_[:, :3], table_[:, 3:6], table_[:, 6:8], table_[:, 8:], pois[:, :3], pois[:, 3:]
    )


def correlated_points(report: TdctReport, pixels: Pixels) -> tuple[NamedPoint, ...]:
    """Give the correlated points of interest of a report in the image, (y, x) µm."""
    places = pixels.to_um(report.correlated[:, 1::-1], ORIGIN)
    return tuple(NamedPoint(f"POI {i + 1}", vector(place)) for i, place in enumerate(places))


def report_text(
    markers: Array, transformed: Array, clicked: Array, spots: Array, correlated: Array
) -> str:
    """Write the tables of a report as 3DCT lays them out, for programs that read it.

    Parameters
    ----------
    markers, transformed, spots, correlated : (n, 3) array
        (x, y, z), px, as in :class:`TdctReport`.
    clicked : (n, 2) array
        (x, y), px.
    """
    lines = [
        "#",
        "# Transformation of initial (3D) markers",
        "#",
        "#\tInitial (3D) markers\t\tTransformed initial\t\tFinal (2D) markers\tTransformed-Final",
    ]
    for one in np.column_stack([markers, transformed, clicked, transformed[:, :2] - clicked]):
        parts = [one[:3], one[3:6], one[6:8], one[8:]]
        lines.append("\t" + "\t\t".join("\t".join(f"{v:7.2f}" for v in part) for part in parts))
    if len(spots):
        lines += [
            "#",
            "# Correlation of 3D spots (POIs) to 2D",
            "#",
            "#\tSpots (3D)\t\t\tCorrelated spots",
        ]
    for one in np.column_stack([spots, correlated]) if len(spots) else ():
        parts = [one[:3], one[3:]]
        lines.append("\t" + "\t\t".join("\t".join(f"{v:7.2f}" for v in part) for part in parts))
    return "\n".join(lines) + "\n"
