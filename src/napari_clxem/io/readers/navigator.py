"""SerialEM Navigator files: points, polygons and maps on the stage."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from napari_clxem.errors import ReadError
from napari_clxem.io.readers.autodoc import Section, read_autodoc

Kind = Literal["point", "polygon", "map"]
# Pixels per µm² of a map, beyond which a scale matrix is damaged.
_LEAST, _MOST = 1e-9, 1e12
_KINDS: tuple[Kind, ...] = ("point", "polygon", "map")


@dataclass(frozen=True, eq=False)
class NavItem:
    """One item of a Navigator file.

    Parameters
    ----------
    label : str
        What the Navigator calls it.
    kind : str
        ``"point"``, ``"polygon"`` or ``"map"``.
    stage : tuple of float
        Stage position (z, y, x), µm; nan where there is none.
    points : ndarray, (n, 2)
        Stage (y, x) of the points, or of the corners of a polygon or map, µm.
    note : str
        The user's note.
    map_id, drawn_id, group_id, registration : int
        SerialEM's numbers: own id, map it was drawn on, group, registration; 0 where absent.
    map_file : str
        Name of the image file, without its folder; empty unless a map.
    section : int
        Section of that file.
    size : tuple of int or None
        Columns and rows of the map when it was made.
    scale_matrix : tuple of tuple of float or None
        MapScaleMat: stage (X, Y) µm to pixels (x, y), y down.
    binning, montage_binning : float or None
        Binning of the map and, for a montage, of its pieces.
    montage : bool
        Whether the map is a montage.
    tilt : float or None
        Stage tilt, degrees.
    section_text : Section
        Every entry of the item, as text.
    """

    label: str
    kind: Kind
    stage: tuple[float, float, float]
    points: NDArray[np.float64]
    note: str
    map_id: int
    drawn_id: int
    group_id: int
    registration: int
    map_file: str
    section: int
    size: tuple[int, int] | None
    scale_matrix: tuple[tuple[float, float], tuple[float, float]] | None
    binning: float | None
    montage_binning: float | None
    montage: bool
    tilt: float | None
    section_text: Section

    @property
    def stage_to_pixel(self) -> NDArray[np.float64] | None:
        """Matrix (2, 2) from stage (X, Y) µm to pixels (x, y) of the shown map, y down.

        That of a montage counts pixels of a piece, hence times MapBinning / MontBinning. None where
        it would make pixels of no size that an image has.
        """
        if self.scale_matrix is None:
            return None
        matrix = np.array(self.scale_matrix)
        with np.errstate(all="ignore"):
            if self.montage and self.binning and self.montage_binning:
                matrix = matrix * (self.binning / self.montage_binning)
            area = abs(float(np.linalg.det(matrix)))
        return matrix if _LEAST < area < _MOST and np.isfinite(matrix).all() else None

    @property
    def pixel_size(self) -> float | None:
        """Side of a square pixel of the same area on the stage, µm."""
        matrix = self.stage_to_pixel
        return None if matrix is None else float(abs(np.linalg.det(matrix)) ** -0.5)

    def pixel_to_stage(self, rows: int, columns: int) -> NDArray[np.float64] | None:
        """Matrix from pixel indices (row from the top, column) to stage (y, x) µm.

        From SerialEM's ``pixel = M (stage - StageXYZ) + (W, H) / 2``, where pixels are counted
        from the corner of the image: the centre of the first is (0.5, 0.5).

        Parameters
        ----------
        rows, columns : int
            Of the image: that of the map, or of a copy binned alike along both axes.

        Returns
        -------
        ndarray, (3, 3), or None
            Homogeneous; None without a scale matrix, a stage position or a size that fits.
        """
        matrix = self.stage_to_pixel
        if matrix is None or self.size is None or not all(map(math.isfinite, self.stage[1:])):
            return None
        width, height = self.size
        reduction = width / columns, height / rows
        if abs(reduction[0] / reduction[1] - 1) > 0.01:
            return None
        to_xy = np.linalg.inv(matrix) @ np.diag(reduction)
        # from (x, y) order to (y, x) order, on both sides
        swapped = to_xy[::-1, ::-1]
        whole = np.eye(3)
        whole[:2, :2] = swapped
        whole[:2, 2] = np.array(self.stage[1:]) - swapped @ [(rows - 1) / 2, (columns - 1) / 2]
        return whole


@dataclass(frozen=True)
class Navigator:
    """A Navigator file: its path, its version and its items in their order."""

    path: Path
    version: str
    items: tuple[NavItem, ...]

    def maps_of(self, name: str) -> tuple[NavItem, ...]:
        """Give the maps whose image file has this name, in any folder and case."""
        wanted = base_name(name).lower()
        return tuple(i for i in self.items if i.kind == "map" and i.map_file.lower() == wanted)


def read_navigator(path: str | Path) -> Navigator:
    """Read a SerialEM Navigator file, in its text or XML form.

    Parameters
    ----------
    path : str or Path
        A .nav file.

    Raises
    ------
    ReadError
        Where it cannot be read, or holds no Navigator items.
    """
    path = Path(path)
    document = read_autodoc(path)
    sections = document.of("Item")
    if not sections and "AdocVersion" not in document.entries:
        raise ReadError(f"{path.name} holds no Navigator items; is it a .nav file of SerialEM?")
    version = document.entries.get("AdocVersion", "")
    return Navigator(path, version, tuple(_item(section) for section in sections))


def base_name(name: str) -> str:
    """Name of a file without its folder, whether written on Windows or elsewhere."""
    return name.replace("\\", "/").rpartition("/")[2].strip()


def _item(section: Section) -> NavItem:
    number = _integer(section, "Type")
    x, y, z = (*section.numbers("StageXYZ", 3), math.nan, math.nan, math.nan)[:3]
    size = section.numbers("MapWidthHeight", 2)
    return NavItem(
        label=section.name,
        kind=_KINDS[number] if 0 <= number < len(_KINDS) else "point",
        stage=(z, y, x),
        points=_points(section),
        note=section.text("Note"),
        map_id=_integer(section, "MapID"),
        drawn_id=_integer(section, "DrawnID"),
        group_id=_integer(section, "GroupID"),
        registration=_integer(section, "Regis"),
        map_file=base_name(section.text("MapFile")),
        section=_integer(section, "MapSection"),
        size=(int(size[0]), int(size[1])) if size and min(size[:2]) >= 1 else None,
        scale_matrix=_matrix(section),
        binning=_positive(section, "MapBinning"),
        montage_binning=_positive(section, "MontBinning"),
        montage=_integer(section, "MapMontage") == 1,
        tilt=section.number("MapTiltAngle"),
        section_text=section,
    )


def _integer(section: Section, key: str) -> int:
    return int(section.number(key) or 0)


def _positive(section: Section, key: str) -> float | None:
    value = section.number(key)
    return value if value is not None and value > 0 else None


def _points(section: Section) -> NDArray[np.float64]:
    x, y = section.numbers("PtsX"), section.numbers("PtsY")
    if len(x) != len(y):
        return np.empty((0, 2))
    return np.array([y, x], dtype=float).T.reshape(-1, 2)


def _matrix(section: Section) -> tuple[tuple[float, float], tuple[float, float]] | None:
    values = section.numbers("MapScaleMat", 4)
    if not values:
        return None
    a, b, c, d = values[:4]
    scale = max(map(abs, values[:4]))
    if not 0 < scale < math.inf:
        return None
    # a matrix of one direction places nothing
    if not abs(a / scale * (d / scale) - b / scale * (c / scale)) > 1e-6:
        return None
    return ((a, b), (c, d))
