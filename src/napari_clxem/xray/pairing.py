"""Bringing the images of two energies into register, and what absorbs more at the upper one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from napari_clxem import compiling
from napari_clxem.errors import Cancelled, ImageError
from napari_clxem.shifts import block_shifts, find_shift
from napari_clxem.xray import plain_sums
from napari_clxem.xray.geometry import check_tilts

Floats = NDArray[np.floating[Any]]

_FARTHEST = 1.2
"""Ratio of energies beyond which two images are not a pair about an edge."""
_SAMPLES = 60_000
_BINS = 32
_COARSE = 400
"""Images longer than this are binned for the first search."""
_LEAST_SCORE = 0.15
_SWAPPED = 0.02
_TILTS_AGREE = 0.05  # degrees


@dataclass(frozen=True, eq=False)
class Pair:
    """A series brought onto that of a lower energy.

    Attributes
    ----------
    data : (n, ny, nx) float32 array
        The series of the upper energy on the pixels of the lower one.
    magnification : float
        By how much it was enlarged.
    shifts : (n, 2) ndarray
        (y, x) pixels by which it was moved after that.
    information : (n,) ndarray
        Mutual information in register, nats.
    residuals : (n,) ndarray
        Root mean square shift of the parts of each image against each other after it, pixels; nan
        where no part has enough content.
    """

    data: NDArray[np.float32]
    magnification: float
    shifts: Floats
    information: Floats
    residuals: Floats


def align_pair(
    low: Any,
    high: Any,
    energies: tuple[float, float],
    *,
    tilts: tuple[ArrayLike, ArrayLike] | None = None,
    centre: tuple[float, float] | None = None,
    search: float = 20.0,
    progress: Callable[[float, str], None] | None = None,
    cancelled: Callable[[], bool] | None = None,
) -> Pair:
    """Bring each image of the upper energy onto its partner of the lower one.

    At fixed distances the focal length of a zone plate goes as the energy, so its magnification
    as the inverse: the upper image is enlarged by ``E_high / E_low`` about the optical axis. The
    shift left over is found by correlation and made sub-pixel by mutual information (Viola and
    Wells 1997, Int. J. Comput. Vis. 24:137), which does not mind that iron turns dark.

    Parameters
    ----------
    low, high : (n, ny, nx) or (ny, nx) array_like
        Transmission at the lower and the upper energy.
    energies : (low, high)
        eV.
    tilts : (low, high), optional
        Both tilt lists, degrees, which have to agree.
    centre : (y, x), optional
        Where the optical axis meets the image, pixels; by default the middle.
    search : float
        Largest shift looked for along an axis, pixels.
    progress, cancelled : callable, optional
        Called as ``progress(share, text)``; asked, and Cancelled raised where it gives True.

    Returns
    -------
    Pair

    Raises
    ------
    ImageError
        Where the energies are swapped or too far apart, shapes or tilts differ, an image has no
        content in common with its partner, or lies beyond the search.
    """
    one, two = (np.asarray(series, dtype=np.float32) for series in (low, high))
    if one.shape != two.shape or one.ndim not in (2, 3):
        raise ImageError(
            f"The series of the two energies have shapes {one.shape} and {two.shape}; give two of "
            "one shape (n, y, x)."
        )
    single = one.ndim == 2
    one, two = (s[None] if single else s for s in (one, two))
    ratio = _ratio(energies)
    if tilts is not None:
        same_tilts(*tilts, images=len(one))
    middle = np.array([(n - 1) / 2 for n in one.shape[1:]] if centre is None else centre)
    _refuse_swapped(one[len(one) // 2], two[len(two) // 2], ratio, middle, search)
    aligned = np.empty_like(one)
    rows = []
    for index in range(len(one)):
        if cancelled is not None and cancelled():
            raise Cancelled("The alignment of the pair was stopped; nothing was changed.")
        rows.append(_one(one[index], two[index], ratio, middle, search, index, aligned[index]))
        if progress is not None:
            progress((index + 1) / len(one), f"image {index}")
    shifts, found, residuals = (np.array(part) for part in zip(*rows, strict=True))
    return Pair(aligned[0] if single else aligned, ratio, shifts, found, residuals)


def enlarge(
    image: ArrayLike,
    factor: float,
    shift: ArrayLike = (0.0, 0.0),
    centre: ArrayLike | None = None,
) -> NDArray[np.float32]:
    """Enlarge an image about a point and shift it, by one cubic spline interpolation.

    Parameters
    ----------
    image : (ny, nx) array_like
    factor : float
        Above 1 enlarges.
    shift : (y, x)
        Pixels, after enlarging.
    centre : (y, x), optional
        Fixed point, pixels; by default the middle.

    Returns
    -------
    (ny, nx) float32 array
        Borders that were not recorded repeat the nearest pixel.
    """
    from scipy.ndimage import affine_transform

    array = np.asarray(image, dtype=np.float32)
    middle = (np.array(array.shape) - 1) / 2 if centre is None else np.asarray(centre, float)
    offset = middle - (middle + np.asarray(shift, dtype=float)) / factor
    warped = affine_transform(array, np.eye(2) / factor, offset, order=3, mode="nearest")
    return np.asarray(warped, dtype=np.float32)


def difference(low: Any, high: Any, scale: float = 1.0) -> Any:
    """Give what absorbs more at the upper energy: ``high - scale · low``.

    Parameters
    ----------
    low, high : array_like
        Optical density (or linear absorption) at the lower and upper energy, in register.
    scale : float
        How much of the absorption without the element is left at the upper energy, about 0.969
        between 700 and 709 eV; see :func:`fit_scale`.

    Raises
    ------
    ImageError
        Where the shapes differ.
    """
    one, two = (a if hasattr(a, "shape") else np.asarray(a) for a in (low, high))
    if tuple(one.shape) != tuple(two.shape):
        raise ImageError(
            f"The two energies have shapes {tuple(one.shape)} and {tuple(two.shape)}; give two of "
            "one shape, in register."
        )
    return two - scale * one


def fit_scale(
    low: ArrayLike, high: ArrayLike, mask: ArrayLike | None = None
) -> tuple[float, float]:
    """Fit how much absorption without the element is left at the upper energy.

    The ratio of the sums, which noise does not bias, over pixels that absorb. Where the mean of
    five by five pixels departs by more than three standard deviations (iron), the neighbourhood is
    left out, until nothing changes.

    Parameters
    ----------
    low, high : (..., ny, nx) array_like
        Optical density in register.
    mask : array_like of bool, optional
        Pixels known to hold none of the element.

    Returns
    -------
    scale, sd : float

    Raises
    ------
    ImageError
        Where the shapes differ or too little absorbs for a fit.
    """
    from scipy.ndimage import binary_dilation, uniform_filter

    one, two = (np.asarray(a, dtype=float) for a in (low, high))
    difference(one, two)  # refuses different shapes
    used = np.isfinite(one) & np.isfinite(two)
    if mask is not None:
        used &= np.broadcast_to(np.asarray(mask, dtype=bool), one.shape)
    one, two = np.where(used, one, 0.0), np.where(used, two, 0.0)
    if used.sum() < 100 or one[used].sum() <= 0:
        raise ImageError(
            "Too little absorbs at the lower energy to fit the scale; give pixels with material."
        )
    both = one + two
    used &= both >= np.quantile(both[used], 0.5)
    flat = (1,) * (one.ndim - 2)
    near = np.ones((*flat, 5, 5), bool)
    kept, scale = used, float(two[used].sum() / one[used].sum())
    for _ in range(12):
        rest = uniform_filter(two - scale * one, (*flat, 5, 5))
        middle = float(np.median(rest[kept]))
        sd = 1.4826 * float(np.median(np.abs(rest[kept] - middle)))
        out = np.abs(rest - middle) > 3 * max(sd, 1e-12)
        new = used & ~binary_dilation(out, near)
        if new.sum() < 100:
            break
        kept = new
        before, scale = scale, float(two[kept].sum() / one[kept].sum())
        if abs(scale - before) < 1e-7:
            break
    rest = two[kept] - scale * one[kept]
    return scale, float(rest.std() * np.sqrt(kept.sum()) / one[kept].sum())


def same_tilts(one: ArrayLike, two: ArrayLike, images: int | None = None) -> Floats:
    """Give the tilts both lists share; raises ImageError where they differ."""
    first, second = check_tilts(one, images), check_tilts(two, images)
    if len(first) != len(second):
        raise ImageError(
            f"The tilt lists hold {len(first)} and {len(second)} tilts; give the same tilts at "
            "both energies."
        )
    apart = np.abs(first - second)
    if apart.max() > _TILTS_AGREE:
        at = int(np.argmax(apart > _TILTS_AGREE))
        raise ImageError(
            f"The tilt lists differ: image {at} is at {first[at]:g} degrees in one and "
            f"{second[at]:g} in the other; leave out images without a partner."
        )
    return (first + second) / 2


def _ratio(energies: tuple[float, float]) -> float:
    low, high = (float(e) for e in energies)
    if not (low > 0 and high > 0):
        raise ImageError(f"Energies of {low:g} and {high:g} eV are not usable; give positive ones.")
    if low >= high:
        raise ImageError(
            f"The energies are swapped: the first series is said to be at {low:g} eV, the second "
            f"at {high:g} eV; give the lower one first, with its images."
        )
    if high / low > _FARTHEST:
        raise ImageError(
            f"{low:g} and {high:g} eV are too far apart for a pair about an edge; give energies in "
            "eV, just below and above it."
        )
    return high / low


def _refuse_swapped(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    ratio: float,
    middle: Floats,
    search: float,
) -> None:
    """Refuse a pair that fits clearly better when the upper image is made smaller instead."""
    scores = []
    for factor in (ratio, 1 / ratio):
        found, _ = _coarse(low, enlarge(high, factor, centre=middle), search)
        scores.append(-1.0 if found is None else found)
    if scores[1] > scores[0] + _SWAPPED:
        raise ImageError(
            f"The images fit better the other way round (correlation {scores[1]:.2f} against "
            f"{scores[0]:.2f}): the energies look swapped; give the lower energy first."
        )


def _coarse(
    low: NDArray[np.float32], high: NDArray[np.float32], search: float
) -> tuple[float | None, Floats]:
    """Find the shift by correlation: its score (None without any) and (y, x) pixels."""
    bins = max(1, int(np.ceil(max(low.shape) / _COARSE)))
    pictures = [_binned(image, bins) for image in (low, high)]
    found = find_shift(pictures[0], pictures[1], reach=search / bins + 2.0)
    if found is None:
        return None, np.zeros(2)
    return found.score, np.array(found.shift) * bins


def _binned(image: NDArray[np.float32], bins: int) -> Floats:
    ny, nx = (n // bins * bins for n in image.shape)
    return np.asarray(
        image[:ny, :nx].reshape(ny // bins, bins, nx // bins, bins).mean(axis=(1, 3)), dtype=float
    )


def _one(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    ratio: float,
    middle: Floats,
    search: float,
    index: int,
    out: NDArray[np.float32],
) -> tuple[Floats, float, float]:
    """Align one image into `out`; give its shift, mutual information and residual."""
    score, start = _coarse(low, enlarge(high, ratio, centre=middle), search)
    if score is None or score < _LEAST_SCORE or np.abs(start).max() > search:
        raise _not_found(low, enlarge(high, ratio, centre=middle), search, index)
    shift, found = _refined(low, high, ratio, middle, start)
    out[...] = enlarge(high, ratio, shift, middle)
    blocks = block_shifts(low, out, blocks=3, reach=3.0)
    good = blocks.shifts[blocks.scores > 0.3]
    residual = float(np.sqrt((good**2).sum(axis=1).mean())) if len(good) else float("nan")
    return shift, found, residual


def _not_found(
    low: NDArray[np.float32], high: NDArray[np.float32], search: float, index: int
) -> ImageError:
    """Say whether an image lies beyond the search or nowhere."""
    score, shift = _coarse(low, high, float(max(low.shape)))
    if score is not None and score >= 0.3:
        return ImageError(
            f"Image {index} lies about {np.abs(shift).max():.0f} pixels from its partner of the "
            f"other energy, beyond the search of {search:g}; allow a wider search."
        )
    return ImageError(
        f"Image {index} has nothing in common with its partner of the other energy (correlation "
        f"{score or 0.0:.2f}); check that they are of the same place and tilt."
    )


def _refined(
    low: NDArray[np.float32],
    high: NDArray[np.float32],
    ratio: float,
    middle: Floats,
    start: Floats,
) -> tuple[Floats, float]:
    """Climb to the greatest mutual information near a shift.

    Both images are interpolated at the same scattered positions, since interpolating one only
    smooths it more or less by shift and draws the maximum to the pixel grid.
    """
    from scipy.ndimage import map_coordinates, spline_filter

    joint = (compiling.ready("napari_clxem.xray.information") or plain_sums).joint
    margin = np.abs(start) + 4.0
    rng = np.random.default_rng(7)
    last = np.array(low.shape) - 1 - margin
    places = rng.uniform(margin, last, size=(min(_SAMPLES, low.size), 2)).T
    coefficients = [spline_filter(image, order=3, output=np.float32) for image in (low, high)]
    first = map_coordinates(coefficients[0], places, order=3, prefilter=False)
    one = _scaled(first, first)
    from_middle = places - middle[:, None]

    def value(shift: Floats) -> float:
        at = middle[:, None] + (from_middle - shift[:, None]) / ratio
        second = map_coordinates(coefficients[1], at, order=3, mode="nearest", prefilter=False)
        return plain_sums.information(joint(one, _scaled(second, second), _BINS))

    best, found = np.asarray(start, dtype=float), 0.0
    for step in (1.0, 0.5, 0.25):
        offsets = np.array([(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]) * step
        values = np.array([value(best + offset) for offset in offsets])
        best, found = best + offsets[int(values.argmax())], float(values.max())
    offsets = np.array([(y, x) for y in (-2, -1, 0, 1, 2) for x in (-2, -1, 0, 1, 2)]) * 0.3
    values = np.array([value(best + offset) for offset in offsets])
    y, x = offsets.T
    terms = np.column_stack([np.ones(len(y)), y, x, y**2, x**2, x * y])
    _, a, b, c, d, e = np.linalg.lstsq(terms, values, rcond=None)[0]
    curvature = np.array([[2 * c, e], [e, 2 * d]])
    if np.linalg.eigvalsh(curvature)[-1] < 0:
        best = best + np.clip(-np.linalg.solve(curvature, [a, b]), -0.6, 0.6)
    return best, max(found, value(best))


def _scaled(values: Floats, reference: Floats) -> NDArray[np.float32]:
    """Scale values to the inner bins of a histogram, ignoring the outermost permille."""
    low, high = np.quantile(reference, (0.001, 0.999))
    share = (values - low) / max(float(high - low), 1e-9)
    return np.asarray(1.0 + np.clip(share, 0.0, 1.0) * (_BINS - 3), dtype=np.float32)
