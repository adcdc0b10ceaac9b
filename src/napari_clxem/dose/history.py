"""All exposures of a sample in one frame: what they left at points, over a map, up to a moment."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import SCANNED, Exposure
from napari_clxem.dose.exposures import common_doses
from napari_clxem.dose.footprint import relative_dose
from napari_clxem.dose.order import in_time_order
from napari_clxem.dose.packing import Shapes, add_all, neighbourhoods, pack, planes
from napari_clxem.dose.placement import Group, group
from napari_clxem.dose.quantities import Height, a_point, each, expected, height, whole
from napari_clxem.dose.raster import Grid
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats, as_points
from napari_clxem.materials import Material

if TYPE_CHECKING:
    from napari_clxem.dose.intervals import Interval


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
    groups : tuple of Group
        How each of their frames lies against `frame`.
    unreached : tuple of Exposure
        Those in a frame that no link reaches: they are in no sum.
    unknown : tuple of Exposure
        Those whose dose is unknown: sums are lower bounds where they reach.
    reasons : dict of str to str
        Why, by their ids.
    undated : tuple of Exposure
        Recorded ones without a readable time.

    Raises
    ------
    ClxemError
        Where frames or materials are mixed and nothing says which is meant.
    """

    def __init__(
        self,
        exposures: Iterable[Exposure],
        graph: FrameGraph | None = None,
        frame: str | None = None,
        material: str | Material | None = None,
    ) -> None:
        every = each(exposures, Exposure, "The exposures")
        if graph is not None:
            expected(graph, FrameGraph, "The graph")
        if frame is not None:
            expected(frame, str, "The frame")
        self.exposures, self.undated = in_time_order(every)
        self.doses, self.material, unknown = common_doses(self.exposures, material)
        self.groups, self.frame, lost = group(self.exposures, graph, frame)
        self.unreached = tuple(self.exposures[i] for i in lost)
        self.unknown = tuple(self.exposures[i] for i in unknown)
        self.reasons = {self.exposures[i].id: reason for i, reason in unknown.items()}
        stays = {one.modality for one in self.exposures if one.modality.lower() in SCANNED}
        self.at_surface = np.array(
            [one.depth is not None or one.modality in stays for one in self.exposures], dtype=bool
        )
        self._shapes: Shapes = pack(self.exposures)
        self._planes = np.zeros((len(self.exposures), 3, 4))
        self._placed = np.zeros(len(self.exposures), dtype=bool)
        self._same = np.zeros(len(self.exposures), dtype=bool)
        self._group_of = np.full(len(self.exposures), -1)
        for number, found in enumerate(self.groups):
            self._group_of[found.members] = number
            members = [self.exposures[i] for i in found.members]
            self._planes[found.members] = planes(found.placement, members, found.flat)
            self._placed[found.members] = True
            self._same[found.members] = found.same
        self._rows = np.ascontiguousarray(self._planes).reshape(-1, 4)
        kind = self._shapes.index
        self._along, self._across = self._shapes.reach[kind].T
        self._slope = self._shapes.slope[kind]

    def __len__(self) -> int:
        return len(self.exposures)

    def at(
        self,
        points: ArrayLike,
        upto: int | None = None,
        surface: bool = False,
        z: Height = None,
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
        z : float, optional
            Height of (y, x) points of a 3D frame, µm. Left out, they lie at the tilt axis of
            exposures of the frame itself, and at 0 for those of others.

        Returns
        -------
        (n,) array
            MGy.
        """
        array, z = as_points(points), height(z)
        found = np.zeros(len(array))
        for part in neighbourhoods(array):
            which, doses = self.each_at(array[part], upto, surface, z)
            found[part] = doses.sum(axis=0) if len(which) else 0.0
        return found

    def each_at(
        self,
        points: ArrayLike,
        upto: int | None = None,
        surface: bool = False,
        z: Height = None,
    ) -> tuple[Any, Floats]:
        """Give the exposures that reach any of the points (k,), and their doses (k, n), MGy."""
        array = as_points(points)
        which = self.near(array, upto, z)
        which = which[self.placed(surface)[which]]
        found = np.zeros((len(which), len(array)))
        for row, index in enumerate(which):
            found[row] = self.doses[index] * self.relative(int(index), array, z)
        return which, found

    def near(self, points: ArrayLike, upto: int | None = None, z: Height = None) -> Any:
        """Give the exposures whose footprint may reach any of the points, in time order, (k,)."""
        found = np.flatnonzero(self.felt(as_points(points), height(z)))
        return found if upto is None else found[found < whole(upto, "The number of exposures")]

    def map(
        self,
        origin: ArrayLike,
        shape: tuple[int, int],
        pixel: Any,
        upto: int | None = None,
        surface: bool = False,
        z: Height = None,
    ) -> Floats:
        """Give the dose over a raster; parameters as :func:`cumulative_map` and :meth:`at`.

        Returns
        -------
        (ny, nx) array
            MGy.
        """
        grid = Grid.of(origin, shape, pixel)
        raster = np.zeros(grid.shape)
        count = len(self)
        if upto is not None:
            count = min(max(0, whole(upto, "The number of exposures")), count)
        self.add(raster, grid, range(count), surface, height(z))
        return raster

    def add(
        self,
        raster: Floats,
        grid: Grid,
        indices: ArrayLike,
        surface: bool = False,
        z: Height = None,
        moved: Floats | None = None,
    ) -> None:
        """Add some exposures to a raster, in place.

        Parameters
        ----------
        raster : (ny, nx) array
            Sum so far, MGy.
        grid : Grid
            Its pixels.
        indices : array_like of int
            Which exposures.
        surface, z
            As :meth:`at`.
        moved : (g, 3, 4) array, optional
            How far every group is displaced; see :attr:`displaced`.
        """
        chosen = np.zeros(len(self), dtype=bool)
        chosen[np.asarray(indices, dtype=int)] = True
        which = np.flatnonzero(chosen & self.placed(surface))
        if not len(which):
            return
        coordinates = self._planes[which]
        if moved is not None:
            coordinates = coordinates - self._turned(moved, which)
        # as one product: one small product per footprint takes ten times as long
        linear = (coordinates.reshape(-1, 4) @ grid.matrix(z or 0.0)).reshape(-1, 3, 3)
        if z is None:
            linear[self._same[which], 0] = 0.0
        add_all(raster, linear, self.doses[which], self._shapes, self._shapes.index[which])

    def interval(self, points: ArrayLike, surface: bool = False, z: Height = None) -> Interval:
        """Give the dose at points with what the registration leaves open.

        Exposures of one frame move together, by shift, rotation, scale and shear as its links
        leave them open; those of different frames independently.

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
        from napari_clxem.dose.intervals import interval_at

        return interval_at(self, as_points(points), surface, height(z))

    def interval_map(
        self,
        origin: ArrayLike,
        shape: tuple[int, int],
        pixel: Any,
        surface: bool = False,
        z: Height = None,
    ) -> Interval:
        """Give :meth:`interval` over a raster: (ny, nx) arrays; some 40 times the work of a map."""
        from napari_clxem.dose.intervals import interval_over

        return interval_over(self, Grid.of(origin, shape, pixel), surface, height(z))

    def number_of(self, index: int) -> int:
        """Give the number of an exposure's group; -1 where no link reaches it."""
        return int(self._group_of[index])

    def group_of(self, index: int) -> Group | None:
        """Give the group of an exposure; None where no link reaches it."""
        number = self.number_of(index)
        return None if number < 0 else self.groups[number]

    def placed(self, surface: bool) -> Any:
        """Which exposures leave a known dose inside the sample, or at its surface, (n,) bool."""
        return (self.doses > 0) & (self.at_surface == bool(surface)) & self._placed

    def felt(self, array: Floats, z: Height = None, farther: Floats | None = None) -> Any:
        """Which exposures may reach any of the points, (n,) bool.

        Parameters
        ----------
        array : (m, 2) or (m, 3) array
            Points in `frame`, µm.
        z : float, optional
            As :meth:`at`.
        farther : (n,) array, optional
            How far each may be moved, µm.
        """
        moved = 0.0 if farther is None else farther[:, np.newaxis]
        along, across = self._along[:, np.newaxis] + moved, self._across[:, np.newaxis] + moved
        slope = self._slope[:, np.newaxis]
        found = np.zeros(len(self), dtype=bool)
        step = max(1, (1 << 20) // max(len(self), 1))
        for start in range(0, len(array), step):
            # one product of a tall matrix: one small product per exposure takes ten times as long
            upright = self._upright(array[start : start + step], z)
            place = np.abs(self._rows @ upright.T).reshape(len(self), 3, len(upright))
            if array.shape[1] == 2 and z is None:
                place[self._same, 0] = 0.0
            wide = across + slope * (place[:, 0] + moved)
            near = (place[:, 1] <= along * (1 + 1e-6)) & (place[:, 2] <= wide * (1 + 1e-6))
            found |= near.any(axis=1)
        return found & self._placed

    def relative(self, index: int, array: Floats, z: Height = None) -> Floats:
        """Dose of one exposure at points of `frame`, in units of one image's, (n,)."""
        return relative_dose(self.exposures[index], self._own(index, array, z))

    def relative_moved(self, index: int, array: Floats, moved: Floats, z: Height = None) -> Floats:
        """Give :meth:`relative` with the footprint displaced.

        Parameters
        ----------
        index : int
            Which exposure.
        array : (n, 2) or (n, 3) array
            Points in `frame`, µm.
        moved : (m, 3, 4) array
            How far the exposure's group is displaced; see :attr:`displaced`.
        z : float, optional
            As :meth:`at`.

        Returns
        -------
        (m, n) array
        """
        own = self._own(index, array, z)
        apart = np.einsum("kij,nj->kni", moved, self._upright(array, z))
        there = own[np.newaxis] - apart[:, :, 3 - own.shape[1] :]
        found = relative_dose(self.exposures[index], there.reshape(-1, own.shape[1]))
        return found.reshape(len(moved), len(array))

    @cached_property
    def displaced(self) -> tuple[Floats, tuple[str, ...]]:
        """What the registration leaves open: displacements (m, g, 3, 4), and frames not told.

        From (z, y, x, 1) of `frame` to (z, y, x) of each group's own, µm.
        """
        from napari_clxem.dose.intervals import displaced

        return displaced(self.groups)

    @cached_property
    def extents(self) -> tuple[Floats, Floats]:
        """Where each footprint is: centres (n, 2) in `frame` and radii (n,) that hold it, µm.

        NaN for exposures that no link reaches, and those whose plane is seen edge-on.
        """
        centres, radii = np.full((len(self), 2), np.nan), np.full(len(self), np.nan)
        for part in self.groups:
            plane, shift = part.placement[1:, 1:3], part.placement[1:, 3]
            smallest = np.linalg.svd(plane, compute_uv=False)[-1]
            if smallest < 1e-9:
                continue
            aims = np.array([self.exposures[i].aim for i in part.members.tolist()])
            centres[part.members] = (aims - shift) @ np.linalg.inv(plane).T
            upright = self._upright(centres[part.members], 0.0)
            height = np.abs(np.einsum("nj,nj->n", self._planes[part.members, 0], upright))
            height = np.zeros_like(height) if part.same else height
            kind = self._shapes.index[part.members]
            across = self._shapes.reach[kind, 1] + self._shapes.slope[kind] * height
            radii[part.members] = np.hypot(self._shapes.reach[kind, 0], across) / smallest
        return centres, radii

    def nearest(self, point: ArrayLike, count: int = 200) -> Any:
        """Give the exposures whose footprints are nearest to a point (y, x), nearest first, (k,).

        Footprints that hold the point come first; those that no link reaches are left out.
        """
        centres, radii = self.extents
        place = a_point(point)[0, -2:]
        away = np.maximum(np.linalg.norm(centres - place, axis=1) - radii, 0.0)
        order = np.lexsort((np.linalg.norm(centres - place, axis=1), away))
        return order[np.isfinite(away[order])][: whole(count, "The number of exposures", 0)]

    def _turned(self, moved: Floats, which: Any) -> Floats:
        """Displacements of some exposures along and across their tilt axes, (k, 3, 4)."""
        turn = np.deg2rad([self.exposures[i].axis_azimuth for i in which])[:, np.newaxis]
        cosine, sine = np.cos(turn), np.sin(turn)
        z, y, x = np.moveaxis(moved[self._group_of[which]], 1, 0)
        return np.stack([z, y * cosine - x * sine, x * cosine + y * sine], axis=1)

    def images_at(self, index: int, array: Floats, z: Height = None) -> int:
        """Count the images of one exposure that hit a point (1, d); see :meth:`relative`."""
        return int(self.exposures[index].hits_at(self._own(index, array, z))[0])

    def _own(self, index: int, array: Floats, z: Height) -> Floats:
        """Points in an exposure's own frame; see :meth:`relative`."""
        part = self.groups[int(self._group_of[index])]
        if part.same:
            return array if z is None else self._upright(array, z)[:, :3]
        places = self._upright(array, z) @ part.placement.T
        return np.asarray(places[:, 1:] if part.flat else places)

    def _upright(self, array: Floats, z: Height) -> Floats:
        """Points as (z, y, x, 1), (n, 4)."""
        height = array[:, :1] if array.shape[1] == 3 else np.full((len(array), 1), z or 0.0)
        return np.column_stack([height, array[:, -2:], np.ones(len(array))])
