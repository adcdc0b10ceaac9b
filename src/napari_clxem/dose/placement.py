"""How exposures' frames lie against the frame in which doses are added up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.misplacement import modes
from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import FrameGraph
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.route import Route

_STEP = 1.0  # µm, far below what a warp bends over


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
    modes : (r, 3, 4) array or None
        What the registration leaves open; see :func:`napari_clxem.dose.misplacement.modes`. None
        where the links do not tell.
    """

    frame: str
    members: Any
    placement: Floats
    flat: bool
    same: bool
    modes: Floats | None


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
        found = _groups([exposures[i] for i in members], members, graph, name, frame)
        groups.extend(found)
        if not found:
            lost.extend(members)
    return tuple(groups), frame, tuple(sorted(lost))


def _groups(
    exposures: list[Exposure],
    members: list[int],
    graph: FrameGraph | None,
    name: str,
    frame: str,
) -> list[Group]:
    """Give the group of a frame; where its route bends, one for each exposure; none without one."""
    index = np.asarray(members)
    if name == frame:
        return [Group(name, index, np.eye(4)[:3], False, True, np.zeros((0, 3, 4)))]
    if graph is None:
        return []
    heights = np.array([(e.axis_height, *e.aim) for e in exposures])
    try:
        there = graph.transform(name, frame)
        aims = heights[:, 3 - there.start.ndim :]
        there = graph.transform(name, frame, aims)
        mapped = there.transform(aims)
        back = graph.transform(frame, name, mapped)
    except NoPathError:
        return []
    flat = back.end.ndim == 2
    if not back.bends:
        return [Group(name, index, back.affine[:3], flat, False, modes(back, mapped))]
    places = _tangents(back, mapped)
    errors = back.predict_error(mapped)
    return [
        Group(name, index[k : k + 1], places[k], flat, False, _shifts(errors[k]))
        for k in range(len(index))
    ]


def _tangents(back: Route, points: Floats) -> Floats:
    """Affine maps (n, 3, 4) that touch a bending one at points (n, d) of its first frame."""
    found = np.zeros((len(points), 3, 4))
    low, kept = 3 - back.end.ndim, 3 - points.shape[1]
    if back.end.ndim == 2:
        found[:, 0, 3] = back.end.z[0]
    for axis in range(points.shape[1]):
        step = np.zeros(points.shape[1])
        step[axis] = _STEP
        ahead, behind = back.transform(points + step), back.transform(points - step)
        found[:, low:, kept + axis] = (ahead - behind) / (2 * _STEP)
    linear = np.einsum("nij,nj->ni", found[:, low:, kept:3], points)
    found[:, low:, 3] = back.transform(points) - linear
    return found


def _shifts(covariance: Floats) -> Floats | None:
    """Modes (d, 3, 4) of a displacement that is the same all over; None where it is not known."""
    if not np.isfinite(covariance).all():
        return None
    values, vectors = np.linalg.eigh(covariance)
    found = np.zeros((len(values), 3, 4))
    found[:, 3 - len(values) :, 3] = (vectors * np.sqrt(np.maximum(values, 0.0))).T
    return found
