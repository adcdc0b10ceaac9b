"""How far footprints may lie from where the links put them: displacements linear in position.

The error of an affine map displaces a point by an amount that is linear in where the point is: by
a shift, and by rotation, scale and shear that grow with the distance from the link's landmarks.
Modes of such displacements, independent and of standard deviation one, hold all of it: exposures
far from the landmarks, on either side of them, and parts of one wide footprint move as they would.
"""

from __future__ import annotations

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.frames.route import Node, Route

_LEAST = 1e-6  # of the strongest mode


def modes(back: Route, places: Floats) -> Floats | None:
    """Find the independent displacements that the links of a route leave open.

    Parameters
    ----------
    back : Route
        From the common frame to that of exposures, of affine maps.
    places : (n, d) array
        Where exposures lie in the common frame, µm: what does not matter there is left out.

    Returns
    -------
    (r, 3, 4) array or None
        From (z, y, x, 1) of the common frame to displacements (z, y, x) in that of the exposures,
        µm, for one standard deviation of each mode; None where a link does not tell its error.
    """
    found = _of_links(back)
    if found is None:
        return None
    if back.end.ndim == 2:
        found[:, 0] = 0.0
    if not len(found):
        return np.zeros((0, 3, 4))
    middle = np.zeros(3)
    middle[3 - places.shape[1] :] = places.mean(axis=0)
    size = max(1.0, float(np.abs(places - places.mean(axis=0)).max()))
    # about the exposures and in units of their extent, shifts and turns are alike in size
    about = np.vstack([np.column_stack([size * np.eye(3), middle]), [0.0, 0.0, 0.0, 1.0]])
    flat = (found @ about).reshape(len(found), 12)
    values, vectors = np.linalg.eigh(flat.T @ flat)
    # the symmetric root keeps a shift along y apart from one along x
    roots = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    strength = np.linalg.norm(roots, axis=1)
    roots = roots[strength > max(_LEAST * strength.max(), 1e-9)]
    return np.asarray(roots.reshape(-1, 3, 4) @ np.linalg.inv(about))


def _of_links(back: Route) -> Floats | None:
    """Give the displacements of every entry of every link, (k, 3, 4)."""
    nodes = [back.start, *(step.end for step in back.steps)]
    flattened = [np.diag([0.0 if node.ndim == 2 else 1.0, 1.0, 1.0]) for node in nodes]
    # what becomes of a displacement that is there on arrival at each frame, before it is settled
    onward = [np.eye(3)]
    for step, flat in zip(reversed(back.steps), reversed(flattened[1:]), strict=True):
        onward.append(onward[-1] @ flat @ step.map.matrix[:3, :3])
    onward.reverse()
    before, found = _flattening(back.start), []
    for number, node in enumerate(nodes):
        if number:
            step = back.steps[number - 1]
            covariance = step.map.covariance
            if not np.isfinite(covariance).all():
                return None
            values, vectors = np.linalg.eigh(covariance)
            entries = (vectors * np.sqrt(np.maximum(values, 0.0))).T.reshape(-1, 3, 4)
            lever = np.eye(4)
            lever[:3, 3] = -step.map.centre
            after = onward[number] @ flattened[number]
            found.append(after @ entries @ lever @ before)
            before = _flattening(node) @ step.map.matrix @ before
        if node.ndim == 2:
            height = np.zeros((1, 3, 4))
            height[0, :, 3] = onward[number][:, 0] * node.z[1]
            if not np.isfinite(height).all():
                return None
            found.append(height)
    every = np.concatenate(found) if found else np.zeros((0, 3, 4))
    return np.asarray(every[np.any(every, axis=(1, 2))])


def _flattening(node: Node) -> Floats:
    matrix = np.eye(4)
    if node.ndim == 2:
        matrix[0] = (0.0, 0.0, 0.0, node.z[0])
    return matrix


def draws(count: int, dimensions: int, frame: int) -> Floats:
    """Give standard normal numbers (count, dimensions), evenly spread, in another order per frame.

    Additive recurrence with the generalised golden ratio (Roberts 2018), made exactly zero in
    the mean and one in covariance.
    """
    from scipy.special import ndtri

    if not dimensions:
        return np.zeros((count, 0))
    ratio = 2.0
    for _ in range(64):  # root of x^(dimensions + 1) = x + 1
        ratio = (1.0 + ratio) ** (1.0 / (dimensions + 1))
    steps = (1.0 / ratio) ** np.arange(1, dimensions + 1)
    normal = ndtri((0.5 + np.outer(np.arange(1, count + 1), steps)) % 1.0)
    normal -= normal.mean(axis=0)
    root = np.linalg.cholesky(normal.T @ normal / count)
    normal = normal @ np.linalg.inv(root).T
    return np.asarray(np.random.default_rng(frame).permutation(normal))
