"""What the axes of a TIFF series are in our terms, and what must be done to the arrays for it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from napari_clxem.errors import ReadError

_KNOWN = {"T": "t", "C": "c", "Z": "z", "Y": "y", "X": "x", "S": "s"}


@dataclass(frozen=True)
class Laid:
    """Arrays with axes named as ours, each once.

    `unnamed` counts the pages along an axis that the file does not name; `samples` is the
    number of samples per pixel (3 for RGB), which are channels here.
    """

    levels: tuple[Any, ...]
    axes: tuple[str, ...]
    unnamed: int = 0
    samples: int = 1


def laid(levels: tuple[Any, ...], axes: str, name: str) -> Laid:
    """Name the axes of a series.

    Axes of length 1 go, except y and x. Pages of unknown meaning (I, Q) are sections; samples
    become channels.

    Parameters
    ----------
    levels : tuple of array_like
        As stored.
    axes : str
        tifffile's codes, one letter per axis.
    name : str
        Of the file, for messages.

    Raises
    ------
    ReadError
        Where an axis has no place in (t, c, z, y, x).
    """
    shape = levels[0].shape
    single = [i for i, code in enumerate(axes) if code not in "YX" and shape[i] == 1]
    kept = [code for i, code in enumerate(axes) if i not in single]
    levels = tuple(_without(level, single) for level in levels)
    unnamed = [code for code in kept if code not in _KNOWN]
    names = [_KNOWN.get(code, code) for code in kept]
    pages = 0
    for code in unnamed:
        free = [axis for axis in ("z", "t") if axis not in names]
        if code not in "IQ" or not free:
            raise ReadError(
                f"{name} has an axis {code!r} beside {', '.join(names)}, which is no time, "
                "channel, z, y or x; split it into files that have only these."
            )
        pages = levels[0].shape[names.index(code)]
        names[names.index(code)] = free[0]
    samples = levels[0].shape[names.index("s")] if "s" in names else 1
    if "s" in names and "c" in names:
        levels = tuple(_merged(level, names) for level in levels)
        names = ["c", *(axis for axis in names if axis not in "cs")]
    named = tuple("c" if axis == "s" else axis for axis in names)
    if len(set(named)) != len(named) or not {"y", "x"} <= set(named):
        raise ReadError(f"{name} has axes {axes}, which are not those of images; split it.")
    return Laid(levels, named, pages, samples)


def _without(level: Any, single: list[int]) -> Any:
    return level[tuple(0 if i in single else slice(None) for i in range(level.ndim))]


def _merged(level: Any, names: list[str]) -> Any:
    """Make channels x samples one axis, in front."""
    import dask.array as da

    lazy = level if isinstance(level, da.Array) else da.from_array(level)  # type: ignore[no-untyped-call]
    front = lazy.transpose(
        [names.index("c"), names.index("s"), *(i for i, n in enumerate(names) if n not in "cs")]
    )
    return front.reshape((-1, *front.shape[2:]))
