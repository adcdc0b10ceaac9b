"""Before any beam: what a chain of steps will cost, and whether it leaves what is wanted."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

from numpy.typing import ArrayLike

from napari_clxem.dose.exposure import XRAYS, Exposure
from napari_clxem.dose.goals import Goal, Plan, Verdict
from napari_clxem.dose.history import History
from napari_clxem.dose.limits import (
    amplitude_left,
    contrast_of,
    dose_for_amplitude,
    required_fluence,
    supported_resolution,
)
from napari_clxem.dose.physics import xray_fluence
from napari_clxem.dose.quantities import a_point, each, expected
from napari_clxem.errors import ClxemError
from napari_clxem.frames import FrameGraph

_ELECTRONS = frozenset({"tem", "et", "cryo-et"})


def plan(
    steps: Iterable[Exposure],
    goal: Goal | None = None,
    *,
    recorded: Iterable[Exposure] = (),
    target: ArrayLike | None = None,
    graph: FrameGraph | None = None,
    frame: str | None = None,
    **wanted: Any,
) -> Plan:
    """Predict what a chain of steps costs and whether it gives what is wanted.

    Parameters
    ----------
    steps : iterable of Exposure
        Planned, in the order they will be done.
    goal : Goal, optional
        What they are for.
    recorded : iterable of Exposure
        What has been done already.
    target : (2,) or (3,) array_like, optional
        Where, in `frame`, µm; the aim of the last step where it is left out.
    graph : FrameGraph, optional
        Links the frames of steps with `frame`.
    frame : str, optional
        Frame of the target; that of the last step where it is left out.
    **wanted
        Fields of :class:`Goal` that differ from `goal`, such as ``et=10.0``.

    Returns
    -------
    Plan

    Raises
    ------
    ClxemError
        Where there is no step, one has no known dose, or a wanted number cannot be.
    """
    base = Goal() if goal is None else expected(goal, Goal, "The goal")
    try:
        aims = replace(base, **wanted)
    except TypeError as error:
        raise ClxemError(
            f"A goal has no such number: {', '.join(sorted(wanted))}; it has "
            f"{', '.join(Goal.__dataclass_fields__)}."
        ) from error
    aims.check()
    ahead = [replace(one, planned=True) for one in each(steps, Exposure, "The steps")]
    done = each(recorded, Exposure, "The recorded exposures")
    if not ahead:
        raise ClxemError("A plan needs at least one step; give the exposures that are planned.")
    last = next((one for one in reversed(ahead) if one.counts), ahead[-1])
    where = last.frame if frame is None else frame
    history = History([*done, *ahead], graph, where, aims.material)
    point = a_point(last.aim if target is None else target, "The target")
    if target is None and where != last.frame:
        raise ClxemError(
            f"The last step aims in {last.frame!r}, but the plan is for {where!r}; give the target."
        )
    for one in history.unknown:
        if one.planned:
            raise ClxemError(
                f"The dose of step {one.id!r} is unknown; give its fluence and energy, or its dose."
            )
    verdicts = _verdicts(history, point, aims)
    most, limited = _largest(verdicts, aims)
    fluence = _as_fluence(most, verdicts, aims)
    return Plan(
        aims,
        tuple(point[0].tolist()),
        where,
        verdicts,
        most,
        fluence,
        limited,
        _changes(verdicts, aims, most, fluence, limited),
        _notes(history),
    )


def _verdicts(history: History, point: Any, goal: Goal) -> tuple[Verdict, ...]:
    found, before = [], 0.0
    near = set(history.near(point).tolist())
    for index, one in enumerate(history.exposures):
        dose, images = 0.0, 0
        if index in near:
            images = history.images_at(index, point)
            if not one.at_surface:
                dose = float(history.doses[index] * history.relative(index, point)[0])
        if one.planned or dose:
            found.append(_verdict(one, images, dose, before, goal))
        before += dose
    return tuple(found)


def _verdict(one: Exposure, images: int, dose: float, before: float, goal: Goal) -> Verdict:
    after = before + dose
    amplitude = signal = None
    notes = []
    ok = True
    if goal.et is not None:
        amplitude = float(amplitude_left(goal.et, before, goal.material, goal.voltage))
    if one.counts and not one.at_surface and not images:
        notes.append("No image of it hits the target.")
        ok = not _is_tomography(one)
    if after > goal.stability:
        notes.append(f"{after:.4g} MGy in all are above the {goal.stability:.4g} the ice stands.")
        ok = False
    if one.modality.lower() in XRAYS and _is_tomography(one) and goal.sxt is not None and images:
        signal = _signal(one, dose, goal)
        if signal < 1:
            notes.append(
                f"The photons are {signal:.2g} of those that show {goal.sxt:g} nm of "
                f"{goal.detail} in {goal.surround} (Rose)."
            )
            ok = False
    if _is_electron_tomography(one) and amplitude is not None and amplitude < goal.amplitude:
        notes.append(
            f"Only {amplitude:.2f} of the amplitude at {goal.et:g} Å is left when it begins; "
            f"{goal.amplitude:.2f} are wanted."
        )
        ok = False
    if one.at_surface:
        notes.append("Its dose stays in a layer below the surface and is not in the sum.")
    supported = supported_resolution(after, goal.material, goal.voltage)
    left = goal.stability - after
    return Verdict(
        one, images, dose, before, after, left, amplitude, supported, signal, ok, tuple(notes)
    )


def _is_tomography(one: Exposure) -> bool:
    return len(one.tilts) > 1


def _is_electron_tomography(one: Exposure) -> bool:
    return one.modality.lower() in _ELECTRONS and _is_tomography(one)


def _signal(one: Exposure, dose: float, goal: Goal) -> float:
    if one.energy is None:
        raise ClxemError(f"X-ray step {one.id!r} has no energy; give it in eV.")
    needed = required_fluence(
        goal.sxt,
        contrast_of(one.energy, goal.detail, goal.surround),
        goal.signal_to_noise,
        goal.efficiency,
        goal.transmission,
    )
    return float(xray_fluence(dose, one.energy, goal.material)) / needed


def _largest(verdicts: Sequence[Verdict], goal: Goal) -> tuple[float | None, str]:
    """Most that the X-ray steps may leave, MGy, and by what it is limited."""
    xray = math.fsum(v.dose for v in verdicts if v.exposure.modality.lower() in XRAYS)
    if not any(v.exposure.modality.lower() in XRAYS for v in verdicts):
        return None, ""
    rest = verdicts[-1].after - xray
    most, limited = goal.stability - rest, "stability"
    first = next((v for v in verdicts if _is_electron_tomography(v.exposure)), None)
    if first is not None and goal.et is not None:
        before = verdicts[: verdicts.index(first)]
        others = math.fsum(v.dose for v in before if v.exposure.modality.lower() not in XRAYS)
        free = dose_for_amplitude(goal.et, goal.amplitude, goal.material, goal.voltage) - others
        if free < most:
            most, limited = free, "amplitude"
    return max(most, 0.0), limited


def _as_fluence(most: float | None, verdicts: Sequence[Verdict], goal: Goal) -> float | None:
    energies = {
        v.exposure.energy for v in verdicts if v.exposure.modality.lower() in XRAYS and v.dose
    }
    if most is None or len(energies) != 1 or None in energies:
        return None
    return float(xray_fluence(most, energies.pop(), goal.material))


def _changes(
    verdicts: Sequence[Verdict],
    goal: Goal,
    most: float | None,
    fluence: float | None,
    limited: str,
) -> tuple[str, ...]:
    found = []
    xray = [v for v in verdicts if v.exposure.modality.lower() in XRAYS and v.dose]
    spent = math.fsum(v.dose for v in xray)
    ahead = any(v.exposure.planned for v in xray)
    if most is not None and spent > most and ahead:
        amount = f" ({fluence:.3g} photons/µm²)" if fluence is not None else ""
        found.append(
            f"Bring the X-ray steps from {spent:.3g} to at most {most:.3g} MGy{amount}: "
            f"{most / spent:.2g} of the time, limited by {limited}."
        )
    for verdict in xray:
        if verdict.signal is not None and verdict.signal < 1 and goal.sxt is not None:
            coarser = goal.sxt * verdict.signal**-0.25
            found.append(
                f"Expose {verdict.exposure.id} {1 / verdict.signal:.2g} times as long, or be "
                f"content with {coarser:.3g} nm."
            )
    for verdict in verdicts:
        if _is_electron_tomography(verdict.exposure) and verdict.after > goal.stability:
            free = max(goal.stability - verdict.before, 0.0)
            if verdict.dose:
                found.append(
                    f"Bring {verdict.exposure.id} to {free:.3g} MGy, {free / verdict.dose:.2g} of "
                    "what is planned."
                )
        if not verdict.ok and verdict.amplitude is not None and verdict.amplitude < goal.amplitude:
            supported = supported_resolution(
                verdict.before / (-2 * math.log(goal.amplitude) or 1.0), goal.material, goal.voltage
            )["critical"]
            found.append(
                f"Or be content with {supported:.3g} Å, where {goal.amplitude:.2f} of the "
                f"amplitude is left for {verdict.exposure.id}."
            )
    return tuple(dict.fromkeys(found))


def _notes(history: History) -> tuple[str, ...]:
    notes = [f"No link reaches {one.id!r}; it is not counted." for one in history.unreached]
    notes += [
        f"The dose of {one.id!r} is unknown; the sum is a lower bound." for one in history.unknown
    ]
    bounds = [one.id for one in history.exposures if one.lower_bound]
    notes += [f"The dose of {name!r} is a lower bound, and so is the sum." for name in bounds]
    return tuple(notes)
