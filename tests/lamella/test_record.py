from __future__ import annotations

import json

import numpy as np
import pytest

from napari_clxem.errors import LamellaError
from napari_clxem.lamella import (
    BOXES,
    INSTRUMENTS,
    Lamella,
    LamellaRecord,
    Overlap,
    campaign,
    overlap,
    propose_sites,
)
from napari_clxem.session.codec import decode, encode

LAMELLA = Lamella((1, 2, 3), 10.0, outline=((0, 0), (0, 4), (3, 4)))
RECORD = LamellaRecord(
    id="a1",
    name="A",
    site="s1",
    frame="confocal-A",
    lamella=LAMELLA,
    targets=("t1",),
    stage_tilt=17.0,
    status="milled",
    promised=0.7,
    overlap=overlap(LAMELLA, ((0, 0, 0), (9, 9, 9)), covariance=0.01 * np.eye(3)),
)


@pytest.mark.parametrize(
    "value",
    [RECORD, LAMELLA, *propose_sites([[0, 0]], []), BOXES[1], INSTRUMENTS[0]],
    ids=lambda value: type(value).__name__,
)
def test_keeps_in_a_session_file(value):
    plain = json.loads(json.dumps(encode(value)))
    assert decode(type(value), plain) == value


def test_rows_of_a_campaign():
    lost = LamellaRecord(
        id="b", frame="f", lamella=LAMELLA, status="lost", overlap=Overlap(1, 1, 1, 1, 1)
    )
    found = campaign([RECORD.row("grid 1"), lost.row()])
    assert found.measured == 1
    assert [row.verdict for row in found.rows] == ["milled", "lost"]
    assert found.rows[0].promised == 0.7


def test_bad_records_are_named():
    with pytest.raises(LamellaError, match="an id"):
        LamellaRecord(id="", frame="f", lamella=LAMELLA)
    with pytest.raises(LamellaError, match="between 0 and 1"):
        LamellaRecord(id="a", frame="f", lamella=LAMELLA, promised=70.0)
