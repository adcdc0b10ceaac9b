"""The order in which exposures happened."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from napari_clxem.dose.exposure import Exposure


def moment(time: str) -> datetime | None:
    """Read an ISO 8601 time stamp, without a zone as UTC; None where it is none."""
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return None
    return found.replace(tzinfo=UTC) if found.tzinfo is None else found


def in_time_order(
    exposures: Iterable[Exposure],
) -> tuple[tuple[Exposure, ...], tuple[Exposure, ...]]:
    """Sort exposures: recorded ones without a time, recorded ones by time, planned ones.

    Returns
    -------
    tuple of Exposure
        All; what has no time, or the same, keeps its order.
    tuple of Exposure
        Recorded ones without a readable time.
    """
    undated, dated, planned = [], [], []
    for one in exposures:
        if one.planned:
            planned.append(one)
        elif one.time and (when := moment(one.time)) is not None:
            dated.append((when, one))
        else:
            undated.append(one)
    dated.sort(key=lambda pair: pair[0])
    return (*undated, *(one for _, one in dated), *planned), tuple(undated)
