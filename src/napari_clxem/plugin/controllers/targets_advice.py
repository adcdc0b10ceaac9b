"""What is worked out for a lamella: where to cut, what limits it, what more beads would bring."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from napari.qt.threading import create_worker
from napari.utils.notifications import show_info

from napari_clxem.lamella import Lamella, Proposal
from napari_clxem.plugin.controllers.targets_boxes import NO_PLACE
from napari_clxem.plugin.controllers.targets_scene import box_at, stage_tilt_for
from napari_clxem.plugin.controllers.tasks import say_error
from napari_clxem.session.fib_views import FibView
from napari_clxem.session.promises import best_box, gain_of, limit_of

if TYPE_CHECKING:
    from napari_clxem.plugin.controllers.targets import Targets


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

    def _search(self, names: tuple[str, ...], base: Lamella, angles: tuple[float, float]) -> Any:
        targets = self._targets
        meant = [one for one in targets.aims if one.target.id in names]
        return create_worker(
            best_box,
            base,
            meant,
            targets.placing,
            angles,
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
                self.limit = limit_of(record, targets.aims, targets.placing)
            self.gain = gain_of(targets.session, fib, record, targets.aims, targets.placing)
        targets.changed.emit()
