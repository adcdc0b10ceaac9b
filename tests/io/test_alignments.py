from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ReadError
from napari_clxem.io import read_alignment, read_aln, read_tilts, read_xf

HEAD = "# AreTomo Alignment / Priims bprmMn\n# RawSize = 40 30 {count}\n# NumPatches = 0\n"
ROW = "{sec} {rot} 1.00000 {tx} {ty} 1.00 1.00 1.00 0.00 {tilt}\n"


def aln(path, rows, count=None, dark=()):
    text = HEAD.format(count=len(rows) + len(dark) if count is None else count)
    text += "".join(f"# DarkFrame = {d} 0 60.00\n" for d in dark)
    text += "# SEC ROT GMAG TX TY SMEAN SFIT SCALE BASE TILT\n"
    text += "".join(ROW.format(**row) for row in rows)
    path.write_text(text + "# Local Alignment\n 0 0 1 2 3 4 1.0\n")
    return path


def rows(sections, rot=0.0):
    return [
        {"sec": s, "rot": rot, "tx": 3.0, "ty": -2.0, "tilt": -3.0 + 3 * i}
        for i, s in enumerate(sections)
    ]


def test_xf(tmp_path):
    path = tmp_path / "a.xf"
    path.write_text("0 1 -1 0 5 -7\n  1.0 0 0 1.0 0.5 0.25\n\n")
    found = read_xf(path)
    # X = y + 5, Y = -x - 7 for the raw point x = 2, y = 10
    np.testing.assert_allclose(found.matrices[0] @ [10, 2, 1], [-9, 15, 1])
    np.testing.assert_allclose(found.shifts, [[-7, 5], [0.25, 0.5]])
    np.testing.assert_array_equal(found.sections, [0, 1])


def test_turned_rows(tmp_path):
    """Where rows are turned at opening, both ends of the map are."""
    path = tmp_path / "a.xf"
    path.write_text("0.6 0.8 -0.8 0.6 5 -7\n")
    found = read_xf(path)
    y, x, _ = found.matrices[0] @ [10, 2, 1]
    np.testing.assert_allclose(found.turned().matrices[0] @ [-10, 2, 1], [-y, x, 1])


@pytest.mark.parametrize("text", ["1 2 3 4 5\n", "1 0 0 1 nan 0\n", "a b c d e f\n", "", "\0\0"])
def test_no_xf(tmp_path, text):
    path = tmp_path / "a.xf"
    path.write_text(text)
    with pytest.raises(ReadError, match=r"a\.xf"):
        read_xf(path)


def test_tilts(tmp_path):
    (tmp_path / "a.tlt").write_text("  -60.00\n0.5\n 60\n")
    np.testing.assert_array_equal(read_tilts(tmp_path / "a.tlt"), [-60, 0.5, 60])
    (tmp_path / "b.tlt").write_text("1000\n")
    with pytest.raises(ReadError, match="beyond"):
        read_tilts(tmp_path / "b.tlt")
    with pytest.raises(ReadError, match="no file"):
        read_tilts(tmp_path / "c.tlt")


def test_xf_takes_the_angles_beside_it(tmp_path):
    (tmp_path / "a.xf").write_text("1 0 0 1 0 0\n1 0 0 1 0 0\n")
    assert read_alignment(tmp_path / "a.xf").tilts is None
    (tmp_path / "a.rawtlt").write_text("-3\n3\n")
    np.testing.assert_array_equal(read_alignment(tmp_path / "a.xf").tilts, [-3, 3])
    (tmp_path / "a.tlt").write_text("-3.1\n3.1\n")
    np.testing.assert_array_equal(read_alignment(tmp_path / "a.xf").tilts, [-3.1, 3.1])


def test_aln_takes_the_shift_off_before_it_turns(tmp_path):
    found = read_alignment(aln(tmp_path / "a.aln", rows([1, 2, 3], rot=90.0)))
    # the raw point at the shift comes to the middle
    np.testing.assert_allclose(found.matrices[0] @ [-2.0, 3.0, 1], [0, 0, 1], atol=1e-12)
    # a point one pixel along the tilt axis (90 degrees from y towards -x) comes to lie along y
    moved = found.matrices[0] @ [-2.0, 3.0 - 1.0, 1]
    np.testing.assert_allclose(moved, [1.0, 0, 1], atol=1e-12)
    assert found.size == (30, 40)
    np.testing.assert_array_equal(found.tilts, [-3, 0, 3])


@pytest.mark.parametrize(
    ("listed", "dark", "count", "sections"),
    [
        ([1, 2, 3], (), 3, [0, 1, 2]),
        ([0, 1, 2], (), 3, [0, 1, 2]),
        # numbers over the raw series, counted from 1: the first and last are dark
        ([2, 3, 4], (1, 5), 5, [1, 2, 3]),
        # the same counted from 0
        ([1, 2, 3], (0, 4), 5, [1, 2, 3]),
        # numbers over what is left, counted from 0, dark ones over the raw series
        ([0, 1, 2], (0, 4), 5, [1, 2, 3]),
        # rows in another order than the series
        ([3, 1, 2], (), 3, [2, 0, 1]),
    ],
)
def test_sections_of_aln(tmp_path, listed, dark, count, sections):
    found = read_aln(aln(tmp_path / "a.aln", rows(listed), count, dark))
    np.testing.assert_array_equal(found.sections, sections)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("1 2 3\n", "does not begin"),
        ("# AreTomo Alignment\n# RawSize = 1 2 3\n", "no alignment"),
        ("# AreTomo Alignment\n1 2 3\n", "Line 2"),
        ("# AreTomo Alignment\n# RawSize = a b c\n", "Line 2"),
    ],
)
def test_no_aln(tmp_path, text, message):
    path = tmp_path / "a.aln"
    path.write_text(text)
    with pytest.raises(ReadError, match=message):
        read_aln(path)


def test_real_files(shared_data):
    folder = shared_data / "formats" / "aln"
    found = read_aln(folder / "test.aln")
    assert found.size == (2032, 2032)
    assert found.count == 90
    np.testing.assert_array_equal(found.tilts, [-61.5, -60.0, -58.5, -57.0])
    c, s = np.cos(np.radians(-12.6611)), np.sin(np.radians(-12.6611))
    # DX, DY as AreTomo's own IMOD export writes them for the first row
    expected = [s * 24.786 - c * -2.677, -c * 24.786 - s * -2.677]
    np.testing.assert_allclose(found.shifts[0], expected, atol=1e-9)
    found = read_xf(folder / "tilt_1.xf")
    first = [float(v) for v in (folder / "tilt_1.xf").read_text().splitlines()[0].split()]
    assert len(found.matrices) == 59
    np.testing.assert_allclose(found.shifts[0], [first[5], first[4]])
    assert found.matrices[0, 1, 0] == first[1]
