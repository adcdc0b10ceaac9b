"""How volumes of reconstruction programs are turned, told by an asymmetric phantom."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.io import Orientation, open_image

MADE = "TILT: Tomographic reconstruction                        05-Jul-12  10:00:00"
ROTATED = "clip: rotx - rotation by -90 around X                  05-Jul-12  11:00:00"


@pytest.fixture
def volume():
    """As tilt writes it: sections along y, rows along z; every voxel names its place."""
    return np.arange(9 * 4 * 10, dtype=np.int16).reshape(9, 4, 10)


def rotated(volume):
    """What ``clip rotx`` makes of it: new y is old z, new z is old y backwards."""
    sections, rows, columns = volume.shape
    found = np.empty((rows, sections, columns), volume.dtype)
    for section in range(sections):
        for row in range(rows):
            found[rows - 1 - row, section] = volume[section, row]
    return found


def labelled(path, labels):
    raw = bytearray(path.read_bytes())
    raw[220:224] = len(labels).to_bytes(4, "little")
    for i, label in enumerate(labels):
        raw[224 + 80 * i : 304 + 80 * i] = label.encode().ljust(80)[:80]
    path.write_bytes(raw)
    return path


def test_volume_as_tilt_leaves_it_comes_out_like_the_rotated_one(write_mrc, volume):
    plain = labelled(write_mrc("a.rec", volume, imod_flags=1, cell=(10, 9, 4)), [MADE])
    turned = rotated(volume)
    other = labelled(write_mrc("b.rec", turned, imod_flags=1, cell=(10, 9, 4)), [MADE, ROTATED])
    a, b = open_image(plain), open_image(other)
    assert a.orientation == Orientation(axes=("y", "z", "x"), flip=("z", "y"))
    assert b.orientation == Orientation(axes=("z", "y", "x"), flip=("y",))
    np.testing.assert_array_equal(a.data, b.data)
    assert "as it left the program" in " ".join(a.missing)
    # rows down: the first row shown is the last one of the file
    np.testing.assert_array_equal(b.data[0, 0], turned[0, -1])


def test_pixel_sizes_follow_the_axes(write_mrc, volume):
    path = labelled(write_mrc("a.rec", volume, imod_flags=1, cell=(100, 80, 90)), [MADE])
    image = open_image(path)
    # the header's cell is that of the stored columns, rows, sections: 10, 20, 10 Å
    assert image.data.shape == (4, 9, 10)
    assert image.scale == pytest.approx((0.002, 0.001, 0.001))


def test_a_guess_can_be_overruled(write_mrc, volume):
    path = labelled(write_mrc("a.rec", volume, imod_flags=1, cell=(10, 9, 4)), [MADE])
    image = open_image(path, orientation=Orientation(axes=("z", "y", "x")))
    np.testing.assert_array_equal(image.data, volume)


def test_flat_rows_without_a_label_are_only_spoken_of(write_mrc, volume):
    image = open_image(write_mrc("a.mrc", volume, cell=(20, 8, 18)))
    assert image.orientation.axes == ("z", "y", "x")
    assert "axes (y, z, x)" in " ".join(image.missing)
    image = open_image(write_mrc("b.mrc", rotated(volume), cell=(20, 18, 8)))
    assert image.missing == ()
