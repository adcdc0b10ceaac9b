"""What the dock "Lamella overlap" says: pure functions of what is known."""

from __future__ import annotations

from collections.abc import Sequence

from napari_clxem.lamella import Campaign, CampaignRow, LamellaRecord
from napari_clxem.plugin.controllers.targets_words import TargetWords
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.overlaps import Held, Series, Shared, volumes
from napari_clxem.session.slabs import milled
from napari_clxem.session.summary import interval, percent


def overlap_words(
    session: Session,
    map_: Dataset | None,
    record: LamellaRecord | None,
    found: Sequence[Shared],
) -> TargetWords:
    """Say the overlap in plan view, large, with its interval; or the next step."""
    if not session.datasets:
        return TargetWords(
            "No session yet",
            "Open a session, or try File ▸ Open Sample ▸ Grid … (CLXEM); "
            "then outline a lamella on its TEM map.",
            "",
        )
    if map_ is None:
        return TargetWords(
            "No TEM map here", "Open the TEM map of a lamella, or choose a site that has one.", ""
        )
    if record is None:
        return TargetWords(
            "No outline yet", f"Trace the lamella on {map_.name}, or draw its outline.", ""
        )
    best = max(
        (one for one in found if one.overlap),
        key=lambda one: one.overlap.area_fraction if one.overlap else 0.0,
        default=None,
    )
    if best is None or best.overlap is None:
        why = "; ".join(f"{one.dataset.name}: {one.trouble}" for one in found)
        return TargetWords("Overlap not known", why or "This site has no tomogram yet.", "")
    o = best.overlap
    return TargetWords(
        f"{percent(o.area_fraction)} overlap",
        f"of the lamella with {best.dataset.name} in plan view (95 %: "
        f"{interval(o.area_interval)}); by volume {percent(o.volume_fraction)} "
        f"({interval(o.volume_interval)}), {o.volume:.1f} µm³.",
        "",
    )


def share_cells(one: Shared) -> tuple[str, ...]:
    """Write one line of the table of tomograms."""
    if one.overlap is None:
        return one.dataset.name, "–", "–", "–", "–"
    o = one.overlap
    return (
        one.dataset.name,
        percent(o.area_fraction),
        interval(o.area_interval),
        percent(o.volume_fraction),
        interval(o.volume_interval),
    )


def share_tip(one: Shared) -> str:
    """Write what is to be known of a tomogram beyond its line."""
    if one.overlap is None:
        return f"{one.dataset.name}: {one.trouble}"
    o = one.overlap
    note = f"\n{one.trouble}" if one.trouble else ""
    return (
        f"{one.dataset.name}: {percent(o.field_fraction)} of its field is in the lamella, "
        f"common over both {percent(o.iou)}{note}"
    )


def held_cells(one: Held) -> tuple[str, ...]:
    """Write one line of the table of targets."""
    name = one.target.name or one.target.id
    if one.capture is None:
        return name, "–", "–"
    inside = min(one.capture.width, one.capture.length)
    return name, percent(one.capture.volume_fraction), percent(inside)


def series_cells(one: Series) -> tuple[str, ...]:
    """Write one line of the table of tilt series."""
    names = ", ".join(target.name or target.id for target in one.targets)
    return one.name, names or ("–" if one.inside else "off the lamella")


def series_tip(one: Series) -> str:
    """Write where a tilt series lies."""
    where = "in" if one.inside else "outside"
    return f"{one.name} at {one.aim[0]:.2f}, {one.aim[1]:.2f} µm of the map, {where} the outline"


def campaign_cells(row: CampaignRow) -> tuple[str, ...]:
    """Write one line of the campaign."""
    o = row.overlap
    return (
        f"{row.session} · {row.site}" if row.session else row.site,
        percent(o.area_fraction) if o else "–",
        percent(o.volume_fraction) if o else "–",
        percent(row.promised),
    )


def campaign_sentence(found: Campaign, by_eye: float) -> str:
    """Say the share above half, beside what aiming by eye gave."""
    more = f" By eye it was about {by_eye:.0%}." if found.measured else ""
    return found.sentence + more


def facing(dataset: Dataset, plans: Sequence[LamellaRecord]) -> str:
    """Say how the map's tilt and the milling angle fit, for people."""
    tilt = dataset.stage.tilt if dataset.stage else None
    plan = next((one for one in plans if one.site == dataset.site), None)
    if tilt is None:
        return "The map does not say its tilt: set the angle between faces and map by hand."
    if plan is None:
        return f"The map was taken at {tilt:.1f}°: at minus the milling angle, faces lie in it."
    left = abs(abs(tilt) - plan.lamella.angle)
    return (
        f"The map was taken at {tilt:.1f}°, milling was planned at {plan.lamella.angle:.1f}°: the "
        f"faces are about {left:.1f}° off the map."
    )


def tilted(session: Session, record: LamellaRecord) -> str:
    """Say where the tilt of the slab in the tomograms is known from, for people; empty for none."""
    for dataset in volumes(session, record.site):
        faces = milled(session, record.site, dataset.frame)
        if faces is not None:
            return (
                f"In {dataset.name} its faces run as the beam of {faces.view} did, "
                f"to {faces.sd:.1f}° (sd)."
            )
    return "No FIB image is linked with the tomogram: landmarks alone tell the slab's tilt."
