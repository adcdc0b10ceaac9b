"""What the SXT analysis dock says: pure functions of what was found."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from napari_clxem.plugin.controllers.sxt_resolving import Resolved
from napari_clxem.plugin.controllers.sxt_steps import MAPPED, Made
from napari_clxem.plugin.controllers.sxt_tilts import write_list
from napari_clxem.xray.resolution import Threshold

# Thresholds, their names, and how each is drawn: dashes beside the colour.
THRESHOLDS: tuple[tuple[Threshold, str], ...] = (
    (0.25, "0.25"),
    (0.143, "0.143"),
    ("half-bit", "½-bit"),
)
NO_LAYERS = (
    "No image is shown. Open two tomograms reconstructed from even and odd tilts, or one aligned "
    "tilt series, and come back."
)
ONE_LAYER = "Only one image is shown: open its other half, or split a tilt series below."
NO_SERIES = (
    "No image is shown. Open a tilt series of counts (.xrm, .hdf5, .mrc), with its flats in the "
    "same file or as another layer, and come back."
)
READY = "Choose the halves, then Correlate."


@dataclass(frozen=True)
class Line:
    """One line of the table of resolutions.

    Attributes
    ----------
    name : str
        Of the threshold.
    cells : tuple of str
        Threshold, full period, half-pitch and interval of the period, nm.
    tip : str
        In a sentence.
    """

    name: str
    cells: tuple[str, ...]
    tip: str


def steps_hint(images: int) -> str:
    """Say what is needed first on the way to a tomogram; empty where it is there."""
    return NO_SERIES if images == 0 else ""


def map_words(found: Made | None) -> str:
    """Say what a map of the resolution shows; empty where the last step made none."""
    if found is None or not found.products or found.products[0].kind != MAPPED:
        return ""
    return f"{found.headline}. {found.notes[0]}"


def tilts_made(found: Made) -> str:
    """Write the tilts of a series that was made, as people write them."""
    return write_list(found.tilts)


def resolution_lines(found: Resolved) -> list[Line]:
    """Give a line per threshold."""
    lines = []
    for threshold, name in THRESHOLDS:
        period = found.curve.resolution(threshold)
        if np.isnan(period):
            cells = (name, "—", "—", "—")
        else:
            fine, coarse = found.curve.interval(threshold)
            cells = (
                name,
                f"{1e3 * period:.1f}",
                f"{5e2 * period:.1f}",
                f"{1e3 * fine:.1f}–{1e3 * coarse:.1f}",
            )
        lines.append(Line(name, cells, found.curve.describe(threshold)))
    return lines


def resolution_headline(found: Resolved) -> str:
    """Say the resolution in large letters, by the first threshold."""
    threshold, name = THRESHOLDS[0]
    period = found.curve.resolution(threshold)
    if np.isnan(period):
        return f"No resolution at {name}"
    return (
        f"{1e3 * period:.1f} nm full period at {name}\n{5e2 * period:.1f} nm half-pitch at {name}"
    )


def resolution_notes(found: Resolved) -> list[str]:
    """Say what a reader of the curve must know."""
    kind = "shell" if found.ndim == 3 else "ring"
    notes = [
        f"Fourier {kind} correlation of {' and '.join(found.names)}; {found.mask}. Nyquist is "
        f"{1e3 / found.curve.nyquist:.1f} nm full period.",
    ]
    threshold, _ = THRESHOLDS[0]
    if np.isnan(found.curve.resolution(threshold)):
        # its notes follow by themselves
        sentence = found.curve.describe(threshold)
        for note in found.curve.notes:
            sentence = sentence.replace(note, "")
        notes.append(sentence.strip())
    silent = int(np.isnan(found.curve.correlation[1:]).sum())
    if silent:
        notes.append(f"{silent} {kind}s with too few samples are left out.")
    notes += [f"⚠ {one}" for one in found.curve.notes]
    return notes + list(found.notes)


def resolution_text(found: Resolved) -> str:
    """Give everything found as text to be pasted elsewhere, columns parted by tabs."""
    lines = ["Threshold\tFull period (nm)\tHalf-pitch (nm)\t95 % of the full period (nm)"]
    lines += ["\t".join(one.cells) for one in resolution_lines(found)]
    return "\n".join([*lines, *resolution_notes(found)])


def resolution_hint(images: int, volumes: int, splits: bool) -> str:
    """Say the next step where there is too little to work on; empty where there is enough."""
    if not images:
        return NO_LAYERS
    if splits and not volumes:
        return "No stack is shown: open an aligned tilt series, (tilts, y, x)."
    if not splits and images < 2:
        return ONE_LAYER
    return ""
