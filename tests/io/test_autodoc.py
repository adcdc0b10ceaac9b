from __future__ import annotations

import re

import pytest

from napari_clxem.errors import ReadError
from napari_clxem.io import read_autodoc


def write(path, text):
    path.write_text(text, encoding="utf-8", newline="")
    return path


def test_grammar(tmp_path):
    text = (
        "# a comment\r\nPixelSpacing = 5.4\r\nNote = a = b\r\nEmpty =\r\n\r\n"
        "[T = SerialEM: x = 1]\r\n[ZValue = 0]\r\nTiltAngle = -3\r\nNote = first\r\nsecond line\r\n"
        "[ZValue = 1]\r\nStagePosition = 1.5 nan\r\n"
    )
    found = read_autodoc(write(tmp_path / "a.mdoc", text))
    assert found.entries == {"PixelSpacing": "5.4", "Note": "a = b", "Empty": ""}
    assert [(s.kind, s.name) for s in found.sections] == [
        ("T", "SerialEM: x = 1"),
        ("ZValue", "0"),
        ("ZValue", "1"),
    ]
    first, second = found.of("ZValue")
    assert first.number("TiltAngle") == -3.0
    assert first.text("Note") == "first\nsecond line"
    assert second.numbers("StagePosition") == ()
    assert second.number("Absent") is None
    assert first.numbers("TiltAngle", 2) == ()


def test_latin_text(tmp_path):
    path = tmp_path / "a.nav"
    path.write_bytes("[Item = Größe]\nNote = 5 µm\n".encode("latin-1"))
    (section,) = read_autodoc(path).sections
    assert (section.name, section.text("Note")) == ("Größe", "5 µm")


def test_xml_form_says_the_same(tmp_path):
    text = "AdocVersion = 2.00\n[Item = 1]\nStageXYZ = 1 2 3\nType = 0\n"
    xml = (
        '<?xml version="1.0" encoding="UTF-8"?><navigator><PreData><AdocVersion>2.00</AdocVersion>'
        "</PreData><Item><ID>1</ID><StageXYZ>1 2 3</StageXYZ><Type>0</Type></Item></navigator>"
    )
    plain = read_autodoc(write(tmp_path / "a.nav", text))
    assert read_autodoc(write(tmp_path / "b.nav", xml)) == plain


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (b"", "no entries"),
        (b"just words\nand more\n", "no entries"),
        (b"Key = 1\0\0", "no text"),
        (b"<navigator><Item></navigator>", "broken"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "entities"),
    ],
)
def test_bad_texts(tmp_path, raw, message):
    path = tmp_path / "a.nav"
    path.write_bytes(raw)
    with pytest.raises(ReadError, match=message):
        read_autodoc(path)


def test_missing_file_and_folder(tmp_path):
    with pytest.raises(ReadError, match="no file"):
        read_autodoc(tmp_path / "a.mdoc")
    with pytest.raises(ReadError, match=re.escape(tmp_path.name)):
        read_autodoc(tmp_path)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("tilt_series.mdoc", "ZValue"),
        ("montage_section.mdoc", "ZValue"),
        ("frame_set_multiple.mdoc", "FrameSet"),
        ("pyem_map1.mrc.mdoc", "ZValue"),
        ("pyem_nav1.nav", "Item"),
        ("instamatic_nav.nav", "Item"),
    ],
)
def test_real_files(shared_data, name, kind):
    path = shared_data / "formats" / "serialem" / name
    raw = path.read_bytes().decode("latin-1")
    found = read_autodoc(path)
    assert len(found.of(kind)) == len(re.findall(rf"^\[{kind} =", raw, re.MULTILINE)) > 0
    entries = len(found.entries) + sum(len(s.entries) for s in found.sections)
    assert entries == len(re.findall(r"^\w+ =", raw, re.MULTILINE))


def test_real_tilt_angles(shared_data):
    path = shared_data / "formats" / "serialem" / "tilt_series.mdoc"
    raw = path.read_text()
    angles = [float(v) for v in re.findall(r"^TiltAngle = (.*)$", raw, re.MULTILINE)]
    sections = read_autodoc(path).of("ZValue")
    assert [section.number("TiltAngle") for section in sections] == angles
    assert sections[0].numbers("StagePosition") == (20.7936, 155.287)
