"""Compiled kernels of this package."""

from __future__ import annotations

from napari_clxem import compiling

_MODULES = ("shells", "projection", "information")


def warm(block: bool = False) -> None:
    """Load or compile the kernels in the background.

    Parameters
    ----------
    block : bool
        Whether to return only when they are ready.
    """
    compiling.warm(*(f"napari_clxem.xray.{name}" for name in _MODULES), block=block)
