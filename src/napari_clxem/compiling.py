"""Compiled kernels: made ready beside the work, so that nothing waits for a compiler.

Kernels are kept on disk by numba and load in a fraction of a second; the very first time on a
machine they take seconds to compile. A compiler in a thread would hold up the window, which shares
its interpreter lock, so another process fills the disk. Until then the same is done with NumPy,
slower.

A module of kernels has a function `warm`, which calls each with the types in use.
"""

from __future__ import annotations

import gc
import os
import subprocess
import sys
import tempfile
import time
import zlib
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import BoundedSemaphore, Event, Lock, Thread, get_ident
from typing import Any

_PATIENCE = 1.0
"""Seconds from the first use on for which callers wait: enough to load kernels from disk."""

_LONGEST = 300.0
"""Seconds after which a compiler is taken to have died."""

_lock, _loading = Lock(), Lock()
_turn = BoundedSemaphore(max(1, (os.cpu_count() or 1) // 2))
_made: dict[str, _Made] = {}


class _UncompiledError(Exception):
    """A kernel is not on disk."""


@dataclass
class _Made:
    """A module of kernels: itself, and whether it is known by now to be on disk or not."""

    module: Future[Any] = field(default_factory=Future)
    known: Event = field(default_factory=Event)
    until: float | None = None


def warm(*names: str, block: bool = False) -> None:
    """Load kernels in the background, or have them compiled.

    Parameters
    ----------
    *names : str
        Full names of modules.
    block : bool
        Whether to return only when they are ready.
    """
    every = [_started(name) for name in names]
    if block:
        for made in every:
            made.module.result()


def ready(name: str) -> Any | None:
    """Give a module of kernels by its full name, or None while it is still being compiled."""
    made = _started(name)
    if made.until is None:
        made.until = time.monotonic() + _PATIENCE
    made.known.wait(max(0.0, made.until - time.monotonic()))
    return made.module.result() if made.module.done() else None


def loaded(name: str) -> Any | None:
    """Give a module of kernels if it was asked for before and is ready; nothing is started."""
    made = _made.get(name)
    return made.module.result() if made is not None and made.module.done() else None


def _started(name: str) -> _Made:
    with _lock:
        if name not in _made:
            _made[name] = _Made()
            arguments = (name, _made[name])
            Thread(target=_make, args=arguments, name=f"warm-{name}", daemon=True).start()
        return _made[name]


def _make(name: str, made: _Made) -> None:
    try:
        try:
            with _quietly():
                module = _imported(name)
                with _nothing_compiled():
                    module.warm()
        except _UncompiledError:
            made.known.set()
            with _turn:
                _compile_beside(name)
            with _quietly():
                module.warm()  # from disk; compiled here where no other process could
    except Exception as error:  # noqa: BLE001 -- handed on to whoever asks for the kernels
        made.module.set_exception(error)
    else:
        made.module.set_result(module)
    finally:
        made.known.set()


@contextmanager
def _quietly() -> Iterator[None]:
    """Load one module at a time, and put off full collections of garbage.

    The many lasting objects of numba would set them off, and each holds up a large program for a
    tenth of a second or more.
    """
    with _loading:
        young, middle, old = gc.get_threshold()
        gc.set_threshold(young, middle, 1 << 30)
        try:
            yield
        finally:
            gc.set_threshold(young, middle, old)


def _imported(name: str) -> Any:
    try:
        return import_module(name)
    except RuntimeError as error:
        if "cannot cache" not in str(error):
            raise
    # Neither the installation nor the user's folder can be written: keep them for this run.
    _settings().CACHE_DIR = tempfile.mkdtemp(prefix="napari-clxem-")
    return import_module(name)


def _settings() -> Any:
    return import_module("numba.core.config")


@contextmanager
def _nothing_compiled() -> Iterator[None]:
    """Raise an error where this thread is about to compile a kernel."""
    from numba.core import event

    here = get_ident()

    class Refusal(event.Listener):
        def on_start(self, _event: Any) -> None:
            if get_ident() == here:
                raise _UncompiledError

        def on_end(self, _event: Any) -> None:
            return

    with event.install_listener("numba:compile", Refusal()):
        yield


def _compile_beside(name: str) -> None:
    """Have a module compiled by another process, or wait for the one that is at it."""
    python = Path(sys.executable or "").stem.lower().startswith("python")
    if getattr(sys, "frozen", False) or not python:
        return
    mark = _mark(name)
    begun = time.time()
    while True:
        try:
            mark.open("x").close()
            break
        except FileExistsError:
            with suppress(FileNotFoundError):
                if time.time() - mark.stat().st_mtime > _LONGEST:
                    mark.unlink()
        except OSError:
            return
        if time.time() - begun > _LONGEST:
            return
        time.sleep(0.1)
        if not mark.exists():
            return
    # It goes on when this program ends, so that the next one need not begin anew.
    code = (
        f"import os; getattr(os, 'nice', int)(5)\n"
        f"try:\n import {name} as kernels; kernels.warm()\n"
        f"finally:\n os.unlink({str(mark)!r})\n"
    )
    places = {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    places["NUMBA_CACHE_DIR"] = _settings().CACHE_DIR
    with suppress(OSError, subprocess.TimeoutExpired):
        subprocess.run(
            [sys.executable, "-P", "-c", code],
            env=os.environ | places,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
            timeout=_LONGEST,
            check=False,
        )
        mark.unlink(missing_ok=True)


def _mark(name: str) -> Path:
    """Give the file that tells that a module is being compiled for this cache."""
    cache = (name, sys.prefix, import_module(name).__file__, _settings().CACHE_DIR)
    of = zlib.crc32(repr((*cache, Path.home())).encode())
    return Path(tempfile.gettempdir()) / f"napari-clxem-{of:08x}.compiling"
