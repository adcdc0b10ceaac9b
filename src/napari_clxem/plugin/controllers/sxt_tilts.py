"""Lists of tilts, as people write them."""

from __future__ import annotations

import re
from collections.abc import Iterable

import numpy as np

from napari_clxem.errors import ImageError
from napari_clxem.frames.affine import Floats
from napari_clxem.session.model import Session

EXAMPLE = "-70 to 70 by 2"
_NUMBER = r"[-+−]?\d+(?:\.\d+)?"
_RANGE = re.compile(
    rf"\s*({_NUMBER})\s*(?:to|\.\.|…|:)\s*({_NUMBER})\s*(?:by|step|:)\s*({_NUMBER})\s*°?\s*"
)
_MOST = 10_000


def read_list(text: str) -> Floats:
    """Read tilts such as ``-70 to 70 by 2``, or a list of angles, degrees.

    Raises
    ------
    ImageError
        Where the text is neither.
    """
    found = _RANGE.fullmatch(text)
    if found is not None:
        first, last, step = (_number(one) for one in found.groups())
        if step == 0 or (last - first) / step < 0 or (last - first) / step > _MOST:
            raise ImageError(f"No tilts lie from {first:g} to {last:g} in steps of {step:g}.")
        return first + step * np.arange(int((last - first) / step + 1e-6) + 1)
    parts = [one for one in re.split(r"[\s,;°]+", text) if one]
    if not parts or not all(re.fullmatch(_NUMBER, one) for one in parts):
        raise ImageError(f"Write the tilts in degrees, such as “{EXAMPLE}”, or one by one.")
    return np.array([_number(one) for one in parts])


def write_list(tilts: Iterable[float]) -> str:
    """Write tilts so that :func:`read_list` reads them: by steps where they are even."""
    angles = np.asarray(list(tilts), dtype=float)
    steps = np.diff(angles)
    if len(steps) > 1 and np.allclose(steps, steps[0], atol=1e-6) and steps[0]:
        return f"{angles[0]:g} to {angles[-1]:g} by {steps[0]:g}"
    return ", ".join(f"{one:g}" for one in angles)


def recorded(session: Session, frame: str) -> str:
    """Give the tilts of the tilt series recorded in a frame; empty where there is none."""
    for one in reversed(session.exposures):
        if one.frame == frame and len(one.tilts) > 3 and not one.planned:
            return write_list(one.tilts)
    return ""


def _number(text: str) -> float:
    return float(text.replace("−", "-"))
