"""What is worked out for a lamella: where to cut, what limits it, what more beads would bring."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from napari.qt.threading import create_worker
from napari.utils.notifications import show_info

from napari_clxem.errors import ClxemError
from napari_clxem.lamella import Lamella, Proposal, propose
from napari_clxem.plugin.controllers.targets_boxes import NO_PLACE
from napari_clxem.plugin.controllers.targets_scene import Aim, FibView, box_at, gain, stage_tilt_for
from napari_clxem.plugin.controllers.tasks import say_error

if TYPE_CHECKING:
    from napari_clxem.plugin.controllers.targets import Targets

# A gain smaller than this is not worth the saying.
LITTLE = 0.005


class Advice:
    """Proposals for the site, in the background.

    Parameters
    ----------
    targets : Targets

    Attributes
    ----------
    free, every : bool
        Whether a proposal may choose the milling angle, and whether it is for all targets.
    proposal : Proposal or None
        The last one, while the box stays as proposed.
    limit, gain : str
        What limits the lamella, and what more beads would bring: sentences, empty for none.
    """

    def __init__(self, targets: Targets) -> None:
        self._targets = targets
        self._worker: Any = None
        self._released = False
        self.free = self.every = False
        self.proposal: Proposal | None = None
        self.limit = self.gain = ""

    @property
    def busy(self) -> bool:
        """Whether a proposal is being worked out."""
        return self._worker is not None

    def release(self) -> None:
        """Give up what is being worked out."""
        self._released = True
        if self._worker is not None:
            self._worker.quit()

    def forget(self) -> None:
        """Say no more of a box that is another one now."""
        self.proposal, self.limit, self.gain = None, "", ""

    def propose(self) -> None:
        """Look for the lamella that holds most of its targets, in the background."""
        targets = self._targets
        fib, aim = targets.fib, targets.aim
        if self.busy:
            return
        if fib is None or aim is None:
            show_info(targets.trouble or NO_PLACE)
            return
        names = tuple(one.target.id for one in (targets.aims if self.every else (aim,)))
        record = targets.record
        base = record.lamella if record else box_at(fib, aim, targets.instrument, targets.preset)
        self._worker = self._search(names, base, self._angles(fib))
        self._worker.returned.connect(lambda found: self._take(found, names))
        self._worker.errored.connect(say_error)
        self._worker.finished.connect(self._done)
        self._worker.start()
        targets.changed.emit()

    def _search(self, names: tuple[str, ...], base: Any, angles: tuple[float, float]) -> Any:
        targets = self._targets
        meant = [one for one in targets.aims if one.target.id in names]
        return create_worker(
            propose,
            np.array([one.position for one in meant]),
            np.array([one.target.radius for one in meant]),
            np.array([one.covariance for one in meant]) + targets.placing**2 * np.eye(3),
            angles=angles,
            usual=float(np.clip(base.angle, *angles)),
            azimuth=base.azimuth,
            thickness=base.thickness,
            width=base.width,
            length=base.length,
            damage=base.damage,
            _start_thread=False,
            _ignore_errors=True,
        )

    def _angles(self, fib: FibView) -> tuple[float, float]:
        """Give the milling angles to choose from, in the volume, degrees."""
        if not self.free:
            return (fib.angle, fib.angle)
        instrument = self._targets.instrument
        low, high = instrument.reachable
        tilt = stage_tilt_for(fib, fib.angle)
        # what the shuttle and the film make of the nominal angle, the registration has seen
        nominal = tilt is not None and instrument.tilt_range[0] <= tilt <= instrument.tilt_range[1]
        off = fib.angle - instrument.milling_angle(tilt) if nominal and tilt is not None else 0.0
        return (low + off, high + off)

    def _take(self, found: Proposal, names: tuple[str, ...]) -> None:
        if self._released:  # the thread could not be stopped in time
            return
        new = self._targets.record is None
        self._targets.boxes.keep(found.lamella, names, new=new)
        if new:
            self._targets.boxes.look()
        self.proposal, self.limit = found, found.sentence
        self.explain()

    def _done(self) -> None:
        self._worker = None
        if not self._released:
            self._targets.changed.emit()

    def explain(self) -> None:
        """Say what limits the lamella, and work out what more beads would bring to it."""
        targets = self._targets
        record, fib = targets.record, targets.fib
        self.gain = ""
        if record is not None and fib is not None:
            if not self.limit:
                self.limit = self._limit(record.targets)
            more = gain(targets.session, fib, record, targets.aims, targets.placing)
            if more is not None and more.after > more.before + LITTLE:
                self.gain = more.sentence
            elif more is not None:
                self.gain = "More beads picked in the FIB image would bring nothing here."
        targets.changed.emit()

    def _limit(self, names: tuple[str, ...]) -> str:
        """Say what limits the best box of this size and angle."""
        targets = self._targets
        record = targets.record
        meant = [one for one in targets.aims if one.target.id in names]
        if record is None or not meant:
            return ""
        box = record.lamella
        try:
            found = propose(
                np.array([one.position for one in meant]),
                np.array([one.target.radius for one in meant]),
                np.array([one.covariance for one in meant]) + targets.placing**2 * np.eye(3),
                angles=(box.angle, box.angle),
                usual=box.angle,
                azimuth=box.azimuth,
                thickness=box.thickness,
                width=box.width,
                length=box.length,
                damage=box.damage,
            )
        except ClxemError as error:
            return str(error)
        now = record.promised or 0.0
        said = found.sentence
        if found.expected > now + LITTLE:
            said = f"Where it is drawn it holds {now:.0%}; at its best place: {said}"
        if found.losses.limit == "registration":
            said = f"{said} {pick_sentence(record.frame, box, meant)}".rstrip()
        return said


def pick_sentence(volume: str, box: Lamella, meant: Sequence[Aim]) -> str:
    """Say where most of the error across a lamella is that of the pick; empty where it is not.

    Parameters
    ----------
    volume : str
        Frame of the lamella.
    box : Lamella
    meant : sequence of Aim
        Its targets.
    """
    for aim in meant:
        target = aim.target
        if target.frame != volume or target.sigma is None or len(target.sigma) != 3:
            continue
        own = float((box.normal**2) @ np.square(target.sigma))
        if own > 0.5 * float(box.normal @ aim.covariance @ box.normal):
            return (
                f"Most of that error is the pick of {target.name or target.id} itself "
                f"(±{own**0.5 * 1000:.0f} nm): pick it with Snap, or say how sure it is."
            )
    return ""
