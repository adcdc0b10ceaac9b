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


@dataclass(frozen=True)
class Overview:
    """Everything the dock "Links & targets" shows of a session.

    Parameters
    ----------
    headline : Headline
        The predicted error at the target, or the next step.
    target : str or None
        Id of the target meant.
    targets : tuple of TargetRow
        Targets of the site and of the grid.
    links : tuple of LinkRow
        Links of the site and of the grid, measured ones first.
    absence : str
        Images that are not drawn, and why.
    """

    headline: Headline
    target: str | None
    targets: tuple[TargetRow, ...]
    links: tuple[LinkRow, ...]
    absence: str


def overview(session: Session, view: View, chosen: str | None) -> Overview:
    """Say what there is to say of a session, seen in one frame, with one target chosen."""
    target = find_target(session, view, chosen)
    targets = tuple(
        row for row in target_rows(session, view.frame) if row.site in (None, view.site)
    )
    row = next((one for one in targets if target and one.id == target.id), None)
    return Overview(
        headline=headline(session, view, row),
        target=target.id if target else None,
        targets=targets,
        links=table_of_links(session, view, target),
        absence=absence(session, view),
    )


def find_target(session: Session, view: View, chosen: str | None) -> Target | None:
    """Give the chosen target where it is visible, else the first one that is."""
    visible = [one for one in session.targets if one.site in (None, view.site)]
    return next((one for one in visible if one.id == chosen), next(iter(visible), None))


def headline(session: Session, view: View, row: TargetRow | None) -> Headline:
    """Say how well the target's place is known in the frame shown, or the next step."""
    if not session.datasets:
        return Headline(
            "No session yet",
            "Open a session above, drop image files onto the canvas, "
            "or try File ▸ Open Sample ▸ Grid … (CLXEM).",
        )
    if not view.frame:
        return Headline("Nothing shown", "Choose a reference frame.")
    if row is None:
        return Headline("No target here", "This site has no target yet; choose another site.")
    if row.lateral is None:
        return Headline(
            f"{row.name}: not linked",
            f"No links lead from {row.frame} to {view.frame}; link them, "
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
        f"{row.landmarks} of {row.offered}" if row.offered else row.kind,
        nanometres(row.fre),
        nanometres(row.leave_one_out),
        nanometres(row.lateral),
    )


def link_tip(row: LinkRow) -> str:
    """Write what is to be known of a link beyond its line."""
    return "\n".join(
        [f"{row.name} ({row.kind}{' · ' + row.model if row.model else ''})", *row.notes]
    )


def table_of_links(session: Session, view: View, target: Target | None) -> tuple[LinkRow, ...]:
    """Give the links of the site and of the grid, measured ones first.

    Their errors are predicted at the target.
    """
    other = {one.frame for one in session.datasets if one.site not in (None, view.site)}
    ours = {
        link.id for link in session.links if link.moving not in other and link.fixed not in other
    }
    rows = [row for row in link_rows(session, target, patient=False) if row.id in ours]
    return tuple(sorted(rows, key=lambda row: row.kind == "stage"))
