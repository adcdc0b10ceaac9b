"""A newer FIB image takes the place of the view; its 2D link is fitted, targets move along."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_error, show_info

from napari_clxem.errors import ClxemError, LamellaError
from napari_clxem.frames import UncertainAffine
from napari_clxem.frames.affine import Floats
from napari_clxem.lamella import drift_by_images, moved_view
from napari_clxem.plugin.controllers.loading import open_planes
from napari_clxem.plugin.controllers.tasks import say_error
from napari_clxem.session import dataset_from_file, edits
from napari_clxem.session.fib_views import FibView
from napari_clxem.session.geometry import estimate, solve
from napari_clxem.session.model import Dataset, Frame, Link, Session, new_id
from napari_clxem.session.pairs import link_between

if TYPE_CHECKING:
    from napari_clxem.plugin.controllers.targets import Targets

# Images at stage tilts further apart than this differ by more than a shift, degrees.
SAME_TILT = 0.3
SAME_SIZE = 1e-3


class Drift:
    """Newer images of what the FIB view shows.

    Parameters
    ----------
    targets : Targets

    Attributes
    ----------
    said : str
        What the last one brought; empty for nothing.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._worker: Any = None
        self._released = False
        self.said = ""

    @property
    def busy(self) -> bool:
        """Whether a drift is being worked out."""
        return self._worker is not None

    def release(self) -> None:
        """Give up what is being worked out."""
        self._released = True
        if self._worker is not None:
            self._worker.quit()

    def open(self, path: str | Path) -> None:
        """Take an image file as the newer view of the same place."""
        old = self._targets.fib
        if old is None:
            show_info(self._targets.trouble)
            return
        names = {one.name for one in self._targets.session.frames}
        stem = Path(path).name.split(".")[0] or "fib"
        name = next(
            one for one in (stem, *(f"{stem}-{n}" for n in range(2, 1000))) if one not in names
        )
        try:
            dataset, _ = dataset_from_file(
                path,
                name=name,
                modality=old.dataset.modality,
                site=old.dataset.site,
                frame=name,
            )
        except ClxemError as error:
            show_error(str(error))
            return
        self.follow(dataset)

    def follow(self, newer: Dataset) -> None:
        """Fit a newer image to the view by its beads or its content, in the background."""
        targets = self._targets
        old = targets.fib
        if old is None or self.busy:
            return
        session, store = targets.session, targets.workspace.store
        try:
            check_alike(old.dataset, newer)
            base = view_map(session, old)
            beads = drift_of_link(session, old.dataset.frame, newer.frame)
        except ClxemError as error:
            show_error(str(error))
            return

        def work() -> tuple[UncertainAffine, str]:
            if beads is not None:
                return beads, "beads"
            before, after = (_picture(open_planes(store, one)) for one in (old.dataset, newer))
            pixel = newer.scale or (1.0, 1.0)
            return drift_by_images(before, after, (pixel[-2], pixel[-1])), "correlation"

        def take(found: tuple[UncertainAffine, str]) -> None:
            if self._released:  # the thread could not be stopped in time
                return
            self._keep(old, newer, moved_view(base, found[0]), *found)

        self._worker = create_worker(work, _start_thread=False, _ignore_errors=True)
        self._worker.returned.connect(take)
        self._worker.errored.connect(say_error)
        self._worker.finished.connect(self._done)
        self._worker.start()
        targets.changed.emit()

    def _keep(
        self,
        old: FibView,
        newer: Dataset,
        view: UncertainAffine,
        drift: UncertainAffine,
        how: str,
    ) -> None:
        targets = self._targets
        self.said = drift_sentence(old, newer, drift, how)

        def replaced(session: Session) -> Session:
            return with_newer(session, old, newer, view, self.said)

        try:
            targets.workspace.store.commit(replaced, f"Follow the drift to {newer.name}")
        except ClxemError as error:
            show_error(str(error))
            return
        targets.choose_view(newer.id)

    def _done(self) -> None:
        self._worker = None
        if not self._released:
            self._targets.changed.emit()


def check_alike(old: Dataset, newer: Dataset) -> None:
    """See that a newer image differs from the older one by a drift only.

    Raises
    ------
    LamellaError
        Where pixel sizes or stage tilts differ, or the newer image has no pixel size.
    """
    if newer.scale is None or old.scale is None:
        raise LamellaError(
            f"{newer.name} states no pixel size, so its drift is not known; give it one in the "
            "dock Session."
        )
    before, after = np.array(old.scale[-2:]), np.array(newer.scale[-2:])
    if np.abs(after / before - 1).max() > SAME_SIZE:
        raise LamellaError(
            f"{newer.name} has pixels of {after[-1]:.4g} µm, {old.name} of {before[-1]:.4g} µm; "
            "take the newer image at the same magnification, or link it in the dock Correlate."
        )
    tilts = [one.stage.tilt if one.stage else None for one in (old, newer)]
    if tilts[0] is not None and tilts[1] is not None and abs(tilts[1] - tilts[0]) > SAME_TILT:
        raise LamellaError(
            f"{newer.name} was taken at a stage tilt of {tilts[1]:.1f}°, {old.name} at "
            f"{tilts[0]:.1f}°: it is another view; link it with the stack in the dock Correlate."
        )


def view_map(session: Session, view: FibView) -> UncertainAffine:
    """Give the registration (2 x 4) behind a FIB view.

    Raises
    ------
    LamellaError
        Where its volume is not linked with it directly.
    """
    for link in session.links:
        if link.id == view.link and link.fixed == view.dataset.frame:
            return solve(link)
    raise LamellaError(
        f"{view.dataset.name} is linked with {view.volume} by way of other images; link the two "
        "directly in the dock Correlate, then follow its drift."
    )


def drift_of_link(session: Session, old: str, newer: str) -> UncertainAffine | None:
    """Give the drift (3 x 3) that landmarks between two FIB images say; None without a link."""
    link = link_between(session, old, newer)
    if link is None:
        return None
    found = solve(link)
    if link.moving == old:
        return found
    return solve(
        replace(link, moving=old, fixed=newer, landmarks=tuple(map(_turned, link.landmarks)))
    )


def _turned(mark: Any) -> Any:
    return replace(
        mark,
        moving=mark.fixed,
        fixed=mark.moving,
        moving_sigma=mark.fixed_sigma,
        fixed_sigma=mark.moving_sigma,
    )


def with_newer(
    session: Session, old: FibView, newer: Dataset, view: UncertainAffine, note: str
) -> Session:
    """Give the session with a newer image linked to the volume of the older one."""
    frames = {one.name: one for one in session.frames}
    if newer.frame not in frames:
        session = edits.put(session, Frame(name=newer.frame, ndim=2, z=frames[old.dataset.frame].z))
    link = Link(
        id=new_id(),
        moving=old.volume,
        fixed=newer.frame,
        kind="content",
        model="projection",
        estimate=estimate(view),
        note=note,
    )
    return edits.put(session, newer, link)


def drift_sentence(old: FibView, newer: Dataset, drift: UncertainAffine, how: str) -> str:
    """Say how far the picture moved."""
    middle = drift.centre
    row, column = (drift.affine[:2, :2] @ middle + drift.affine[:2, 2] - middle).tolist()
    spread = float(np.sqrt(np.trace(drift.predict_error([middle])[0]) / 2))
    return (
        f"{newer.name} lies {row:+.2f} µm down and {column:+.2f} µm right of {old.dataset.name} "
        f"(by {how}, ±{spread * 1000:.0f} nm); targets and boxes moved along."
    )


def _picture(planes: Any) -> Floats:
    return np.asarray(planes[0].levels[0], float)
