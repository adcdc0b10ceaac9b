from __future__ import annotations

import numpy as np
import pytest
import tifffile
from handmade_leica import one_image

from napari_clxem.cli import main
from napari_clxem.errors import ReadError
from napari_clxem.io import describe, description_rows


def test_images(tmp_path):
    data = np.zeros((3, 2, 4, 5), "u1")
    step = {"x": 1e-7, "y": 2e-7, "z": 5e-7}
    path = tmp_path / "a.lif"
    path.write_bytes(one_image(data, "zcyx", step, tables=("Green", "Red")))
    ((title, rows),) = description_rows(path)
    facts = dict(rows)
    assert title == "a.lif · image 0"
    assert facts["size"] == "2 x 3 x 4 x 5 (c, z, y, x), uint8"
    assert facts["pixel size"] == "0.5, 0.2, 0.1 µm (z, y, x)"
    assert facts["channels"] == "Green, Red"
    assert facts["stage"].startswith("z 3.000, y 2000.000, x 1000.000 µm (leica)")
    assert "missing" not in facts


def test_what_is_missing(tmp_path):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), "u1"), metadata=None)
    text = describe(tmp_path / "a.tif")
    assert "missing" in text
    assert "pixel size" in text.split("missing")[1]


def test_long_lists_are_cut(shared_data):
    text = describe(shared_data / "formats" / "xrm" / "txrm_test_chip_tomo.txrm")
    assert "energies        7 x 9200.02 eV" in text
    assert "-45.018, -30.0141, -15.0141 ... 14.9859, 29.9859, 44.9859 ° (7 values)" in text


def test_texts(tmp_path, shared_data):
    folder = shared_data / "formats"
    assert "1 maps, 0 polygons, 20 points" in describe(folder / "serialem" / "pyem_nav1.nav")
    assert "41 sections" in describe(folder / "serialem" / "tilt_series.mdoc")
    assert "images       59" in describe(folder / "aln" / "tilt_1.xf")
    (tmp_path / "a.rawtlt").write_text("-3\n0\n3\n")
    assert "-3, 0, 3 °" in describe(tmp_path / "a.rawtlt")
    (tmp_path / "a.txt").write_text("words\n")
    with pytest.raises(ReadError, match="a text"):
        describe(tmp_path / "a.txt")


def test_verb(tmp_path, capsys):
    tifffile.imwrite(tmp_path / "a.tif", np.zeros((4, 5), "u1"), metadata=None)
    assert main(["info", str(tmp_path / "a.tif"), str(tmp_path / "absent.tif")]) == 1
    out, err = capsys.readouterr()
    assert "4 x 5 (y, x), uint8" in out
    assert "no file" in err
    assert main(["info", str(tmp_path / "a.tif")]) == 0
