from __future__ import annotations

import sys

import numpy as np
import pytest
from handmade_nd2 import nd2_bytes

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image

pytest.importorskip("nd2", reason="an extra: pip install nd2")


def data(*shape, dtype="<u2"):
    return np.arange(np.prod(shape)).reshape(shape).astype(dtype)


def write(path, *args, **options):
    path.write_bytes(nd2_bytes(*args, **options))
    return path


def test_stack_of_channels(tmp_path):
    frames = data(3, 2, 4, 6)
    image = open_image(write(tmp_path / "a.nd2", frames, z_step=0.5))
    assert image.axes == ("c", "z", "y", "x")
    np.testing.assert_array_equal(np.asarray(image.data), frames.transpose(1, 0, 2, 3))
    np.testing.assert_array_equal(np.asarray(image.data[1, 2, ::-1, 2:4]), frames[2, 1, ::-1, 2:4])
    assert image.scale == pytest.approx((0.5, 0.1, 0.1))
    assert [c.name for c in image.channels] == ["a", "b"]
    assert [c.colour for c in image.channels] == ["#ff0000", "#00ff00"]
    assert [c.wavelength for c in image.channels] == [500.0, 501.0]
    assert image.stage.position[1:] == (20.0, 10.0)


def test_one_plane(tmp_path):
    image = open_image(write(tmp_path / "a.nd2", data(1, 1, 4, 6, dtype="u1")))
    assert (image.axes, image.scale) == (("y", "x"), pytest.approx((0.1, 0.1)))
    np.testing.assert_array_equal(np.asarray(image.data), data(4, 6))


def test_truncated(tmp_path):
    raw = nd2_bytes(data(1, 1, 4, 6))
    path = tmp_path / "a.nd2"
    for length in (100, 5000, len(raw) - 50, len(raw) - 1):
        path.write_bytes(raw[:length])
        with pytest.raises(ReadError):
            open_image(path)


def test_without_the_package(tmp_path, monkeypatch):
    path = write(tmp_path / "a.nd2", data(1, 1, 4, 6))
    monkeypatch.setitem(sys.modules, "nd2", None)
    with pytest.raises(ReadError, match=r"pip install \"napari-clxem\[nd2\]\""):
        open_image(path)
