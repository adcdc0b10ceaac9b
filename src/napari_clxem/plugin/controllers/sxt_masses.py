"""What the dock says of masses: pure functions of what was weighed."""

from __future__ import annotations

import numpy as np

from napari_clxem.plugin.controllers.sxt_weighing import Weighed
from napari_clxem.plugin.controllers.sxt_words import Line
from napari_clxem.xray import FE2O3_709_700, Cluster, Mass, Proximity

NO_TOMOGRAMS = (
    "No tomogram is shown. Open the reconstructions above and below the absorption edge (709 and "
    "700 eV for iron), in register, or that of the difference of their optical densities."
)
ONE_TOMOGRAM = "Only one tomogram is shown: open the other energy, or choose a difference."
# Table shown in the dock; the units are in the headings.
FEMTOGRAMS, ATTOGRAMS = ("fg", 1e3), ("ag", 1e6)
SURE = 1.96
CHOICES = tuple(FE2O3_709_700)


def hint(volumes: int, difference: bool) -> str:
    """Say the next step where there is too little to work on; empty where there is enough."""
    if not volumes:
        return NO_TOMOGRAMS
    return "" if difference or volumes > 1 else ONE_TOMOGRAM


def unit(weighed: Weighed) -> tuple[str, float]:
    """Choose the unit of all masses: its name, and how many make a pg."""
    masses = [abs(one.mass.value) for one in weighed.found.clusters]
    return FEMTOGRAMS if max(masses, default=1.0) >= 1e-3 else ATTOGRAMS


def headline(weighed: Weighed) -> str:
    """Say the total in large letters."""
    count = len(weighed.found.clusters)
    if not count:
        return "No cluster stands out"
    clusters = "1 cluster" if count == 1 else f"{count} clusters"
    return f"{_mass(weighed.found.total, unit(weighed))} in {clusters}"


def columns(far: bool, weighed: Weighed | None = None) -> list[tuple[str, str]]:
    """Give the headings of the table of clusters, with what they mean.

    Parameters
    ----------
    far : bool
        Whether distances to organelles are among them.
    weighed : Weighed, optional
        By which the unit of mass is chosen.
    """
    name = FEMTOGRAMS[0] if weighed is None else unit(weighed)[0]
    given = [
        ("#", "Number in the layer “Clusters”"),
        (name, f"Mass with its 95 % interval, {name}"),
        ("g/cm³", "Density of the core with its 95 % interval"),
        ("⌀ nm", "Diameter of a sphere that would look as wide, with its 95 % interval"),
    ]
    return [*given, ("to nm", "To the nearest organelle; 0 where they touch")] if far else given


def lines(weighed: Weighed) -> list[Line]:
    """Give a line per cluster, the heaviest first."""
    near = {one.cluster: one for one in weighed.near}
    every = sorted(weighed.found.clusters, key=lambda one: -one.mass.value)
    return [_line(one, weighed, near.get(one.name)) for one in every]


def _line(one: Cluster, weighed: Weighed, near: Proximity | None) -> Line:
    name, many = unit(weighed)
    cells = [
        str(one.name),
        pm(many * one.mass.value, many * SURE * one.mass.sd),
        pm(one.density, SURE * one.density_sd),
        pm(1e3 * one.diameter, SURE * 1e3 * one.diameter_sd),
    ]
    low, high = (many * end for end in one.mass.interval)
    tips = [
        f"Cluster {one.name}: {many * one.mass.value:.3g} {name} (95 %: {low:.3g} to {high:.3g})",
        f"above the threshold alone {many * one.thresholded:.3g} {name} in {one.voxels} voxels",
        f"density {one.density:.2f} ± {SURE * one.density_sd:.2f} g/cm³",
        f"diameter {1e3 * one.diameter:.0f} ± {SURE * 1e3 * one.diameter_sd:.0f} nm",
        f"peak {one.significance:.1f} times the noise",
    ]
    if weighed.near:
        cells.append("—" if near is None else _distance(near.distance))
        tips += [] if near is None else _near(near)
    return Line(str(one.name), tuple(cells), ";\n".join(tips))


def _near(near: Proximity) -> list[str]:
    return [
        f"organelle {near.organelle} at {_distance(near.distance)} nm, its border "
        f"{_distance(near.centre_distance)} nm from the middle (± {1e3 * near.distance_sd:.0f} nm "
        "of the registration)",
        f"overlap {near.overlap:.0%}, {near.expected_overlap:.0%} with the registration's error; "
        f"{100 * near.chance:.2g} % by chance",
    ]


def limit_lines(weighed: Weighed) -> list[Line]:
    """Give the limits by size of the object."""
    limits, found = weighed.found.limits, []
    for number, diameter in enumerate(limits.diameters):
        size = "voxel" if number == 0 else f"{1e3 * diameter:.0f}"
        decision, detection = float(limits.decision[number]), float(limits.detection[number])
        tip = (
            f"Objects of {1e3 * diameter:.0f} nm: measured above {decision:.3g} g/cm³ one in a "
            f"thousand empty places is; truly {detection:.3g} g/cm³ is found in 99.9 % of cases."
        )
        found.append(Line(size, (size, f"{decision:.3g}", f"{detection:.3g}"), tip))
    return found


def notes(weighed: Weighed) -> list[str]:
    """Say where the numbers come from and what a reader must know."""
    found = weighed.found
    said = list(found.notes)
    name, many = unit(weighed)
    if weighed.scale_sd is not None:
        said.append(f"k = {found.scale:.4f} ± {weighed.scale_sd:.4f}, fitted without iron.")
    else:
        said.append(f"k = {found.scale:g}, as given.")
    if weighed.how.wedge is not None:
        how = weighed.how.wedge
        said.append(
            f"Wedge calibrated for {len(how.tilts)} tilts from {min(how.tilts):g}° to "
            f"{max(how.tilts):g}°, {how.method}, {how.iterations} passes; the tilt axis is y."
        )
    said.append(f"Over a generous mask: {_mass(found.masked, (name, many))}, nothing corrected.")
    decision, detection = (float(one[0]) for one in (found.limits.decision, found.limits.detection))
    said.append(
        f"Limits of a voxel: decision {decision:.2g} g/cm³ (3.09 σ, 0.1 % false), detection "
        f"{detection:.2g} g/cm³ (6.18 σ, 99.9 % found); larger objects below."
    )
    if found.projection is not None:
        said.append(f"From the projection without tilt: {_mass(found.projection, (name, many))}.")
    if weighed.near:
        said.append(_summary(weighed))
    return said + list(weighed.notes)


def _summary(weighed: Weighed) -> str:
    distances = np.array([one.distance for one in weighed.near])
    touching = int((distances == 0).sum())
    beside = weighed.how.beside
    assert beside is not None
    level = f" above {weighed.threshold:.3g}" if weighed.threshold else ""
    sd = "" if beside.sd is None else f", ± {1e3 * beside.sd:.0f} nm by the registration"
    return (
        f"{touching} of {len(distances)} clusters touch organelles of {beside.source.name}{level}; "
        f"median distance {1e3 * float(np.median(distances)):.0f} nm{sd}. They fill "
        f"{100 * weighed.near[0].chance:.2g} % of the field."
    )


def text(weighed: Weighed) -> str:
    """Give everything as text to be pasted elsewhere, columns parted by tabs."""
    given = ["\t".join(heading for heading, _ in columns(bool(weighed.near), weighed))]
    given += ["\t".join(one.cells) for one in lines(weighed)]
    limits = ["Limits\tdecision (g/cm³)\tdetection (g/cm³)"]
    limits += ["\t".join(one.cells) for one in limit_lines(weighed)]
    return "\n".join([headline(weighed), *given, *limits, *notes(weighed)])


def pm(value: float, half: float) -> str:
    """Write a value with its half interval, both to the second digit of the latter."""
    if not np.isfinite(half) or half <= 0:
        return f"{value:.3g}"
    digits = max(0, 1 - int(np.floor(np.log10(half)))) if half < 10 else 0
    digits = max(0, digits - 1) if half * 10**digits >= 20 else digits
    return f"{value:.{digits}f}±{half:.{digits}f}"


def _mass(mass: Mass, given: tuple[str, float]) -> str:
    name, many = given
    low, high = (many * end for end in mass.interval)
    return f"{many * mass.value:.3g} {name} (95 %: {low:.3g} to {high:.3g})"


def _distance(value: float) -> str:
    return "—" if np.isnan(value) else f"{1e3 * value:.0f}"
