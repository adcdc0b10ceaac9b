"""Clusters beside organelles: distances, overlaps, and what the registration's error does."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import ImageError
from napari_clxem.xray import proximity

SPACING = (0.1, 0.05, 0.05)


def scene():
    labels = np.zeros((10, 40, 60), np.int32)
    labels[4:6, 10:14, 10:14] = 1  # inside organelle 2
    labels[4:6, 10:14, 40:44] = 2  # 6 pixels right of it
    labels[4:6, 18:22, 10:14] = 3  # half inside
    organelles = np.zeros(labels.shape, np.int32)
    organelles[2:8, 5:20, 5:34] = 2
    organelles[2:8, 34:38, 50:58] = 5
    return labels, organelles


def test_distance_and_overlap_of_each_cluster():
    one, two, three = proximity(*scene(), SPACING)
    assert (one.cluster, one.organelle, one.overlap, one.distance) == (1, 2, 1.0, 0.0)
    assert one.centre_distance < 0
    assert two.overlap == 0
    assert two.organelle == 2
    assert two.distance == pytest.approx(7 * 0.05)  # from voxel 33 to voxel 40
    assert two.centre_distance > two.distance
    assert three.overlap == pytest.approx(0.5)
    assert one.chance == pytest.approx((scene()[1] > 0).mean())


def test_an_uncertain_registration_softens_the_overlap():
    sure = proximity(*scene(), SPACING)
    unsure = proximity(*scene(), SPACING, registration_sd=0.2)
    assert [p.overlap for p in sure] == [p.overlap for p in unsure]
    assert unsure[0].expected_overlap < 1
    assert unsure[1].expected_overlap > 0
    assert unsure[0].distance_sd == 0.2
    assert sure[0].expected_overlap == 1


def test_a_widefield_map_is_compared_as_seen_along_the_beam():
    labels, organelles = scene()
    flat = proximity(labels, organelles.max(axis=0), SPACING)
    assert flat[0].overlap == 1
    assert flat[1].distance == pytest.approx(7 * 0.05)


def test_no_organelle_is_no_distance():
    labels, organelles = scene()
    found = proximity(labels, 0 * organelles, SPACING)
    assert all(np.isnan(p.distance) and p.organelle == 0 and p.overlap == 0 for p in found)


def test_other_grids_are_refused():
    labels, organelles = scene()
    with pytest.raises(ImageError, match="one grid"):
        proximity(labels, organelles[:5], SPACING)
