"""What the dock "Targets" says: pure functions of what is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from napari_clxem.lamella import Capture, FieldRecord, Lamella, LamellaRecord, SiteProposal
from napari_clxem.plugin.controllers.positions import View
from napari_clxem.session.geometry import place
from napari_clxem.session.model import Dataset, Session, Target
from napari_clxem.session.summary import nanometres, percent

# Below this probability of lying within width or length, that is said.
WITHIN = 0.95


@dataclass(frozen=True)
class TargetLine:
    """One line of the ranked table."""

    id: str
    cells: tuple[str, ...]
    tip: str


@dataclass(frozen=True)
class TargetWords:
    """What stands above the table: large, small, and the next step."""

    large: str
    small: str
    next: str


def ranked(
    session: Session, view: View, fib: str, found: Mapping[str, Capture]
) -> tuple[TargetLine, ...]:
    """Rank the targets of the site: what a lamella promises most of first, then the surest.

    Parameters
    ----------
    session : Session
    view : View
    fib : str
        Frame of the FIB view; empty for none.
    found : mapping
        What the lamella chosen promises of each target, by id.
    """
    lines = []
    for target in session.targets:
        if target.site not in (None, view.site):
            continue
        here = place(session, target, view.frame) if view.frame else None
        seen = place(session, target, fib) if fib else None
        capture = found.get(target.id)
        lateral = None if here is None else here.lateral
        cells = (
            target.name or target.id,
            nanometres(lateral),
            nanometres(across_beam(seen.covariance) if seen else None),
            percent(capture.volume_fraction) if capture else "–",
        )
        tip = f"{target.name}: radius {nanometres(target.radius)}, picked in {target.frame}"
        if capture is not None:
            tip += f"\n{capture_sentence(capture)}"
        rank = (-(capture.volume_fraction if capture else -1.0), known(lateral))
        lines.append((rank, TargetLine(target.id, cells, tip)))
    return tuple(line for _, line in sorted(lines, key=lambda one: one[0]))


def known(value: float | None) -> float:
    """Give a value to rank by: what is not known comes last."""
    return float("inf") if value is None or not np.isfinite(value) else value


def across_beam(covariance: object) -> float:
    """Give the sd of a place in a FIB image up and down, where a lamella is thin, µm."""
    return float(np.sqrt(np.asarray(covariance, float)[0, 0]))


def capture_sentence(capture: Capture) -> str:
    """Say what a lamella promises of a target."""
    words = [
        f"{percent(capture.volume_fraction)} of it expected in the core; its middle "
        f"{percent(capture.centre)}, all of it {percent(capture.whole)}; "
        f"{nanometres(abs(capture.offset))} ± {nanometres(capture.sigma)} from the mid-plane."
    ]
    if capture.width < WITHIN:
        words.append(f"Within the width only with {percent(capture.width)}.")
    if capture.length < WITHIN:
        words.append(f"Within the length only with {percent(capture.length)}.")
    return " ".join(words)


def target_words(
    session: Session,
    view: View,
    target: Target | None,
    capture: Capture | None,
    fib_trouble: str,
    picking: bool,
) -> TargetWords:
    """Say the one number that counts, what it rests on, and what to do next."""
    if not session.datasets:
        return TargetWords(
            "No session yet",
            "Open a session, or try File ▸ Open Sample ▸ Grid … (CLXEM); "
            "then pick what a lamella is to keep.",
            "",
        )
    if not view.frame:
        return TargetWords("Nothing shown", "Choose a site and a reference in Links & targets.", "")
    step = "Click on the target in the image." if picking else ""
    if target is None:
        return TargetWords(
            "No target yet", "Press Pick, then click on what is to be kept in the lamella.", step
        )
    name = target.name or target.id
    if capture is not None:
        return TargetWords(
            f"{name}: {percent(capture.volume_fraction)} captured", capture_sentence(capture), step
        )
    here = place(session, target, view.frame)
    if here is None:
        return TargetWords(
            f"{name}: not linked", f"No links lead from {target.frame} to {view.frame}.", step
        )
    said = f"lateral, predicted in {view.frame}"
    more = fib_trouble or "Press Propose, or Box here, to plan a lamella for it."
    return TargetWords(f"{name}: ±{nanometres(here.lateral)}", said, step or more)


def box_sentence(lamella: Lamella, against_film: float, tilt: float | None) -> str:
    """Say the milling angle in the microscope's terms.

    Parameters
    ----------
    lamella : Lamella
    against_film : float
        Its milling angle against the film, degrees.
    tilt : float or None
        Stage tilt it is cut at, degrees.
    """
    words = f"Milling angle {against_film:.1f}°"
    if abs(against_film - lamella.angle) > 0.05:
        words += f" against the film, {lamella.angle:.1f}° in the volume"
    if tilt is not None:
        words += f": stage tilt {tilt:.1f}°"
    return f"{words}."


def limit_sentence(limit: str, gain: str) -> str:
    """Say what limits a lamella, and what more beads would bring."""
    return " ".join(part for part in (limit, gain) if part)


def field_cells(record: FieldRecord, found: SiteProposal | None) -> tuple[str, ...]:
    """Write one line of the table of fields: name, beads, holds, clear, pointing error."""
    if record.status == "dropped":
        return record.name, "–", "–", "dropped", "–"
    clear = "taken" if record.status == "taken" else "–"
    if found is None:
        return record.name, "–", "–", clear, nanometres(record.pointing)
    if record.status == "planned":
        clear = "yes" if found.clear else "NO"
    return (
        record.name,
        f"{found.beads}",
        percent(found.holds),
        clear,
        nanometres(found.pointing),
    )


def fate_cells(
    record: FieldRecord, tomogram: Dataset | None, lamella: LamellaRecord | None
) -> tuple[str, ...]:
    """Write what came of a field: name, tomogram, lamella, verdict."""
    verdict = record.verdict
    if not verdict and lamella is not None:
        verdict = lamella.status
        if lamella.overlap is not None and lamella.status != "lost":
            verdict = f"{lamella.overlap.area_fraction:.0%} overlap"
        elif lamella.status == "planned" and lamella.promised is not None:
            verdict = f"{lamella.promised:.0%} promised"
    return (
        record.name,
        tomogram.name if tomogram else "–",
        (lamella.name or lamella.id) if lamella else "–",
        verdict or record.status,
    )
