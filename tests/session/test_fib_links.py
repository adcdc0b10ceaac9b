"""A stack linked to FIB views by its beads, on the shipped sample, against the truth."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.errors import ClxemError, NoMatch
from napari_clxem.io import open_image
from napari_clxem.io.image import StagePosition
from napari_clxem.samples import sample_folder
from napari_clxem.session.beads import find_beads, linked, spread
from napari_clxem.session.chain import chain
from napari_clxem.session.description import OBLIQUE_VIEW, describe
from napari_clxem.session.geometry import solve
from napari_clxem.session.views import USUAL, view_of


@pytest.fixture(scope="module")
def session():
    return describe(sample_folder() / "grid.json")


@pytest.fixture(scope="module")
def truth():
    return json.loads((sample_folder() / "truth.json").read_text())


@pytest.fixture(scope="module")
def found(session):
    """Every stack and FIB view with what was found in it."""
    shown = [one for one in session.datasets if one.modality in ("confocal", "fib")]
    return {one.name: (one, find_beads(opened(one), one)) for one in shown}


def opened(data):
    return open_image(
        data.file.path, index=data.file.index, orientation=data.orientation, scale=data.scale
    )


def way(truth, dataset):
    """From the grid into the frame of a dataset as a user works in it."""
    matrix = np.array(truth["frames"][dataset.frame]["from_grid"])
    return np.diag([dataset.axial_scaling, 1, 1, 1]) @ matrix if len(matrix) == 4 else matrix


def placed(matrix, points):
    return np.asarray(points) @ matrix[:3, :3].T + matrix[:3, 3]


def picked(session, site):
    """The link that was picked by hand."""
    return next(x for x in session.links if (x.moving, x.fixed) == pair(site))


def pair(site):
    return f"confocal-{site}", f"fib-{site}"


@pytest.mark.parametrize("site", "ABC")
def test_marks_are_where_beads_are(found, truth, site):
    dataset, marks = found[f"fib-{site}"]
    places = placed(way(truth, dataset), [bead["position"] for bead in truth["beads"]])
    apart = np.linalg.norm(marks.positions[:, None] - places, axis=2)
    beads = apart.min(axis=1) < 0.2
    assert beads.sum() >= 12
    assert (~beads).sum() <= 1
    miss = (marks.positions - places[apart.argmin(axis=1)])[beads]
    assert (np.sqrt((miss**2).mean(axis=0)) < [0.03, 0.015]).all()


@pytest.mark.parametrize("site", "ABC")
def test_targets_are_placed_as_surely_as_said(session, found, truth, site):
    moving, fixed = (found[name] for name in pair(site))
    link = linked(moving, fixed, session)
    assert link.prior == OBLIQUE_VIEW
    assert link.upright
    assert len(link.landmarks) >= 7
    assert all(mark.moving_sigma and mark.fixed_sigma for mark in link.landmarks)
    here, there = (way(truth, one[0]) for one in (moving, fixed))
    targets = np.array([one["position"] for one in truth["targets"] if one["site"] == site])
    points, fitted = placed(here, targets), solve(link)
    miss = fitted.transform(points) - placed(there, targets)
    spread = fitted.predict_error(points)
    assert (np.linalg.norm(miss, axis=1) < 0.05).all()
    assert (np.sqrt(np.einsum("nii->n", spread)) < 0.05).all()
    assert (np.einsum("ni,nij,nj->n", miss, np.linalg.inv(spread), miss) < 9.2).all()


def test_every_pair_is_one_bead(session, found, truth):
    for site in "ABC":
        moving, fixed = (found[name] for name in pair(site))
        back = np.linalg.inv(way(truth, moving[0]))
        for mark in linked(moving, fixed, session).landmarks:
            expected = placed(way(truth, fixed[0]), placed(back, mark.moving))
            assert np.linalg.norm(expected - mark.fixed) < 0.25


def test_views_of_other_sites_are_refused(session, found):
    for site in "ABC":
        for other in set("ABC") - {site}:
            with pytest.raises(NoMatch, match="14° ± 6° over the grid"):
                linked(found[f"confocal-{site}"], found[f"fib-{other}"], session)


def test_picks_say_where_to_look(session, found):
    moving, fixed = (found[name] for name in pair("A"))
    link = picked(session, "A")
    few = replace(link, landmarks=link.landmarks[:4])
    assert len(linked(moving, fixed, session, few).landmarks) >= 7
    marks = tuple(
        replace(mark, fixed=tuple(np.add(mark.fixed, [4.0, -6.0]))) for mark in link.landmarks
    )
    with pytest.raises(NoMatch, match="picked by hand"):
        linked(moving, fixed, session, replace(link, landmarks=marks))


def test_too_few_marks_are_said(session, found):
    moving, (image, marks) = (found[name] for name in pair("A"))
    few = replace(
        marks, positions=marks.positions[:2], sigma=marks.sigma[:2], covariance=marks.covariance[:2]
    )
    with pytest.raises(ClxemError, match="too few"):
        linked(moving, (image, few), session)


def test_five_pairs_are_left_to_a_person(session, found):
    moving, fixed = (found[name] for name in pair("B"))
    marks = linked(moving, fixed, session).landmarks[:6]

    def only(one, side, count):
        places = one[1].positions.tolist()
        rows = [places.index(list(getattr(mark, side))) for mark in marks[:count]]
        values = {name: getattr(one[1], name)[rows] for name in ("positions", "sigma")}
        return one[0], replace(one[1], **values)

    six = only(moving, "moving", 6), only(fixed, "fixed", 6)
    assert len(linked(*six, session).landmarks) == 6
    with pytest.raises(NoMatch, match="by hand"):
        linked(only(moving, "moving", 5), only(fixed, "fixed", 5), session)


def test_the_chain_links_what_nobody_picked(session, found):
    ids = {found[name][0].id for site in "AB" for name in pair(site)}
    few = replace(
        session,
        datasets=tuple(one for one in session.datasets if one.id in ids),
        links=(picked(session, "B"),),
    )
    done = chain(few, opened)
    assert done.failures == ()
    assert {one.id for one in done.session.links} == {
        "beads-confocal-A-fib-A",
        picked(session, "B").id,
    }
    again = chain(done.session, opened)
    assert len(again.session.links) == 2


def test_the_chain_says_why_there_is_no_link(session, found):
    stack, image = found["confocal-A"][0], found["fib-B"][0]
    wrong = replace(session, datasets=(stack, replace(image, site="A")), links=())
    done = chain(wrong, opened)
    assert done.session.links == ()
    assert len(done.failures) == 1
    assert "over the grid" in done.failures[0]


def test_the_angle_is_as_sure_as_the_stage_says(session):
    image = next(one for one in session.datasets if one.name == "fib-A")
    view = view_of(image)
    assert abs(view.angle - 10.0) < view.angle_sd
    for stage in (None, StagePosition((0.0, 0.0, 0.0)), replace(image.stage, tilt=-80.0)):
        view = view_of(replace(image, stage=stage))
        assert (view.angle - view.angle_sd, view.angle + view.angle_sd) == USUAL


def test_sigmas_of_marks_are_kept(session, found):
    moving, fixed = (found[name] for name in pair("C"))
    sigmas = spread(fixed[1], fixed[0])
    rows = dict(zip(map(tuple, fixed[1].positions.tolist()), sigmas, strict=True))
    for mark in linked(moving, fixed, session).landmarks:
        assert (np.array(mark.fixed_sigma) >= rows[mark.fixed] - 1e-9).all()
