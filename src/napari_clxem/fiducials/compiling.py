"""Compiled kernels: made ready in the background, so that nothing waits for a compiler.

Kernels are kept on disk by numba and load in a fraction of a second; the very first time on a
machine they take some seconds to compile. Until then the same is done with NumPy, slower.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from functools import lru_cache
from importlib import import_module
from threading import Lock, Thread
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")

_PATIENCE = 1.0
"""Seconds from the first use on for which callers wait: enough to load kernels from disk."""

_MODULES = ("fit_kernels", "filter_kernels", "cutout_kernels", "match_kernels")

_lock = Lock()
_made: dict[str, Future[Any]] = {}
_deadline: list[float] = []


def warm(block: bool = False) -> None:
    """Load or compile the kernels in the background.

    Parameters
    ----------
    block : bool
        Whether to return only when they are ready.
    """
    futures = [_start(name) for name in _MODULES]
    if block:
        for future in futures:
            future.result()


def ready(name: str) -> Any | None:
    """Give a module of kernels, or None while it is still being compiled."""
    future = _start(name)
    if not future.done():
        with _lock:
            if not _deadline:
                _deadline.append(time.monotonic() + _PATIENCE)
        wait([future], timeout=max(0.0, _deadline[0] - time.monotonic()))
    return future.result() if future.done() else None


def waited(name: str) -> Any:
    """Give a module of kernels, however long it takes to compile."""
    return _start(name).result()


def _start(name: str) -> Future[Any]:
    with _lock:
        if name not in _made:
            _made[name] = Future()
            Thread(target=_make, args=(name, _made[name]), name=f"warm-{name}", daemon=True).start()
        return _made[name]


def _make(name: str, future: Future[Any]) -> None:
    try:
        module = import_module(f"napari_clxem.fiducials.{name}")
        module.warm()
    except Exception as error:  # noqa: BLE001 -- handed on to whoever asks for the kernels
        future.set_exception(error)
    else:
        future.set_result(module)


@lru_cache(maxsize=1)
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="fiducials")


def spread(job: Callable[[T], R], parts: Sequence[T]) -> list[R]:
    """Do parts of a job on all cores; the answers come in the parts' order."""
    if len(parts) < 2:
        return [job(part) for part in parts]
    return list(_pool().map(job, parts))
