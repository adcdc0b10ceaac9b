"""Landmarks as CSV."""

from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from napari_clxem.errors import ReadError, SessionError
from napari_clxem.session import Landmark, read_landmarks, write_landmarks
from napari_clxem.session.landmarks import COLUMNS, read_note

HEADER = ",".join(COLUMNS)
numbers = st.floats(-1e6, 1e6).map(float)
sigmas = st.floats(0.0, 1e3).map(float)


def vectors(elements, ndim):
    return st.tuples(*[elements] * ndim)


@st.composite
def landmark_lists(draw):
    moving, fixed = draw(st.sampled_from([2, 3])), draw(st.sampled_from([2, 3]))
    ids = draw(st.lists(st.integers(0, 99).map(str), unique=True, max_size=6))
    found = []
    for name in ids:
        sides = {}
        for side, ndim in (("moving", moving), ("fixed", fixed)):
            sides[side] = draw(st.none() | vectors(numbers, ndim))
            known = sides[side] is not None
            sides[f"{side}_sigma"] = draw(st.none() | vectors(sigmas, ndim)) if known else None
        found.append(Landmark(id=name, origin="file", **sides))
    return tuple(found)


@given(landmark_lists())
def test_landmarks_come_back_as_they_were(tmp_path_factory, landmarks):
    path = tmp_path_factory.mktemp("landmarks") / "picks.csv"
    write_landmarks(landmarks, path)
    assert read_landmarks(path) == landmarks


def test_a_file_by_hand(tmp_path):
    path = tmp_path / "picks.csv"
    path.write_text(
        "# picked in the FIB view\n"
        f"{HEADER}\n"
        "bead 1, 1.5 ,2,3,,4,5,0.1,\n"
        "\n"
        "# the next one is faint\n"
        '"bead, 2",1,2,3,,,,0.1 0.05 0.05,\n',
        encoding="utf-8-sig",
    )
    assert read_landmarks(path) == (
        Landmark(
            id="bead 1",
            moving=(1.5, 2.0, 3.0),
            fixed=(4.0, 5.0),
            moving_sigma=(0.1, 0.1, 0.1),
            origin="file",
        ),
        Landmark(
            id="bead, 2", moving=(1.0, 2.0, 3.0), moving_sigma=(0.1, 0.05, 0.05), origin="file"
        ),
    )
    assert read_note(path) == "picked in the FIB view\nthe next one is faint"


def test_the_note_comes_back(tmp_path):
    path = tmp_path / "picks.csv"
    write_landmarks([], path, note="simulated picks\n\nby seed 3")
    assert read_landmarks(path) == ()
    assert read_note(path) == "simulated picks\n\nby seed 3"
    assert path.read_text().splitlines()[-1] == HEADER


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("a,1,2,3,4,5,6,,,", "line 3: 10 values, but there are 9 columns"),
        ("a,1,2", "line 3: 3 values"),
        ("a,1,two,3,4,5,6,,", "line 3: moving_y is 'two', not a number in µm"),
        ("a,1,2,3,4,5,nan,,", "line 3: fixed_x is nan; give a finite"),
        ("a,1,2,inf,4,5,6,,", "line 3: moving_x is inf; give a finite"),
        ("a,1,,3,4,5,6,,", "line 3: moving has no y"),
        ("a,1,2,3,4,5,,,", "line 3: fixed has no x"),
        (",1,2,3,4,5,6,,", "line 3: the id is blank"),
        ("a,1,2,3,4,5,6,-1,", "line 3: moving_sigma is negative"),
        ("a,1,2,3,4,5,6,1 2,", "line 3: moving_sigma has 2 values for 3 axes"),
        ("a,1,2,3,,,,,0.1", "line 3: fixed_sigma is given, but there is no position"),
        ("a,1,2,3,4,5,6,,\na,1,2,3,4,5,6,,", "line 4: the id 'a' stands there a second time"),
        ('a,"1,2,3,4,5,6,,', "line 3: .*mend the line"),
    ],
)
def test_a_wrong_line_is_named(tmp_path, line, expected):
    path = tmp_path / "picks.csv"
    path.write_text(f"# note\n{HEADER}\n{line}\n", "utf-8")
    with pytest.raises(ReadError, match=rf"picks\.csv, {expected}"):
        read_landmarks(path)


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "is empty; its first line must be id,moving_z"),
        (b"# only a note\n", "is empty"),
        (b"x\ty\tz\n1\t2\t3\n", "line 1: the header is"),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3", "is not a text file"),
    ],
)
def test_other_files_are_refused(tmp_path, data, expected):
    path = tmp_path / "picks.csv"
    path.write_bytes(data)
    with pytest.raises(ReadError, match=expected):
        read_landmarks(path)


def test_no_file(tmp_path):
    with pytest.raises(ReadError, match="it is not there"):
        read_landmarks(tmp_path / "none.csv")


def test_ids_that_csv_cannot_hold_are_refused(tmp_path):
    path = tmp_path / "picks.csv"
    for name in ("", "two\nlines", "# note"):
        with pytest.raises(SessionError, match="cannot hold"):
            write_landmarks([Landmark(id=name)], path)
    assert not path.exists()


def test_a_file_of_absurd_size_is_not_read(tmp_path):
    path = tmp_path / "picks.csv"
    path.touch()
    os.truncate(path, 2**33)
    with pytest.raises(ReadError, match="too large"):
        read_landmarks(path)
