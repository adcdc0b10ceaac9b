"""The scaled orthographic fit by compiled kernels, once these are ready.

A live drag refits a FIB view at every move. The kernels take the same steps as the general
solver, to the same minimum. They load in the background at the first fit of a projection; the
very first time on a machine they have to be compiled, and the general solver answers meanwhile.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, wait
from functools import cache
from threading import Thread
from typing import Any

import numpy as np

from napari_clxem.frames.affine import Floats
from napari_clxem.frames.landmarks import Landmarks

_PATIENCE = 1.0
"""Seconds from the first use on for which a fit waits: enough to load kernels from disk."""


def warm(block: bool = False) -> None:
    """Load or compile the kernels in the background; `block` waits until they are ready."""
    future, _ = _kernels()
    if block:
        future.result()


def descended(
    landmarks: Landmarks, centre: Floats, guesses: list[Floats], middle: Floats
) -> tuple[Any, ...] | None:
    """Go from first guesses to their minima.

    Returns
    -------
    tuple or None
        Whether each settled (k,), A (k, 2, 3), t (k, 2), cost (k,) and the covariance of the
        entries of [A | t] (k, 8, 8); None while the kernels are being compiled.
    """
    future, until = _kernels()
    if not future.done():
        wait([future], timeout=max(0.0, until - time.monotonic()))
        if not future.done():
            return None
    count = len(landmarks.moving)
    here, there = landmarks.moving_covariance, landmarks.fixed_covariance
    enough = 1e-8
    if here is None or there is None:
        here, there, enough = np.zeros((count, 3, 3)), np.tile(np.eye(2), (count, 1, 1)), 0.0
    found: tuple[Any, ...] = future.result().descend(
        *(np.ascontiguousarray(part) for part in (landmarks.moving - centre, landmarks.fixed)),
        *(np.ascontiguousarray(part) for part in (here, there)),
        np.array(guesses),
        np.ascontiguousarray(middle),
        enough,
    )
    return found


@cache
def _kernels() -> tuple[Future[Any], float]:
    """Start to load the kernels; also give the time until which it is worth waiting."""
    future: Future[Any] = Future()
    Thread(target=_load, args=(future,), name="warm-orthographic", daemon=True).start()
    return future, time.monotonic() + _PATIENCE


def _load(future: Future[Any]) -> None:
    try:
        from napari_clxem.frames import orthographic_kernels

        orthographic_kernels.warm()
    except Exception as error:  # noqa: BLE001 -- handed on to whoever asks for the kernels
        future.set_exception(error)
    else:
        future.set_result(orthographic_kernels)
