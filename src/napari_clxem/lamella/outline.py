"""The outline of a milled lamella, traced on its TEM map."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine, as_points
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella.pose import slab_pose
from napari_clxem.lamella.slab import Lamella, checked_outline, inside_polygon, signed_area

# Pixels along the longer side that tracing works on: an outline needs no more.
_LARGEST = 512


@dataclass(frozen=True, eq=False)
class Outline:
    """A traced outline; its corners may be edited and given on.

    Attributes
    ----------
    corners : (n, 2) array
        (y, x) µm in the map.
    area : float
        µm².
    contrast : float
        Difference of the lamella's grey from the nearer of its surroundings, in sd of its own
        grey: under 2 the outline is a guess.
    cut : bool
        Whether the outline runs along the edge of the map: there the lamella goes on.
    notes : tuple of str
        What a careful reader should look at, a sentence each.
    """

    corners: Floats
    area: float
    contrast: float
    cut: bool
    notes: tuple[str, ...] = ()


def trace(
    image: ArrayLike,
    pixel: tuple[float, float],
    seed: ArrayLike | None = None,
    detail: float = 0.25,
) -> Outline:
    """Trace a lamella on a TEM map.

    A lamella lets some of the beam through: it is brighter than uncut sample and darker than
    nothing. Grey values are parted into these three (Otsu 1979, IEEE Trans. SMC 9:62), the middle
    one cleaned, its holes (dark granules) filled, and the part at the seed outlined.

    Parameters
    ----------
    image : (ny, nx) array_like
        Bright where many electrons arrive.
    pixel : tuple of float
        Size (y, x), µm.
    seed : (2,) array_like, optional
        A place on the lamella (y, x), µm; left out, the largest part is taken.
    detail : float
        Smallest thing to follow, µm: narrower rims and gaps are smoothed away.

    Returns
    -------
    Outline

    Raises
    ------
    LamellaError
        Where nothing like a lamella shows, or the seed is not on one.
    """
    data = np.asarray(image)
    if data.ndim != 2 or min(data.shape) < 16:
        raise LamellaError(
            f"A map of shape {data.shape} cannot be traced; give one image of rows and columns."
        )
    if not detail > 0 or min(pixel) <= 0:
        raise LamellaError("Pixel size and detail of tracing are above 0 µm.")
    small, step = _reduced(data, pixel)
    mask, contrast = _middle(small, detail / step)
    mask = _part(mask, None if seed is None else as_points(seed, 2, "The seed")[0] / step)
    corners = _corners(mask, max(detail / step.mean() / 2, 1.0)) * step
    edge = (mask.shape - np.ones(2)) * step
    cut = bool(((corners < 1.5 * step) | (corners > edge - 1.5 * step)).any())
    notes = []
    if cut:
        notes.append("The outline runs along the edge of the map: the lamella goes on beyond it.")
    if contrast < 2.0:
        notes.append("The lamella hardly differs from its surroundings; check the outline.")
    return Outline(corners, abs(signed_area(corners)), contrast, cut, tuple(notes))


def _reduced(data: Any, pixel: tuple[float, float]) -> tuple[Floats, Floats]:
    """Average blocks so that the longer side has at most 512 pixels; give the new pixel size."""
    factor = int(np.ceil(max(data.shape) / _LARGEST))
    rows, columns = (n // factor for n in data.shape)
    part = np.asarray(data[: rows * factor, : columns * factor], float)
    if not np.isfinite(part).all():
        known = part[np.isfinite(part)]
        if not known.size:
            raise LamellaError("The map holds no finite values; open it again.")
        part = np.nan_to_num(part, nan=known.min(), posinf=known.max(), neginf=known.min())
    small = part.reshape(rows, factor, columns, factor).mean(axis=(1, 3))
    return small, np.asarray(pixel, float) * factor


def _middle(image: Floats, detail: Floats) -> tuple[np.ndarray, float]:
    """Give the mask of the middle grey and how far it is from the others."""
    from scipy.ndimage import binary_fill_holes, binary_opening, gaussian_filter
    from skimage.filters import threshold_multiotsu

    smooth = gaussian_filter(image, np.clip(0.25 * detail, 0.7, 4.0))
    low, high = np.percentile(smooth, [0.1, 99.9])
    if not high > low:
        raise LamellaError("The map is of one grey; there is nothing to trace.")
    try:
        greys = np.clip(smooth, low, high)
        first, second = threshold_multiotsu(greys, classes=3)  # type: ignore[no-untyped-call]
    except ValueError as error:
        raise LamellaError(
            "The map has fewer than three greys; draw the outline by hand."
        ) from error
    middle = (smooth > first) & (smooth <= second)
    radius = max(round(float(detail.mean())), 1)
    offsets = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    disc = (offsets**2).sum(axis=0) <= radius**2
    dark = binary_fill_holes(middle) & (smooth <= first)  # granules within; bright is nothing
    padded = np.pad(middle | dark, radius, mode="edge")
    clean = binary_opening(padded, disc)[radius:-radius, radius:-radius]
    if not clean.any():
        raise LamellaError("No lamella shows in this map; draw the outline by hand.")
    around, within = (smooth <= first, smooth > second), smooth[middle & clean]
    gap = min(abs(np.median(within) - np.median(smooth[part])) for part in around)
    return clean, float(gap / max(within.std(), 1e-12 * (high - low)))


def _part(mask: np.ndarray, seed: Floats | None) -> np.ndarray:
    """Give the part of a mask at the seed, or its largest."""
    from scipy.ndimage import label

    parts, count = label(mask)
    if seed is None:
        chosen = 1 + int(np.argmax(np.bincount(parts.ravel(), minlength=count + 1)[1:]))
    else:
        row, column = np.round(seed).astype(int)
        inside = 0 <= row < mask.shape[0] and 0 <= column < mask.shape[1]
        chosen = int(parts[row, column]) if inside else 0
        if not chosen:
            raise LamellaError(
                "No lamella shows at the place picked; pick one inside it, or draw the outline."
            )
    return np.asarray(parts == chosen)


def _corners(mask: np.ndarray, tolerance: float) -> Floats:
    """Give the corners of a mask's outline in pixels, simplified."""
    from skimage.measure import approximate_polygon, find_contours

    padded = np.pad(mask.astype(float), 1)
    contours = find_contours(padded, 0.5)  # type: ignore[no-untyped-call]
    contour = max(contours, key=len) - 1.0
    simple = approximate_polygon(contour, tolerance)  # type: ignore[no-untyped-call]
    limits = np.array(mask.shape) - 1.0
    for corners in (simple, contour):  # simplifying may fold a narrow neck over itself
        try:
            return checked_outline(np.clip(corners, 0.0, limits))
        except LamellaError:
            continue
    raise LamellaError("The outline found crosses itself; draw it by hand.")


def outlined(
    lamella: Lamella, corners: ArrayLike, to_map: Affine | ArrayLike | None = None
) -> Lamella:
    """Give a lamella the outline drawn or traced on a map.

    Each corner goes along the map's z to the mid-plane of the slab, which stays.

    Parameters
    ----------
    lamella : Lamella
    corners : (n, 2) array_like
        (y, x) µm in the map.
    to_map : Affine or (4, 4) array_like, optional
        From the lamella's frame to the map's, such as :func:`tem_placement` gives.

    Raises
    ------
    LamellaError
        Where the outline crosses itself, or the slab is seen edge on.
    """
    drawn = checked_outline(corners)
    place = Affine.identity(3) if to_map is None else to_map
    place = place if isinstance(place, Affine) else Affine(np.asarray(place, float))
    pose = slab_pose(lamella, place)
    if abs(pose.normal[0]) < 0.05:
        raise LamellaError("The slab is seen edge on in this map; check tilt and milling angle.")
    z = pose.centre[0] - (drawn - pose.centre[1:]) @ pose.normal[1:] / pose.normal[0]
    own = lamella.within(place.inverted().transform(np.column_stack([z, drawn])))[:, 1:]
    length, width = np.ptp(own, axis=0).tolist()
    return replace(
        lamella, outline=tuple((a, b) for a, b in own.tolist()), length=length, width=width
    )


def lamella_on_map(
    corners: ArrayLike,
    thickness: float = 0.3,
    height: float = 0.0,
    angle: float = 0.0,
    azimuth: float = 0.0,
    damage: float = 0.0,
) -> Lamella:
    """Make the lamella that shows with this outline on a map, in the map's own frame.

    Parameters
    ----------
    corners : (n, 2) array_like
        (y, x) µm, drawn or traced.
    thickness, damage : float
        µm.
    height : float
        z of its middle, µm: 0 where the map was linked by what the lamella holds.
    angle, azimuth : float
        Of its faces against the map's plane, degrees: 0 where the stage's tilt took the milling
        angle out (:func:`face_on_tilt` gives what remains).

    Raises
    ------
    LamellaError
        Where the outline cannot be used.
    """
    drawn = checked_outline(corners)
    y, x = (0.5 * (drawn.min(axis=0) + drawn.max(axis=0))).tolist()
    flat = Lamella((height, y, x), angle, azimuth, thickness, damage=damage)
    return outlined(flat, drawn)


def in_outline(points: ArrayLike, corners: ArrayLike) -> np.ndarray:
    """Tell which points (n, 2) lie in an outline (m, 2): such as tilt-series positions."""
    return inside_polygon(as_points(points, 2), checked_outline(corners))


def share_within(lamella: Lamella, area: ArrayLike) -> float:
    """Give the share of a lamella, in plan view of its mid-plane, that lies in an area.

    Parameters
    ----------
    lamella : Lamella
    area : (n, 2) array_like
        Corners (y, x) of a cell or of an image's field, µm, in the lamella's frame.

    Returns
    -------
    float
        0 where the lamella misses it, 1 where all of it is inside.
    """
    from shapely.geometry import Polygon

    plan = Polygon(lamella.plan)
    return float(plan.intersection(Polygon(checked_outline(area, "The area"))).area / plan.area)
