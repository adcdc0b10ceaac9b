"""SXT: what the soft X-rays measure."""

from __future__ import annotations

from napari_clxem.xray.absorption import Transmission, normalise, wiener, zone_plate_mtf
from napari_clxem.xray.masks import round_mask, soft_mask
from napari_clxem.xray.pairing import Pair, align_pair, difference, fit_scale
from napari_clxem.xray.reconstruction import (
    Reconstruction,
    project,
    reconstruct,
    reconstruct_lazily,
)
from napari_clxem.xray.resolution import Correlation, fsc, local_resolution, split

__all__ = [
    "Correlation",
    "Pair",
    "Reconstruction",
    "Transmission",
    "align_pair",
    "difference",
    "fit_scale",
    "fsc",
    "local_resolution",
    "normalise",
    "project",
    "reconstruct",
    "reconstruct_lazily",
    "round_mask",
    "soft_mask",
    "split",
    "wiener",
    "zone_plate_mtf",
]
