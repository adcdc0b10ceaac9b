"""A slab in any frame: where a lamella lies in a TEM map or a tomogram."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.slab import Lamella, inside_polygon


@dataclass(frozen=True, eq=False)
class SlabPose:
    """A slab as it lies in some frame.

    Attributes
    ----------
    centre : (3,) array
        Middle (z, y, x), µm.
    normal : (3,) array
        Unit normal of the faces (z, y, x), with z not negative.
    thickness : float
        From face to face, µm.
    corners : (n, 3) array
        Corners of the mid-plane, µm.
    """

    centre: Floats
    normal: Floats
    thickness: float
    corners: Floats

    @property
    def tilt(self) -> float:
        """Angle between the faces' normal and the frame's z, degrees."""
        return float(np.rad2deg(np.arccos(np.clip(abs(self.normal[0]), 0.0, 1.0))))


def slab_pose(lamella: Lamella, placement: Affine | ArrayLike | None = None) -> SlabPose:
    """Carry a lamella into another frame.

    Parameters
    ----------
    lamella : Lamella
    placement : Affine or (4, 4) array_like, optional
        From the lamella's frame to the other, µm; left out, they are one.
    """
    place = Affine.identity(3) if placement is None else _affine(placement)
    normal = np.linalg.inv(place.linear).T @ lamella.normal
    length = float(np.linalg.norm(normal))
    # faces stay parallel: their distance is t over the length of the carried normal
    normal = normal / length * (1.0 if normal[0] >= 0 else -1.0)
    return SlabPose(
        place.transform(lamella.centre)[0],
        normal,
        lamella.thickness / length,
        place.transform(lamella.mid_plane),
    )


def carried(lamella: Lamella, placement: Affine | ArrayLike) -> Lamella:
    """Give a lamella as it lies in another frame, such as that of a tomogram.

    Parameters
    ----------
    lamella : Lamella
    placement : Affine or (4, 4) array_like
        From the lamella's frame to the other, µm.

    Raises
    ------
    LamellaError
        Where it has no extent there.
    """
    pose = slab_pose(lamella, placement)
    z, y, x = pose.normal
    angle = float(np.rad2deg(np.arccos(np.clip(z, -1.0, 1.0))))
    azimuth = float(np.rad2deg(np.arctan2(-x, y))) if angle > 1e-9 else 0.0
    centre = (float(pose.centre[0]), float(pose.centre[1]), float(pose.centre[2]))
    plain = replace(
        lamella,
        centre=centre,
        angle=angle,
        azimuth=azimuth,
        thickness=pose.thickness,
        damage=lamella.damage * pose.thickness / lamella.thickness,
        outline=(),
    )
    own = plain.within(pose.corners)[:, 1:]
    length, width = np.ptp(own, axis=0).tolist()
    return replace(
        plain, outline=tuple((a, b) for a, b in own.tolist()), length=length, width=width
    )


def tem_placement(
    tilt: float,
    axis_azimuth: float = 0.0,
    rotation: float = 0.0,
    scale: float = 1.0,
    shift: ArrayLike = (0.0, 0.0),
) -> Affine:
    """Give how the grid frame lies in the frame of a TEM map.

    The stage turns the grid by `tilt` about an axis in its plane; an image then shows
    x cos θ + z sin θ across the axis.

    Parameters
    ----------
    tilt : float
        Stage tilt, degrees.
    axis_azimuth : float
        Tilt axis in the grid plane from +y towards -x, degrees, as in
        :class:`napari_clxem.dose.Exposure`.
    rotation, scale, shift : float, float, (2,) array_like
        The map's own similarity: turn from +y towards +x in degrees, scale, and where the
        origin goes (y, x), µm.

    Returns
    -------
    Affine
        4 x 4, with z towards the electron source.
    """
    c, s = np.cos(np.deg2rad(tilt)), np.sin(np.deg2rad(tilt))
    a, b = np.cos(np.deg2rad(axis_azimuth)), np.sin(np.deg2rad(axis_azimuth))
    # rows: z, along the axis, across it; columns (z, y, x)
    onto = np.array([[1.0, 0.0, 0.0], [0.0, a, -b], [0.0, b, a]])
    turn = np.array([[c, 0.0, -s], [0.0, 1.0, 0.0], [s, 0.0, c]])
    image = Affine.planar(rotation, scale, shift)
    linear = np.eye(3) * scale
    linear[1:, 1:] = image.linear
    return Affine.from_parts(linear @ onto.T @ turn @ onto, [0.0, *image.translation.tolist()])


def face_on_tilt(lamella: Lamella, axis_azimuth: float = 0.0) -> tuple[float, float]:
    """Give the stage tilt that shows a lamella's face best.

    Parameters
    ----------
    lamella : Lamella
        In the grid frame.
    axis_azimuth : float
        Tilt axis, as in :func:`tem_placement`.

    Returns
    -------
    tilt, remaining : float
        Stage tilt, and the angle between normal and beam that is left there, degrees.
    """
    z, y, x = lamella.normal
    a, b = np.cos(np.deg2rad(axis_azimuth)), np.sin(np.deg2rad(axis_azimuth))
    across, along = x * a + y * b, -x * b + y * a
    tilt = np.arctan2(-across, z)
    return float(np.rad2deg(tilt)), float(np.rad2deg(np.arcsin(np.clip(abs(along), 0.0, 1.0))))


def resample_slab(
    volume: Any,
    spacing: tuple[float, float, float],
    to_map: Affine | ArrayLike,
    pose: SlabPose,
    shape: tuple[int, int],
    pixel: tuple[float, float],
    planes: int | None = None,
    inside_only: bool = False,
) -> Floats:
    """Cut a slab out of a volume and lay it on a TEM map, averaged over its thickness.

    Parameters
    ----------
    volume : (nz, ny, nx) array_like
        Numpy or dask; only the part around the slab is read.
    spacing : tuple of float
        Of the volume, µm.
    to_map : Affine or (4, 4) array_like
        From the volume's frame to the map's, µm.
    pose : SlabPose
        The slab in the map's frame.
    shape, pixel : tuple
        Rows and columns of the map, and its pixel size (y, x), µm.
    planes : int, optional
        Samples over the thickness; left out, as fine as the volume.
    inside_only : bool
        Leave what is beyond the slab's outline empty.

    Returns
    -------
    (rows, columns) array of float32
        NaN where the volume does not reach.

    Raises
    ------
    LamellaError
        Where the slab is seen edge on.
    """
    from scipy.ndimage import map_coordinates

    place = _affine(to_map)
    if abs(pose.normal[0]) < 0.05:
        raise LamellaError("The slab is seen edge on in this map; check tilt and milling angle.")
    if planes is None:
        planes = max(int(np.ceil(pose.thickness / min(spacing))), 1)
    back = place.inverted()
    step = np.asarray(spacing, float)
    rows, columns = np.mgrid[: shape[0], : shape[1]].astype(float)
    y, x = rows * pixel[0], columns * pixel[1]
    middle = (
        pose.centre[0]
        - (pose.normal[1] * (y - pose.centre[1]) + pose.normal[2] * (x - pose.centre[2]))
        / pose.normal[0]
    )
    steps = (np.arange(planes) + 0.5) / planes - 0.5
    heights = steps * pose.thickness / pose.normal[0]
    index = [
        (back.transform(np.column_stack([(middle + h).ravel(), y.ravel(), x.ravel()])) / step)
        for h in heights
    ]
    low, part = _crop(volume, index)
    if part.size == 0:
        return np.full(shape, np.nan, np.float32)
    total = np.zeros(rows.size)
    known = np.zeros(rows.size)
    for one in index:
        found = map_coordinates(part, (one - low).T, order=1, mode="constant", cval=np.nan)
        seen = np.isfinite(found)
        total[seen] += found[seen]
        known += seen
    with np.errstate(invalid="ignore", divide="ignore"):
        image = np.where(known > 0, total / known, np.nan).reshape(shape)
    if inside_only:
        outside = ~inside_polygon(
            np.column_stack([y.ravel(), x.ravel()]), np.asarray(pose.corners[:, 1:])
        )
        image[outside.reshape(shape)] = np.nan
    return image.astype(np.float32)


def features_at(
    positions: ArrayLike,
    size: tuple[float, float],
    features: ArrayLike,
    radii: ArrayLike,
    to_map: Affine | ArrayLike,
    pose: SlabPose,
) -> tuple[tuple[int, ...], ...]:
    """Tell which features of a tomogram a tilt series at each position of the map shows.

    Parameters
    ----------
    positions : (n, 2) array_like
        Middles of the tilt series' fields in the map (y, x), µm.
    size : tuple of float
        Height and width of a field, µm.
    features : (m, 3) array_like
        Centres in the tomogram (z, y, x), µm.
    radii : float or (m,) array_like
        Of the features, µm.
    to_map : Affine or (4, 4) array_like
        From the tomogram's frame to the map's.
    pose : SlabPose
        The lamella in the map's frame.

    Returns
    -------
    tuple of tuple of int
        For each position the features that the slab cuts and that reach into its field, the
        nearest first.
    """
    places = _affine(to_map).transform(as_points(features, 3, "The features"))
    reach = np.broadcast_to(np.asarray(radii, float), (len(places),))
    cut = np.abs((places - pose.centre) @ pose.normal) <= pose.thickness / 2 + reach
    half = np.asarray(size, float) / 2
    found = []
    for position in as_points(positions, 2, "The positions"):
        away = np.abs(places[:, 1:] - position)
        inside = cut & (away <= half + reach[:, np.newaxis]).all(axis=1)
        order = np.argsort(np.linalg.norm(away, axis=1), kind="stable")
        found.append(tuple(int(index) for index in order if inside[index]))
    return tuple(found)


def _crop(volume: Any, index: list[Floats]) -> tuple[Floats, Floats]:
    """Read the part of a volume that the indices touch; give its first voxel as well."""
    shape = np.array(np.shape(volume))
    low = np.min([one.min(axis=0) for one in index], axis=0)
    high = np.max([one.max(axis=0) for one in index], axis=0)
    first = np.clip(np.floor(low).astype(int), 0, shape)
    last = np.clip(np.ceil(high).astype(int) + 1, 0, shape)
    slices = tuple(slice(a, b) for a, b in zip(first, last, strict=True))
    source = volume if hasattr(volume, "shape") else np.asarray(volume)
    return first.astype(float), np.asarray(source[slices], dtype=np.float32)


def _affine(placement: Affine | ArrayLike) -> Affine:
    found = placement if isinstance(placement, Affine) else Affine(np.asarray(placement, float))
    if found.linear.shape != (3, 3):
        raise LamellaError("A slab moves between frames by a 4 x 4 matrix (z, y, x).")
    return found
