"""Targets and lamellae as they lie in the display: pure functions of document and view."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from napari_clxem.errors import NoPathError
from napari_clxem.frames import Affine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import BoxPreset, Instrument, Lamella, LamellaRecord
from napari_clxem.plugin.controllers.positions import View
from napari_clxem.session.extents import axes_of
from napari_clxem.session.fib_views import Aim, FibView
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Session, Target, Vector


def box_at(view: FibView, aim: Aim, instrument: Instrument, preset: BoxPreset) -> Lamella:
    """Give the lamella of a preset about one target, cut as the view looks."""
    z, y, x = aim.position.tolist()
    plain = Lamella((z, y, x), view.angle, view.azimuth, damage=instrument.damage)
    return preset.applied(plain)


def stage_tilt_for(view: FibView, angle: float) -> float | None:
    """Give the stage tilt at which a lamella of some milling angle is cut, degrees.

    Reckoned from the tilt the image was taken at, so that shuttle and film tilt drop out; None
    where the image does not say its tilt.
    """
    stage = view.dataset.stage
    if stage is None or stage.tilt is None:
        return None
    return stage.tilt + angle - view.angle


def shown_placement(session: Session, record: LamellaRecord, view: View) -> Floats | None:
    """Give how a lamella's frame lies in the display, (4, 4) µm; None where no links lead there."""
    try:
        way = graph(session).transform(record.frame, view.frame, [_here(session, record)])
    except NoPathError:
        return None
    matrix = way.placement.copy()
    matrix[:3, 3] -= view.origin
    return matrix


def _here(session: Session, record: LamellaRecord) -> Vector:
    return record.lamella.centre[3 - axes_of(session, record.frame) :]


def moved_target(session: Session, view: View, target: Target, spot: Floats) -> Target | None:
    """Put a target where it shows at a place of the display, its height kept.

    Parameters
    ----------
    spot : (2,) array
        (y, x) display µm.
    """
    try:
        way = graph(session).transform(target.frame, view.frame, [target.position])
    except NoPathError:
        return None
    matrix = Affine(way.placement)
    before = np.concatenate([np.zeros(3), target.position])[-3:]
    there = matrix.transform([before])[0]
    there[1:] = spot + np.array(view.origin[1:])
    back = matrix.inverted().transform([there])[0][3 - len(target.position) :]
    return replace(target, position=tuple(float(v) for v in back))
