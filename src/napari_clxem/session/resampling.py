"""Images of a session on the pixels of another frame, by its links."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import MissingScaleError, SessionError
from napari_clxem.frames import Affine, Route
from napari_clxem.frames.affine import Floats, as_points
from napari_clxem.io.image import SPATIAL, OpenedImage
from napari_clxem.io.rasters import Raster, Way, raster_about
from napari_clxem.io.resampling import Interpolation, resample_image
from napari_clxem.session.extents import spatial
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.opening import open_dataset

if TYPE_CHECKING:
    from napari_clxem.session.opening import Resolver


@dataclass(frozen=True, eq=False)
class Bent:
    """A route with a spline in it, laid through space: a volume keeps its heights in a plane."""

    route: Route
    ndim: int
    bends: bool = True

    def transform(self, points: ArrayLike) -> Floats:
        """Map points (n, d) of the image to the frame, µm."""
        places = self._lifted(points, self.route.start.z[0])
        for step in self.route.steps:
            places = step.map.transform(places)
        return places[:, 3 - self.ndim :]

    def inverse(self, points: ArrayLike) -> Floats:
        """Map points (n, d) of the frame back to the image, µm."""
        places = self._lifted(points, self.route.end.z[0])
        for step in reversed(self.route.steps):
            places = step.map.inverse(places)
        return places[:, 3 - self.ndim :]

    def _lifted(self, points: ArrayLike, height: float) -> Floats:
        array = as_points(points, self.ndim)
        if self.ndim == 3:
            return array
        return np.column_stack([np.full(len(array), height), array])


def way_to(session: Session, dataset: Dataset, frame: str) -> tuple[Way, Route]:
    """Give how an image is laid into a frame, by the most certain way to there.

    A volume keeps its heights where the way leads through a plane; a plane is laid as seen along z.

    Parameters
    ----------
    session : Session
        The document.
    dataset : Dataset
        One of its images.
    frame : str
        Name of a frame.

    Returns
    -------
    Way
        From µm of the image to µm of the frame, with as many axes as the image has.
    Route
        The links it was made of.

    Raises
    ------
    NoPathError
        Where no links lead there.
    SessionError
        Where a plane would be bent by a map of space.
    """
    ndim = sum(axis in SPATIAL for axis in dataset.axes)
    route = graph(session).transform(dataset.frame, frame)
    if not route.bends:
        matrix = route.placement
        return Affine(matrix if ndim == 3 else matrix[1:, 1:]), route
    if ndim == 2 and any(np.abs(step.map.matrix[1:3, 0]).max() > 1e-9 for step in route.steps):
        raise SessionError(
            f"The way from {dataset.frame!r} to {frame!r} bends and tilts, which a plane cannot "
            "follow; link them by an affine map."
        )
    return Bent(route, ndim), route


def raster_like(dataset: Dataset, image: OpenedImage, way: Way) -> Raster:
    """Give the pixels of another image, for one that is to be laid onto it.

    Parameters
    ----------
    dataset : Dataset
        Whose pixels they are.
    image : OpenedImage
        What is laid; a plane takes rows and columns only, a volume on a plane keeps its own z.
    way : Way
        Its way to the frame of `dataset`.

    Raises
    ------
    MissingScaleError
        Where `dataset` has no pixel size.
    """
    known = spatial(dataset)
    if known is None:
        raise MissingScaleError(f"{dataset.name} has no pixel size; give it one first.")
    shape, scale = known
    ndim = image.ndim_spatial
    origin = (0.0,) * len(shape)
    if ndim > len(shape):
        own = raster_about(image, way)
        origin, scale = (own.origin[0], *origin), (own.scale[0], *scale)
        shape = (own.shape[0], *shape)
    return Raster(origin[-ndim:], scale[-ndim:], shape[-ndim:])


def resample_dataset(
    source: Resolver | str | Path,
    session: Session,
    dataset: Dataset,
    frame: str,
    *,
    like: Dataset | None = None,
    scale: float | Sequence[float] | None = None,
    box: tuple[Sequence[float], Sequence[float]] | None = None,
    interpolation: Interpolation = "linear",
    fill: float | None = None,
) -> OpenedImage:
    """Bring an image of a session onto pixels of one of its frames, lazily.

    Parameters
    ----------
    source : Store, str or Path
        The store, or the folder that relative paths start from.
    session : Session
        The document.
    dataset : Dataset
        One of its images.
    frame : str
        Name of the frame.
    like : Dataset, optional
        An image in that frame whose pixels are taken.
    scale : float or sequence of float, optional
        Pixel size otherwise, µm; by default about the image's own.
    box : pair of sequences of float, optional
        Lower and upper corner in the frame, µm; by default all of the image.
    interpolation, fill
        As :func:`~napari_clxem.io.resample_image` takes them.

    Returns
    -------
    OpenedImage
        To be written by :func:`~napari_clxem.io.write_ome_zarr` or ``write_ome_tiff``.

    Raises
    ------
    ClxemError
        Where the image cannot be opened, no links lead to the frame, or numbers do not fit.
    """
    if like is not None and (scale is not None or box is not None):
        raise SessionError("Give the pixels of another image, or a pixel size and a box; not both.")
    if like is not None and like.frame != frame:
        raise SessionError(f"{like.name} lies in {like.frame!r}, not in {frame!r}.")
    image = open_dataset(source, dataset)
    way, _ = way_to(session, dataset, frame)
    if like is not None:
        raster = raster_like(like, image, way)
    else:
        raster = raster_about(image, way, scale, box)
    return resample_image(image, way, raster, interpolation, fill, frame)


def affine_between(session: Session, moving: str, fixed: str) -> tuple[Affine, Route]:
    """Give the affine map between two frames, by the most certain way.

    Returns
    -------
    Affine
        4 x 4 between volumes (heights are kept where the way leads through a plane), 3 x 3 between
        planes, 2 x 4 from a volume to a plane.
    Route
        The links it was made of.

    Raises
    ------
    NoPathError
        Where no links lead there.
    SessionError
        Where a link on the way bends, or it leads from a plane into a volume.
    """
    route = graph(session).transform(moving, fixed)
    if route.bends:
        raise SessionError(
            f"The way from {moving!r} to {fixed!r} bends, which is no matrix; write the image "
            "itself with resample."
        )
    if route.start.ndim < route.end.ndim:
        raise SessionError(
            f"{moving!r} is a plane and {fixed!r} a volume; ask for the way from {fixed!r} to "
            f"{moving!r}."
        )
    if route.end.ndim == 3:
        return Affine(route.placement), route
    matrix = route.affine
    if route.start.ndim == 3:
        return Affine.from_parts(matrix[1:3, :3], matrix[1:3, 3]), route
    return Affine.from_parts(matrix[1:3, 1:3], matrix[1:3, 3]), route
