"""What a FIB image sees of targets, and what a planned lamella promises of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from lamella_site import ANGLE, AZIMUTH, lamella_site, to_fib

from napari_clxem.frames import Affine
from napari_clxem.lamella import Lamella, LamellaRecord, capture_probability
from napari_clxem.session import Dataset, Frame, Landmark, Link, edits
from napari_clxem.session.fib_views import aims, fib_datasets, fib_view
from napari_clxem.session.promises import (
    best_box,
    captures,
    gain_of,
    limit_of,
    pick_sentence,
    placing_of,
    promise,
)


@pytest.fixture
def session():
    return lamella_site()


@pytest.fixture
def view(session):
    return fib_view(session, edits.get(session, Dataset, "fib"))


def planned(aim, **values) -> LamellaRecord:
    box = Lamella(tuple(aim.position.tolist()), ANGLE, AZIMUTH, 0.3, 8.0, 6.0, 0.05)
    return LamellaRecord(
        id="plan", site="c1", frame="tomogram", lamella=replace(box, **values), targets=("a",)
    )


def test_the_view_knows_its_milling_angle(session, view):
    assert fib_datasets(session, "c1")[0] == view.dataset
    assert view.volume == "tomogram"
    assert view.link == "to-fib"
    assert view.angle == pytest.approx(ANGLE, abs=1e-6)
    assert view.azimuth == pytest.approx(AZIMUTH, abs=1e-6)


def test_there_is_no_view_where_no_link_or_only_a_plane_leads(session):
    fib = edits.get(session, Dataset, "fib")
    assert fib_view(session, fib, "tem") is None
    assert fib_view(edits.drop(session, Link, "to-fib"), fib) is None


def test_a_target_lies_on_the_line_of_sight_where_the_view_has_it(session, view):
    aim, *_ = aims(session, view, session.targets)
    assert aim.target.id == "a"
    seen = Affine(view.projection).transform([aim.position])[0]
    np.testing.assert_allclose(seen, aim.seen.position, atol=1e-9)
    linear = view.projection[:, :3]
    np.testing.assert_allclose(linear @ aim.covariance @ linear.T, aim.seen.covariance, atol=1e-12)


def test_a_promise_counts_the_error_of_placing(session, view):
    seen = aims(session, view, session.targets[:1])
    record = planned(seen[0])
    sharp, blurred = (captures(record.lamella, seen, one)["a"] for one in (0.0, 0.2))
    both = seen[0].covariance + 0.2**2 * np.eye(3)
    assert blurred == capture_probability(record.lamella, seen[0].position, 0.1, both)
    assert blurred.volume_fraction < sharp.volume_fraction
    assert blurred.sigma == pytest.approx(np.hypot(sharp.sigma, 0.2))
    assert promise({"a": blurred}, ("a", "gone")) == blurred.volume_fraction
    assert promise({}, ("a",)) is None
    assert placing_of(replace(record, placing=0.07)) == 0.07


def test_what_limits_a_lamella_says_what_it_holds_where_it_is_drawn(session, view):
    seen = aims(session, view, session.targets[:1])
    record = planned(seen[0])
    z, y, x = record.lamella.centre
    off = replace(planned(seen[0], centre=(z + 0.12, y, x)), promised=0.99)
    now = promise(captures(off.lamella, seen, 0.0), off.targets)
    best = best_box(off.lamella, seen, 0.0, (ANGLE, ANGLE))
    assert best.expected > now + 0.05
    said = limit_of(off, seen, 0.0)
    assert said.startswith(
        f"Where it is drawn it holds {now:.0%}; at its best place: {best.sentence}"
    )
    assert limit_of(record, seen, 0.0).startswith(best.sentence)
    assert limit_of(replace(record, targets=("gone",)), seen, 0.0) == ""


def test_a_poor_pick_is_told_from_poor_links(session, view):
    unsure = replace(session.targets[0], sigma=(0.5, 0.1, 0.1))
    (aim,) = aims(edits.put(session, unsure), view, [unsure])
    record = planned(aim)
    box = record.lamella
    assert "the pick of A itself" in pick_sentence("tomogram", box, [aim])
    assert "the pick of A itself" in limit_of(record, [aim], 0.0)
    sure = replace(aim, target=replace(unsure, sigma=(0.1, 0.1, 0.1)))
    assert pick_sentence("tomogram", box, [sure]) == ""
    assert pick_sentence("stack", box, [aim]) == ""


def test_more_beads_are_said_to_help_where_they_do(session):
    matrix = Affine(to_fib())
    spots = np.random.default_rng(6).uniform(2, 18, (11, 3)) * (0.4, 1.0, 1.0)

    def joined(sd):
        marks = tuple(
            Landmark(
                moving=tuple(s),
                fixed=tuple(matrix.transform([s])[0]),
                moving_sigma=(min(sd, 0.05),) * 3,
                fixed_sigma=(sd,) * 2,
            )
            for s in spots[:5]
        )
        more = tuple(Landmark(moving=tuple(s), fixed=tuple(s)) for s in spots[5:])
        link = Link(
            id="to-fib",
            moving="tomogram",
            fixed="fib",
            model="projection",
            upright=True,
            landmarks=marks,
        )
        other = Link(id="more", moving="tomogram", fixed="elsewhere", landmarks=more)
        return edits.put(session, Frame(name="elsewhere"), link, other)

    def said(made):
        view = fib_view(made, edits.get(made, Dataset, "fib"))
        seen = aims(made, view, made.targets[:1])
        return gain_of(made, view, planned(seen[0]), seen, 0.0)

    assert said(joined(0.3)).startswith("Picking ")
    assert said(joined(0.001)) == "More beads picked in the FIB image would bring nothing here."
    assert said(session) == ""  # no bead is known that is not in the view
