"""What takes a while to know of a fit: misses of left-out landmarks, outliers, a better model.

It is kept with the fit it is of, and given only where it is known, so that a window can ask.
"""

from __future__ import annotations

from dataclasses import dataclass
from weakref import WeakKeyDictionary

from napari_clxem.frames import Fit, Outlier, Recommendation, outliers, recommend
from napari_clxem.frames.affine import Floats


@dataclass(frozen=True)
class Examination:
    """What is known of a fit; None for what is not known yet.

    Attributes
    ----------
    left_out : (n,) array or None
        Miss of each landmark by the fit through the others, µm.
    outliers : tuple of Outlier or None
        Landmarks that the others contradict.
    recommendation : Recommendation or None
        Models side by side.
    """

    left_out: Floats | None = None
    outliers: tuple[Outlier, ...] | None = None
    recommendation: Recommendation | None = None


_known: WeakKeyDictionary[Fit, Examination] = WeakKeyDictionary()


def known(fitted: Fit) -> Examination:
    """Give what has been found out about a fit so far."""
    return _known.get(fitted, Examination())


def examine(fitted: Fit, compare: bool = False) -> Examination:
    """Find out about a fit, and keep it: a fit per landmark, and per model with `compare`."""
    before = known(fitted)
    models = before.recommendation
    found = Examination(
        left_out=fitted.leave_one_out,
        outliers=outliers(fitted) if before.outliers is None else before.outliers,
        recommendation=recommend(fitted) if compare and models is None else models,
    )
    _known[fitted] = found
    return found


def is_examined(fitted: Fit, compare: bool = False) -> bool:
    """Tell whether :func:`examine` has nothing left to find out."""
    found = known(fitted)
    return found.outliers is not None and (not compare or found.recommendation is not None)
