"""Images that a step has made, as layers of the user's."""

from __future__ import annotations

from typing import Any

import numpy as np
from napari.layers import Layer

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.controllers.sxt_steps import ABSORPTION, MAPPED, Product

# Values looked at for the contrast of a layer.
GLANCED = 2**18
LOOKS = {ABSORPTION: {"colormap": "gray"}, MAPPED: {"colormap": "viridis"}}


def layer_of(product: Product) -> Any:
    """Make the layer of a product: it lies where its source lies, and can be analysed on."""
    data = np.asarray(product.data)
    labels = (
        SPATIAL[-data.ndim :] if product.kind in LOOKS else ("image", *SPATIAL[1:])[-data.ndim :]
    )
    arguments = {
        "name": product.name,
        "scale": product.spacing,
        "affine": product.matrix,
        "units": ("um",) * data.ndim,
        "axis_labels": labels,
        "contrast_limits": contrast(data),
        "metadata": {"clxem": {"values": product.kind}},
        **LOOKS.get(product.kind, {}),
    }
    return Layer.create(data, arguments, "image")


def middle_of(product: Product) -> Floats:
    """Give the middle of a product, display µm."""
    middle = (np.array(np.shape(product.data)) - 1) / 2 * product.spacing
    return np.asarray(product.matrix[:-1, :-1] @ middle + product.matrix[:-1, -1])


def contrast(data: Any) -> tuple[float, float]:
    """Give limits that leave a few of the darkest and brightest values out."""
    values = np.ravel(data)
    some = values[:: max(1, values.size // GLANCED)]
    some = some[np.isfinite(some)]
    low, high = np.quantile(some, (0.005, 0.995)) if some.size else (0.0, 1.0)
    return float(low), float(high) if high > low else float(low) + 1.0
