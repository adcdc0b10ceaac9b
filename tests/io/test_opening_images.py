from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

import napari_clxem
from napari_clxem import io
from napari_clxem.errors import MissingScaleError, ReadError
from napari_clxem.io import can_open, open_image, open_images

PNG = b"\x89PNG\r\n\x1a\n" + bytes(2000)
PDF = b"%PDF-1.7\n" + b"%\xe2\xe3\xcf\xd3\n" * 400


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.mrc", PDF, "a PDF document"),
        ("a.ome.tif", PNG, "a PNG picture"),
        ("a.tif", b"some words\n" * 300, "a text"),
        ("a.mrc", b"some words\n" * 300, "a text"),
        ("a.rec", b"\x80\x00\xff\x13" * 600, "unknown or damaged"),
        ("a.map.gz", b"\x1f\x8b" + bytes(2000), "unpack"),
        ("a.tif", b"", "is empty"),
        ("a.mrc", b"", "is empty"),
        ("a.tif", b"II*\0", "cannot be read"),
        ("a.nav", b"AdocVersion = 2.00\n[Item = 1]\n", "a text"),
    ],
)
def test_renamed_and_empty_files(tmp_path, name, content, message):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(ReadError, match=message) as caught:
        open_image(path)
    assert name in str(caught.value)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        open_image(tmp_path / "a.mrc")
    with pytest.raises(ReadError, match="is a folder"):
        open_image(tmp_path)


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="no pipes here")
def test_pipe(tmp_path):
    os.mkfifo(tmp_path / "a.mrc")
    with pytest.raises(ReadError, match="pipe"):
        open_image(tmp_path / "a.mrc")
    assert not can_open(tmp_path / "a.mrc")


def test_home_folder(write_mrc, phantom, tmp_path, monkeypatch):
    write_mrc("a.mrc", phantom)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("USERPROFILE", str(tmp_path))
    np.testing.assert_array_equal(open_image("~/a.mrc").data, phantom)


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root reads all files")
def test_forbidden_file(tmp_path, write_mrc, phantom):
    path = write_mrc("a.mrc", phantom)
    path.chmod(0)
    with pytest.raises(ReadError, match="permission"):
        open_image(path)


def test_format_follows_content_not_name(write_mrc, phantom):
    image = open_image(write_mrc("a.tif", phantom))
    np.testing.assert_array_equal(image.data, phantom)


def test_can_open(tmp_path, write_mrc, phantom):
    assert can_open(write_mrc("a.mrc", phantom))
    (tmp_path / "a.tif").write_bytes(b"MM\0*" + bytes(20))
    assert can_open(tmp_path / "a.tif")
    (tmp_path / "b.tif").write_bytes(PNG)
    assert not can_open(tmp_path / "b.tif")
    assert not can_open(tmp_path)
    assert not can_open(tmp_path / "absent.mrc")


def test_one_image_is_one(write_mrc, phantom):
    path = write_mrc("a.mrc", phantom)
    assert len(open_images(path)) == 1
    for index in (1, -1):
        with pytest.raises(ReadError, match="1 image, counted from 0"):
            open_image(path, index)


@pytest.mark.parametrize(
    "scale", [(1.0,), (1.0, 1.0), (1, 0, 1), (1, -1, 1), (1, np.nan, 1), "abc"]
)
def test_scales_that_cannot_be_given(write_mrc, phantom, scale):
    with pytest.raises(MissingScaleError, match="one positive"):
        open_image(write_mrc("a.mrc", phantom), scale=scale)


def test_public_names():
    assert all(getattr(io, name).__name__ == name for name in io.__all__)
    assert napari_clxem.open_image is open_image
    with pytest.raises(AttributeError, match="no attribute"):
        _ = io.absent


def test_import_is_quick_and_light():
    code = (
        "import sys, time; t = time.process_time(); import napari_clxem.io as io; "
        "io.open_image, io.contrast_limits, io.read_navigator; d = time.process_time() - t; "
        "heavy = {'napari', 'qtpy', 'dask', 'zarr', 'tifffile', 'mrcfile', 'pint', 'h5py', "
        "'liffile', 'olefile', 'nd2', 'yaozarrs', 'numcodecs'}; "
        "print(d, *heavy.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, *heavy = done.stdout.split()
    assert heavy == []
    assert float(seconds) < 0.5


def test_a_library_is_imported_when_its_file_is_opened(write_mrc, phantom):
    """Only what this file needs: its own library, and none of another vendor."""
    path = write_mrc("a.mrc", phantom)
    code = (
        "import sys; from napari_clxem.io import open_image; "
        f"open_image({str(path)!r}).data[0]; "
        "others = {'h5py', 'liffile', 'olefile', 'nd2', 'yaozarrs', 'tifffile', 'zarr'}; "
        "print('mrcfile' in sys.modules, *others.intersection(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["True"]


def test_patterns_of_the_plugin_are_narrow():
    """No pattern takes every file, and each ending is one that a reader knows."""
    from npe2 import PluginManifest

    manifest = PluginManifest.from_distribution("napari-clxem")
    patterns = manifest.contributions.readers[0].filename_patterns
    assert all(len(pattern.strip("*.?")) > 1 for pattern in patterns)
    assert not {"*.xml", "*.json", "*.txt", "*.zarr"} & set(patterns)
