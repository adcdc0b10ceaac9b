"""How exposures' frames lie against the frame in which doses are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_clxem.dose.exposure import Exposure
from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats


@dataclass(frozen=True, eq=False)
class Group:
    """The exposures of one frame, as seen from the common frame.

    Attributes
    ----------
    frame : str
        Their own frame.
    members : (n,) int array
        Which exposures.
    placement : (3, 4) array
        From (z, y, x, 1) of the common frame to (z, y, x) of theirs, µm.
    flat : bool
        Whether their frame is a plane: heights do not count in it.
    same : bool
        Whether it is the common frame itself.
    spread : (n, 3, 3) array
        Symmetric root of the registration's covariance at each aim, in their frame, µm; NaN where
        the links do not tell.
    """

    frame: str
    members: Any
    placement: Floats
    flat: bool
    same: bool
    spread: Floats


def group(
    exposures: Sequence[Exposure], graph: FrameGraph | None, frame: str | None
) -> tuple[tuple[Group, ...], str, tuple[int, ...]]:
    """Sort exposures by frame and find the way from the common frame to each.

    Returns
    -------
    groups : tuple of Group
    frame : str
        The common frame.
    unreached : tuple of int
        Exposures whose frame no link reaches.

    Raises
    ------
    ClxemError
        Where no common frame is given and the exposures are in several, or it is unknown.
    """
    frames: dict[str, list[int]] = {}
    for index, one in enumerate(exposures):
        frames.setdefault(one.frame, []).append(index)
    if frame is None:
        if len(frames) > 1:
            raise ClxemError(
                f"The exposures are in the frames {', '.join(sorted(frames))}; say in which frame "
                "the points are, and give the graph that links them."
            )
        frame = next(iter(frames), "")
    if graph is not None and frame not in graph.frames and frame not in frames:
        raise NoPathError(
            f"There is no frame {frame!r}; the frames are {', '.join(graph.frames) or 'none'}."
        )
    groups, lost = [], []
    for name, members in frames.items():
        found = _group([exposures[i] for i in members], members, graph, name, frame)
        if found is None:
            lost.extend(members)
        else:
            groups.append(found)
    return tuple(groups), frame, tuple(sorted(lost))


def _group(
    exposures: list[Exposure],
    members: list[int],
    graph: FrameGraph | None,
    name: str,
    frame: str,
) -> Group | None:
    index = np.asarray(members)
    if name == frame:
        still = np.zeros((len(members), 3, 3))
        return Group(name, index, np.eye(4)[:3], False, True, still)
    if graph is None:
        return None
    places = np.array([(e.axis_height, *e.aim) for e in exposures])
    try:
        there = graph.transform(name, frame)
        aims = places[:, 3 - there.start.ndim :]
        there = graph.transform(name, frame, aims)
        mapped = there.transform(aims)
        back = graph.transform(frame, name, mapped)
    except NoPathError:
        return None
    flat = back.end.ndim == 2
    covariance = np.zeros((len(members), 3, 3))
    low = 3 - back.end.ndim
    covariance[:, low:, low:] = back.predict_error(mapped)
    return Group(name, index, back.affine[:3], flat, False, _root(covariance))


def _root(covariance: Floats) -> Floats:
    """Give L with L Lᵀ the covariance, (n, 3, 3); NaN where it is not known."""
    known = np.isfinite(covariance).all(axis=(1, 2), keepdims=True)
    values, vectors = np.linalg.eigh(np.where(known, covariance, np.eye(3)))
    # the symmetric root changes smoothly from aim to aim: a frame moves as a whole
    root = (vectors * np.sqrt(np.maximum(values, 0.0))[:, np.newaxis, :]) @ np.swapaxes(
        vectors, 1, 2
    )
    return np.where(known, root, np.nan)


def draws(count: int, frame: int) -> Floats:
    """Give standard normal displacements (count, 3), evenly spread, another order for each frame.

    Additive recurrence with the generalised golden ratio (Roberts 2018), made exactly zero in
    the mean and one in covariance.
    """
    from scipy.special import ndtri

    ratio = 1.2207440846057596  # root of x⁴ = x + 1
    steps = (1.0 / ratio) ** np.arange(1, 4)
    even = (0.5 + np.outer(np.arange(1, count + 1), steps)) % 1.0
    normal = ndtri(even)
    normal -= normal.mean(axis=0)
    root = np.linalg.cholesky(normal.T @ normal / count)
    normal = normal @ np.linalg.inv(root).T
    return np.asarray(np.random.default_rng(frame).permutation(normal))
