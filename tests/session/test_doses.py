"""Doses of a session: through its links, at its targets, kept in its file."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.dose import (
    PRESETS,
    Exposure,
    budget,
    exposures_csv,
    targets_csv,
)
from napari_clxem.session import Dataset, FileRef, Frame, Link, Session, Site, Target, load, save
from napari_clxem.session.doses import MOST_PLANNED, clashes, history, site_spots, target_doses
from napari_clxem.session.model import Estimate


def turned_session():
    """A map and an X-ray frame, 90° apart: (y, x) of the one are (x, -y) of the other."""
    zero = tuple(tuple(row) for row in np.zeros((6, 6)).tolist())
    link = Link(
        id="l",
        moving="sxt",
        fixed="map",
        kind="declared",
        estimate=Estimate(
            matrix=((0.0, 1.0, 50.0), (-1.0, 0.0, 60.0), (0.0, 0.0, 1.0)),
            centre=(0.0, 0.0),
            covariance=zero,
        ),
    )
    series = Exposure.tilt_series(
        id="x",
        modality="sxt",
        frame="sxt",
        aim=(4.0, 2.0),
        beam_radius=10.0,
        tilts=np.arange(-65, 66),
        energy=520.0,
        fluence=np.linspace(1, 2, 131) * 1e7,
        halo=((2.0, 0.1),),
        times=tuple(f"2026-01-01T{k // 60:02d}:{k % 60:02d}:00" for k in range(131)),
    )
    return Session(
        frames=(Frame(name="map", ndim=2, z=(0.0, 0.0)), Frame(name="sxt", ndim=2)),
        links=(link,),
        exposures=(series, PRESETS["Krios 300 kV"].exposure("map", (52.0, 56.0))),
        targets=(
            Target(name="here", frame="sxt", position=(4.0, 2.0), radius=0.4),
            Target(name="far", frame="map", position=(500.0, 0.0)),
        ),
    )


def test_exposures_are_laid_through_the_links():
    session = turned_session()
    found = history(session, "map")
    there = found.at([[52.0, 56.0]])[0]
    own = sum(one.dose_at([one.aim])[0] for one in session.exposures)
    assert there == pytest.approx(own)
    assert history(replace(session, name="renamed"), "map") is found
    assert history(replace(session, exposures=session.exposures[:1]), "map") is not found


def test_targets_have_their_doses():
    session = turned_session()
    rows, lost = target_doses(session, "map", budget(20))
    assert [row.name for row in rows] == ["here", "far"]
    assert rows[0].dose == pytest.approx(history(session, "map").at([[52.0, 56.0]])[0])
    assert rows[1].dose == 0.0
    assert lost == ()
    alone = replace(session, links=())
    rows, lost = target_doses(alone, "map", budget(20))
    assert [target.name for target in lost] == ["here"]


def test_tables_are_readable_elsewhere():
    session = turned_session()
    found = history(replace(session, links=()), "map")
    lines = exposures_csv(found).splitlines()
    assert lines[0].split(",")[:4] == ["id", "name", "modality", "state"]
    assert "no link reaches its frame" in lines[1]
    assert len(lines) == 3
    rows, _ = target_doses(session, "map", budget(20))
    head, here, _ = targets_csv(rows, budget(20)).splitlines()
    values = dict(zip(head.split(","), here.split(","), strict=True))
    assert float(values["dose_MGy"]) == pytest.approx(rows[0].dose, rel=1e-5)
    assert float(values["sxt_MGy"]) + float(values["tem_MGy"]) == pytest.approx(
        rows[0].dose, rel=1e-5
    )


def test_exposures_keep_everything_in_the_file(tmp_path):
    session = turned_session()
    path = tmp_path / "grid.clxem.json"
    save(session, path)
    again = load(path)
    assert again.exposures == session.exposures
    assert history(again, "map").at([[51.0, 50.0]]) == history(session, "map").at([[51.0, 50.0]])


def test_a_site_stands_where_its_finest_volume_does():
    def image(name, frame, axes, pixel, site="s"):
        shape = (11, 21, 41)[-len(axes) :]
        scale = (pixel,) * len(axes)
        file = FileRef(path=f"/nowhere/{name}.tif")
        return Dataset(
            id=name,
            name=name,
            site=site,
            frame=frame,
            file=file,
            axes=axes,
            shape=shape,
            scale=scale,
        )

    session = turned_session()
    plane, volume = ("y", "x"), ("z", "y", "x")
    images = (
        image("fine", "map", plane, 0.1),
        image("coarse", "sxt", plane, 0.2),
        image("lost", "alone", volume, 0.1),
        image("other", "map", plane, 0.5, "t"),
    )
    session = replace(
        session,
        sites=(Site(id="s", name="one"), Site(id="t"), Site(id="u", name="three")),
        frames=(*session.frames, Frame(name="alone")),
        datasets=images,
    )
    found, lost = site_spots(session, "map")
    assert [one[0] for one in found] == ["Cell one", "Cell t"]
    np.testing.assert_allclose(found[0][1], (1.0, 2.0))  # the volume leads nowhere
    assert found[0][2] == pytest.approx(1.0)
    np.testing.assert_allclose(found[1][1], (5.0, 10.0))
    assert [one.name for one in lost] == ["three"]
    (there, *_), _ = site_spots(replace(session, datasets=images[1:]), "map")
    np.testing.assert_allclose(there[1], (4.0 + 50.0, -2.0 + 60.0))
    (deep, *_), _ = site_spots(session, "alone")
    np.testing.assert_allclose(deep[1], (0.5, 1.0, 2.0))


def test_clashes_of_very_many_plans_are_not_looked_for():
    session = turned_session()
    spot = PRESETS["Krios 300 kV"].exposure("map", (52.0, 56.0))
    few, many = (
        tuple(replace(spot, id=f"p{n}", planned=True) for n in range(count))
        for count in (2, MOST_PLANNED + 1)
    )
    found, why = clashes(history(replace(session, exposures=session.exposures + few), "map"), 10.0)
    assert found
    assert why == ""
    found, why = clashes(history(replace(session, exposures=many), "map"), 10.0)
    assert found == ()
    assert why.startswith(f"{MOST_PLANNED + 1} exposures are planned;")
