"""Opened images as napari layers: one per channel, in µm, with axis names.

A time axis never becomes a layer axis: the first time point is shown, and the layer's metadata
say how many there are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.io.image import SPATIAL, Channel, OpenedImage
from napari_clxem.plugin import colours, pyramid
from napari_clxem.plugin.placement import Placement, place
from napari_clxem.plugin.resampling import resample

LayerData = tuple[Any, dict[str, Any], str]

UNIT = "um"
NO_SCALE = "(no pixel size)"


@dataclass(frozen=True)
class Plane:
    """One channel of an opened image, as napari may show it.

    Parameters
    ----------
    levels : tuple of array_like
        Resolution levels, spatial axes only.
    name : str
        Layer name.
    scale : tuple of float or None
        Pixel size, µm; None for a preview.
    labels : tuple of str
        Names of the axes.
    look : mapping
        Colour map, blending, rendering and contrast limits, as napari's keyword arguments.
    meta : mapping
        What goes under ``metadata["clxem"]``; plain values only.
    """

    levels: tuple[Any, ...]
    name: str
    scale: tuple[float, ...] | None
    labels: tuple[str, ...]
    look: Mapping[str, Any] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


def planes(
    image: OpenedImage, *, modality: str = "", name: str = "", meta: Mapping[str, Any] | None = None
) -> list[Plane]:
    """Split an opened image into what its layers show.

    Parameters
    ----------
    image : OpenedImage
        The image, lazily.
    modality : str
        What took it, such as ``"confocal"``; empty means "by its channels".
    name : str
        Name of the dataset; that of the image where empty.
    meta : mapping, optional
        Plain identifiers to carry in the layers' metadata.
    """
    count = image.data.shape[image.axes.index("c")] if "c" in image.axes else 1
    channels = image.channels or tuple(Channel(name="") for _ in range(count))
    light = colours.is_fluorescence(modality, channels)
    title = name or image.name
    if image.scale is None:
        title = f"{title} {NO_SCALE}"
    shared = {**(meta or {}), "preview": image.scale is None, **_time(image)}
    made = []
    for index, channel in enumerate(channels[:count]):
        levels = tuple(_channel(level, image.axes, index) for level in image.levels)
        made.append(
            Plane(
                levels=levels,
                name=f"{title} · {channel.name}" if channel.name else title,
                scale=image.scale,
                labels=tuple(axis for axis in image.axes if axis in SPATIAL),
                look=colours.look(channel, index, levels, light),
                meta={**shared, "channel": index},
            )
        )
    return made


def _channel(level: Any, axes: Sequence[str], index: int) -> Any:
    chosen = {"t": 0, "c": index}
    return level[tuple(chosen.get(axis, slice(None)) for axis in axes)]


def _time(image: OpenedImage) -> dict[str, int]:
    if "t" not in image.axes:
        return {}
    return {"frames": int(image.data.shape[image.axes.index("t")]), "shown_frame": 0}


def layer_data(plane: Plane) -> LayerData:
    """Describe a channel that lies in no common frame: by its own calibration alone."""
    levels = pyramid.extend(plane.levels)
    arguments = _common(plane)
    if plane.scale is None:
        arguments["units"] = ("pixel",) * len(plane.labels)
    else:
        arguments["scale"] = plane.scale
    return _with_levels(levels, arguments)


@dataclass(frozen=True)
class Shown:
    """The state of a layer that depends on where its image lies and on the kind of view.

    Parameters
    ----------
    data : array_like or list of array_like
        What the layer holds; a list where it is multiscale.
    scale : ndarray, (d,)
        Pixel size, µm.
    affine : ndarray, (d + 1, d + 1)
        Image µm to display µm.
    """

    data: Any
    scale: Floats
    affine: Floats


@dataclass(frozen=True)
class Placed:
    """A channel placed in the display: what its layer is in a 2D view and in a 3D view."""

    plane: Plane
    placement: Placement
    flat: Shown
    solid: Shown

    @property
    def many(self) -> bool:
        """Whether the layer is of several levels, which napari fixes when it is made."""
        return isinstance(self.flat.data, list)

    def of_kind(self, many: bool) -> Placed:
        """Give the same for a layer that was made of several levels, or of a single one."""
        if many == self.many:
            return self
        return replace(self, flat=_of_kind(self.flat, many), solid=_of_kind(self.solid, many))

    def shown(self, ndisplay: int) -> Shown:
        """Choose by the number of displayed axes, 2 or 3."""
        return self.solid if ndisplay == 3 else self.flat

    def data(self, ndisplay: int) -> LayerData:
        """Describe the layer for napari."""
        shown = self.shown(ndisplay)
        arguments = {**_common(self.plane), "scale": shown.scale, "affine": shown.affine}
        return shown.data, {**arguments, "multiscale": self.many}, "image"


def placed(plane: Plane, matrix: Floats) -> Placed:
    """Place a channel in the display.

    Parameters
    ----------
    plane : Plane
        A channel with a pixel size.
    matrix : ndarray, (d + 1, d + 1)
        Image µm to display µm.

    Raises
    ------
    ValueError
        Where the channel has no pixel size: it may only be previewed.
    """
    if plane.scale is None:
        raise ValueError(f"{plane.name} cannot be placed before it has a pixel size")
    shape = plane.levels[0].shape
    placement = place(matrix, shape, plane.scale)
    scale = np.asarray(plane.scale, dtype=float)
    if placement.tilted:
        cut = resample(plane.levels, plane.scale, placement)
        levels: list[Any] = list(cut.levels)
        flat = Shown(data=levels, scale=cut.scale, affine=cut.affine)
    else:
        levels = pyramid.extend(plane.levels)
        flat = Shown(data=_one_or_many(levels), scale=scale, affine=placement.flat)
    if len(shape) == 2 or not (placement.tilted or len(levels) > 1):
        return Placed(plane=plane, placement=placement, flat=flat, solid=flat)
    body = pyramid.solid(plane.levels)
    shift = np.eye(4)
    shift[:3, 3] = body.offset * scale
    # napari cannot turn a layer from one level into several, so both views are of one kind.
    solid = Shown(
        data=[body.data] if len(levels) > 1 else body.data,
        scale=scale * body.step,
        affine=placement.full @ shift,
    )
    return Placed(plane=plane, placement=placement, flat=flat, solid=solid)


def _of_kind(shown: Shown, many: bool) -> Shown:
    return replace(shown, data=[shown.data] if many else shown.data[0])


def _one_or_many(levels: list[Any]) -> Any:
    return levels if len(levels) > 1 else levels[0]


def _common(plane: Plane) -> dict[str, Any]:
    return {
        "name": plane.name,
        "units": (UNIT,) * len(plane.labels),
        "axis_labels": plane.labels,
        "metadata": {"clxem": dict(plane.meta)},
        **plane.look,
    }


def _with_levels(levels: list[Any], arguments: dict[str, Any]) -> LayerData:
    if len(levels) > 1:
        return levels, {**arguments, "multiscale": True}, "image"
    return levels[0], {**arguments, "multiscale": False}, "image"
