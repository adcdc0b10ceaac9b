"""Where the things of a session lie in the display: pure functions of the document."""

from __future__ import annotations

from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import numpy as np

from napari_clxem.errors import ClxemError, NoPathError
from napari_clxem.frames import FrameGraph, Route
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.marks import Mark
from napari_clxem.plugin.placement import drawable, local
from napari_clxem.session.extents import axes_of, finest_first, middle, span, spatial
from napari_clxem.session.geometry import Place, graph, place
from napari_clxem.session.model import Dataset, Landmark, Link, Session, Target
from napari_clxem.session.summary import nanometres

Origin = tuple[float, float, float]
HERE: Origin = (0.0, 0.0, 0.0)
# A plane steeper than this in the frame shown is not drawn into it, degrees: a grazing view has
# a canvas of its own.
STEEP = 60.0


# The search for a route is the dearest part of an edit; a graph never changes once it is made.
_routes: WeakKeyDictionary[FrameGraph, dict[tuple[Dataset, str], Route | None]] = (
    WeakKeyDictionary()
)


@dataclass(frozen=True)
class View:
    """What is shown: one site in one frame, with the display's zero at `origin`.

    Parameters
    ----------
    site : str or None
        Id of the site; None shows the grid's own datasets.
    frame : str
        Name of the reference frame; empty while nothing is shown.
    origin : tuple of float
        Reference (z, y, x) of the display's zero, µm.
    link : str
        Id of the link being worked on, by which alone its moving frame is placed; empty for none.
    """

    site: str | None = None
    frame: str = ""
    origin: Origin = HERE
    link: str = ""


def shown_datasets(session: Session, site: str | None) -> tuple[Dataset, ...]:
    """Give the datasets of a site and those of the grid, which stay for every site."""
    return tuple(one for one in session.datasets if one.site in (None, site))


def route(session: Session, dataset: Dataset, frame: str) -> Route | None:
    """Find the way from a dataset's middle to a frame; None where no links lead there."""
    frames = graph(session)
    found = _routes.setdefault(frames, {})
    key = (dataset, frame)
    if key not in found:
        found[key] = _route(session, frames, dataset, frame)
    return found[key]


def shown_route(session: Session, dataset: Dataset, view: View) -> Route | None:
    """Find the way by which a dataset is drawn: by the link being worked on, else the surest."""
    for link in session.links:
        if link.id == view.link and (link.moving, link.fixed) == (dataset.frame, view.frame):
            alone = route(replace(session, links=(link,)), dataset, view.frame)
            if alone is not None:
                return alone
    return route(session, dataset, view.frame)


def _route(session: Session, frames: FrameGraph, dataset: Dataset, frame: str) -> Route | None:
    point = middle(session, dataset)
    if point is None or not frame:
        return None
    try:
        return frames.transform(dataset.frame, frame, [point])
    except NoPathError:
        return None


def matrix(session: Session, dataset: Dataset, view: View) -> Floats | None:
    """Give the map from an image's µm to display µm; None where it cannot be drawn there.

    Returns
    -------
    ndarray, (d + 1, d + 1)
        For the image's own number of spatial axes, d.
    """
    way = shown_route(session, dataset, view)
    known = spatial(dataset)
    if way is None or known is None:
        return None
    ndim = len(known[0])
    if ndim == 2 and _steepness(way.placement) > STEEP:
        return None
    try:
        drawn = drawable(way.affine if ndim == 2 else way.placement, ndim)
    except ClxemError:
        return None
    return local(drawn, view.origin)


def absent(session: Session, view: View) -> list[tuple[str, str]]:
    """Name the datasets of the site that cannot be drawn in the frame shown, and say why."""
    if not view.frame:
        return []
    found = []
    for dataset in shown_datasets(session, view.site):
        if spatial(dataset) is None:
            found.append((dataset.name, "no pixel size"))
        elif route(session, dataset, view.frame) is None:
            found.append((dataset.name, "not linked"))
        elif matrix(session, dataset, view) is None:
            found.append((dataset.name, "seen from the side"))
    return found


def _steepness(placement: Floats) -> float:
    """Give the angle between an image plane and the plane of the frame it is drawn in, degrees."""
    normal = np.cross(placement[:3, 1], placement[:3, 2])
    return float(np.degrees(np.arccos(min(1.0, abs(normal[0]) / np.linalg.norm(normal)))))


def origin(session: Session, site: str | None, frame: str) -> Origin:
    """Choose the display's zero: near the site, and where its planes lie in height.

    napari draws planes at height zero of a 3D view, and loses precision far from zero.
    """
    heights, centres = [], []
    for dataset in shown_datasets(session, site):
        way, known = route(session, dataset, frame), spatial(dataset)
        if way is None or known is None:
            continue
        here = np.concatenate([np.zeros(3 - len(known[0])), span(known) / 2, [1.0]])
        there = (way.affine if len(known[0]) == 2 else way.placement) @ here
        if len(known[0]) == 2:
            heights.append(there[0])
        if dataset.site is not None or site is None:
            centres.append(there[1:3])
    y, x = np.mean(centres if centres else [(0.0, 0.0)], axis=0).round().tolist()
    return float(np.mean(heights)) if heights else 0.0, y, x


def default_view(session: Session, site: str | None = None) -> View:
    """Choose the frame to show a site in: that of its finest volume, else of its finest image.

    Parameters
    ----------
    session : Session
        The document.
    site : str, optional
        Id of the site; None for the grid as a whole.
    """
    frame = default_frame(session, site)
    if not frame:
        return View(site=site)
    return View(site=site, frame=frame, origin=origin(session, site, frame))


def default_frame(session: Session, site: str | None = None) -> str:
    """Choose the frame to show a site in, see `default_view`; empty where it has no image."""
    found = finest_first(session, site)
    return found[0].frame if found else ""


def target_marks(session: Session, view: View) -> list[Mark]:
    """Give the targets of the site, with the predicted error of each in the frame shown."""
    marks = []
    for target in session.targets:
        if target.site not in (None, view.site):
            continue
        found = place(session, target, view.frame)
        if found is not None:
            marks.append(_target_mark(target, found, view))
    return marks


def _target_mark(target: Target, found: Place, view: View) -> Mark:
    covariance = np.array(found.covariance)
    widest = float(np.linalg.eigvalsh(covariance[-2:, -2:])[-1])
    return Mark(
        id=target.id,
        position=np.array(found.position) - view.origin[-len(found.position) :],
        label=f"{target.name} ±{nanometres(found.lateral)}" if found.lateral else target.name,
        radius=target.radius,
        covariance=covariance,
        threshold=found.radius**2 / widest if widest > 0 else 0.0,
    )


def landmark_marks(session: Session, view: View) -> list[Mark]:
    """Give the landmarks of links between images that are drawn.

    None while one link is being worked on, whose own are numbered.
    """
    if view.link:
        return []
    images = shown_datasets(session, view.site)
    drawn = {one.frame for one in images if matrix(session, one, view) is not None}
    drawn.add(view.frame)
    links = [one for one in session.links if one.moving in drawn and one.fixed in drawn]
    return [mark for link in links for mark in _landmarks(session, link, view)]


def _landmarks(session: Session, link: Link, view: View) -> list[Mark]:
    """Place the landmarks of a link by the side that knows their height, else the fixed one."""
    deep = axes_of(session, link.moving) > axes_of(session, link.fixed)
    frame = link.moving if deep else link.fixed
    picked = [(one, one.moving if deep else one.fixed) for one in link.landmarks]
    known = [(one, np.array(place)) for one, place in picked if place is not None]
    if not known:
        return []
    places = np.array([place for _, place in known])
    try:
        there = graph(session).transform(frame, view.frame, places).transform(places)
    except ClxemError:
        return []
    there = there - np.array(view.origin[-there.shape[1] :])
    marks = [one for one, _ in known]
    return [_landmark_mark(one, link, at) for one, at in zip(marks, there, strict=True)]


def _landmark_mark(landmark: Landmark, link: Link, position: Floats) -> Mark:
    return Mark(
        id=landmark.id,
        position=position,
        label=f"{link.moving} → {link.fixed}",
        use=landmark.use,
    )
