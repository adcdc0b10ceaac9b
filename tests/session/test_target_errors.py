"""The error that one link alone predicts at a target."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lamella_site import SD, lamella_site
from scipy.stats import chi2

from napari_clxem.session import Frame, Landmark, Link, Target, edits
from napari_clxem.session.pairs import target_error
from napari_clxem.session.summary import link_rows


def test_a_declared_link_predicts_its_error_in_the_plane():
    session = lamella_site()
    link, target = edits.get(session, Link, "to-tem"), session.targets[0]
    found = target_error(session, link, target)
    assert found.name == "A"
    np.testing.assert_allclose(found.covariance, SD**2 * np.eye(2), atol=1e-12)
    assert found.lateral == pytest.approx(SD * np.sqrt(2))
    assert found.radius == pytest.approx(SD * np.sqrt(chi2.ppf(0.95, 2)))
    (row,) = (one for one in link_rows(session, target) if one.id == link.id)
    assert row.lateral == found.lateral


def test_a_link_without_a_map_or_a_way_predicts_nothing():
    session = lamella_site()
    link, target = edits.get(session, Link, "to-tem"), session.targets[0]
    assert target_error(session, replace(link, estimate=None), target) is None
    away = Target(name="away", frame="alone", position=(0.0, 0.0, 0.0))
    assert target_error(edits.put(session, Frame(name="alone")), link, away) is None


def test_as_many_landmarks_as_needed_leave_the_error_unknown():
    spots = ((0.0, 0.0), (0.0, 9.0), (9.0, 0.0))
    marks = tuple(Landmark(moving=one, fixed=one) for one in spots)
    link = Link(moving="tem", fixed="map", model="affine", landmarks=marks)
    session = edits.put(lamella_site(), Frame(name="map", ndim=2), link)
    found = target_error(session, link, session.targets[1])
    assert np.isnan([found.lateral, found.radius]).all()
    assert np.shape(found.covariance) == (2, 2)
