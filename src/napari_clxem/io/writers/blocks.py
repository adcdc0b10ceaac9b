"""The blocks in which a large image is worked out and written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Pixels of a block, and blocks that are worked out at the same time.
BLOCK, TOGETHER = 1 << 22, 2

Place = tuple[slice, ...]
Index = tuple[slice | int, ...]


def blocks(
    shape: Sequence[int], chunks: Sequence[int], share: int = 1
) -> Iterator[tuple[Place, ...]]:
    """Cut an array into blocks of whole chunks, some at a time.

    Parameters
    ----------
    shape, chunks : sequence of int
        Of the array.
    share : int
        Pixels read for one of its own.
    """
    side = np.array(chunks)
    most = max(BLOCK // share, int(side.prod()))
    for axis in reversed(range(len(shape))):
        fits = max(1, most // int(side.prod()))
        side[axis] = min(side[axis] * fits, -(-shape[axis] // chunks[axis]) * chunks[axis])
    starts = product(*(range(0, n, int(step)) for n, step in zip(shape, side, strict=True)))
    waiting: list[Place] = []
    for start in starts:
        waiting.append(
            tuple(slice(a, min(a + int(s), n)) for a, s, n in zip(start, side, shape, strict=True))
        )
        if len(waiting) == TOGETHER:
            yield tuple(waiting)
            waiting = []
    if waiting:
        yield tuple(waiting)


def computed(data: Any, places: Sequence[Index]) -> list[NDArray[Any]]:
    """Work out blocks of an array, by dask where it is lazy."""
    parts = [data[place] for place in places]
    if hasattr(data, "dask"):
        import dask

        parts = list(dask.compute(*parts))  # type: ignore[attr-defined, no-untyped-call]
    return [np.asarray(part) for part in parts]
