"""What looking cost: exposures, doses at targets and sites, what is left, and what clashes."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from napari_clxem.dose import Budget, History, TargetDose, duplicates, target_table
from napari_clxem.dose.limits import ESTIMATES
from napari_clxem.errors import ClxemError
from napari_clxem.report import words
from napari_clxem.report.dose_map import dose_map
from napari_clxem.report.exposures import exposures
from napari_clxem.report.markup import (
    Html,
    lines,
    missing,
    paragraph,
    section,
    table,
    warning,
)
from napari_clxem.report.subject import Subject, label_of
from napari_clxem.session.doses import clashes, site_spots, target_spots

TITLE = "Dose"


def doses(subject: Subject) -> Html:
    """Say what every exposure cost, and what is left at every target and site."""
    session = subject.session
    if not session.exposures:
        said = missing(
            "No exposure is recorded, so no dose is stated: From images in the Dose dock makes "
            "exposures of what the files say."
        )
        return section("dose", TITLE, said)
    past = subject.history
    if isinstance(past, str):
        return section("dose", TITLE, warning(f"The doses cannot be added up: {past}"))
    subject.step("adding up doses")
    parts: list[object] = [
        paragraph(
            f"Doses are stated for {past.material} and added up in {past.frame}; light and ions "
            "leave none, and what a scanning microscope leaves stays in a layer below the surface."
        ),
        exposures(past),
        *(warning(one) for one in uncounted(past)),
        limits(subject.limit),
    ]
    subject.step("reckoning what is left at the targets")
    targets, lost = target_spots(session, past.frame)
    cells, unseen = site_spots(session, past.frame)
    try:
        rows = target_table(past, [*targets, *cells], subject.limit)
    except ClxemError as error:
        rows = ()
        parts.append(warning(f"The doses at the targets cannot be told: {error}"))
    parts.append(at_targets(rows, subject.limit))
    parts += [
        missing(f"No links lead from {one.frame} to {past.frame}: no dose at {label_of(one)}.")
        for one in lost
    ]
    parts += [
        missing(f"No image of site {label_of(one)} can be placed in {past.frame}: no dose there.")
        for one in unseen
    ]
    parts += clashing(past, subject.limit)
    subject.step("drawing the dose")
    parts.append(dose_map(subject, past))
    return section("dose", TITLE, *parts)


def uncounted(past: History) -> list[str]:
    """Say what is missing from the sums."""
    lost = _grouped((f"no link reaches {one.frame}.", one.id) for one in past.unreached)
    unknown = _grouped((past.reasons[one.id], one.id) for one in past.unknown)
    said = [f"In no sum: {ids}, because {why}" for why, ids in lost.items()]
    said += [
        f"In no sum, so that doses are lower bounds where they reach: {ids}. {why}"
        for why, ids in unknown.items()
    ]
    if past.undated:
        ids = ", ".join(one.id for one in past.undated)
        said.append(f"Without a readable time, and so counted as early: {ids}.")
    return said


def _grouped(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Join the ids of exposures that have a reason in common."""
    found: dict[str, list[str]] = {}
    for why, name in pairs:
        found.setdefault(why, []).append(name)
    return {why: ", ".join(names) for why, names in found.items()}


def limits(limit: Budget) -> Html:
    """List every estimate of what the resolution stands, none hidden."""
    rows = [
        [
            ESTIMATES.get(one.name, one.name),
            words.dose(one.dose),
            f"{words.dose(one.low)} to {words.dose(one.high)}",
            words.number(one.fluence),
            lines([one.source, *one.flags]),
        ]
        for one in limit.estimates
    ]
    head = ["estimate", "MGy", "good to a factor of two, MGy", "e⁻/Å²", "from"]
    caption = (
        f"What {limit.d:g} Å (full period) stands in {limit.material} at {limit.voltage:g} kV, "
        "the lowest first"
    )
    return table(caption, head, rows, words=(0, 4))


def at_targets(rows: Sequence[TargetDose], limit: Budget) -> Html:
    """List the doses at targets and sites, and what is left there."""
    if not rows:
        return missing("There is no target or site in reach, so no dose is added up.")
    chosen = limit.limiting.name
    cells = [
        [
            row.name,
            words.dose(row.dose, row.lower_bound),
            f"{words.dose(row.low)} to {words.dose(row.high)}",
            words.dose(row.highest),
            words.dose(row.surface),
            words.number(row.equivalent),
            words.percent(row.shares[chosen]),
            f"{row.amplitude:.2f}",
            *(words.period(d) for d in row.resolution.values()),
        ]
        for row in rows
    ]
    head = [
        *("at", "MGy", "90 % interval by registration, MGy", "highest within the radius, MGy"),
        *("besides at the surface, MGy", f"e⁻/Å² at {limit.voltage:g} kV"),
        f"of {limit.dose:.4g} MGy ({ESTIMATES.get(chosen, chosen)})",
        f"amplitude left at {limit.d:g} Å",
        *(f"still supported, Å ({ESTIMATES.get(name, name)})" for name in rows[0].resolution),
    ]
    return table("Cumulative dose at targets and sites", head, cells, unbroken=(0,), kind="spent")


def clashing(past: History, limit: Budget) -> list[Html]:
    """Say what planned exposures would spend too much, and what is recorded twice."""
    found, why = clashes(past, limit.dose)
    said = [warning(one) for one in found]
    if not any(one.planned for one in past.exposures):
        said.append(missing("No exposure is planned, so none can clash with what is spent."))
    elif why:
        said.append(missing(f"Clashes are not looked for: {why}"))
    elif not found:
        free = f"No planned exposure goes beyond {limit.dose:.4g} MGy where others were before."
        said.append(paragraph(f"✓ {free}"))
    return [*said, *(warning(one) for one in duplicates(past.exposures))]
