"""Compiled kernels of this package, and work spread over all cores."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, TypeVar

from napari_clxem import compiling

T = TypeVar("T")
R = TypeVar("R")

_MODULES = ("match_kernels", "filter_kernels", "cutout_kernels", "fit_kernels")


def warm(block: bool = False) -> None:
    """Load or compile the kernels in the background.

    Parameters
    ----------
    block : bool
        Whether to return only when they are ready.
    """
    compiling.warm(*map(_full, _MODULES), block=block)


def ready(name: str) -> Any | None:
    """Give a module of kernels, or None while it is still being compiled."""
    return compiling.ready(_full(name))


def _full(name: str) -> str:
    return f"napari_clxem.fiducials.{name}"


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="fiducials")


def spread(job: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Do parts of a job on all cores; the answers come in the parts' order."""
    if len(parts) < 2:
        return [job(part) for part in parts]
    return list(_pool().map(job, parts))
