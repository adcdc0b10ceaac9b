"""Contrast limits from a bounded sample of the pixels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

# Pixels that are looked at, at most; a few blocks of them across the image.
SAMPLE = 1 << 20
BLOCKS = 4


def contrast_limits(
    image: Any, percentiles: tuple[float, float] = (1.0, 99.8)
) -> tuple[float, float]:
    """Give the limits between which an image is shown.

    Parameters
    ----------
    image : array_like or sequence of array_like
        One channel, or its resolution levels, full resolution first; the coarsest is sampled.
    percentiles : tuple of float
        Of the finite pixels of the sample.

    Returns
    -------
    tuple of float
        Low and high, low < high; (0, 1) where no pixel is finite.
    """
    data = image[-1] if isinstance(image, list | tuple) else image
    values = np.asarray(_sample(data)).ravel()
    if np.iscomplexobj(values):
        values = np.abs(values)
    values = values.astype(np.float64)
    values = values[np.isfinite(values)]
    if not values.size:
        return (0.0, 1.0)
    low, high = (float(v) for v in np.percentile(values, percentiles))
    if low == high:
        low, high = float(values.min()), float(values.max())
    return (low, high) if high > low else _around(low)


def channel_limits(
    image: Any, axes: Sequence[str], percentiles: tuple[float, float] = (1.0, 99.8)
) -> tuple[tuple[float, float], ...]:
    """Give the limits of every channel; see :func:`contrast_limits`.

    Parameters
    ----------
    image : array_like or sequence of array_like
        An image or its resolution levels.
    axes : sequence of str
        Names of its axes; channels lie along ``"c"``, if there is one.
    percentiles : tuple of float
        Of the finite pixels of the sample.
    """
    data = image[-1] if isinstance(image, list | tuple) else image
    if "c" not in axes:
        return (contrast_limits(data, percentiles),)
    axis = list(axes).index("c")
    before = (slice(None),) * axis
    return tuple(contrast_limits(data[(*before, i)], percentiles) for i in range(data.shape[axis]))


def _around(value: float) -> tuple[float, float]:
    """Give a range for a constant image that holds its value and can be drawn."""
    width = max(abs(value) * 1e-6, 1.0 if float(value).is_integer() else 1e-12)
    return (value, value + width)


def _sample(data: Any) -> Any:
    """Take planes spread along the leading axes, and of each some blocks if it is large."""
    plane = int(math.prod(data.shape[-2:]))
    planes = max(1, min(BLOCKS, SAMPLE // max(plane, 1)))
    leading = [_spread(size, planes if i == 0 else 1) for i, size in enumerate(data.shape[:-2])]
    parts = []
    for index in np.ndindex(*(len(choice) for choice in leading)):
        place = tuple(choice[i] for choice, i in zip(leading, index, strict=True))
        parts += _blocks(data[place])
    return np.concatenate([np.asarray(part).ravel() for part in _computed(parts)])


def _computed(parts: list[Any]) -> Sequence[Any]:
    """Compute lazy blocks together, so that a chunk that holds several is read once."""
    if not any(hasattr(part, "dask") for part in parts):
        return parts
    import dask

    computed: Sequence[Any] = dask.compute(*parts)  # type: ignore[attr-defined, no-untyped-call]
    return computed


def _spread(size: int, count: int) -> list[int]:
    """Give up to `count` indices spread over `size`, none twice; one is the middle."""
    count = min(size, count)
    return sorted({int((i + 0.5) * size / count) for i in range(count)})


def _blocks(plane: Any) -> list[Any]:
    """Give a plane, or blocks along its diagonal and beside it when it is large."""
    if math.prod(plane.shape) <= SAMPLE:
        return [plane]
    side = int(math.sqrt(SAMPLE / BLOCKS**2))
    starts = [[int(s) for s in np.linspace(0, max(n - side, 0), BLOCKS)] for n in plane.shape]
    return [plane[r : r + side, c : c + side] for r in starts[0] for c in starts[1]]
