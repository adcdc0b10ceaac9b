"""Tiny files of each format, written by other routes than the readers use."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from handmade import mrc_bytes


@pytest.fixture
def phantom() -> np.ndarray:
    """An asymmetric volume (2, 3, 4): every voxel names its place."""
    return np.arange(24, dtype=np.int16).reshape(2, 3, 4)


@pytest.fixture
def write_mrc(tmp_path: Path) -> Callable[..., Path]:
    """Write an MRC file: name, data, mode and what else :func:`mrc_bytes` takes."""

    def write(name: str, data: np.ndarray, mode: int = 1, **header: object) -> Path:
        path = tmp_path / name
        path.write_bytes(mrc_bytes(data, mode, **header))
        return path

    return write


@pytest.fixture
def write_ome(tmp_path: Path) -> Callable[..., Path]:
    """Write an OME-TIFF with one page per plane and the given XML."""
    import tifffile

    def write(data: np.ndarray, xml: str, name: str = "a.ome.tif", **options: object) -> Path:
        path = tmp_path / name
        with tifffile.TiffWriter(path, ome=False) as file:
            for i, plane in enumerate(data.reshape(-1, *data.shape[-2:])):
                file.write(
                    plane,
                    description=xml.encode() if i == 0 else None,
                    metadata=None,
                    contiguous=False,
                    photometric="minisblack",
                    **options,
                )
        return path

    return write
