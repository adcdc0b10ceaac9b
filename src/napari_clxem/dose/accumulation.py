"""What all exposures together have left: at points, over a map, up to any moment."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.footprint import relative_dose
from napari_clxem.dose.order import in_time_order
from napari_clxem.dose.packing import Shapes, pack, planes
from napari_clxem.dose.placement import Group, draws, group
from napari_clxem.dose.quantities import amount, positive
from napari_clxem.errors import ClxemError
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats, as_points
from napari_clxem.materials import Material

#: Displacements tried for an interval: between the second lowest and second highest of 39 lie 90 %.
DRAWS = 39


class DoseWarning(UserWarning):
    """A sum of doses leaves something out, or is only a lower bound."""


@dataclass(frozen=True, eq=False)
class Interval:
    """A dose with what the registration leaves open.

    Attributes
    ----------
    dose, mean, low, high : arrays of one shape
        MGy: with every frame where its links put it; the mean over where it may lie; the ends
        of the 90 % interval.
    unknown : tuple of str
        Frames whose links do not tell their error; they count as exact.
    """

    dose: Floats
    mean: Floats
    low: Floats
    high: Floats
    unknown: tuple[str, ...]


class History:
    """All exposures of a sample in one frame, in time order, ready to be asked.

    Parameters
    ----------
    exposures : iterable of Exposure
        Recorded and planned ones.
    graph : FrameGraph, optional
        Links their frames with `frame`.
    frame : str, optional
        Frame of all points and maps; may be left out where all exposures are in one.
    material : str or Material, optional
        What all doses are stated for; that of the exposures where it is left out, which must
        then be one.

    Attributes
    ----------
    exposures : tuple of Exposure
        In time order: recorded ones without a time first, planned ones last.
    frame : str
        Frame of all points and maps.
    material : str
        What the doses are stated for.
    unreached : tuple of Exposure
        Those in a frame that no link reaches: they are in no sum.
    unknown : tuple of Exposure
        Those whose dose is unknown: sums are lower bounds where they reach.
    undated : tuple of Exposure
        Recorded ones without a readable time.

    Raises
    ------
    ClxemError
        Where frames or materials are mixed and nothing says which is meant, or a dose cannot be
        stated for the material.
    """

    def __init__(
        self,
        exposures: Iterable[Exposure],
        graph: FrameGraph | None = None,
        frame: str | None = None,
        material: str | Material | None = None,
    ) -> None:
        self.exposures, self.undated = in_time_order(exposures)
        self.doses, self.material, unknown = _doses(self.exposures, material)
        self._groups, self.frame, lost = group(self.exposures, graph, frame)
        self.unreached = tuple(self.exposures[i] for i in lost)
        self.unknown = tuple(self.exposures[i] for i in unknown)
        self.at_surface = np.array([one.at_surface for one in self.exposures], dtype=bool)
        self._shapes: Shapes = pack(self.exposures)
        self._planes = np.zeros((len(self.exposures), 3, 4))
        self._shifts = np.full((len(self.exposures), 3, 3), np.nan)
        self._placed = np.zeros(len(self.exposures), dtype=bool)
        for found in self._groups:
            members = [self.exposures[i] for i in found.members]
            self._planes[found.members] = planes(found.placement, members, found.flat)
            self._shifts[found.members] = found.spread
            self._placed[found.members] = True

    def __len__(self) -> int:
        return len(self.exposures)

    def at(
        self, points: ArrayLike, upto: int | None = None, surface: bool = False, z: float = 0.0
    ) -> Floats:
        """Give the dose at points, all exposures together.

        Parameters
        ----------
        points : (n, 2) or (n, 3) array_like
            (y, x) or (z, y, x) in `frame`, µm.
        upto : int, optional
            Only the first so many exposures.
        surface : bool
            The dose that stays in a layer below the surface instead of that of the interior.
        z : float
            Height of (y, x) points of a 3D frame, µm, for exposures of other frames.

        Returns
        -------
        (n,) array
            MGy.
        """
        return self.each_at(points, upto, surface, z)[1].sum(axis=0)

    def each_at(
        self, points: ArrayLike, upto: int | None = None, surface: bool = False, z: float = 0.0
    ) -> tuple[Any, Floats]:
        """Give the exposures that reach any of the points (k,), and their doses (k, n), MGy."""
        array = as_points(points)
        which = self.near(array, upto, z)
        which = which[(self.doses[which] > 0) & (self.at_surface[which] == surface)]
        found = np.zeros((len(which), len(array)))
        for row, index in enumerate(which):
            found[row] = self.doses[index] * self._relative(int(index), array, z)
        return which, found

    def near(self, points: ArrayLike, upto: int | None = None, z: float = 0.0) -> Any:
        """Give the exposures whose footprint may reach any of the points, in time order, (k,)."""
        array = as_points(points)
        count = len(self) if upto is None else max(0, min(int(upto), len(self)))
        shapes = self._shapes
        found = np.zeros(count, dtype=bool)
        along = shapes.reach[shapes.index[:count], 0]
        across = shapes.reach[shapes.index[:count], 1]
        slope = shapes.slope[shapes.index[:count]]
        step = max(1, (1 << 20) // max(count, 1))
        for start in range(0, len(array), step):
            part = self._heights(array[start : start + step], z)
            place = self._planes[:count] @ part.T  # (k, 3, n)
            if array.shape[1] == 2:
                place[self._same[:count], 0] = 0.0
            wide = across[:, np.newaxis] + slope[:, np.newaxis] * np.abs(place[:, 0])
            near = (np.abs(place[:, 1]) <= along[:, np.newaxis] * (1 + 1e-6)) & (
                np.abs(place[:, 2]) <= wide * (1 + 1e-6)
            )
            found |= near.any(axis=1)
        return np.flatnonzero(found & self._placed[:count])

    def map(
        self,
        origin: ArrayLike,
        shape: tuple[int, int],
        pixel: Any,
        upto: int | None = None,
        surface: bool = False,
        z: float = 0.0,
    ) -> Floats:
        """Give the dose over a raster; parameters as :func:`cumulative_map` and :meth:`at`.

        Returns
        -------
        (ny, nx) array
            MGy.
        """
        grid = Grid.of(origin, shape, pixel)
        raster = np.zeros(grid.shape)
        count = len(self) if upto is None else max(0, min(int(upto), len(self)))
        self.add(raster, grid, range(count), surface, z)
        return raster

    def add(
        self,
        raster: Floats,
        grid: Grid,
        indices: Sequence[int] | range,
        surface: bool = False,
        z: float = 0.0,
        shift: Floats | None = None,
    ) -> None:
        """Add some exposures to a raster, in place; `shift` (n, 3) moves every footprint, µm."""
        from napari_clxem.dose.kernels import add_footprints

        chosen = np.zeros(len(self), dtype=bool)
        chosen[np.asarray(indices, dtype=int)] = True
        chosen &= (self.doses > 0) & (self.at_surface == surface) & self._placed
        which = np.flatnonzero(chosen)
        if not len(which):
            return
        coordinates = self._planes[which]
        if shift is not None:
            coordinates = coordinates.copy()
            coordinates[:, :, 3] -= shift[which]
        shapes = self._shapes
        linear = coordinates @ grid.matrix(z)
        linear[self._same[which], 0] = 0.0
        add_footprints(
            raster,
            np.ascontiguousarray(linear),
            self.doses[which],
            shapes.index[which],
            shapes.beams,
            shapes.beam_start,
            shapes.tables,
            shapes.table_start,
            shapes.lookup,
        )

    def interval(self, points: ArrayLike, surface: bool = False, z: float = 0.0) -> Interval:
        """Give the dose at points with what the registration leaves open.

        Exposures of one frame move together, those of different frames independently, each by
        the predicted error of the links at its aim.

        Parameters
        ----------
        points : (n, 2) or (n, 3) array_like
            In `frame`, µm.
        surface, z
            As :meth:`at`.

        Returns
        -------
        Interval
            Of (n,) arrays.
        """
        array = as_points(points)
        exact = self.at(array, surface=surface, z=z)
        shifts, unknown = self._displacements()
        found = np.zeros((DRAWS, len(array)))
        wanted = (self.doses > 0) & (self.at_surface == surface) & self._placed
        farthest = np.linalg.norm(shifts, axis=2).max(axis=0, initial=0.0)
        for index in np.flatnonzero(wanted & self._felt(array, farthest, z)):
            moved = [self._relative(int(index), array, z, shift) for shift in shifts[:, index]]
            found += self.doses[index] * np.array(moved)
        found.sort(axis=0)
        return Interval(exact, found.mean(axis=0), found[1], found[-2], unknown)

    def interval_map(
        self,
        origin: ArrayLike,
        shape: tuple[int, int],
        pixel: Any,
        surface: bool = False,
        z: float = 0.0,
    ) -> Interval:
        """Give :meth:`interval` over a raster: (ny, nx) arrays."""
        from napari_clxem.dose.kernels import keep_extremes

        grid = Grid.of(origin, shape, pixel)
        exact = self.map(origin, shape, pixel, surface=surface, z=z)
        shifts, unknown = self._displacements()
        mean = np.zeros(grid.shape)
        low, high = np.full((2, *grid.shape), np.inf), np.full((2, *grid.shape), -np.inf)
        for shift in shifts:
            value = np.zeros(grid.shape)
            self.add(value, grid, range(len(self)), surface, z, shift)
            mean += value / DRAWS
            keep_extremes(value, low, high)
        return Interval(exact, mean, low[1], high[1], unknown)

    @property
    def _same(self) -> Any:
        """Which exposures are in the common frame itself, (n,) bool."""
        found = np.zeros(len(self), dtype=bool)
        for part in self._groups:
            found[part.members] = part.same
        return found

    def _heights(self, array: Floats, z: float) -> Floats:
        """Points as (z, y, x, 1), (n, 4)."""
        height = array[:, :1] if array.shape[1] == 3 else np.full((len(array), 1), float(z))
        return np.column_stack([height, array[:, -2:], np.ones(len(array))])

    def _relative(
        self, index: int, array: Floats, z: float, shift: Floats | None = None
    ) -> Floats:
        """Dose of one exposure at points, in units of one image's."""
        one = self.exposures[index]
        part = self._group_of[index]
        if part.same:
            places = array
        else:
            places = self._heights(array, z) @ part.placement.T
            places = places[:, 1:] if part.flat else places
        if shift is not None:
            turn = np.deg2rad(one.axis_azimuth)
            _, along, across = shift
            down = along * np.cos(turn) + across * np.sin(turn)
            right = across * np.cos(turn) - along * np.sin(turn)
            places = places - np.array([shift[0], down, right])[3 - places.shape[1] :]
        return relative_dose(one, places)

    @property
    def _group_of(self) -> dict[int, Group]:
        """Group of each exposure."""
        if not hasattr(self, "_membership"):
            self._membership = {
                int(index): part for part in self._groups for index in part.members
            }
        return self._membership

    def _felt(self, array: Floats, farthest: Floats, z: float) -> Any:
        """Which exposures may reach any of the points when moved by up to `farthest`, (n,) bool."""
        shapes = self._shapes
        place = self._planes @ self._heights(array, z).T
        if array.shape[1] == 2:
            place[self._same, 0] = 0.0
        slope = shapes.slope[shapes.index][:, np.newaxis]
        reach = shapes.reach[shapes.index] + farthest[:, np.newaxis]
        wide = reach[:, 1:] + slope * (np.abs(place[:, 0]) + farthest[:, np.newaxis])
        near = (np.abs(place[:, 1]) <= reach[:, :1] * (1 + 1e-6)) & (
            np.abs(place[:, 2]) <= wide * (1 + 1e-6)
        )
        return np.asarray(near.any(axis=1))

    def _displacements(self) -> tuple[Floats, tuple[str, ...]]:
        """Displacements (DRAWS, n, 3) of every footprint, along its tilt axis, and what is unknown.

        In the order (z, y along, x across) about each aim.
        """
        moved = np.zeros((DRAWS, len(self), 3))
        unknown = []
        for number, part in enumerate(self._groups):
            spread = part.spread
            if np.isnan(spread).any():
                unknown.append(part.frame)
                spread = np.nan_to_num(spread)
            away = np.einsum("nij,kj->kni", spread, draws(DRAWS, number))
            azimuth = [self.exposures[i].axis_azimuth for i in part.members]
            cosine, sine = np.cos(np.deg2rad(azimuth)), np.sin(np.deg2rad(azimuth))
            z, y, x = away.transpose(2, 0, 1)
            moved[:, part.members] = np.stack(
                [z, y * cosine - x * sine, x * cosine + y * sine], axis=-1
            )
        return moved, tuple(unknown)


@dataclass(frozen=True, eq=False)
class Grid:
    """Pixels of a map: centre (y, x) of the first, µm; rows and columns; pixel size (y, x), µm."""

    origin: Floats
    shape: tuple[int, int]
    pixel: Floats

    @classmethod
    def of(cls, origin: ArrayLike, shape: tuple[int, int], pixel: Any) -> Grid:
        """Check and make a grid; `pixel` may be one number or (y, x).

        Raises
        ------
        ClxemError
            For a shape or pixel size that no map has.
        """
        start = as_points(np.asarray(amount(origin, "micrometer", "The origin")), 2, "The origin")
        size = np.broadcast_to(positive(pixel, "micrometer", "The pixel size"), 2).astype(float)
        if len(shape) != 2 or any(int(n) != n or n < 1 for n in shape):
            raise ClxemError(f"A map has the shape {shape}; give (rows, columns), 1 or more each.")
        return cls(start[0], (int(shape[0]), int(shape[1])), size)

    def matrix(self, z: float) -> Floats:
        """From (1, row, column) to (z, y, x, 1), (4, 3)."""
        found = np.zeros((4, 3))
        found[0, 0] = z
        found[1, :2] = self.origin[0], self.pixel[0]
        found[2, ::2] = self.origin[1], self.pixel[1]
        found[3, 0] = 1.0
        return found


def cumulative(
    exposures: Iterable[Exposure],
    points: ArrayLike,
    graph: FrameGraph | None = None,
    frame: str | None = None,
    *,
    material: str | Material | None = None,
    surface: bool = False,
) -> Floats:
    """Sum the doses of all exposures at points.

    Parameters
    ----------
    exposures : iterable of Exposure
        Of any frames.
    points : (n, 2) or (n, 3) array_like
        (y, x) or (z, y, x) in `frame`, µm.
    graph : FrameGraph, optional
        Links the exposures' frames with `frame`.
    frame : str, optional
        Frame of the points; may be left out where all exposures are in one.
    material : str or Material, optional
        State all doses for this material; left out, they must be stated for one already.
    surface : bool
        Sum what stays in a layer below the surface (scanning microscopes) instead.

    Returns
    -------
    (n,) array
        Entrance dose, MGy. With the registration's error: :meth:`History.interval`.

    Raises
    ------
    ClxemError
        As :class:`History`.

    Warns
    -----
    DoseWarning
        Naming exposures that no link reaches, and those of unknown dose.
    """
    history = History(exposures, graph, frame, material)
    _warn(history)
    return history.at(points, surface=surface)


def cumulative_map(
    exposures: Iterable[Exposure],
    origin: ArrayLike,
    shape: tuple[int, int],
    pixel: Any,
    graph: FrameGraph | None = None,
    frame: str | None = None,
    *,
    material: str | Material | None = None,
    surface: bool = False,
) -> Floats:
    """Sum the doses of all exposures over a raster, at its pixels' centres.

    Parameters
    ----------
    exposures, graph, frame, material, surface
        As :func:`cumulative`.
    origin : (2,) array_like
        Centre (y, x) of the first pixel in `frame`, µm.
    shape : (int, int)
        Rows and columns.
    pixel : float or (float, float)
        Pixel size, or (y, x) sizes, µm.

    Returns
    -------
    (ny, nx) array
        Entrance dose, MGy.
    """
    history = History(exposures, graph, frame, material)
    _warn(history)
    return history.map(origin, shape, pixel, surface=surface)


def _warn(history: History) -> None:
    for names, what in (
        (history.unreached, "no link reaches the frame of"),
        (history.unknown, "the dose is unknown of"),
    ):
        if names:
            listed = ", ".join(repr(one.id) for one in names[:10])
            more = f" and {len(names) - 10} more" if len(names) > 10 else ""
            warnings.warn(
                f"The sum leaves exposures out: {what} {listed}{more}.", DoseWarning, stacklevel=3
            )


def _doses(
    exposures: Sequence[Exposure], material: str | Material | None
) -> tuple[Floats, str, list[int]]:
    """Dose of one image of each exposure in one material, and which are unknown."""
    stated = {one.material for one in exposures if one.counts}
    if material is None and len(stated) > 1:
        raise ClxemError(
            f"Doses are stated for {', '.join(sorted(stated))}; say for which material to add "
            "them up."
        )
    name = material if material is not None else next(iter(stated), "cell")
    doses, unknown = np.zeros(len(exposures)), []
    for index, one in enumerate(exposures):
        dose = one.image_dose(name)
        if dose is None:
            unknown.append(index)
        else:
            doses[index] = dose
    return doses, getattr(name, "name", str(name)), unknown
