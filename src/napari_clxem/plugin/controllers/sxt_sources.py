"""What a viewer shows as input of an analysis: its layers as arrays with pixel size and place."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pint
from napari.layers import Image, Labels
from numpy.typing import NDArray

from napari_clxem.errors import ImageError
from napari_clxem.frames.affine import Floats
from napari_clxem.plugin.controllers.positions import matrix, route
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.world import is_preview, unwrapped
from napari_clxem.session.model import Dataset

# Of what this dock makes itself; such layers are no input.
MADE = "sxt"
_ENERGY = re.compile(r"(?<![\d.])(6[89]\d|7[0-3]\d)(?![\d.])")


@dataclass(frozen=True, eq=False)
class Source:
    """One layer as an analysis takes it.

    Attributes
    ----------
    id : str
        Of the layer, for as long as the viewer lives.
    name : str
        Of the layer.
    data : array_like
        In full resolution, lazily; as measured, not as resampled for a slice.
    spacing : tuple of float
        Pixel size, µm.
    matrix : (d + 1, d + 1) array
        Its own µm to display µm.
    labels : bool
        Whether it is a segmentation.
    dataset : Dataset or None
        Of the session.
    """

    id: str
    name: str
    data: Any
    spacing: tuple[float, ...]
    matrix: Floats
    labels: bool
    dataset: Dataset | None

    @property
    def shape(self) -> tuple[int, ...]:
        """Pixels."""
        return tuple(int(n) for n in self.data.shape)

    @property
    def ndim(self) -> int:
        """Axes."""
        return len(self.shape)

    def to_display(self) -> Floats:
        """Give the map from pixels to display µm, (d + 1, d + 1)."""
        return np.asarray(self.matrix @ np.diag([*self.spacing, 1.0]))


def sources(workspace: Workspace, viewer: Any) -> list[Source]:
    """Give the layers of a viewer that can be analysed, the topmost first."""
    ours = {id(layer): key for key, layer in workspace.layers.layers.items()}
    found = []
    for layer in reversed(list(unwrapped(viewer).layers)):
        if not _usable(layer):
            continue
        key = ours.get(id(layer))
        one = _foreign(layer) if key is None else _ours(workspace, layer, *key)
        if one is not None:
            found.append(one)
    return found


def resolve(workspace: Workspace, viewer: Any, name: str) -> Source | None:
    """Find a source by its id again, as it is now."""
    return next((one for one in sources(workspace, viewer) if one.id == name), None)


def energy(source: Source) -> float | None:
    """Read a photon energy near the iron edge from a name, eV; None where it states none."""
    found = _ENERGY.search(source.name)
    return None if found is None else float(found.group(1))


def registration_sd(workspace: Workspace, one: Source, other: Source) -> float | None:
    """Predict how far two layers may be misplaced to each other, µm per axis.

    Returns
    -------
    float or None
        Where `one` has its middle; None where the session does not link them.
    """
    if one.dataset is None or other.dataset is None:
        return None
    if one.dataset.frame == other.dataset.frame:
        return 0.0
    way = route(workspace.store.session, one.dataset, other.dataset.frame)
    if way is None:
        return None
    middle = (np.array(one.shape) - 1) * one.spacing / 2
    point = np.concatenate([np.zeros(3), middle])[-way.start.ndim :]
    plane = way.predict_error([point])[0][-2:, -2:]
    return float(np.sqrt(np.trace(plane) / 2))


def brought(moving: Source, grid: Source) -> NDArray[Any]:
    """Sample one layer at the voxels of another, both as they lie in the viewer.

    Parameters
    ----------
    moving : Source
        A segmentation (kept as numbers) or an image (interpolated); a plane is seen at every z.
    grid : Source
        A volume.

    Returns
    -------
    (nz, ny, nx) or, of a plane, (ny, nx) array
        0 outside `moving`.
    """
    from scipy.ndimage import affine_transform

    target = grid.to_display()
    shape = grid.shape
    if moving.ndim == 2:
        middle = (shape[0] - 1) / 2
        flat = np.eye(3)
        flat[:2, :2] = target[1:3, 1:3]
        flat[:2, 2] = target[1:3, 3] + target[1:3, 0] * middle
        target, shape = flat, shape[1:]
    index = np.linalg.solve(moving.to_display(), target)
    values = np.asarray(moving.data)
    if not moving.labels:
        values = values.astype(np.float32)
    return np.asarray(
        affine_transform(
            values,
            index[:-1, :-1],
            offset=index[:-1, -1],
            output_shape=shape,
            order=0 if moving.labels else 1,
            mode="constant",
            cval=0,
            prefilter=False,
        )
    )


def organelles(moving: Source, grid: Source, threshold: float | None) -> tuple[NDArray[Any], float]:
    """Give the organelles that a layer shows, on the grid of a volume.

    Parameters
    ----------
    threshold : float, optional
        Above which an image shows organelles; by default that of Otsu (1979, IEEE Trans. Syst.
        Man Cybern. 9:62). A segmentation needs none.

    Returns
    -------
    numbers, threshold

    Raises
    ------
    ImageError
        Where the image does not vary where the volume lies.
    """
    from scipy.ndimage import label

    there = brought(moving, grid)
    if moving.labels:
        return there.astype(np.int32), 0.0
    if not np.ptp(there):
        raise ImageError(
            f"{moving.name} shows nothing where {grid.name} lies; check that they are linked."
        )
    level = threshold
    if level is None:
        from skimage import filters

        otsu: Any = filters.threshold_otsu
        level = float(otsu(np.asarray(moving.data, dtype=np.float32)))
    return np.asarray(label(there > level)[0], dtype=np.int32), level


def _usable(layer: Any) -> bool:
    if not isinstance(layer, (Image, Labels)) or is_preview(layer) or getattr(layer, "rgb", False):
        return False
    meta = layer.metadata.get("clxem", {})
    return layer.ndim in (2, 3) and "marks" not in meta and MADE not in meta


def _ours(workspace: Workspace, layer: Any, name: str, channel: int) -> Source | None:
    session, view = workspace.store.session, workspace.view
    dataset = next((one for one in session.datasets if one.id == name), None)
    planes = [] if dataset is None else workspace.layers.planes(dataset)
    where = None if dataset is None else matrix(session, dataset, view)
    if not planes or where is None or planes[channel].scale is None:
        return None
    plane = planes[channel]
    scale = tuple(float(one) for one in plane.scale or ())
    return Source(f"{name}/{channel}", layer.name, plane.levels[0], scale, where, False, dataset)


def _foreign(layer: Any) -> Source | None:
    factors = [_micrometres(unit) for unit in layer.units]
    data = layer.data[0] if layer.multiscale else layer.data
    scale = np.abs(np.asarray(layer.scale, dtype=float)) * factors
    zero = np.asarray(layer.data_to_world((0.0,) * layer.ndim))[-layer.ndim :]
    along = [
        np.asarray(layer.data_to_world(tuple(row)))[-layer.ndim :] - zero
        for row in np.eye(layer.ndim)
    ]
    index = np.eye(layer.ndim + 1)
    index[:-1, :-1] = np.array(along).T
    index[:-1, -1] = zero
    index[:-1] *= np.array(factors)[:, np.newaxis]
    if not np.isfinite(scale).all() or (scale <= 0).any():
        return None
    place = index @ np.diag([*1 / scale, 1.0])
    return Source(
        f"layer-{id(layer)}",
        layer.name,
        data,
        tuple(scale.tolist()),
        place,
        isinstance(layer, Labels),
        None,
    )


def _micrometres(unit: Any) -> float:
    """Give a layer's unit in µm; what is no length counts as µm, as everywhere in the viewer."""
    length = pint.Unit("um")
    if unit.dimensionality != length.dimensionality:
        return 1.0
    return float((1.0 * unit).to(length).magnitude)
