"""What the Dose review dock says: pure functions of exposures, places and settings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import PurePath

from napari_clxem.dose import Breakdown, Budget, Conflict, Exposure, Plan, Report
from napari_clxem.dose.limits import ESTIMATES
from napari_clxem.dose.relations import names
from napari_clxem.plugin.controllers.dose_plan import Outcome
from napari_clxem.plugin.controllers.dose_scene import Scene
from napari_clxem.plugin.controllers.dose_settings import Settings
from napari_clxem.plugin.controllers.dose_tables import Findings
from napari_clxem.plugin.controllers.positions import View
from napari_clxem.plugin.dose_marks import style_of
from napari_clxem.session.model import Session

Line = tuple[str, tuple[str, ...], str]

UNKNOWN = "?"
# Finer than this the estimates say nothing, Å.
FINEST = 2.0


def name_of(one: Exposure) -> str:
    """Give the shortest name people know an exposure by."""
    for known in (PurePath(one.source).name, one.group):
        if known:
            return known
    # An id that was made up says nothing.
    made_up = len(one.id) == 12 and all(letter in "0123456789abcdef" for letter in one.id)
    return f"{style_of(one.modality).name} in {one.frame}" if made_up else one.id


def dose_text(dose: float | None, least: bool = False) -> str:
    """Write a dose in MGy, three digits; "≥" where it is only known to be at least so much."""
    if dose is None:
        return UNKNOWN
    text = f"{dose:.0f}" if abs(dose) >= 100 else f"{dose:.3g}"
    return f"≥ {text}" if least else text


def percent(share: float) -> str:
    """Write a share as percent."""
    return f"{100 * share:.0f} %" if share >= 0.01 or not share else f"{100 * share:.1g} %"


def period(angstrom: float) -> str:
    """Write a resolution as full period."""
    if angstrom < FINEST:
        return f"< {FINEST:g} Å"
    return f"{angstrom:.3g} Å" if angstrom < 1000 else f"{angstrom / 10:.3g} nm"


def next_step(session: Session, view: View, shown: Scene | None) -> str:
    """Say what to do next where there is nothing to show; empty where there is."""
    if not session.datasets and not session.exposures:
        return (
            "Open a session, or try File ▸ Open Sample ▸ Grid … (CLXEM); then record its exposures."
        )
    if not session.exposures:
        return "No exposure is recorded yet: record those of the images, or add one, in Exposures."
    if not view.frame:
        return "Choose a reference frame in Links & targets: doses are added up in it."
    if shown is not None and not shown.drawn.any():
        return f"No exposure reaches {view.frame}: link their frames, or choose another frame."
    return ""


def headline(
    below: Breakdown | None, settings: Settings, spread: tuple[float, float] | None = None
) -> tuple[str, str]:
    """Say what happened at the place pointed at: large, and below it.

    Parameters
    ----------
    below : Breakdown or None
    settings : Settings
    spread : tuple of float, optional
        The 90 % interval by registration, MGy.
    """
    if below is None:
        return "–", "Point at the map to see what was done there."
    dose = below.surface if settings.surface else below.dose
    large = f"{dose_text(dose, below.lower_bound)} MGy"
    if settings.surface:
        return large, f"in the layer below the surface; {dose_text(below.dose)} MGy inside"
    limit = settings.budget
    shares = below.share(limit)
    chosen = settings.estimate or limit.limiting.name
    found = below.resolution(settings.voltage)
    parts = [
        f"as {below.material}, {below.equivalent(settings.voltage):.3g} e⁻/Å² at "
        f"{settings.voltage:g} kV",
        f"{percent(shares[chosen])} of the budget of {limit[chosen].dose:.4g} MGy "
        f"({ESTIMATES[chosen]}, {limit.d:g} Å)",
        "still supported: "
        + ", ".join(f"{period(d)} ({ESTIMATES[name]})" for name, d in found.items()),
    ]
    if spread is not None:
        parts.insert(
            0, f"{dose_text(spread[0])} to {dose_text(spread[1])} MGy by registration (90 %)"
        )
    if below.surface:
        parts.append(f"{dose_text(below.surface)} MGy besides in the layer below the surface")
    return large, "\n".join(parts)


def breakdown_lines(below: Breakdown | None) -> list[Line]:
    """Write one line per exposure at the place: name; images, MGy, share."""
    lines: list[Line] = []
    for row in () if below is None else below.rows:
        one = row.exposure
        cells = (
            f"{style_of(one.modality).name}{' (planned)' if one.planned else ''} {name_of(one)}",
            str(row.images),
            dose_text(row.dose, one.lower_bound) if one.counts else "none",
            f"{percent(row.share)}{' surface' if row.surface else ''}" if one.counts else "–",
        )
        lines.append((one.id, cells, tip_of(one)))
    return lines


def tip_of(one: Exposure) -> str:
    """Write what is to be known of an exposure beyond its line."""
    dose = "no dose" if not one.counts else f"dose stated for {one.material}"
    parts = [
        f"{name_of(one)}: {one.modality}, {'planned' if one.planned else 'recorded'}",
        f"frame {one.frame}, aim ({one.aim[0]:.2f}, {one.aim[1]:.2f}) µm",
        f"{one.image_count} images, {dose}",
        one.time,
        one.basis,
        "The dose is a lower bound." if one.lower_bound else "",
    ]
    return "\n".join(part for part in parts if part)


def replay_text(shown: Scene | None, upto: int) -> str:
    """Say how far the replay is, and what came last."""
    if shown is None or not len(shown.history):
        return ""
    every = shown.history.exposures
    planned = sum(one.planned for one in every)
    whole = f"{len(every) - planned} recorded" + (f", {planned} planned" if planned else "")
    if upto >= len(every):
        return f"All of it: {whole}."
    if upto == 0:
        return f"Before the first of {whole}."
    last = every[upto - 1]
    when = last.time.replace("T", " ")[:16] or ("planned" if last.planned else "no time stamp")
    return f"After {upto} of {len(every)}: {style_of(last.modality).name} {name_of(last)}, {when}."


def stride(count: int) -> int:
    """Give by how many exposures a replay that runs goes on, so that it ends within a minute."""
    return max(1, count // 400)


def target_lines(found: Findings | None, settings: Settings) -> list[Line]:
    """Write one line per target and cell: name; MGy, percent of the budget, resolution."""
    lines: list[Line] = []
    for row in () if found is None else found.targets:
        chosen = settings.estimate or min(row.shares, key=lambda name: -row.shares[name])
        finest = max(row.resolution.values())
        cells = (
            row.name,
            dose_text(row.dose, row.lower_bound),
            percent(row.shares[chosen]),
            period(finest),
        )
        doses = ", ".join(
            f"{style_of(name).name} {dose_text(dose)}" for name, dose in row.modalities.items()
        )
        tip = "\n".join(
            part
            for part in (
                f"{row.name}: {dose_text(row.dose, row.lower_bound)} MGy at its centre, "
                f"{dose_text(row.low)} to {dose_text(row.high)} by registration (90 %)",
                f"highest within it: {dose_text(row.highest)} MGy",
                f"{row.equivalent:.3g} e⁻/Å² at {settings.voltage:g} kV",
                f"amplitude left at {settings.d:g} Å: {row.amplitude:.2f}",
                f"by modality: {doses} MGy" if doses else "",
                f"surface layer: {dose_text(row.surface)} MGy" if row.surface else "",
            )
            if part
        )
        lines.append((row.name, cells, tip))
    return lines


def warnings(shown: Scene | None, found: Findings | None) -> list[str]:
    """List what is left out of the sums, recorded twice, or would be spent; a sentence each."""
    if shown is None:
        return []
    history = shown.history
    said = [
        f"No link reaches {one.frame!r}: {name_of(one)} is in no sum." for one in history.unreached
    ]
    said += [f"{frame!r} is seen edge-on: its footprints are not drawn." for frame in shown.edge_on]
    said += [
        f"The dose of {name_of(one)} is unknown: {history.reasons[one.id]}"
        for one in history.unknown
    ]
    if history.undated:
        names = _listed([name_of(one) for one in history.undated])
        said.append(f"No time stamp, so first in the replay: {names}.")
    if found is not None:
        said += [_clash(one) for one in found.conflicts]
        said += [_named(str(one), (one.first, one.second)) for one in found.duplicates]
        said += list(found.notes)
    return said


def _listed(names: Sequence[str], most: int = 5) -> str:
    kinds = list(dict.fromkeys(names))
    more = f" and {len(kinds) - most} more" if len(kinds) > most else ""
    return ", ".join(kinds[:most]) + more


def exposure_cells(one: Exposure, dose: float | None) -> tuple[str, str, str]:
    """Write one line of the list of exposures: name; images, MGy."""
    name = f"{'◇' if one.planned else '◆'} {style_of(one.modality).name} {name_of(one)}"
    said = dose_text(dose, one.lower_bound) if one.counts else "none"
    return name, str(one.image_count), said


def caption(shown: Scene | None, upto: int, settings: Settings) -> list[str]:
    """Say below a picture what it shows."""
    if shown is None:
        return []
    where = "in the layer below the surface" if settings.surface else "inside the sample"
    return [
        f"Dose {where} as {shown.history.material}, MGy, in the frame {shown.history.frame}. "
        f"{replay_text(shown, upto)}",
        f"Budget line: {settings.level:.4g} MGy "
        f"({ESTIMATES[settings.estimate or settings.budget.limiting.name]}, {settings.d:g} Å at "
        f"{settings.voltage:g} kV).",
    ]


def budget_lines(limit: Budget) -> list[Line]:
    """Write one line per estimate of a budget: name; MGy, e⁻/Å²."""
    return [
        (
            one.name,
            (ESTIMATES[one.name], f"{one.dose:.4g}", f"{one.fluence:.3g}"),
            "\n".join(
                [one.source, f"good to a factor of two: {one.low:.3g} to {one.high:.3g} MGy",
                 *one.flags]
            ),
        )
        for one in limit.estimates
    ]  # fmt: skip


def plan_headline(found: Plan) -> tuple[str, str]:
    """Say whether a plan gives what is wanted, and how much X-rays may take at most."""
    large = "The plan works" if found.ok else "The plan does not work"
    parts = [f"{dose_text(found.dose)} MGy in all as {found.goal.material}"]
    if found.largest_sxt_dose is not None:
        fluence = (
            f" or {found.largest_sxt_fluence:.3g} photons/µm²"
            if found.largest_sxt_fluence is not None
            else ""
        )
        by = {"amplitude": "by what electron tomography needs", "stability": "by the ice"}
        parts.append(
            f"X-rays may leave at most {dose_text(found.largest_sxt_dose)} MGy{fluence}, limited "
            f"{by.get(found.limited_by, found.limited_by)}"
        )
    return large, "\n".join(parts)


def plan_lines(found: Plan) -> list[Line]:
    """Write one line per step of a plan: name; MGy, sum, left, verdict."""
    lines: list[Line] = []
    for step in found.steps:
        one = step.exposure
        cells = (
            f"{style_of(one.modality).name} {name_of(one)}",
            dose_text(step.dose),
            dose_text(step.after),
            dose_text(step.left),
            ("✓" if step.ok else "✗") if one.planned else "done",
        )
        said = list(step.notes)
        if step.amplitude is not None:
            said.append(
                f"Amplitude left at {found.goal.et:g} Å when it begins: {step.amplitude:.2f}."
            )
        if step.signal is not None:
            said.append(f"Photons over those that {found.goal.sxt:g} nm take: {step.signal:.2g}.")
        finest = max(step.resolution.values(), default=0.0)
        said.append(f"Still supported after it: {period(finest)}.")
        lines.append((one.id, cells, "\n".join([tip_of(one), *said])))
    return lines


def step_lines(steps: Sequence[Exposure]) -> list[Line]:
    """Write the steps of a plan of which nothing is known yet."""
    return [
        (one.id, (f"{style_of(one.modality).name} {name_of(one)}", "", "", "", ""), tip_of(one))
        for one in steps
    ]


def verdict(found: Plan | None, name: str) -> str:
    """Say at length what one step does; empty for none."""
    lines = [] if found is None else plan_lines(found)
    return next((tip for step, _, tip in lines if step == name), "")


def plan_changes(found: Outcome) -> list[str]:
    """List why a plan does not work, what would mend it, and what it could not count."""
    if found.plan is None:
        return []
    steps = [
        f"{name_of(step.exposure)}: {note}"
        for step in found.plan.steps
        if not step.ok and step.exposure.planned
        for note in step.notes
    ]
    every = [step.exposure for step in found.plan.steps]
    named = [_named(text, every) for text in found.plan.changes]
    clashes = [_clash(one) for one in found.conflicts]
    return [*steps, *named, *clashes, *found.plan.notes]


def _clash(found: Conflict) -> str:
    """Say which spent area a planned exposure touches; many tiles of a mosaic are one name."""
    others = _listed([name_of(one) for one in found.others], 3)
    return (
        f"{name_of(found.exposure)} (planned) touches a spent area: {others} left "
        f"{dose_text(found.before)} MGy there; with it {dose_text(found.after)} of "
        f"{dose_text(found.limit)} MGy over {found.area:.3g} µm²."
    )


def _named(text: str, exposures: Sequence[Exposure]) -> str:
    """Write names of exposures where a sentence has their ids."""
    for one in sorted(exposures, key=lambda known: -len(known.id)):
        text = text.replace(one.id, name_of(one))
    return text


def report_headline(found: Report) -> str:
    """Say how many relations close."""
    beam = {"x-ray": "X-rays", "electron": "Electrons"}[found.kind]
    if found:
        return f"{beam}: all {len(found.relations)} relations close."
    return f"{beam}: {len(found.open)} of {len(found.relations)} relations do not close."


def report_notes(found: Report) -> str:
    """Write every relation that does not close, with both values."""
    return "\n".join(f"✗ {one}" for one in found.open)


def known_numbers() -> str:
    """Name the numbers that may be pasted."""
    return "Known numbers: " + ", ".join(names())


def report_lines(found: Report) -> list[Line]:
    """Write one line per relation: name; stated, derived, difference, those open first."""
    return [
        (
            f"{number}",
            (
                f"{'✓' if one.closes else '✗'} {one.name}",
                f"{one.stated:.5g}",
                f"{one.derived:.5g}",
                f"{one.difference:+.1%}",
            ),
            f"{one.formula} = {one.derived:.6g} {one.unit}\n{one.note}".strip(),
        )
        for number, one in enumerate((*found.open, *found.closed))
    ]
