"""The resolution from place to place; runs in a thread."""

from __future__ import annotations

import numpy as np

from napari_clxem.plugin.controllers.sxt_resolving import checked_pair
from napari_clxem.plugin.controllers.sxt_sources import Source
from napari_clxem.plugin.controllers.sxt_steps import MAPPED, Made, Product, Progress
from napari_clxem.xray import local_resolution

THRESHOLD = 0.25


def local_map(one: Source, two: Source, window: int, progress: Progress) -> Made:
    """Map the resolution of two halves in windows that overlap by half.

    Raises
    ------
    ImageError
        Where the layers do not belong together.
    """
    checked_pair(one, two)
    progress(0.0, f"Reading {one.name} and {two.name}")
    found, origin = local_resolution(
        np.asarray(one.data),
        np.asarray(two.data),
        one.spacing,
        window=window,
        step=max(1, window // 2),
        threshold=THRESHOLD,
        progress=lambda share, text: progress(0.05 + 0.95 * share, text.capitalize()),
    )
    known = np.isfinite(found)
    matrix = one.matrix.copy()
    matrix[:-1, -1] += one.matrix[:-1, :-1] @ origin
    spacing = tuple(max(1, window // 2) * step for step in one.spacing)
    data = np.where(known, 1e3 * found, np.nan).astype(np.float32)
    product = Product(f"Resolution nm · {one.name}", data, spacing, matrix, MAPPED)
    headline = "Nowhere does the curve cross"
    if known.any():
        low, middle, high = 1e3 * np.quantile(found[known], (0.05, 0.5, 0.95))
        headline = f"{middle:.1f} nm in the middle, {low:.1f} to {high:.1f} nm"
    note = (
        f"{found.size} windows of {window} voxels, {int(known.sum())} with a crossing at "
        f"{THRESHOLD:g} (full period); the layer is empty elsewhere."
    )
    return Made(headline, (product,), (), (), (note,))
