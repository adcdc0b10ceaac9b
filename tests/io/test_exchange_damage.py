"""Damaged files of every interchange format: one sentence or a reading, never anything else."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ClxemError
from napari_clxem.frames import Affine
from napari_clxem.io import exchange
from napari_clxem.io.exchange import (
    Correlation,
    Entry,
    Feature,
    ModelObject,
    NamedPoint,
    NamedTransform,
    Pixels,
    PointPair,
    StagePoint,
)

VOLUME, IMAGE = Pixels((0.4, 0.1, 0.1), (20, 50, 60)), Pixels((0.04, 0.04))
POINTS = tuple(NamedPoint(f"p{i}", (0.1 * i, 1.5, 2.25 * i)) for i in range(6))
FLAT = tuple(NamedPoint(p.name, p.position[1:]) for p in POINTS)
MAPS = [NamedTransform("a", "b", Affine.planar(30.0)), NamedTransform("c", "d", Affine.identity(3))]
FORMATS = {
    "tdct_points": (lambda p: exchange.write_tdct_points(POINTS, p, VOLUME), (VOLUME,)),
    "bigwarp": (
        lambda p: exchange.write_bigwarp([PointPair("a", q.position, None) for q in POINTS], p),
        (),
    ),
    "ec_clem_csv": (lambda p: exchange.write_ec_clem_csv(POINTS, p), ()),
    "ec_clem_xml": (lambda p: exchange.write_ec_clem_xml(POINTS, p, VOLUME), (VOLUME,)),
    "model": (
        lambda p: exchange.write_model([ModelObject("o", (np.ones((5, 3)),))] * 2, p, VOLUME),
        (VOLUME,),
    ),
    "positions": (
        lambda p: exchange.write_positions([StagePoint(q.name, q.position) for q in POINTS], p),
        (),
    ),
    "correlation": (
        lambda p: exchange.write_correlation(Correlation(FLAT, POINTS, POINTS), p, IMAGE, VOLUME),
        (IMAGE, VOLUME),
    ),
    "features": (
        lambda p: exchange.write_features([Feature(q.name, q.position, 1.0) for q in POINTS], p),
        (),
    ),
    "list": (
        lambda p: exchange.write_list([Entry(name=q.name, stage=q.position) for q in POINTS], p),
        (),
    ),
    "ngff": (lambda p: exchange.write_ngff(MAPS, p), ()),
    "matrix": (lambda p: exchange.write_matrix(MAPS[1], p), ()),
    "tdct_report": (
        lambda p: p.write_text(
            exchange.report_text(*np.ones((2, 4, 3)), *np.ones((1, 4, 2)), *np.ones((2, 3, 3)))
        ),
        (),
    ),
}


def damaged(whole: bytes, rng: np.random.Generator) -> bytes:
    """Truncate, flip, repeat, insert or remove some bytes."""
    raw = bytearray(whole)
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(raw))) if raw else 0
        how = rng.integers(5)
        if how == 0:
            del raw[at:]
        elif how == 1 and raw:
            raw[at] = rng.integers(256)
        elif how == 2:
            raw[at:at] = raw[at : at + int(rng.integers(1, 40))]
        elif how == 3:
            raw[at:at] = rng.choice(
                [b"\n", b",", b"-", b"1e999", b"nan", b"\0", b"[{", b'"', b"9" * 9]
            )
        else:
            del raw[at : at + int(rng.integers(1, 30))]
    return bytes(raw)


@pytest.mark.parametrize("name", FORMATS)
def test_damage_is_one_sentence(tmp_path, name):
    write, arguments = FORMATS[name]
    path = tmp_path / "file.txt"
    write(path)
    whole, rng = path.read_bytes(), np.random.default_rng(17)
    read = getattr(exchange, f"read_{name}")
    read(path, *arguments)
    said = []
    for _ in range(150):
        path.write_bytes(damaged(whole, rng))
        try:
            read(path, *arguments)
        except ClxemError as error:
            said.append(str(error))
    assert len(said) > 15  # the damage is felt
    assert not any("\n" in sentence for sentence in said)
