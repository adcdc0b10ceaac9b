"""All frames and the links between them: the way from any one to any other, with its error.

Every frame is 3D. A 2D frame is a plane of uncertain height: a point that passes through it
takes the plane's z prior instead of the z it had, and carries that variance on. A link from a
volume to a plane (a projection) is completed by its viewing direction, its landmarks' mean height
lying on the plane, so that it can be gone back.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from functools import lru_cache
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames.adjustment import Adjustment, JointRoute, adjusted
from napari_clxem.frames.affine import Affine, Floats, as_points
from napari_clxem.frames.lifting import completed
from napari_clxem.frames.route import Closure, Node, Route, Step, begin, carry, closure, size
from napari_clxem.frames.uncertainty import UncertainAffine

_REMEMBERED = 4096
_VISITS = 4  # routes kept to any one frame: the best in the plane first

#: Height of a plane about which nothing was said: (mean, sd), µm.
UNKNOWN_HEIGHT = (0.0, 10.0)


class FrameGraph:
    """Frames joined by links; :meth:`transform` finds the way between any two.

    Examples
    --------
    >>> import numpy as np
    >>> from napari_clxem.frames import FrameGraph, fit
    >>> graph = FrameGraph()
    >>> graph.add_frame("stack")
    >>> graph.add_frame("mosaic", ndim=2, z=(0.0, 2.0))
    >>> beads = np.array([[0.0, 1.0, 1.0], [1.0, 9.0, 2.0], [0.0, 4.0, 8.0], [3.0, 6.0, 6.0]])
    >>> graph.add_link("stack", "mosaic", fit(beads, beads[:, 1:] + 100.0, fixed_sigma=0.02))
    >>> route = graph.transform("stack", "mosaic")
    >>> route.transform([[1.0, 5.0, 5.0]]).round(3)
    array([[105., 105.]])
    """

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._steps: dict[str, list[Step]] = {}
        self._links: dict[str, Step] = {}
        self._given: dict[str, UncertainAffine] = {}
        self._found: dict[tuple[str, str, bytes | None], Route] = {}

    @property
    def frames(self) -> tuple[str, ...]:
        """Names of all frames."""
        return tuple(self._nodes)

    @property
    def links(self) -> tuple[str, ...]:
        """Identifiers of all links."""
        return tuple(self._links)

    def add_frame(self, name: str, ndim: int = 3, z: tuple[float, float] | None = None) -> None:
        """Add a frame; `z` is the height (mean, sd) µm of a 2D one.

        Raises
        ------
        ClxemError
            Where the name is taken or the numbers are not usable.
        """
        if name in self._nodes:
            raise ClxemError(f"There is a frame {name!r} already; choose another name.")
        if ndim not in (2, 3):
            raise ClxemError(f"Frame {name!r} has {ndim} axes; it may have 2 or 3.")
        mean, sd = UNKNOWN_HEIGHT if z is None else z
        if not (np.isfinite(mean) and np.isfinite(sd) and sd >= 0):
            raise ClxemError(
                f"Frame {name!r} has the height {z}; give a finite mean and sd >= 0 in µm."
            )
        self._nodes[name] = Node(name, ndim, (float(mean), float(sd)))
        self._steps[name] = []

    def add_link(
        self,
        moving: str,
        fixed: str,
        transform: UncertainAffine,
        link: str | None = None,
        tilt_sd: float = 0.0,
    ) -> None:
        """Join two frames by a map from `moving` to `fixed`.

        Parameters
        ----------
        moving, fixed : str
            Frames; unknown ones are added with the axes of the map.
        transform : UncertainAffine
            A fit or a declared map. A planar (3 x 3) map may join frames of which one or both
            are volumes seen along z. A map of space (4 x 4) from a volume to a plane says by
            itself how the plane lies, at z = its height.
        link : str, optional
            Identifier; made from the names where it is left out.
        tilt_sd : float
            For a planar map: sd of the angle between the two viewing directions, degrees. By it
            the unknown height of a point moves it in the plane (parallax).

        Raises
        ------
        ClxemError
            Where the map's axes do not go with the frames', or the identifier is taken.
        """
        rows, columns = Affine(transform.matrix).linear.shape
        for name, ndim in ((moving, columns), (fixed, rows)):
            if name not in self._nodes:
                self.add_frame(name, ndim)
        start, end = self._nodes[moving], self._nodes[fixed]
        if moving == fixed:
            raise ClxemError(f"A link joins {moving!r} with itself; give two frames.")
        if columns > start.ndim or (rows > end.ndim and columns < 3):
            raise ClxemError(
                f"A map of {columns} to {rows} axes cannot join {moving!r} ({start.ndim}D) and "
                f"{fixed!r} ({end.ndim}D); fit it in the axes of the frames."
            )
        name = link or f"{moving} -> {fixed} #{len(self._links) + 1}"
        if name in self._links:
            raise ClxemError(f"There is a link {name!r} already; choose another identifier.")
        self._given[name] = transform
        self._join(name, start, end, *_both_ways(transform, start, end, tilt_sd))

    def _join(
        self, name: str, start: Node, end: Node, forward: UncertainAffine, back: UncertainAffine
    ) -> None:
        self._found.clear()
        self._links[name] = Step(start.name, end, name, forward)
        self._steps[start.name].append(self._links[name])
        self._steps[end.name].append(Step(end.name, start, name, back))

    def transform(self, start: str, end: str, points: ArrayLike | None = None) -> Route:
        """Find the route with the smallest predicted error at the given points.

        Parameters
        ----------
        start, end : str
            Frames.
        points : (n, d) array_like, optional
            In `start`, µm; left out, the landmarks' centre of each first link stands for them.

        Returns
        -------
        Route

        Raises
        ------
        NoPathError
            Where no links connect the frames, or a frame is unknown.
        """
        for name in (start, end):
            if name not in self._nodes:
                known = ", ".join(self._nodes) or "none"
                raise NoPathError(f"There is no frame {name!r}; the frames are {known}.")
        node = self._nodes[start]
        probe = None
        if points is not None:
            probe = as_points(points, node.ndim)
            probe = probe[:: 1 + len(probe) // 16]  # a few stand for many
        asked = (start, end, None if probe is None else probe.tobytes())
        if asked not in self._found:
            routes = self._routes(node, end, probe)
            best = min(routes, key=lambda found: found[0], default=None)
            if best is None:
                raise NoPathError(
                    f"No links connect {start!r} with {end!r}; link one of "
                    f"{', '.join(sorted(self.reachable(start)))} with {end!r}."
                )
            if len(self._found) >= _REMEMBERED:
                self._found.clear()
            self._found[asked] = best[1]
        return self._found[asked]

    def reachable(self, start: str) -> set[str]:
        """Give the frames connected with `start`, itself included."""
        found, waiting = {start}, [start]
        while waiting:
            for step in self._steps[waiting.pop()]:
                if step.end.name not in found:
                    found.add(step.end.name)
                    waiting.append(step.end.name)
        return found

    @property
    def closures(self) -> tuple[Closure, ...]:
        """Loops among the links: each link beyond a spanning tree against the way around it."""
        return tuple(closure(way, direct) for way, direct in self.loops())

    def loops(self) -> Iterator[tuple[Route, Route]]:
        """Give each link beyond a spanning tree, after the way around it through the tree."""
        tree = FrameGraph()
        tree._nodes = self._nodes
        tree._steps = {name: [] for name in self._nodes}
        for name, step in self._links.items():
            start = self._nodes[step.start]
            if step.end.name in tree.reachable(step.start):
                yield next(tree._routes(start, step.end.name, None))[1], Route(start, (step,))
            else:
                tree._steps[step.start].append(step)
                tree._steps[step.end.name].extend(
                    back for back in self._steps[step.end.name] if back.link == name
                )

    def adjust(self) -> AdjustedGraph:
        """Bring all links into agreement: every loop closes, each link giving way by its error.

        Links share what they know of a bead that was picked once and used in both. Loops of
        volumes, or of planes, close fully, those through both to within some hundredths of the
        links' errors. The graph itself stays as it is; so do links that bend or whose error is
        unknown.

        Returns
        -------
        AdjustedGraph
        """
        found = AdjustedGraph()
        found._nodes = dict(self._nodes)
        found._steps = {name: [] for name in self._nodes}
        found._given = dict(self._given)
        steps = {name: step for name, step in self._links.items() if _adjustable(step)}
        loops = [
            (way, direct)
            for way, direct in self.loops()
            if all(link in steps for link in (*way.links, *direct.links))
        ]
        found.adjustment = adjusted(steps, self._given, loops)
        for name, step in self._links.items():
            forward = found.adjustment.maps.get(name, step.map)
            start = self._nodes[step.start]
            found._join(name, start, step.end, forward, forward.inverted())
        return found

    def _routes(self, node: Node, end: str, points: Floats | None) -> Iterator[tuple[float, Route]]:
        """Give simple routes with their mean squared error, those good in the plane first."""
        order = count()
        visits = dict.fromkeys(self._nodes, 0)
        state = None if points is None else begin(node, points)
        waiting = [(0.0, next(order), Route(node, ()), state)]
        while waiting:
            _, _, route, state = heapq.heappop(waiting)
            visits[route.end.name] += 1
            if visits[route.end.name] > _VISITS:
                continue
            if route.end.name == end:
                yield (0.0 if state is None else size(state[1], route.end.ndim)), route
                continue
            for step in self._steps[route.end.name]:
                if step.end.name not in route.frames:
                    if state is None:  # the landmarks of the first link stand for points
                        here = begin(node, step.map.centre[np.newaxis, 3 - node.ndim :])
                    else:
                        here = state
                    there = carry(step, *here)
                    longer = Route(node, (*route.steps, step))
                    heapq.heappush(waiting, (size(there[1], 2), next(order), longer, there))


class AdjustedGraph(FrameGraph):
    """A graph whose loops were closed by :meth:`FrameGraph.adjust`.

    Errors along its routes count what the links have in common.

    Attributes
    ----------
    adjustment : Adjustment
        What was done: corrections, and whether the loops contradict each other.
    """

    def __init__(self) -> None:
        super().__init__()
        self.adjustment = Adjustment((), {}, np.zeros((0, 0)), 0.0, 0)

    def transform(self, start: str, end: str, points: ArrayLike | None = None) -> Route:
        """Find the route as in :meth:`FrameGraph.transform`; its error is the joint one."""
        route = super().transform(start, end, points)
        return JointRoute(route.start, route.steps, joint=self.adjustment)


def _adjustable(step: Step) -> bool:
    """Tell whether a link is an affine map of known error."""
    return not step.map.bends and bool(np.isfinite(step.map.covariance).all())


@lru_cache(maxsize=1024)  # a document makes its graph anew with every step; most maps are the same
def _both_ways(
    transform: UncertainAffine, start: Node, end: Node, tilt_sd: float
) -> tuple[UncertainAffine, UncertainAffine]:
    """Complete a map to 3D, and give the way back, too."""
    forward = completed(transform, start, end, tilt_sd)
    return forward, forward.inverted()
