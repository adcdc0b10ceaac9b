"""A small grid with a FIB view, targets at work without a window, and the dock in one."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from napari.components import ViewerModel
from qtpy.QtWidgets import QLabel, QPushButton

from napari_clxem.frames import UncertainAffine
from napari_clxem.io.image import StagePosition
from napari_clxem.lamella import fib_projection
from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.targets import Targets
from napari_clxem.plugin.controllers.targets_mouse import TargetMouse
from napari_clxem.plugin.widgets.targets import TargetsWidget
from napari_clxem.session import Dataset, FileRef, Frame, Link
from napari_clxem.session.geometry import estimate

ANGLE, AZIMUTH, TILT = 11.0, 20.0, 18.0
SD = 0.05


def projection() -> np.ndarray:
    """How the tomogram of the made grid shows in its FIB image."""
    middle = (np.array((80, 180, 180)) - 1) * 0.12 / 2
    seen = fib_projection(ANGLE, AZIMUTH)
    shift = np.array([10.0, 12.0]) - seen.transform([middle])[0]
    return np.hstack([seen.linear, (seen.translation + shift)[:, np.newaxis]])


@pytest.fixture
def fib_grid(grid):
    dataset = Dataset(
        id="fib",
        name="fib",
        modality="fib",
        site="c1",
        frame="fib",
        file=FileRef(path="/nowhere/fib.tif"),
        axes=("y", "x"),
        shape=(200, 240),
        scale=(0.1, 0.1),
        stage=StagePosition((5.0, 6.0, 7.0), 0.0, TILT, "fei"),
    )
    covariance = np.zeros((8, 8))
    covariance[3, 3] = covariance[7, 7] = SD**2
    centre = np.full(3, 10.0)
    link = Link(
        id="to-fib",
        moving="tomogram",
        fixed="fib",
        kind="declared",
        estimate=estimate(UncertainAffine(projection(), centre, covariance, None)),
    )
    grid.session = replace(
        grid.session,
        datasets=(*grid.session.datasets, dataset),
        frames=(*grid.session.frames, Frame(name="fib", ndim=2)),
        links=(*grid.session.links, link),
    )
    grid.images["fib"] = np.random.default_rng(2).random((200, 240), np.float32)
    return grid


@pytest.fixture
def plan(fib_grid, qapp):
    """Targets at work on canvases without a window."""
    viewer = ViewerModel()
    workspace = workspace_for(viewer)
    workspace.use(fib_grid.store())
    workspace.show_site("c1", "tomogram")
    made = Targets(workspace, viewer)
    yield SimpleNamespace(
        targets=made,
        viewer=viewer,
        _mouse=TargetMouse(made, viewer, "main"),
        _fib_mouse=TargetMouse(made, made.second.model, "fib"),
    )
    made.release()
    release(viewer)


@pytest.fixture
def dock(make_napari_viewer, fib_grid, qtbot):
    viewer = make_napari_viewer()
    widget = TargetsWidget(viewer)
    viewer.window.add_dock_widget(widget, name="Targets", area="right")
    found = workspace_for(viewer)
    found.use(fib_grid.store())
    found.show_site("c1", "tomogram")
    widget.refresh()
    widget.targets.active = True
    yield widget
    widget.close()


def session(dock):
    return dock.targets.session


def texts(dock):
    return "\n".join(label.text() for label in dock.findChildren(QLabel) if not label.isHidden())


def button(dock, text):
    return next(one for one in dock.findChildren(QPushButton) if one.text() == text)


def press(mouse, viewer, start, end=None, **more):
    """Play a click, or a drag, through the callback as napari does."""
    event = SimpleNamespace(
        type="mouse_press",
        button=1,
        modifiers=(),
        pos=np.zeros(2),
        position=tuple(start),
        view_direction=np.array([1.0, 0.0, 0.0]),
        handled=False,
        **more,
    )
    play = mouse._on_press(viewer, event)
    next(play, None)
    if end is not None:
        event.type, event.position, event.pos = "mouse_move", tuple(end), np.array([50.0, 50.0])
        next(play, None)
    event.type = "mouse_release"
    next(play, None)
    return event
