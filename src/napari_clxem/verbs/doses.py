"""The verbs ``dose``, ``plan`` and ``check-doses``: what was spent, will be, and if it adds up."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from napari_clxem.errors import ClxemError, ReadError, SessionError
from napari_clxem.verbs.printing import (
    Verbs,
    aligned,
    figure,
    listed,
    number,
    positive,
    verb,
    write_file,
)

if TYPE_CHECKING:
    from napari_clxem.dose import Budget, Exposure, History, Plan, TargetDose
    from napari_clxem.session.model import Session, Target

NOTHING = "none"
_UNITS = (
    *(("megagray", "MGy"), ("angstrom", "Å"), ("micrometer", "µm"), ("second", "s")),
    *(("**2", "²"), ("**3", "³"), (" * ", "·"), ("*", "·"), (" / ", "/")),
)


def add_to(verbs: Verbs) -> None:
    """Add the verbs on doses."""
    _add_dose(verbs)
    _add_plan(verbs)
    one = verb(verbs, "check-doses", check_doses, "check whether declared dose numbers add up")
    one.add_argument("table", help="a text file of lines such as 'fluence = 110 e/A2'")
    one.add_argument("--material", default="ice", help="what doses are declared for (ice)")
    one.add_argument(
        "--tolerance", type=positive, help="relative difference up to which numbers agree (0.002)"
    )


def _add_dose(verbs: Verbs) -> None:
    one = verb(verbs, "dose", dose, "list the dose at every target of a session")
    one.add_argument("session", help="a .clxem.json file")
    one.add_argument("--frame", required=True, help="frame to add up in, such as that of the map")
    one.add_argument("--material", help="what doses are stated for (as the exposures are)")
    one.add_argument("--resolution", type=positive, default=20.0, help="full period, Å (20)")
    one.add_argument("--voltage", type=positive, default=300.0, help="of the electrons, kV (300)")
    one.add_argument("--csv", help="file for the table of targets")
    one.add_argument("--exposures-csv", help="file for the table of exposures")


def _add_plan(verbs: Verbs) -> None:
    one = verb(verbs, "plan", plan, "predict what X-rays and then electron tomography would leave")
    one.add_argument("session", nargs="?", help="count what this .clxem.json file has recorded")
    one.add_argument("--frame", help="of that session, to add up in")
    one.add_argument("--target", help="of that session, by name or id")
    for kind, unit, preset in (
        ("sxt", "photons/µm²", "Mistral 40 nm"),
        ("et", "e⁻/Å²", "Krios 300 kV"),
    ):
        one.add_argument(
            f"--{kind}", default=preset, metavar="PRESET", help=f"preset, or 'none' ({preset})"
        )
        one.add_argument(f"--{kind}-fluence", type=positive, help=f"of the whole series, {unit}")
        one.add_argument(
            f"--{kind}-tilts", nargs=3, type=number(), metavar=("FIRST", "LAST", "STEP"),
            help="degrees",
        )  # fmt: skip
        one.add_argument(f"--{kind}-radius", type=positive, help="of a round beam, µm")
        one.add_argument(f"--{kind}-pretilt", type=number(), help="stage tilt of a level sample")
    one.add_argument("--sxt-energy", type=positive, help="of the photons, eV")
    one.add_argument("--voltage", type=positive, help="of the electrons, kV")
    one.add_argument("--sxt-wanted", type=positive, default=30.0, help="half-pitch, nm (30)")
    one.add_argument("--et-wanted", type=positive, default=20.0, help="full period, Å (20)")
    one.add_argument("--amplitude", type=positive, help="wanted when electrons begin (0.61)")
    one.add_argument("--stability", type=positive, help="dose the ice stands, MGy (550)")
    one.add_argument("--material", default="cell", help="what doses are stated for (cell)")


def dose(options: argparse.Namespace) -> int:
    """Print the doses at the targets of a session, and what could not be counted."""
    from napari_clxem.dose import budget, exposures_csv, targets_csv
    from napari_clxem.session import history, load, target_doses

    session = load(options.session)
    _need_frame(session, options.frame)
    if not session.exposures:
        raise SessionError(
            f"{Path(options.session).name} has no exposures; record them in the Dose dock first."
        )
    material = options.material or history(session, options.frame).material
    limit = budget(options.resolution, material, options.voltage)
    rows, lost = target_doses(session, options.frame, limit)
    past = history(session, options.frame, material)
    print(f"Doses in {material} at the targets, in {options.frame}:\n")
    print(_dose_table(rows, limit))
    listed("Not counted", _uncounted(past, lost))
    write_file(options.csv, targets_csv(rows, limit))
    write_file(options.exposures_csv, exposures_csv(past))
    return 0


def _dose_table(rows: Sequence[TargetDose], limit: Budget) -> str:
    head = [
        *("target", "MGy", "90 % interval", "highest", "surface", "e⁻/Å²"),
        *(f"amplitude at {limit.d:g} Å", f"of {limit.limiting.name} dose"),
    ]
    return aligned(
        head,
        [
            [
                row.name,
                ("≥ " if row.lower_bound else "") + figure(row.dose),
                f"{figure(row.low)} to {figure(row.high)}",
                figure(row.highest),
                figure(row.surface),
                figure(row.equivalent),
                f"{row.amplitude:.2f}",
                f"{row.shares[limit.limiting.name]:.0%}",
            ]
            for row in rows
        ],
    )


def _uncounted(past: History, lost: Sequence[Target]) -> list[str]:
    """Say what is missing from the sums."""
    return [
        *(f"exposure {one.id}: no link reaches {one.frame}" for one in past.unreached),
        *(f"exposure {one.id}: dose unknown, {past.reasons[one.id]}" for one in past.unknown),
        *(f"target {one.name or one.id}: no link leads there from {one.frame}" for one in lost),
    ]


def plan(options: argparse.Namespace) -> int:
    """Print what the planned steps would cost at the target; status 1 where they do not do."""
    from napari_clxem import dose as science

    wanted = {
        name: getattr(options, name)
        for name in ("amplitude", "stability", "voltage")
        if getattr(options, name) is not None
    }
    place = _place(options)
    # what no dose can be stated for is said here, by its name
    science.xray_dose(1.0, options.sxt_energy or 520.0, options.material)
    science.electron_dose(1.0, options.voltage or 300.0, options.material)
    steps = [
        step
        for kind in ("sxt", "et")
        if (step := _step(options, kind, place["frame"], place["target"])) is not None
    ]
    if not steps:
        raise ClxemError("There is nothing to plan; leave one of --sxt and --et at a preset.")
    found = science.plan(
        steps,
        sxt=options.sxt_wanted,
        et=options.et_wanted,
        material=options.material,
        **place,
        **wanted,
    )
    print(f"Doses in {options.material} at {_point(found)} in {found.frame}:\n")
    print(_plan_table(found))
    listed("To know", [f"{v.exposure.id}: {note}" for v in found.steps for note in v.notes])
    listed("Not counted, or only in part", found.notes)
    listed("What would mend it", found.changes)
    if found.largest_sxt_dose is not None:
        print(
            f"\nThe X-rays may leave {found.largest_sxt_dose:.3g} MGy in all, "
            f"limited by {found.limited_by}."
        )
    print(f"\n{'The plan does.' if found.ok else 'The plan does not do what is wanted.'}")
    return 0 if found.ok else 1


def _plan_table(found: Plan) -> str:
    head = [
        *("step", "images", "MGy", "before", "after", "left", "Å after it"),
        *("amplitude", "photons", "does"),
    ]
    return aligned(
        head,
        [
            [
                step.exposure.id,
                str(step.images),
                figure(step.dose),
                figure(step.before),
                figure(step.after),
                figure(step.left),
                figure(step.resolution.get("critical")),
                "–" if step.amplitude is None else f"{step.amplitude:.2f}",
                "–" if step.signal is None else f"{step.signal:.2g} x",
                ("yes" if step.ok else "no") if step.exposure.planned else "done",
            ]
            for step in found.steps
        ],
    )


def _point(found: Plan) -> str:
    return f"({', '.join(f'{value:.2f}' for value in found.target)}) µm"


def _place(options: argparse.Namespace) -> dict[str, Any]:
    """Where to plan, and what was done there."""
    if options.session is None:
        if options.frame or options.target:
            raise ClxemError("A frame or target is of a session; name its .clxem.json file, too.")
        return {"frame": "sample", "target": (0.0, 0.0), "recorded": (), "graph": None}
    from napari_clxem.session import geometry, load

    session = load(options.session)
    if not options.target:
        raise ClxemError(f"Say for which target with --target: {_names(session)}.")
    target = next((t for t in session.targets if options.target in (t.name, t.id)), None)
    if target is None:
        raise ClxemError(f"There is no target {options.target!r}; there are {_names(session)}.")
    frame = options.frame or target.frame
    _need_frame(session, frame)
    there = geometry.place(session, target, frame)
    if there is None:
        raise SessionError(f"No link leads from {target.frame} to {frame}; link them first.")
    return {
        "frame": frame,
        "target": there.position,
        "recorded": session.exposures,
        "graph": geometry.graph(session),
    }


def _names(session: Session) -> str:
    return ", ".join(target.name or target.id for target in session.targets) or "none yet"


def _step(
    options: argparse.Namespace, kind: str, frame: str, target: Sequence[float]
) -> Exposure | None:
    """Make a planned step of a preset and what was given besides."""
    from napari_clxem.dose import PRESETS

    name = getattr(options, kind)
    if name == NOTHING:
        return None
    modality = {"sxt": "sxt", "et": "tem"}[kind]
    known = [preset.name for preset in PRESETS.values() if preset.modality == modality]
    if name not in known:
        raise ClxemError(f"There is no preset {name!r} for {kind}; there are {', '.join(known)}.")
    given = {
        field: getattr(options, f"{kind}_{key}")
        for field, key in (("beam_radius", "radius"), ("pretilt", "pretilt"))
        if getattr(options, f"{kind}_{key}") is not None
    }
    tilts = _tilts(getattr(options, f"{kind}_tilts"), kind) or PRESETS[name].tilts
    series = getattr(options, f"{kind}_fluence")
    if series is not None:
        given["fluence"] = series / len(tilts)
    energy = options.sxt_energy if kind == "sxt" else options.voltage and options.voltage * 1e3
    if energy:
        given["energy"] = energy
    if len(target) == 3:
        given["axis_height"] = target[0]
    label = {"sxt": "X-rays", "et": "electrons"}[kind]
    made = PRESETS[name].exposure(frame, tuple(target[-2:]), id=label, tilts=tilts, **given)
    return replace(made, material=options.material)


def _tilts(given: Sequence[float] | None, kind: str) -> tuple[float, ...]:
    import numpy as np

    if given is None:
        return ()
    first, last, step = given
    if step == 0 or (last - first) / step < 0 or abs((last - first) / step) > 10_000:
        raise ClxemError(
            f"Tilts from {first:g} to {last:g} in steps of {step:g} degrees cannot be; "
            f"give --{kind}-tilts FIRST LAST STEP."
        )
    return tuple((first + step * np.arange(int((last - first) / step + 1.5))).tolist())


def check_doses(options: argparse.Namespace) -> int:
    """Print every relation among declared numbers; status 1 where one does not close."""
    from napari_clxem.dose import check

    path = Path(options.table)
    try:
        text = path.read_text(encoding="utf-8-sig")
    except OSError as error:
        reason = (error.strerror or "no file").lower()
        raise ReadError(f"{path} cannot be read: {reason}; check the name.") from error
    except UnicodeDecodeError as error:
        raise ReadError(f"{path.name} is no text in UTF-8; save it as such.") from error
    limit = {} if options.tolerance is None else {"tolerance": options.tolerance}
    report = check(text, material=options.material, **limit)
    rows = [
        [
            one.name,
            f"{one.stated:.5g}",
            f"{one.derived:.5g}",
            _unit(one.unit),
            f"{one.difference:+.1%}",
            "closes" if one.closes else "OPEN",
            one.formula,
        ]
        for one in report.relations
    ]
    head = ["number", "stated", "derived", "unit", "difference", "", "derived from"]
    print(aligned(head, rows, left=(0, 3, 5, 6)))
    listed("Of those that do not close", [f"{r.name}: {r.note}" for r in report.open if r.note])
    closed, every = len(report.closed), len(report.relations)
    print(f"\n{closed} of {every} relations close.")
    return 0 if report else 1


def _unit(text: str) -> str:
    """Write a unit as papers do."""
    for written, meant in _UNITS:
        text = text.replace(written, meant)
    return text


def _need_frame(session: Session, frame: str) -> None:
    names = [one.name for one in session.frames]
    if frame not in names:
        raise SessionError(f"There is no frame {frame!r}; there are {', '.join(names) or 'none'}.")
