"""What a milled lamella shares with a tomogram and holds of targets."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lamella_site import CORNERS, SHAPE, VOXEL, lamella_site, to_map

from napari_clxem.errors import LamellaError
from napari_clxem.frames import Affine
from napari_clxem.lamella import overlap
from napari_clxem.session import Dataset, Link, edits
from napari_clxem.session.overlaps import box_of, held, record_on_map, shares


def kept(session, **values):
    pose = {"thickness": 0.4, "height": 0.0, "angle": 0.0, "azimuth": 0.0, "damage": 0.0} | values
    return record_on_map(session, edits.get(session, Dataset, "tem"), CORNERS, before=None, **pose)


def test_the_box_of_a_volume_reaches_to_the_outer_faces_of_its_voxels():
    dataset = edits.get(lamella_site(), Dataset, "tomogram")
    half = VOXEL / 2
    expected = [[-half] * 3, [(n - 1) * VOXEL + half for n in SHAPE]]
    np.testing.assert_allclose(box_of(dataset), expected)
    thick = replace(dataset, axial_scaling=1.3)
    np.testing.assert_allclose(box_of(thick)[1], np.array(expected[1]) * [1.3, 1, 1])
    with pytest.raises(LamellaError, match="no volume with a pixel size"):
        box_of(replace(dataset, scale=None))


def test_the_overlap_is_that_of_the_geometry():
    session = lamella_site()
    record = kept(session)
    (found,) = shares(session, record)
    expected = overlap(record.lamella, box_of(found.dataset), np.linalg.inv(to_map()))
    assert found.overlap.area_fraction == pytest.approx(expected.area_fraction, abs=1e-6)
    assert 0.3 < expected.area_fraction <= 1
    low, high = found.overlap.area_interval
    assert low <= found.overlap.area_fraction <= high
    assert record.overlap == found.overlap
    assert record.status == "milled"


def test_without_a_link_there_is_no_number():
    session = edits.drop(lamella_site(), Link, "to-tem")
    record = kept(session)
    assert record.overlap is None
    (found,) = shares(session, record)
    assert "not linked" in found.trouble
    assert [(one.capture, one.frame) for one in held(session, record)] == [(None, "")] * 2


def test_a_tomogram_without_thickness_is_said():
    session = lamella_site()
    flat = replace(edits.get(session, Dataset, "tomogram"), shape=(1, *SHAPE[1:]))
    (found,) = shares(edits.put(session, flat), kept(session))
    assert found.overlap is None
    assert "one slice and so no thickness" in found.trouble


def test_a_target_on_the_mid_plane_is_held_as_well_as_its_place_is_known():
    session = lamella_site()
    record = kept(session)
    on_plane = Affine(np.linalg.inv(to_map())).transform([record.lamella.centre])[0]
    inside = replace(session.targets[0], position=tuple(on_plane.tolist()))
    far = replace(inside, id="far", position=(on_plane[0] + 2.0, *on_plane[1:].tolist()))
    elsewhere = replace(inside, id="elsewhere", site="c2")
    near, away = held(replace(session, targets=(inside, far, elsewhere)), record)
    assert near.frame == away.frame == "tomogram"
    assert abs(near.capture.offset) < 0.1
    assert near.capture.sigma > 0.1  # the map knows its height to 0.15 µm only
    assert near.capture.volume_fraction > 0.6
    assert away.capture.volume_fraction < 0.01
