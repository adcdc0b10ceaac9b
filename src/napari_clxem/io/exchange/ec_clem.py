"""eC-CLEM: CSV of points, and the XML of Icy in which it keeps its fiducials.

The CSV (``id,dimension_1,…``) is x, y, z in µm, without half pixels. Icy's XML is in pixels: x and
y count from the corner of the first pixel (its centre is 0.5), z counts slices from 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from xml.etree import ElementTree as Tree

import numpy as np

from napari_clxem.errors import ReadError
from napari_clxem.io.exchange.points import NamedPoint, Pixels, positions, vector
from napari_clxem.io.exchange.text import (
    exact,
    number,
    read_text,
    rows_of,
    table,
    write_text,
)

ORIGIN = (0.0, 0.5, 0.5)
_CLASSES = {2: "plugins.kernel.roi.roi2d.ROI2DPoint", 3: "plugins.kernel.roi.roi3d.ROI3DPoint"}


def write_ec_clem_csv(points: Iterable[NamedPoint], path: str | Path) -> None:
    """Write points as eC-CLEM's CSV, µm; names become numbers from 0."""
    array = positions(points)
    head = ["id", *(f"dimension_{i + 1}" for i in range(array.shape[1]))]
    rows = [[str(i), *(exact(v) for v in row[::-1])] for i, row in enumerate(array)]
    write_text(path, table([head, *rows]))


def read_ec_clem_csv(path: str | Path) -> tuple[NamedPoint, ...]:
    """Read points of eC-CLEM's CSV, µm.

    Raises
    ------
    ReadError
        Where the header or a line is not of that form.
    """
    name = Path(path).name
    rows = list(rows_of(read_text(path)))
    wanted = [["id", *(f"dimension_{i + 1}" for i in range(n))] for n in (2, 3)]
    if not rows or rows[0][1] not in wanted:
        raise ReadError(
            f"{name}: the first line must be id,dimension_1,dimension_2 and for volumes "
            "dimension_3; is it a point list of eC-CLEM?"
        )
    found = []
    for index, cells in rows[1:]:
        where = f"{name}, line {index}"
        if len(cells) != len(rows[0][1]):
            raise ReadError(
                f"{where}: {len(cells)} values, but there are {len(rows[0][1])} columns."
            )
        found.append(NamedPoint(cells[0], vector([number(c, where) for c in cells[:0:-1]])))
    return tuple(found)


def write_ec_clem_xml(
    points: Iterable[NamedPoint], path: str | Path, pixels: Pixels, image: str = ""
) -> None:
    """Write points as Icy keeps the fiducials of an image.

    Parameters
    ----------
    points : iterable of NamedPoint
        µm.
    path : str or Path
        Icy reads the file beside an image that has its name with .xml.
    pixels : Pixels
        Of the image.
    image : str
        Name of the image.
    """
    found = list(points)
    numbers = pixels.from_um(positions(found, len(pixels.spacing)), ORIGIN)
    root = Tree.Element("root")
    Tree.SubElement(root, "name").text = image
    rois = Tree.SubElement(root, "rois")
    for index, (point, place) in enumerate(zip(found, numbers, strict=True)):
        roi = Tree.SubElement(rois, "roi")
        entries = {
            "classname": _CLASSES[len(place)],
            "id": str(index + 1),
            "name": point.name,
            "showName": "true",
        }
        for key, value in entries.items():
            Tree.SubElement(roi, key).text = value
        if len(place) == 2:
            Tree.SubElement(roi, "z").text = "-1"
        corner = Tree.SubElement(roi, "position")
        for axis, value in zip("xyz", place[::-1], strict=False):
            Tree.SubElement(corner, f"pos_{axis}").text = exact(value)
    Tree.indent(root)
    write_text(path, '<?xml version="1.0" encoding="UTF-8"?>\n' + Tree.tostring(root, "unicode"))


def read_ec_clem_xml(path: str | Path, pixels: Pixels) -> tuple[NamedPoint, ...]:
    """Read the points among the regions of interest that Icy keeps of an image.

    Raises
    ------
    ReadError
        Where it is no such XML, or a position is not a number.
    """
    from napari_clxem.io.readers.ome_xml import parse_xml

    path = Path(path)
    root = parse_xml(read_text(path), path, "XML of Icy")
    found: list[NamedPoint] = []
    for roi in root.iter("roi"):
        if not (roi.findtext("classname") or "").endswith("Point"):
            continue
        name = roi.findtext("name") or roi.findtext("id") or str(len(found) + 1)
        place = roi.find("position")
        cells = [(place.findtext(f"pos_{axis}") if place is not None else None) for axis in "xyz"]
        if len(pixels.spacing) == 3 and cells[2] is None:
            cells[2] = roi.findtext("z")  # a 2D region of a stack
        used = cells[: len(pixels.spacing)]
        if any(cell is None for cell in used):
            raise ReadError(f"{path.name}: the point {name!r} has no full position.")
        values = [number(cell or "", f"{path.name}, point {name!r}") for cell in used]
        found.append(NamedPoint(name, vector(pixels.to_um(np.array(values)[::-1], ORIGIN))))
    if not found and root.find("rois") is None:
        raise ReadError(f"{path.name} holds no regions of interest; is it an XML of Icy?")
    return tuple(found)
