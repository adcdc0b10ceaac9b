"""What the FIB sees of a session's volumes and targets: pure functions of the document."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import LamellaError, NoPathError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import angles_of, lift
from napari_clxem.session.extents import axes_of, middle
from napari_clxem.session.geometry import Place, graph, place
from napari_clxem.session.model import Dataset, Session, Target
from napari_clxem.session.pairs import is_oblique


@dataclass(frozen=True, eq=False)
class FibView:
    """A FIB image and how the volume that lamellae are planned in shows in it.

    Parameters
    ----------
    dataset : Dataset
        The image.
    volume : str
        Frame of the volume.
    projection : (2, 4) array
        From the volume to the image, µm.
    angle, azimuth : float
        Of its ion beam in the volume's frame, degrees.
    link : str
        Id of the link where one leads there directly; empty for none.
    """

    dataset: Dataset
    volume: str
    projection: Floats
    angle: float
    azimuth: float
    link: str = ""


@dataclass(frozen=True, eq=False)
class Aim:
    """A target as the FIB view has it.

    Parameters
    ----------
    target : Target
    position : (3,) array
        In the volume, such that it shows where the view expects it, µm.
    covariance : (3, 3) array
        Of what the view knows of it, µm²; nothing along the beam.
    seen : Place
        Where it shows in the image.
    """

    target: Target
    position: Floats
    covariance: Floats
    seen: Place


def fib_datasets(session: Session, site: str | None) -> tuple[Dataset, ...]:
    """Give the FIB views of a site, and those of the whole grid."""
    return tuple(
        one
        for one in session.datasets
        if one.site in (None, site)
        and one.frame
        and one.modality != "tem"  # a lamella's map is taken when there is nothing left to mill
        and is_oblique(session, one.frame)
    )


def fib_view(session: Session, dataset: Dataset, volume: str = "") -> FibView | None:
    """Find how a volume shows in a FIB image; None where no volume is linked with it.

    Parameters
    ----------
    session : Session
    dataset : Dataset
        The image.
    volume : str
        Frame to use; empty takes the one linked directly, or else most surely.
    """
    found: list[tuple[tuple[bool, float], FibView]] = []
    for frame in [volume] if volume else _volumes(session, dataset):
        try:
            way = graph(session).transform(frame, dataset.frame, [_middle(session, frame)])
        except NoPathError:
            continue
        if any(axes_of(session, name) == 2 for name in way.frames[:-1]):
            continue  # a plane on the way has forgotten the heights
        projection = way.affine[1:3]
        try:
            angle, azimuth = angles_of(projection)
        except LamellaError:
            continue
        error = float(np.trace(way.predict_error([_middle(session, frame)])[0]))
        link = way.links[0] if len(way.links) == 1 else ""
        view = FibView(dataset, frame, projection, angle, azimuth, link)
        found.append(((not link, error if np.isfinite(error) else np.inf), view))
    return min(found, key=lambda one: one[0])[1] if found else None


def _volumes(session: Session, dataset: Dataset) -> list[str]:
    frames = [one.frame for one in session.datasets if one.site in (None, dataset.site)]
    frames += [one.frame for one in session.targets if one.site in (None, dataset.site)]
    return [name for name in dict.fromkeys(frames) if name and axes_of(session, name) == 3]


def _middle(session: Session, frame: str) -> Floats:
    """Give the middle of the first volume of a frame, its zero where there is none, µm."""
    volumes = (one for one in session.datasets if one.frame == frame and "z" in one.axes)
    known = (middle(session, one) for one in volumes)
    return next((one for one in known if one is not None), np.zeros(axes_of(session, frame)))


def aims(session: Session, view: FibView, targets: Sequence[Target]) -> tuple[Aim, ...]:
    """Give the targets that the FIB view can place, with their predicted error there."""
    found = []
    for target in targets:
        seen = place(session, target, view.dataset.frame)
        deep = place(session, target, view.volume)
        if seen is None or deep is None or not np.isfinite(seen.covariance).all():
            continue
        linear = view.projection[:, :3]
        miss = np.array(seen.position) - Affine(view.projection).transform([deep.position])[0]
        position = np.array(deep.position) + np.linalg.pinv(linear) @ miss
        found.append(Aim(target, position, lift(seen.covariance, view.projection), seen))
    return tuple(found)
