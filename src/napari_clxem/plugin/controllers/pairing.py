"""Two frames side by side: which canvas shows which side of a link, and what maps between them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Fit
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.uncertainty import UncertainAffine, region_threshold
from napari_clxem.session.beads import BEAD_DIAMETER
from napari_clxem.session.edits import Side
from napari_clxem.session.geometry import complete
from napari_clxem.session.model import Landmark, Link, Session, Vector
from napari_clxem.session.pairs import drafted, found, is_oblique, link_between

Canvas = Literal["main", "second"]
CANVASES: tuple[Canvas, Canvas] = ("main", "second")


@dataclass(frozen=True)
class Pairing:
    """A link, its two frames, and where they are shown.

    Parameters
    ----------
    link : Link
        The document's, or a new one that it will get with the first pick.
    main : {"moving", "fixed"}
        The side in the main canvas: the moving one where the fixed one looks along the grid.
    """

    link: Link
    main: Side

    def side(self, canvas: Canvas) -> Side:
        """Give the side of the link that a canvas shows."""
        if canvas == "main":
            return self.main
        return "fixed" if self.main == "moving" else "moving"

    def canvas(self, side: Side) -> Canvas:
        """Give the canvas that shows a side of the link."""
        return "main" if side == self.main else "second"

    def frame(self, canvas: Canvas) -> str:
        """Give the frame that a canvas shows."""
        return self.link.moving if self.side(canvas) == "moving" else self.link.fixed

    def position(self, landmark: Landmark, canvas: Canvas) -> Vector | None:
        """Give where a landmark lies in a canvas' frame, µm; None where it is not picked there."""
        return landmark.moving if self.side(canvas) == "moving" else landmark.fixed

    def shown(self, canvas: Canvas) -> list[str]:
        """Give the ids of the landmarks that are picked in a canvas, in their order there."""
        return [one.id for one in self.link.landmarks if self.position(one, canvas) is not None]

    def amended(self, landmark: str, **values: Any) -> Link:
        """Give the link with other values in one of its landmarks."""
        marks = tuple(
            replace(one, **values) if one.id == landmark else one for one in self.link.landmarks
        )
        return replace(self.link, landmarks=marks)

    def moved(self, canvas: Canvas, landmark: str, position: Floats) -> Link:
        """Give the link with a landmark put elsewhere by hand, µm in a canvas' frame."""
        place = tuple(float(value) for value in position)
        return self.amended(landmark, **{self.side(canvas): place, "origin": "hand"})


@dataclass(frozen=True)
class Mapped:
    """A point of one canvas in the other: (d,) µm, and the radius of its 95 % region in the plane.

    The radius is nan where the fit has no degree of freedom to tell.
    """

    position: Floats
    radius: float


def pairing(session: Session, moving: str, fixed: str) -> Pairing:
    """Put two frames side by side, with the link between them or a new one."""
    link = link_between(session, moving, fixed) or drafted(session, moving, fixed)
    return Pairing(link, "moving" if is_oblique(session, link.fixed) else "fixed")


def mapped(pair: Pairing, canvas: Canvas, point: Floats) -> Mapped | None:
    """Find a point of one canvas in the other, by the fit of the link.

    None where there is no fit, or none that way: a projection leads to no single height.
    """
    fitted = found(pair.link)
    if fitted is None:
        return None
    try:
        way: UncertainAffine = fitted if pair.side(canvas) == "moving" else fitted.inverted()
        place = way.transform([point])[0]
        spread = way.predict_error([point])[0][-2:, -2:]
        threshold = region_threshold(2, way.region_dof, 0.95)
    except ClxemError:
        return None
    widest = float(np.linalg.eigvalsh(spread)[-1]) if np.isfinite(spread).all() else np.nan
    return Mapped(place, float(np.sqrt(max(widest, 0.0) * threshold)))


def unpaired(beads: Floats, link: Link) -> Floats:
    """Leave out the beads that are landmarks of a link already, by their moving side."""
    picked = [one.moving for one in link.landmarks if one.moving is not None]
    if not picked or not len(beads) or len(picked[0]) != beads.shape[1]:
        return beads
    apart = np.linalg.norm((beads[:, np.newaxis] - np.array(picked))[..., -2:], axis=2)
    return np.asarray(beads[apart.min(axis=1) > BEAD_DIAMETER / 2])


def quick(link: Link, fitted: Fit | None, dragged: str) -> Link:
    """Make a robust link one that is solved at once: through the landmarks that carried it."""
    if not link.robust or fitted is None:
        return link
    marks = complete(link.landmarks)
    carried = {
        one.id
        for one, carries in zip(marks, fitted.inliers, strict=False)
        if carries or one.id == dragged
    }
    kept = tuple(one for one in link.landmarks if one.id in carried)
    return replace(link, robust=False, landmarks=kept)
