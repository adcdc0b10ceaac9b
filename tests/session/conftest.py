"""A session with something of everything in it, and a state folder of each test's own."""

from __future__ import annotations

import math

import pytest

from napari_clxem.dose import Exposure
from napari_clxem.io.image import Channel, Orientation, StagePosition
from napari_clxem.session import (
    Dataset,
    Estimate,
    FileRef,
    Frame,
    Grid,
    Landmark,
    Link,
    Session,
    Site,
    Target,
)


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    folder = tmp_path / "state"
    monkeypatch.setenv("CLXEM_STATE", str(folder))
    return folder


@pytest.fixture
def rich() -> Session:
    unit = tuple(tuple(float(i == j) for j in range(12)) for i in range(12))
    return Session(
        id="session",
        name="Grid 7, Größe µ",
        grid=Grid(id="g7", name="G7", type="200 mesh Au", finder_marks="A1", history=("Oxford",)),
        sites=(
            Site(id="s1", name="cell 1", status="x-rayed", film_tilt=(1.5, -2.25)),
            Site(id="s2", name="cell 2"),
        ),
        frames=(
            Frame(name="confocal"),
            Frame(name="sxt"),
            Frame(name="map", ndim=2, z=(0.0, 1.5)),
        ),
        datasets=(
            Dataset(
                id="d1",
                name="stack",
                modality="confocal",
                site="s1",
                frame="confocal",
                file=FileRef(path="images/stack.ome.tif", index=1, size=12, fingerprint="ab12"),
                axes=("c", "z", "y", "x"),
                shape=(2, 30, 512, 512),
                scale=(0.3, 0.1, 0.1),
                orientation=Orientation(axes=("y", "z", "x"), flip=("y",)),
                axial_scaling=1.0 / 3.0,
                channels=(Channel("DAPI", "#0000ff", 461.0), Channel("beads")),
                stage=StagePosition(
                    position=(math.nan, -120.25, 1e-7),
                    rotation=12.5,
                    convention="ome",
                    image_to_stage=((1.0, 0.0, 5.0), (0.0, -1.0, 6.0), (0.0, 0.0, 1.0)),
                ),
            ),
            Dataset(id="d2", name="map", file=FileRef(path="images/map.mrc"), frame="map"),
        ),
        links=(
            Link(
                id="l1",
                moving="confocal",
                fixed="sxt",
                robust=True,
                landmarks=(
                    Landmark(
                        id="m1",
                        moving=(0.1, 0.2, 0.30000000000000004),
                        fixed=(1.0, -2.0, 3.0),
                        moving_sigma=(0.1, 0.05, 0.05),
                        origin="bead",
                    ),
                    Landmark(id="m2", moving=(1.0, 2.0, 3.0), use=False),
                    Landmark(id="m3", fixed=(4.0, 5.0, 6.0)),
                ),
            ),
            Link(
                id="l2",
                moving="confocal",
                fixed="map",
                model="projection",
                kind="declared",
                note="by eye",
                estimate=Estimate(
                    matrix=((0.0, 1.0, 0.0, 4.0), (0.0, 0.0, 1.0, 5.0)),
                    centre=(0.0, 0.0, 0.0),
                    covariance=tuple(row[:8] for row in unit[:8]),
                    dof=7,
                ),
            ),
        ),
        targets=(
            Target(
                id="t1",
                name="vesicle",
                site="s1",
                frame="sxt",
                position=(1.0, 2.0, 3.0),
                sigma=(0.1, 0.1, 0.2),
            ),
        ),
        exposures=(
            Exposure(
                id="e1",
                modality="sxt",
                frame="sxt",
                aim=(1.0, 2.0),
                beam_radius=7.5,
                tilts=(-60.0, 0.0, 60.0),
                dose_per_image=0.25,
                time="2026-11-21T10:00:00Z",
            ),
        ),
    )
