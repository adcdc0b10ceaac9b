from __future__ import annotations

import math
import re
import struct

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ReadError
from napari_clxem.io import open_image

TEXT = """[User]
Date=12/14/2022
Time=01:53:39 PM
[Beam]
HV=2000
Beam=EBeam
ScanRotation=3.14159265358979
Scan=EScan
[EBeam]
HFW=6e-07
BeamCurrent=1.3e-11
[Scan]
PixelWidth=1e-07
PixelHeight=2e-07
[Stage]
StageX=-0.001
StageY=0.002
StageZ=0.004
StageR=1.5707963267949
StageT=0.785398163397448
WorkingDistance=0.004
[Image]
ResolutionX=6
ResolutionY=4
"""

XML = """<?xml version="1.0"?>
<Metadata xmlns:nil="http://schemas.fei.com/Metadata/v1/2013/07">
<Acquisition><BeamType>Ion</BeamType></Acquisition>
<StageSettings><StagePosition><X>1e-3</X><Y>2e-3</Y><Z>3e-3</Z><Rotation>0</Rotation>
<Tilt><Alpha>0.5235987755982988</Alpha></Tilt></StagePosition></StageSettings>
<BinaryResult><PixelSize><X unit="m">1e-8</X><Y unit="m">1e-8</Y></PixelSize></BinaryResult>
</Metadata>"""


def write(path, text=TEXT, tag=34682, rows=6, columns=6):
    data = np.arange(rows * columns, dtype="u1").reshape(rows, columns)
    extra = [(tag, "s", 0, text.encode() + b"\0", True)] if text else []
    tifffile.imwrite(path, data, metadata=None, extratags=extra)
    return data


@pytest.mark.parametrize("tag", [34682, 34680])
def test_both_text_tags(tmp_path, tag):
    data = write(tmp_path / "a.tif", tag=tag)
    image = open_image(tmp_path / "a.tif")
    np.testing.assert_array_equal(np.asarray(image.data), data[:4])
    assert image.scale == pytest.approx((0.2, 0.1))
    stage = image.stage
    assert stage.position == pytest.approx((4000.0, 2000.0, -1000.0))
    assert (stage.rotation, stage.tilt) == pytest.approx((90.0, 45.0))
    assert stage.convention == "fei"
    meta = image.meta
    assert meta["beam"] == "electron"
    assert meta["data_bar_rows"] == 2
    assert meta["scan_rotation"] == pytest.approx(180.0)
    assert (meta["field_width"], meta["working_distance"]) == pytest.approx((0.6, 4000.0))
    assert (meta["voltage_kv"], meta["current_pa"]) == pytest.approx((2.0, 13.0))
    assert image.missing == ()


@pytest.mark.parametrize("value", ["0", "-1e-7", "nan", "", "inf", "1e9"])
def test_unusable_pixel_sizes_leave_no_scale(tmp_path, value):
    write(tmp_path / "a.tif", TEXT.replace("PixelWidth=1e-07", f"PixelWidth={value}"))
    image = open_image(tmp_path / "a.tif")
    assert image.scale is None
    assert "pixel size" in image.missing[0]


def test_field_width_that_disagrees_is_told(tmp_path):
    write(tmp_path / "a.tif", TEXT.replace("HFW=6e-07", "HFW=12e-07"))
    image = open_image(tmp_path / "a.tif")
    assert image.scale == pytest.approx((0.2, 0.1))
    assert "disagree" in image.missing[0]


def test_more_rows_stated_than_held(tmp_path):
    write(tmp_path / "a.tif", TEXT.replace("ResolutionY=4", "ResolutionY=9"))
    image = open_image(tmp_path / "a.tif")
    assert image.data.shape == (6, 6)
    assert "9 image rows but has 6" in image.missing[0]


def test_impossible_rows(tmp_path):
    write(tmp_path / "a.tif", TEXT.replace("ResolutionY=4", "ResolutionY=-4"))
    with pytest.raises(ReadError, match="-4 image rows"):
        open_image(tmp_path / "a.tif")


def test_text_that_says_nothing(tmp_path):
    write(tmp_path / "a.tif", "nothing at all")
    image = open_image(tmp_path / "a.tif")
    assert (image.scale, image.stage) == (None, None)
    assert image.data.shape == (6, 6)


def test_xml_tag_alone(tmp_path):
    write(tmp_path / "a.tif", XML, tag=34683)
    image = open_image(tmp_path / "a.tif")
    assert image.scale == pytest.approx((0.01, 0.01))
    assert image.stage.position == pytest.approx((3000.0, 2000.0, 1000.0))
    assert image.stage.tilt == pytest.approx(30.0)
    assert image.meta["beam"] == "ion"


def test_entity_bomb_in_the_xml_tag(tmp_path):
    bomb = '<!DOCTYPE Metadata [<!ENTITY a "aaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>'
    write(tmp_path / "a.tif", XML.replace("?>", f"?>{bomb}"), tag=34683)
    with pytest.raises(ReadError, match="entities"):
        open_image(tmp_path / "a.tif")


def test_real_file(shared_data):
    path = shared_data / "formats" / "fibsem" / "openfibsem_fibsem_detection_test_image_2.tif"
    raw = path.read_bytes()
    text = raw[: raw.index(b"<?xml")].decode("latin-1")

    def said(section: str, key: str) -> float:
        body = text.split(f"[{section}]")[1].split("[")[0]
        return float(re.search(rf"^{key}=(.*)$", body, re.MULTILINE)[1])

    image = open_image(path)
    assert image.scale == pytest.approx((0.0976562, 0.0976562))
    assert image.scale[0] == pytest.approx(said("Scan", "PixelHeight") * 1e6)
    # a second route: field width over columns, and the XML tag of the same file
    assert image.scale[1] == pytest.approx(said("IBeam", "HFW") * 1e6 / 1536, rel=1e-5)
    xml = {m[1].decode(): float(m[2]) for m in re.finditer(rb"<(X|Y|Alpha)>([-\d.E]+)</", raw)}
    assert image.stage.tilt == pytest.approx(math.degrees(xml["Alpha"]), abs=1e-3)
    position = re.search(rb"<StagePosition>\s*<X>(.*?)</X>\s*<Y>(.*?)</Y>", raw)
    assert image.stage.position[1:] == pytest.approx(
        [float(position[2]) * 1e6, float(position[1]) * 1e6], abs=0.01
    )
    assert image.stage.position[0] == pytest.approx(said("Stage", "StageZ") * 1e6)
    assert image.stage.rotation == pytest.approx(math.degrees(said("Stage", "StageR")))
    assert image.meta["beam"] == "ion"
    assert image.data.shape == (1024, 1536)
    # StripOffsets of this little-endian file
    (offset,) = struct.unpack_from("<I", raw, 78)
    assert int(image.data[10, 20]) == raw[offset + 10 * 1536 + 20]


def test_letters_of_any_alphabet(tmp_path):
    write(tmp_path / "a.tif", TEXT + "[User2]\nUserText=\u010d\u00b5\n")
    image = open_image(tmp_path / "a.tif")
    assert image.scale == pytest.approx((0.2, 0.1))
