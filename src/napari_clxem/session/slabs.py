"""How a milled lamella lies in the volumes of its site.

What was picked in its map says where it is; how it was milled says how it is tilted. Seen along one
direction, a slab of a few hundred nm tells its own tilt badly: its faces run along the ion beam,
though, and the FIB image says where that came from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np

from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import Affine, Fit, Route, UncertainAffine, fit
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import Lamella, LamellaRecord
from napari_clxem.session.geometry import complete, estimate, graph, solve
from napari_clxem.session.model import Frame, Link, Session

# Heights over the mid-plane of what a lamella cuts and is picked in its map, sd, µm.
CUT_SD = 0.2
# Faces against the beam that milled them, and against the tilt they were mapped at, sd, degrees.
FACE_SD = 0.5
MILLS = "fib"
# So far out, what says a tilt says nothing else, µm.
_FAR = 1000.0


@dataclass(frozen=True, eq=False)
class Milled:
    """How the faces of a lamella lie in a volume, by the view it was milled in.

    Attributes
    ----------
    normal : (3,) array
        Unit normal (z, y, x), z not negative.
    covariance : (3, 3) array
        Of the normal: across it, squared radians.
    view : str
        Frame of the FIB image.
    """

    normal: Floats
    covariance: Floats
    view: str

    @property
    def sd(self) -> float:
        """Root mean square angle about either axis in the face, degrees."""
        return float(np.rad2deg(np.sqrt(np.trace(self.covariance) / 2)))


def milled(session: Session, site: str | None, frame: str) -> Milled | None:
    """Tell from a site's FIB image how a lamella milled there lies in a volume.

    A lamella holds the ion beam and the direction across it, which runs along the rows of the FIB
    image: what shows in one row lies in one plane parallel to its faces.

    Parameters
    ----------
    session : Session
    site : str or None
    frame : str
        Of the volume.

    Returns
    -------
    Milled or None
        The best known of several views; None where no view is linked with the volume.
    """
    views = tuple(
        one.frame for one in session.datasets if (one.modality, one.site) == (MILLS, site)
    )
    return _milled(session.frames, session.links, views, frame)


@lru_cache(maxsize=64)
def _milled(
    frames: tuple[Frame, ...], links: tuple[Link, ...], views: tuple[str, ...], frame: str
) -> Milled | None:
    ways = graph(Session(frames=frames, links=links))
    found = []
    for view in views:
        try:
            route = ways.transform(frame, view)
        except NoPathError:
            continue
        one = _seen(route, view)
        if one is not None:
            found.append(one)
    return min(found, key=lambda one: one.sd, default=None)


def _seen(route: Route, view: str) -> Milled | None:
    """Give the planes of equal rows of a view, through all links that lead to it."""
    maps = [step.map for step in route.steps]
    if not maps or any(one.bends for one in maps):
        return None
    right: Floats = np.eye(3)
    rights = []
    for one in maps:
        rights.append(right)
        right = one.matrix[:3, :3] @ right
    left = np.array([0.0, 1.0, 0.0])  # the rows of the view
    covariance = np.zeros((3, 3))
    for one, before in zip(reversed(maps), reversed(rights), strict=True):
        blocks = one.covariance.reshape(3, 4, 3, 4)[:, :3, :, :3]
        own = np.einsum("a,aibj,b->ij", left, blocks, left)
        covariance += before.T @ own @ before
        left = left @ one.matrix[:3, :3]
    length = float(np.linalg.norm(left))
    if not np.isfinite(covariance).all():
        return None
    normal = left / length * (1.0 if left[0] > 0 else -1.0)
    across = np.eye(3) - np.outer(normal, normal)
    spread = across @ (covariance / length**2 + np.deg2rad(FACE_SD) ** 2 * np.eye(3)) @ across
    return Milled(normal, spread, view)


def slab_link(session: Session, link: Link, record: LamellaRecord) -> Fit | None:
    """Fit the link from a volume to a lamella's map by all that is known of the lamella.

    Landmarks lie in the slab to within what it cuts; its faces lie as they were milled.

    Parameters
    ----------
    session : Session
    link : Link
        By landmarks, from the volume to the map.
    record : LamellaRecord
        In the frame of the map.

    Returns
    -------
    Fit or None
        4 x 4; None where the landmarks have no errors, or do not show the map.
    """
    model = {"affine": "affine" if link.prior else "", "projection": "similarity"}.get(link.model)
    if link.kind != "landmarks" or not model:
        return None
    return _fitted(link, model, milled(session, record.site, link.moving), record.lamella)


@lru_cache(maxsize=64)
def _fitted(link: Link, model: str, faces: Milled | None, slab: Lamella) -> Fit | None:
    try:
        plain = solve(link)
    except ClxemError:
        return None
    used = complete(link.landmarks)
    weighted = all(one.moving_sigma and one.fixed_sigma for one in used)
    if not isinstance(plain, Fit) or plain.matrix.shape != (2, 4) or not weighted:
        return None
    agree = [one for one, kept in zip(used, plain.inliers, strict=True) if kept]
    moving, fixed, moving_sd, fixed_sd = (
        np.array([getattr(one, name) for one in agree], float)
        for name in ("moving", "fixed", "moving_sigma", "fixed_sigma")
    )
    fixed_sd = np.column_stack([np.full(len(fixed), CUT_SD), fixed_sd])
    if faces is not None:
        ends, sd = _ends(faces, moving.mean(axis=0))
        moving = np.vstack([moving, ends])
        fixed = np.vstack([fixed, plain.transform(ends)])
        moving_sd = np.vstack([moving_sd, np.zeros(ends.shape)])
        far = np.full((len(ends), 2), 100 * _FAR)
        fixed_sd = np.vstack([fixed_sd, np.column_stack([sd, far])])
    fixed = np.column_stack([heights(slab, fixed), fixed])
    try:
        return fit(moving, fixed, model, moving_sd, fixed_sd, prior=link.prior)
    except ClxemError:  # landmarks on a line show a view, but no plane
        return None


def _ends(faces: Milled, middle: Floats) -> tuple[Floats, Floats]:
    """Give far points of the faces' plane through the landmarks, and how sure their heights are."""
    variances, directions = np.linalg.eigh(faces.covariance)
    sd = np.repeat(np.sqrt(variances[1:]) * _FAR * np.sqrt(2), 2)
    arms = _FAR * np.array([sign * one for one in directions.T[1:] for sign in (1.0, -1.0)])
    return middle + arms, sd


def heights(slab: Lamella, places: Floats) -> Floats:
    """Give z of a slab's mid-plane at places (n, 2) of its map, µm."""
    centre, normal = np.array(slab.centre), slab.normal
    return np.asarray(centre[0] - (places - centre[1:]) @ normal[1:] / normal[0])


def laid(session: Session, record: LamellaRecord) -> Session:
    """Give a session in which a lamella's map lies as its lamella does.

    Parameters
    ----------
    session : Session
    record : LamellaRecord
        A milled lamella in the frame of its map.

    Returns
    -------
    Session
        Links from volumes to the map by landmarks are maps of space, and the height of the map is
        that of the lamella; other links between these, which only see the map, are left out. As it
        was where there is no such link.
    """
    found: dict[str, UncertainAffine] = {}
    for link in session.links:
        if link.fixed == record.frame:
            one = slab_link(session, link, record)
            if one is not None:
                found[link.id] = one
    if not found:
        return session
    known = {link.moving for link in session.links if link.id in found}
    links = tuple(
        replace(link, kind="declared", landmarks=(), estimate=estimate(found[link.id]))
        if link.id in found
        else link
        for link in session.links
        if link.id in found or not _views(link, record.frame, known)
    )
    exact = (record.lamella.centre[0], 0.0)
    frames = tuple(
        replace(one, z=exact) if one.name == record.frame and one.ndim == 2 else one
        for one in session.frames
    )
    return replace(session, links=links, frames=frames)


def _views(link: Link, frame: str, known: set[str]) -> bool:
    """Tell a link that only sees the map of a lamella, which does not say how high it lies."""
    flat = link.estimate is None or len(link.estimate.matrix) < 4
    return link.fixed == frame and link.moving in known and flat


def slab_placement(session: Session, record: LamellaRecord, frame: str) -> Affine:
    """Give the map from a lamella's map to a volume, 4 x 4.

    Raises
    ------
    NoPathError
        Where no links lead there.
    """
    return Affine(graph(laid(session, record)).transform(record.frame, frame).placement)
