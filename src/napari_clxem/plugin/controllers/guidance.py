"""What the Correlate dock says: pure functions of the document and the link worked on."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.fiducials import Beads
from napari_clxem.frames import next_landmark
from napari_clxem.frames.affine import Floats
from napari_clxem.frames.models import choose
from napari_clxem.plugin.controllers.pairing import Pairing
from napari_clxem.session.examination import known
from napari_clxem.session.geometry import complete, graph
from napari_clxem.session.model import Dataset, Link, Session, Target
from napari_clxem.session.pairs import (
    PairRow,
    found,
    half,
    needed,
    problem,
    target_error,
    warnings,
)
from napari_clxem.session.summary import nanometres

# What a landmark more should leave of the error to be worth a word.
WORTH = 0.9
CANVAS = {"main": "the main canvas", "second": "the second canvas"}


@dataclass(frozen=True)
class Said:
    """What stands in the dock.

    Attributes
    ----------
    large, small : str
        The predicted error at the target, and what it means.
    next : str
        What to do next.
    fre : str
        How well the fit goes through its own landmarks; never called accuracy.
    warnings : tuple of str
        A sentence each.
    """

    large: str
    small: str
    next: str
    fre: str
    warnings: tuple[str, ...]


def said(
    session: Session, pair: Pairing | None, target: Target | None, picking: bool, engaged: bool
) -> Said:
    """Say how the link stands and what to do next."""
    if pair is None:
        return Said(
            "No link chosen",
            "",
            "Choose a link above, or two frames that are to be linked."
            if session.datasets
            else "Open a session, or try File ▸ Open Sample ▸ Grid … (CLXEM).",
            "",
            (),
        )
    link = pair.link
    large, small = _headline(session, link, target)
    return Said(large, small, _next(session, pair, picking, engaged), _fre(link), warnings(link))


def recommended(link: Link) -> str:
    """Say which model the landmarks support, and why; empty while that is not known."""
    fitted = found(link)
    advice = known(fitted).recommendation if fitted is not None else None
    if advice is None:
        return ""
    return ("Model as recommended: " if advice.agrees else "Recommended: ") + advice.reason


@dataclass(frozen=True)
class Advice:
    """Where the next landmark would help most: µm in the moving frame, and a sentence."""

    position: Floats
    sentence: str


def advice(session: Session, link: Link, target: Target | None, beads: Floats) -> Advice | None:
    """Find where the next landmark would help most at a target.

    Parameters
    ----------
    session : Session
        The document.
    link : Link
        Worked on.
    target : Target or None
        Where the error counts; None gives no advice.
    beads : (n, d) array
        Where one could be picked, moving µm: beads that are not landmarks yet.

    Returns
    -------
    Advice or None
        None where nothing is known, or nothing would help by a tenth.
    """
    fitted = found(link)
    if fitted is None or target is None or not len(beads):
        return None
    try:
        way = graph(session).transform(target.frame, link.moving, [target.position])
        probe = way.transform([target.position])[:, -len(fitted.centre) :]
        gain = next_landmark(fitted, beads, probe)
    except ClxemError:
        return None
    before, after = gain.before, float(gain.after[gain.best])
    if not after < WORTH * before:
        return None
    return Advice(
        np.asarray(beads[gain.best]),
        f"A landmark at the starred bead would make the error at {target.name} "
        f"{1 - after / before:.0%} smaller.",
    )


def models(link: Link, session: Session) -> tuple[tuple[str, str], ...]:
    """Give the models that a link may have, with why one would choose them."""
    axes = {frame.name: frame.ndim for frame in session.frames}
    d_in, d_out = axes.get(link.moving, 3), axes.get(link.fixed, 3)
    reasons = {
        "calibrated": "affine, with what calibration allows: few landmarks do no harm",
        "translation": "shift only",
        "rigid": "shift and turn",
        "similarity": "shift, turn and scale",
        "affine": "free shear and scales: needs many landmarks, well spread",
        "projection": "scaled view along any direction",
        "tps": "thin-plate spline: bends; images are drawn by its affine part",
    }
    possible = []
    for name, reason in reasons.items():
        model = "affine" if name == "calibrated" else name
        try:
            choose(model, d_in, d_out)
        except ClxemError:
            continue
        possible.append((name, reason))
    return tuple(possible)


def model_name(link: Link) -> str:
    """Give the name of a link's model in the dock."""
    return "calibrated" if link.model == "affine" and link.prior is not None else link.model


def depths(dataset: Dataset) -> str:
    """Say what the axial scaling of a stack does, with both depths."""
    if dataset.scale is None or "z" not in dataset.axes:
        return ""
    size = dict(zip(dataset.axes, dataset.shape, strict=True))["z"]
    stage = (size - 1) * dataset.scale[0]
    actual = stage * dataset.axial_scaling
    return (
        f"{dataset.name}: {stage:.2f} µm by the stage are {actual:.2f} µm in the sample "
        f"(actual = stage × {dataset.axial_scaling:.3f})."
    )


def _headline(session: Session, link: Link, target: Target | None) -> tuple[str, str]:
    if found(link) is None:
        return "No fit yet", ""
    if target is None:
        return "No target", "Choose a target in Links & targets to see the error there."
    error = target_error(session, link, target)
    if error is None:
        return f"{target.name}: not linked", f"No links lead from its frame to {link.moving}."
    if not np.isfinite(error.lateral):
        return (
            f"{target.name}: error unknown",
            "As many landmarks as the model needs leave nothing to test it by; pick more.",
        )
    return (
        f"{error.name}: ±{nanometres(error.lateral)}",
        f"predicted error in the plane of {link.fixed}, by this link "
        f"(95 %: within {nanometres(error.radius)})",
    )


def _next(session: Session, pair: Pairing, picking: bool, engaged: bool) -> str:
    link = pair.link
    if not engaged:
        return f"The main canvas shows another frame than {pair.frame('main')}; choose the link."
    waiting = half(link)
    if waiting is not None:
        number = link.landmarks.index(waiting) + 1
        canvas = pair.canvas("fixed" if waiting.fixed is None else "moving")
        return f"Click landmark {number} in {CANVAS[canvas]} ({pair.frame(canvas)})."
    lacking = needed(link, session)
    if lacking:
        more = f"{lacking} more needed for this model."
        return f"{more} Click one in either canvas." if picking else f"{more} Press Pick."
    if found(link) is None:
        return problem(link)
    return "Click to add a landmark, drag one to move it." if picking else ""


def _fre(link: Link) -> str:
    fitted = found(link)
    if fitted is None:
        return ""
    count = len(complete(link.landmarks))
    carried = int(fitted.inliers.sum())
    return f"Fit residual (FRE, not an error): {nanometres(fitted.fre)}, {carried} of {count} pairs"


def found_sentence(beads: Beads, name: str) -> str:
    """Say how many beads were found in an image, and why how many others are none."""
    counts = Counter(one.reason for one in beads.rejected)
    others = ", ".join(f"{number} {reason}" for reason, number in counts.most_common())
    rest = f"; not taken: {others}" if others else ""
    return f"{len(beads)} beads in {name}{rest}."


def outlier_sentence(rows: tuple[PairRow, ...]) -> str:
    """Name the landmarks that should be looked at; empty for none."""
    bad = [row for row in rows if row.flag in ("outlier", "suspect")]
    if not bad:
        return ""
    numbers = ", ".join(str(row.number) for row in bad[:8]) + (" …" if len(bad) > 8 else "")
    return f"Look at landmark{'s' if len(bad) > 1 else ''} {numbers}: {bad[0].reason}"
