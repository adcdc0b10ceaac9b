"""Where a tilted beam meets the sample: exact, anywhere.

In coordinates about the aim, x across and y along the tilt axis and z its height, the image at
tilt θ hits where ``(x cos θ + z sin θ, y)`` lies within the beam. Its rim counts.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import Exposure
from napari_clxem.frames.affine import Floats, as_points

#: Relative tolerance by which a point on the rim still counts as hit.
RIM = 1e-9
_AT_ONCE = 1 << 22  # points x tilts evaluated together
_MANY = 64  # points from which those beyond reach are left out first


def angles(exposure: Exposure) -> Floats:
    """Tilts from the frame's plane, degrees, (n,)."""
    return np.asarray(exposure.tilts, float) - exposure.pretilt


def along_axis(exposure: Exposure, points: ArrayLike) -> Floats:
    """Bring points of the exposure's frame to (z, y, x) about its aim and tilt axis, µm.

    Parameters
    ----------
    points : (n, 2) or (n, 3) array_like
        (y, x), which lie at the height of the axis, or (z, y, x).
    """
    array = as_points(points)
    azimuth = np.deg2rad(exposure.axis_azimuth)
    cosine, sine = np.cos(azimuth), np.sin(azimuth)
    down, right = array[:, -2] - exposure.aim[0], array[:, -1] - exposure.aim[1]
    height = array[:, 0] - exposure.axis_height if array.shape[1] == 3 else np.zeros(len(array))
    return np.column_stack([height, down * cosine - right * sine, right * cosine + down * sine])


def is_hit(exposure: Exposure, across: Floats, along: Floats, margin: float = 0.0) -> Any:
    """Whether places in the beam, µm across and along the tilt axis, are lit; `margin` beyond."""
    if exposure.beam_radius is not None:
        return across**2 + along**2 <= (exposure.beam_radius + margin) ** 2 * (1 + RIM)
    height, width = exposure.beam_size or (0.0, 0.0)
    turn = np.deg2rad(exposure.beam_turn)
    if turn:
        cosine, sine = np.cos(turn), np.sin(turn)
        across, along = across * cosine + along * sine, along * cosine - across * sine
    return (np.abs(across) <= (width / 2 + margin) * (1 + RIM)) & (
        np.abs(along) <= (height / 2 + margin) * (1 + RIM)
    )


def _sum_over_tilts(exposure: Exposure, points: ArrayLike, values: Floats, margin: float) -> Floats:
    """Sum `values` (n_tilts,) over the images that hit each point."""
    places = along_axis(exposure, points)
    theta = np.deg2rad(angles(exposure))
    cosine, sine = np.cos(theta), np.sin(theta)
    found = np.zeros(len(places))
    within = np.arange(len(places))
    if len(places) > _MANY:
        along, across = reach(exposure, float(np.abs(places[:, 0]).max()))
        near = (np.abs(places[:, 1]) <= along * 1.001) & (np.abs(places[:, 2]) <= across * 1.001)
        within = np.flatnonzero(near)
    step = max(1, _AT_ONCE // len(theta))
    for start in range(0, len(within), step):
        part = within[start : start + step]
        z, y, x = places[part, :, np.newaxis].transpose(1, 0, 2)
        found[part] = is_hit(exposure, x * cosine + z * sine, y, margin) @ values
    return found


def hits(exposure: Exposure, points: ArrayLike) -> Any:
    """Count the images whose beam covers points (n, 2) or (n, 3) of its frame; (n,) int."""
    counts = np.full(len(exposure.tilts), float(exposure.images))
    return np.rint(_sum_over_tilts(exposure, points, counts, 0.0)).astype(int)


def shells(exposure: Exposure) -> tuple[tuple[float, float], ...]:
    """Beam and halo as nested beams: margin beyond the edge, µm, and its share of the dose."""
    margins = [0.0, *(margin for margin, _ in exposure.halo)]
    shares = [1.0, *(share for _, share in exposure.halo), 0.0]
    steps = zip(margins, shares[:-1], shares[1:], strict=True)
    return tuple((margin, share - beyond) for margin, share, beyond in steps if share > beyond)


def relative_dose(exposure: Exposure, points: ArrayLike) -> Floats:
    """Dose at points, halo included, in units of one image's; (n,)."""
    doses = exposure.relative_doses
    parts = [
        share * _sum_over_tilts(exposure, points, doses, margin)
        for margin, share in shells(exposure)
    ]
    return np.asarray(np.sum(parts, axis=0))


def half_diagonal(exposure: Exposure) -> float:
    """Farthest point of the untilted beam from its centre, µm, without halo."""
    if exposure.beam_radius is not None:
        return exposure.beam_radius
    return float(np.hypot(*(exposure.beam_size or (0.0, 0.0)))) / 2


def reach(exposure: Exposure, height: float = 0.0) -> tuple[float, float]:
    """How far from its aim an exposure is felt, along and across the tilt axis, µm.

    Parameters
    ----------
    height : float
        Farthest height from the tilt axis that is asked for, µm.

    Returns
    -------
    (float, float)
        Halo included; infinite where a tilt of 90° lights the whole plane edge-on.
    """
    margin = max((margin for margin, _ in exposure.halo), default=0.0)
    radius = half_diagonal(exposure) + margin * (1.0 if exposure.beam_radius else np.sqrt(2.0))
    theta = np.deg2rad(angles(exposure))
    with np.errstate(divide="ignore"):
        across = (radius + abs(height) * np.abs(np.sin(theta))) / np.abs(np.cos(theta))
    farthest = float(across.max())
    return radius, farthest if farthest < 1e9 else float("inf")
