"""SXT: what the soft X-rays measure."""

from __future__ import annotations

from napari_clxem.xray.absorption import Transmission, normalise, wiener, zone_plate_mtf
from napari_clxem.xray.alignment import TiltAlignment, align_beads, follow, resample
from napari_clxem.xray.compiling import warm
from napari_clxem.xray.contrast import FE2O3_709_700, Contrast, tabulated_contrast
from napari_clxem.xray.flatness import Flatness, check_flats
from napari_clxem.xray.halves import local_resolution, split
from napari_clxem.xray.masks import round_mask, soft_mask
from napari_clxem.xray.mass import density, projected_mass
from napari_clxem.xray.noise import DECISION, DETECTION, Limits
from napari_clxem.xray.pairing import Pair, align_pair, difference, fit_scale, same_tilts
from napari_clxem.xray.particles import detectable_edge, smeared_density
from napari_clxem.xray.proximity import Proximity, proximity
from napari_clxem.xray.reconstruction import (
    Reconstruction,
    project,
    reconstruct,
    reconstruct_lazily,
)
from napari_clxem.xray.resolution import Correlation, fsc
from napari_clxem.xray.results import Cluster, Density, Mass
from napari_clxem.xray.wedge import Wedge, calibrate_wedge

__all__ = [
    "DECISION",
    "DETECTION",
    "FE2O3_709_700",
    "Cluster",
    "Contrast",
    "Correlation",
    "Density",
    "Flatness",
    "Limits",
    "Mass",
    "Pair",
    "Proximity",
    "Reconstruction",
    "TiltAlignment",
    "Transmission",
    "Wedge",
    "align_beads",
    "align_pair",
    "calibrate_wedge",
    "check_flats",
    "density",
    "detectable_edge",
    "difference",
    "fit_scale",
    "follow",
    "fsc",
    "local_resolution",
    "normalise",
    "project",
    "projected_mass",
    "proximity",
    "reconstruct",
    "reconstruct_lazily",
    "resample",
    "round_mask",
    "same_tilts",
    "smeared_density",
    "soft_mask",
    "split",
    "tabulated_contrast",
    "warm",
    "wiener",
    "zone_plate_mtf",
]
