"""What clashes: planned exposures that touch a spent area, and images recorded twice."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from napari_clxem.dose.drawing import outlines, to_common
from napari_clxem.dose.edges import contours
from napari_clxem.dose.exposure import Exposure
from napari_clxem.dose.history import History
from napari_clxem.dose.quantities import each, expected, one_positive
from napari_clxem.frames.affine import Floats

_SIDE = 33  # samples across a footprint
_NEIGHBOURS = 12  # exposures whose edges are sampled, too


@dataclass(frozen=True)
class Conflict:
    """A planned exposure that would touch a spent area.

    Attributes
    ----------
    exposure : Exposure
        The planned one.
    others : tuple of Exposure
        Which were there before it.
    before, after : float
        Highest dose beneath it before, and with it, where it is highest, MGy.
    area : float
        How much of it would be spent, µm².
    limit : float
        MGy.
    """

    exposure: Exposure
    others: tuple[Exposure, ...]
    before: float
    after: float
    area: float
    limit: float

    def __str__(self) -> str:
        names = ", ".join(one.id for one in self.others[:3])
        return (
            f"Planned exposure {self.exposure.id!r} touches an area that is spent: {names} left "
            f"{self.before:.3g} MGy there, with it {self.after:.3g} of {self.limit:.3g} MGy over "
            f"{self.area:.3g} µm²."
        )


def conflicts(history: History, limit: Any) -> tuple[Conflict, ...]:
    """Find planned exposures that would spend more than a limit where others were before.

    Parameters
    ----------
    history : History
        With recorded and planned exposures; those earlier in time order count as before.
    limit : float or Quantity
        Dose that no place may get, MGy, such as that of a :class:`Budget`.

    Returns
    -------
    tuple of Conflict
        In time order. A place counts where an earlier exposure left something and the sum is
        above the limit.
    """
    expected(history, History, "The history")
    most = one_positive(limit, "megagray", "The limit")
    inside = history.placed(surface=False)
    found = []
    for index in np.flatnonzero(inside).tolist():
        if history.exposures[index].planned:
            earlier = [i for i in _touching(history, index) if inside[i]]
            found += [_conflict(history, index, earlier, most)] if earlier else []
    return tuple(one for one in found if one is not None)


def _touching(history: History, index: int) -> list[int]:
    """Earlier exposures whose footprints may meet that of one."""
    centres, radii = history.extents
    away = np.linalg.norm(centres[:index] - centres[index], axis=1)
    return np.flatnonzero(away <= radii[:index] + radii[index]).tolist()


def _conflict(history: History, index: int, earlier: list[int], most: float) -> Conflict | None:
    grid, cell = _grid_over(history, index)
    points = np.vstack([grid, *_edges(history, [*earlier[-_NEIGHBOURS:], index])])
    parts = np.array([history.doses[i] * history.relative(i, points) for i in earlier])
    before = parts.sum(axis=0)
    own = history.doses[index] * history.relative(index, points)
    spent = (own > 0) & (before > 0) & (before + own > most)
    if not spent.any():
        return None
    return Conflict(
        history.exposures[index],
        tuple(
            history.exposures[i]
            for i, part in zip(earlier, parts, strict=True)
            if part[spent].any()
        ),
        float(before[spent].max()),
        float((before + own)[spent].max()),
        float(spent[: len(grid)].sum() * cell),
        most,
    )


def _grid_over(history: History, index: int) -> tuple[Floats, float]:
    """Points (n, 2) over a footprint, halo included, and the area each stands for, µm²."""
    outermost = contours(history.exposures[index], (0.0,))[0].polygon
    polygon = to_common(history, index, outermost)
    low, high = polygon.min(axis=0), polygon.max(axis=0)
    y, x = (np.linspace(a, b, _SIDE) for a, b in zip(low, high, strict=True))
    grid = np.stack(np.meshgrid(y, x, indexing="ij"), axis=-1).reshape(-1, 2)
    return grid, float(np.prod((high - low) / (_SIDE - 1)))


def _edges(history: History, indices: Iterable[int]) -> list[Floats]:
    """Points just within wings and cores: there sums are highest."""
    found = []
    for index, lines in outlines(history, indices, (0.0, 1.0)).items():
        one = history.exposures[index]
        # within a halo, the edge of the beam itself is a step, too
        bare = contours(one, (0.0,), halo=False) if one.halo else ()
        inner = [replace(line, polygon=to_common(history, index, line.polygon)) for line in bare]
        for line in (*lines, *inner):
            middle = line.polygon.mean(axis=0)
            found.append(middle + (line.polygon[::2] - middle) * (1 - 1e-6))
    return found


@dataclass(frozen=True)
class Duplicate:
    """Two records of the same images.

    Attributes
    ----------
    first, second : Exposure
    images : int
        How many they share.
    """

    first: Exposure
    second: Exposure
    images: int

    def __str__(self) -> str:
        return (
            f"Exposures {self.first.id!r} and {self.second.id!r} record the same {self.images} "
            "images; keep one of them."
        )


def duplicates(exposures: Sequence[Exposure]) -> tuple[Duplicate, ...]:
    """Recognise images that are recorded twice, such as by two copies of one mdoc.

    Images are the same where modality, time stamp and tilt are; records without time stamps
    where everything else is.
    """
    seen: dict[Any, int] = {}
    shared: dict[tuple[int, int], int] = {}
    every = each(exposures, Exposure, "The exposures")
    for index, one in enumerate(every):
        if one.planned:
            continue
        for stamp, count in _stamps(one):
            first = seen.setdefault(stamp, index)
            if first != index:
                shared[first, index] = shared.get((first, index), 0) + count
    return tuple(
        Duplicate(every[first], every[second], count) for (first, second), count in shared.items()
    )


def unrecorded(exposure: Exposure, recorded: Iterable[Exposure]) -> Exposure | None:
    """Leave out images that other records hold, such as those of a series that went on since.

    Parameters
    ----------
    exposure : Exposure
    recorded : iterable of Exposure
        Images are the same as :func:`duplicates` says.

    Returns
    -------
    Exposure or None
        The exposure with the images that no record holds; None where that is none.
    """
    known = {stamp for one in recorded if not one.planned for stamp, _ in _stamps(one)}
    if not exposure.times:
        return None if _stamps(exposure)[0][0] in known else exposure
    stamps = [(exposure.modality, *pair) for pair in _pairs(exposure)]
    new = [index for index, stamp in enumerate(stamps) if not stamp[1] or stamp not in known]
    if len(new) == len(stamps):
        return exposure
    if not new:
        return None
    times = tuple(exposure.times[index] for index in new)
    return replace(
        exposure,
        tilts=tuple(exposure.tilts[index] for index in new),
        weights=tuple(exposure.weights[index] for index in new) if exposure.weights else (),
        times=times,
        time=min(filter(None, times), default="") if exposure.time else "",
    )


def _pairs(one: Exposure) -> list[tuple[str, float]]:
    """Time and tilt of each image."""
    return [(time, round(tilt, 2)) for time, tilt in zip(one.times, one.tilts, strict=True)]


def _stamps(one: Exposure) -> list[tuple[Any, int]]:
    """Give what tells images apart, with how many images each stands for."""
    if one.times:
        return [((one.modality, *pair), one.images) for pair in _pairs(one) if pair[0]]
    place = (one.frame, tuple(round(v, 3) for v in one.aim), one.beam_radius, one.beam_size)
    what = (one.modality, one.time, one.tilts, one.dose_per_image, one.fluence)
    return [((*what, *place), one.image_count)]
