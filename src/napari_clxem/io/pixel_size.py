"""Whether a stated pixel size can be one; where it cannot, nothing is assumed in its place."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from napari_clxem.errors import MissingScaleError

# Smaller than a tenth of an Ångström or larger than a centimetre is no microscope's pixel.
SMALLEST = 1e-5
LARGEST = 1e4


def is_usable(value: float | None) -> bool:
    """Tell whether a pixel size in µm can be true."""
    return value is not None and math.isfinite(value) and SMALLEST <= value <= LARGEST


def checked_scale(
    axes: Sequence[str], pixel: Mapping[str, float | None]
) -> tuple[tuple[float, ...] | None, str]:
    """Give the scale along `axes`, or None and the sentence that says why not.

    Parameters
    ----------
    axes : sequence of str
        Spatial axes in the order of the result.
    pixel : mapping
        Stated pixel size per axis, µm; None where nothing is stated.

    Returns
    -------
    scale : tuple of float or None
        µm.
    complaint : str
        Empty where there is a scale.
    """
    values = [pixel.get(axis) for axis in axes]
    if all(is_usable(value) for value in values):
        return tuple(float(value) for value in values if value is not None), ""
    faults = [
        f"{axis} is {'not stated' if value is None else f'{value:g} µm'}"
        for axis, value in zip(axes, values, strict=True)
        if not is_usable(value)
    ]
    return None, (
        f"No usable pixel size ({', '.join(faults)}); give it in µm as scale=({', '.join(axes)})."
    )


def given_scale(axes: Sequence[str], scale: Sequence[float]) -> tuple[float, ...]:
    """Check a pixel size that a caller gives.

    Parameters
    ----------
    axes : sequence of str
        Spatial axes of the image.
    scale : sequence of float
        One value per axis, µm.

    Raises
    ------
    MissingScaleError
        Where their number is not that of the axes, or one is not positive and finite.
    """
    try:
        values = tuple(float(value) for value in scale)
    except (TypeError, ValueError):
        values = ()
    if len(values) != len(axes) or not all(math.isfinite(v) and v > 0 for v in values):
        raise MissingScaleError(
            f"scale={scale!r} is not a pixel size for axes ({', '.join(axes)}); give one positive "
            "number in µm for each of them."
        )
    return values
