"""Planning a chain of steps: what is planned, for what, and what comes of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np
from psygnal import Signal

from napari_clxem.dose import Conflict, Exposure, Goal, History, Plan, Preset, conflicts, plan
from napari_clxem.errors import ClxemError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers import dose_records
from napari_clxem.plugin.controllers.dose_review import DoseReview
from napari_clxem.plugin.controllers.dose_tables import spots
from napari_clxem.plugin.controllers.dose_work import Latest, same
from napari_clxem.session.doses import Spot
from napari_clxem.session.geometry import graph
from napari_clxem.session.model import Session


@dataclass(frozen=True)
class Outcome:
    """What comes of a plan.

    Attributes
    ----------
    plan : Plan or None
        None where nothing can be said.
    conflicts : tuple of Conflict
        Steps that touch spent areas.
    problem : str
        Why nothing can be said; empty where something can.
    """

    plan: Plan | None = None
    conflicts: tuple[Conflict, ...] = ()
    problem: str = ""


class Planner:
    """The steps that are planned in the dock, which the session does not hold yet.

    Parameters
    ----------
    review : DoseReview
        Says what doses are held against, and in which frame.

    Attributes
    ----------
    changed : Signal
        Emitted when there is something else to show.
    """

    changed = Signal()

    def __init__(self, review: DoseReview) -> None:
        self._review = review
        self.working = Latest()
        self._steps: tuple[Exposure, ...] = ()
        self._follow: frozenset[str] = frozenset()
        self._outcome = Outcome()
        self._target = ""
        self.wanted: dict[str, Any] = {"sxt": 30.0}
        review.changed.connect(self._on_changed)
        self._of: tuple[Any, ...] = ()
        self._spots: list[Spot] = []
        self._spots_of: tuple[Any, ...] = ()

    def release(self) -> None:
        """Let the review go."""
        self.working.drop()
        self._review.changed.disconnect(self._on_changed)

    @property
    def steps(self) -> tuple[Exposure, ...]:
        """The steps, in the order they will be done."""
        return self._steps

    @property
    def outcome(self) -> Outcome:
        """What comes of them."""
        return self._outcome

    @property
    def target(self) -> str:
        """Name of the target; empty for the middle of the canvas."""
        return self._target

    @property
    def goal(self) -> Goal:
        """What the steps are for."""
        asked = self._review.settings
        goal = Goal(
            et=asked.d,
            stability=asked.stability,
            material=asked.material,
            voltage=asked.voltage,
        )
        return replace(goal, **self.wanted)

    def targets(self) -> list[Spot]:
        """Give what may be aimed at in the frame shown."""
        session, frame = self._review.workspace.store.session, self._review.workspace.view.frame
        parts = (session.targets, session.sites, session.datasets, session.links, session.frames)
        of = (*parts, frame)
        if not same(of, self._spots_of):
            self._spots_of = of
            self._spots = spots(session, frame)[0] if frame else []
        return self._spots

    # -- what the user does

    def want(self, **values: Any) -> None:
        """Want something else of the plan."""
        self.wanted |= values
        self._work()

    def aim(self, target: str) -> None:
        """Aim the steps that follow the target at another one."""
        self._target = target
        place = self._place()
        if place is not None:
            self._steps = tuple(
                _aimed(one, place) if one.id in self._follow else one for one in self._steps
            )
        self._work()

    def add(self, preset: Preset) -> None:
        """Add a step as an instrument is usually run, at the target."""
        place, frame = self._place(), self._review.workspace.view.frame
        if place is None or not frame:
            self._outcome = Outcome(None, (), "Choose a reference frame first: steps lie in it.")
            self.changed.emit()
            return
        one = dose_records.from_preset(
            preset, frame, place[-2:], float(place[0]) if len(place) == 3 else 0.0,
            self._review.settings.material,
        )  # fmt: skip
        self._steps = (*self._steps, one)
        self._follow |= {one.id}
        self._work()

    def take(self) -> None:
        """Begin with what is planned in the session."""
        session = self._review.workspace.store.session
        self._steps = tuple(one for one in session.exposures if one.planned)
        self._follow = frozenset()
        self._work()

    def put(self, one: Exposure) -> None:
        """Change a step."""
        self._steps = tuple(one if held.id == one.id else held for held in self._steps)
        self._work()

    def remove(self, name: str) -> None:
        """Take a step out."""
        self._steps = tuple(one for one in self._steps if one.id != name)
        self._work()

    def lift(self, name: str) -> None:
        """Do a step earlier."""
        names = [one.id for one in self._steps]
        if name in names[1:]:
            at = names.index(name)
            steps = list(self._steps)
            steps[at - 1], steps[at] = steps[at], steps[at - 1]
            self._steps = tuple(steps)
            self._work()

    def record(self) -> None:
        """Keep the steps in the session, as planned exposures: one step to undo."""
        planned = [replace(one, planned=True) for one in self._steps]
        dose_records.put(self._review, planned, f"Record a plan of {len(planned)} steps")

    # -- what comes of it

    def _place(self) -> Floats | None:
        for name, place, _ in self.targets():
            if name == self._target:
                return place
        return self._review.middle

    def _on_changed(self) -> None:
        session, view = self._review.workspace.store.session, self._review.workspace.view
        parts = (session.exposures, session.links, session.targets)
        of = (*parts, view.frame, self.goal)
        if not same(of, self._of):
            self._of = of
            frames = {one.name for one in session.frames}
            self._steps = tuple(one for one in self._steps if one.frame in frames)
            self._work()

    def _work(self) -> None:
        frame = self._review.workspace.view.frame
        if not self._steps or not frame:
            self.working.drop()
            self._outcome = Outcome()
            self.changed.emit()
            return
        session = self._review.workspace.store.session
        named = next((place for name, place, _ in self.targets() if name == self._target), None)
        level = self._review.settings.level
        work = partial(outcome, session, self._steps, self.goal, named, frame, level)
        self.working.ask(work, self._on_outcome)
        self.changed.emit()

    def _on_outcome(self, found: Outcome) -> None:
        self._outcome = found
        self.changed.emit()


def outcome(
    session: Session,
    steps: Sequence[Exposure],
    goal: Goal,
    target: Floats | None,
    frame: str,
    level: float,
) -> Outcome:
    """Say what comes of steps; run in a thread.

    Parameters
    ----------
    session : Session
        With what was done already.
    steps : sequence of Exposure
    goal : Goal
    target : (d,) array, optional
        In `frame`, µm; where the last step aims by default.
    frame : str
    level : float
        Dose that no place should get, MGy.
    """
    done = [one for one in session.exposures if not one.planned]
    links = graph(session)
    last = next((one for one in reversed(steps) if one.counts), steps[-1])
    where = frame if target is not None else last.frame
    try:
        found = plan(steps, goal, recorded=done, target=target, graph=links, frame=where)
        ahead = [replace(one, planned=True) for one in steps]
        clashes = conflicts(History([*done, *ahead], links, where, goal.material), level)
    except ClxemError as error:
        return Outcome(None, (), str(error))
    return Outcome(found, clashes)


def _aimed(one: Exposure, place: Floats) -> Exposure:
    y, x = np.asarray(place[-2:], float).round(6).tolist()
    height = float(place[0]) if len(place) == 3 else one.axis_height
    return replace(one, aim=(y, x), axis_height=height)
