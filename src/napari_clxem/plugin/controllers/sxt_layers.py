"""Density and clusters as layers that lie where their tomogram lies."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any
from weakref import ref

import dask.array as da
import numpy as np
from dask.delayed import delayed
from napari.layers import Layer
from numpy.typing import NDArray

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.controllers.dimensions import DimensionSwitch
from napari_clxem.plugin.controllers.sxt_sources import MADE
from napari_clxem.plugin.controllers.sxt_weighing import Weighed
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import Placed, Plane, Shown, placed
from napari_clxem.plugin.placement import place
from napari_clxem.plugin.resampling import GLANCE, resample
from napari_clxem.plugin.world import unwrapped

DENSITY, CLUSTERS = "Density (g/cm³)", "Clusters"
Labels = NDArray[np.int32]


class ResultLayers:
    """The two layers of what was weighed last.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.
    turns : Turns
        Spreads what is to be done to the layers.
    """

    def __init__(self, viewer: Any, turns: Turns) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._turns = turns
        self._switch = DimensionSwitch(viewer)
        self._layers: dict[str, Any] = {}
        self._matrix: Floats | None = None
        self._shown: Weighed | None = None
        viewer.layers.events.removed.connect(self._on_removed)

    @property
    def matrix(self) -> Floats | None:
        """Volume µm to display µm; None while nothing is shown."""
        return self._matrix

    def layer(self, name: str) -> Any:
        """Give one of the layers, by its name at first; None where it is not there."""
        return self._layers.get(name)

    def release(self) -> None:
        """Let the viewer go; the layers stay, as results of the user's."""
        self._switch.release()
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.removed.disconnect(self._on_removed)
        self._layers.clear()

    def show(self, found: Weighed, matrix: Floats) -> None:
        """Show what was weighed in the place of what was before."""
        self._remove()
        self._shown = found
        self._put(matrix)

    def move(self, matrix: Floats | None) -> None:
        """Follow the tomogram; None where it is shown no more takes the layers away."""
        if self._shown is None or _same(matrix, self._matrix):
            return
        if matrix is None:
            self._remove()
            return
        self._put(matrix)

    def _put(self, matrix: Floats) -> None:
        viewer, found = self._viewer(), self._shown
        if viewer is None or found is None:
            return
        fresh = self._matrix is None
        self._matrix = matrix
        for name, shown in (
            (DENSITY, placed(density_plane(found), matrix)),
            (CLUSTERS, placed_labels(found, matrix)),
        ):
            layer = self._layers.get(name)
            if layer is not None and layer.multiscale == shown.many:
                self._switch.keep(layer, shown)
            elif layer is not None or fresh:
                self._turns.do((self, name), partial(self._insert, name, shown, found))

    def _insert(self, name: str, shown: Placed, found: Weighed) -> None:
        viewer = self._viewer()
        if viewer is None or found is not self._shown or self._matrix is None:
            return
        old = self._layers.pop(name, None)
        if old is not None:
            viewer.layers.remove(old)
        data, arguments, _ = shown.data(viewer.dims.ndisplay)
        if name == CLUSTERS:
            arguments["features"] = features(found)
            layer = Layer.create(data, arguments, "labels")
        else:
            layer = Layer.create(data, arguments, "image")
            self._turns.do((self, "bar"), partial(setattr, layer.colorbar, "visible", True))
        layer.editable = False
        self._layers[name] = layer
        selected = set(viewer.layers.selection)
        viewer.layers.append(layer)
        viewer.layers.selection = selected
        self._switch.keep(layer, shown)

    def _remove(self) -> None:
        viewer = self._viewer()
        self._matrix = None
        for layer in list(self._layers.values()):
            if viewer is not None and layer in viewer.layers:
                viewer.layers.remove(layer)
        self._layers.clear()

    def _on_removed(self, event: Any) -> None:
        for name in [name for name, layer in self._layers.items() if layer is event.value]:
            del self._layers[name]


def density_plane(found: Weighed) -> Plane:
    """Describe the density: what noise alone may reach somewhere stays black."""
    low = float(found.found.seed * found.found.sigma)
    return Plane(
        levels=(found.found.data,),
        name=DENSITY,
        scale=found.found.spacing,
        labels=SPATIAL,
        look={
            "colormap": "inferno",
            "blending": "additive",
            "rendering": "mip",
            "contrast_limits": (low, max(found.ceiling, 1.01 * low)),
        },
        meta={MADE: "density"},
    )


def placed_labels(found: Weighed, matrix: Floats) -> Placed:
    """Place the clusters: numbers are never interpolated."""
    labels, spacing = found.found.labels, found.found.spacing
    plane = Plane(
        levels=(labels,),
        name=CLUSTERS,
        scale=spacing,
        labels=SPATIAL,
        look={"opacity": 0.5},
        meta={MADE: "clusters"},
    )
    where = place(matrix, labels.shape, spacing)
    own = Shown(labels, np.asarray(spacing), where.full)
    if not where.tilted:
        return Placed(plane, where, own, own)
    cut = resample((labels,), spacing, where)
    index = np.linalg.solve(
        where.full @ np.diag([*spacing, 1.0]), cut.affine @ np.diag([*cut.scale, 1.0])
    )
    shape = cut.levels[0].shape
    # What napari computes whole when it turns to 3D, before anybody else hears of it.
    step = int(np.ceil((np.prod(shape, dtype=float) / GLANCE) ** (1 / 3)))
    levels = [
        nearest(
            labels, index @ np.diag([many, many, many, 1.0]), tuple(-(-n // many) for n in shape)
        )
        for many in dict.fromkeys((1, max(step, 2)))
    ]
    flat = Shown(levels, cut.scale, cut.affine)
    return Placed(plane, where, flat, replace(own, data=[labels, _trimmed(labels)]))


def _trimmed(labels: Labels) -> Labels:
    """Leave out the last plane along the longest axis.

    Of labels napari takes no list of a single level, and in 3D it draws the last level, which has
    to be smaller than the first; so its far end is drawn less than a voxel off.
    """
    axis = int(np.argmax(labels.shape))
    return labels[tuple(slice(0, n - (n > 1 and i == axis)) for i, n in enumerate(labels.shape))]


def nearest(labels: Labels, index: Floats, shape: tuple[int, ...]) -> Any:
    """Cut labels along planes that are not their own, slice by slice when asked for.

    Parameters
    ----------
    labels : (nz, ny, nx) array
    index : (4, 4) array
        Index of what is returned to index of `labels`.
    shape : tuple of int
        Of what is returned.
    """
    one = delayed(_plane, pure=False)
    planes = [
        da.from_delayed(one(labels, index, z, shape[1:]), shape[1:], labels.dtype)  # type: ignore[no-untyped-call]
        for z in range(shape[0])
    ]
    return da.stack(planes)  # type: ignore[no-untyped-call]


def _plane(labels: Labels, index: Floats, z: int, shape: tuple[int, int]) -> Labels:
    from scipy.ndimage import affine_transform

    return np.asarray(
        affine_transform(
            labels,
            np.column_stack([np.zeros(3), index[:3, 1:3]]),
            offset=index[:3, 3] + index[:3, 0] * z,
            output_shape=(1, *shape),
            order=0,
            mode="constant",
            cval=0,
            prefilter=False,
        )[0]
    )


def features(found: Weighed) -> dict[str, list[Any]]:
    """Give what the viewer says of the cluster under the cursor."""
    every = found.found.clusters
    return {
        "index": [0, *(one.name for one in every)],
        "mass (fg)": ["", *(f"{1e3 * one.mass.value:.3g}" for one in every)],
        "density (g/cm³)": ["", *(f"{one.density:.2g}" for one in every)],
    }


def _same(one: Floats | None, other: Floats | None) -> bool:
    if one is None or other is None:
        return one is other
    return bool(np.array_equal(one, other))
