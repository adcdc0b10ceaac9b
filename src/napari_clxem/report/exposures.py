"""The exposures as a table: the columns of the CSV that the Dose dock writes."""

from __future__ import annotations

import csv
from io import StringIO
from itertools import pairwise
from types import MappingProxyType

from napari_clxem.dose import History, exposures_csv
from napari_clxem.report.markup import Html, joined, listed, missing, paragraph, table
from napari_clxem.report.words import number, several

# More exposures than this are no reading matter.
MOST = 300
# How the columns of the CSV are headed here.
HEADINGS = MappingProxyType(
    {
        "id": "id",
        "name": "part of",
        "modality": "modality",
        "state": "state",
        "time": "time",
        "frame": "frame",
        "aim_y_um": "aim y, µm",
        "aim_x_um": "aim x, µm",
        "axis_height_um": "height of the tilt axis, µm",
        "beam_radius_um": "beam radius, µm",
        "beam_height_um": "beam along the axis, µm",
        "beam_width_um": "beam across it, µm",
        "tilts_deg": "tilts, °",
        "axis_azimuth_deg": "tilt axis, °",
        "pretilt_deg": "pretilt, °",
        "images": "images",
        "fluence_per_image": "fluence an image, photons/µm² or e⁻/Å²",
        "energy_eV": "energy, eV",
        "dose_per_image_MGy": "dose an image, MGy",
        "dose_MGy": "dose, MGy",
        "material": "material",
        "lower_bound": "lower bound",
        "surface_only": "surface only",
        "problem": "problem",
        "basis": "basis",
        "source": "source",
    }
)
# What would make the table wider than a page stands below the row.
BELOW = (
    *("problem", "tilts_deg", "axis_azimuth_deg", "pretilt_deg", "axis_height_um"),
    *("beam_radius_um", "beam_height_um", "beam_width_um", "energy_eV", "basis", "source"),
)
# What tells exposures apart stands in the table even where all have it alike.
ALWAYS = ("id", "modality", "state", "aim_y_um", "aim_x_um", "images", "dose_MGy")
WORDS = ("id", "name", "modality", "state", "time", "frame", "material")


def exposures(history: History) -> Html:
    """Write every exposure as one row.

    A column that is the same for all is said once above the table, and one that is blank for all
    is named below it.
    """
    head, *rows = csv.reader(StringIO(exposures_csv(history)))
    blank = [name for i, name in enumerate(head) if not any(row[i] for row in rows)]
    alike = [
        name
        for i, name in enumerate(head)
        if name not in (*ALWAYS, *blank) and len(rows) > 1 and len({row[i] for row in rows}) == 1
    ]
    shown = [name for name in head if name not in (*blank, *alike, *BELOW)]
    below = [name for name in BELOW if name not in (*blank, *alike)]
    at = {name: i for i, name in enumerate(head)}
    cells = [[cell(name, row[at[name]]) for name in shown] for row in rows[:MOST]]
    notes = [
        joined(
            *(f"{HEADINGS[name]}: {cell(name, row[at[name]])}" for name in below if row[at[name]]),
            between="; ",
        )
        for row in rows[:MOST]
    ]
    same = [f"{HEADINGS[name]}: {cell(name, rows[0][at[name]])}" for name in alike]
    parts: list[object] = []
    if same:
        parts += [paragraph("The same for all exposures:"), listed(same)]
    parts.append(
        table(
            "Exposures in time order; doses in the middle of the beam, stated for the material",
            [HEADINGS[name] for name in shown],
            cells,
            words=[i for i, name in enumerate(shown) if name in WORDS],
            notes=notes,
            kind="exposures",
        )
    )
    if len(rows) > MOST:
        parts.append(
            missing(
                f"The first {MOST} of {len(rows)} exposures are listed; Exposures… in the Dose "
                "dock writes all of them to a CSV file."
            )
        )
    unknown = [HEADINGS[name] for name in blank if name != "problem"]
    if unknown:
        parts.append(missing(f"Not known of any exposure: {', '.join(unknown)}."))
    return joined(*parts)


def cell(name: str, written: str) -> str:
    """Write a cell of the CSV for people: numbers with four digits, tilts as a range."""
    if name == "tilts_deg":
        return tilts([float(one) for one in written.split()])
    if name in (*WORDS, "problem", "basis", "source"):
        return written or "–"
    try:
        return number(float(written), 4)
    except ValueError:
        return written or "–"


def tilts(angles: list[float]) -> str:
    """Write tilts as a range where they are evenly spaced, else one by one."""
    if len(angles) < 4:
        return ", ".join(f"{one:g}" for one in angles)
    ordered = sorted(angles)
    steps = {round(b - a, 3) for a, b in pairwise(ordered)}
    if len(steps) == 1:
        turn = "" if angles == ordered else ", in another order"
        return (
            f"{ordered[0]:g} to {ordered[-1]:g} in steps of {steps.pop():g} "
            f"({several(len(angles), 'tilt')}{turn})"
        )
    return f"{ordered[0]:g} to {ordered[-1]:g}, {len(angles)} uneven ones"
