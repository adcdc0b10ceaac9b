"""What the docks show, as text: pure functions of the document and the view."""

from __future__ import annotations

from dataclasses import dataclass

from napari_clxem.plugin.controllers.positions import View, absent
from napari_clxem.session.model import Session, Target
from napari_clxem.session.summary import (
    LinkRow,
    TargetRow,
    link_rows,
    nanometres,
    target_rows,
)


@dataclass(frozen=True)
class Headline:
    """The predicted error at the target, large, with what stands below it."""

    large: str
    small: str


def visible_targets(session: Session, view: View) -> list[TargetRow]:
    """Give the targets of the site shown and of the grid."""
    return [row for row in target_rows(session, view.frame) if row.site in (None, view.site)]


def find_target(session: Session, view: View, chosen: str | None) -> Target | None:
    """Give the chosen target where it is visible, else the first one that is."""
    visible = [one for one in session.targets if one.site in (None, view.site)]
    return next((one for one in visible if one.id == chosen), next(iter(visible), None))


def headline(session: Session, view: View, target: Target | None) -> Headline:
    """Say how well the target's place is known in the frame shown, or the next step."""
    if not session.datasets:
        return Headline(
            "No session yet",
            "Open a session above, drop image files onto the canvas, "
            "or try File ▸ Open Sample ▸ CLXEM.",
        )
    if not view.frame:
        return Headline("Nothing shown", "Choose a reference frame.")
    if target is None:
        return Headline("No target here", "This site has no target yet; choose another site.")
    row = next(one for one in target_rows(session, view.frame) if one.id == target.id)
    if row.lateral is None:
        return Headline(
            f"{row.name}: not linked",
            f"No links lead from {target.frame} to {view.frame}; link them, "
            "or choose another reference frame.",
        )
    axial = f", z ±{nanometres(row.axial)}" if row.axial is not None else ""
    return Headline(
        f"{row.name}: ±{nanometres(row.lateral)}",
        f"lateral, predicted in {view.frame} (95 %: within {nanometres(row.radius)}{axial})\n"
        f"by way of {row.way}",
    )


def absence(session: Session, view: View) -> str:
    """Say which images of the site are not drawn in the frame shown; empty for none."""
    names = [f"{name} ({why})" for name, why in absent(session, view)]
    return f"Not drawn in {view.frame}: {', '.join(names)}" if names else ""


def target_cells(row: TargetRow) -> tuple[str, ...]:
    """Write one line of the table of targets."""
    return row.name, nanometres(row.lateral), nanometres(row.radius), nanometres(row.axial)


def link_cells(row: LinkRow) -> tuple[str, ...]:
    """Write one line of the table of links."""
    return (
        row.name.replace(" → ", " →\n"),
        f"{row.landmarks}/{row.offered}" if row.offered else row.kind,
        nanometres(row.fre),
        nanometres(row.leave_one_out),
        nanometres(row.lateral),
    )


def link_tip(row: LinkRow) -> str:
    """Write what is to be known of a link beyond its line."""
    return "\n".join(
        [f"{row.name} ({row.kind}{' · ' + row.model if row.model else ''})", *row.notes]
    )


def table_of_links(session: Session, target: Target | None) -> tuple[LinkRow, ...]:
    """Give the links, their errors predicted at the target."""
    return link_rows(session, target)
