"""The FIB view of the dock: newer images, the film's tilt, and what is wrong, in a sentence."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
import tifffile
from scipy.ndimage import gaussian_filter
from targets_made import ANGLE, TILT, fib_grid, plan, session

from napari_clxem.errors import DegenerateError, LamellaError
from napari_clxem.frames import Affine
from napari_clxem.io.image import StagePosition
from napari_clxem.lamella import INSTRUMENTS, Joints, film_tilt
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.controllers.targets_drift import check_alike
from napari_clxem.plugin.controllers.targets_film import estimated
from napari_clxem.plugin.controllers.targets_warnings import box_warnings, target_warnings
from napari_clxem.session import FileRef, Frame, Landmark, Link, edits, open_dataset
from napari_clxem.session.geometry import place

pytestmark = pytest.mark.gl

__all__ = ["fib_grid", "plan"]

SHIFT = (7, -11)  # pixels that the newer picture moved down and right


def textured(seed=2):
    return gaussian_filter(np.random.default_rng(seed).random((200, 240)), 1.5)


@pytest.fixture
def newer(fib_grid):
    """A newer image of the same place, not linked with anything yet."""
    picture = textured()
    fib_grid.images["fib"] = picture.astype(np.float32)
    fib_grid.images["fib-2"] = np.roll(picture, SHIFT, (0, 1)).astype(np.float32)
    old = next(one for one in fib_grid.session.datasets if one.id == "fib")
    dataset = replace(
        old, id="fib-2", name="fib-2", frame="fib-2", file=FileRef(path="/nowhere/fib-2.tif")
    )
    session = edits.put(fib_grid.session, Frame(name="fib-2", ndim=2))
    fib_grid.session = edits.put(session, dataset)
    return dataset


def test_targets_move_along_with_a_newer_image(newer, plan, qtbot):
    targets = plan.targets
    targets.boxes.draw()
    before = np.array(targets.aims[0].seen.position)
    box = targets.boxes.places("fib")["centre"]
    assert targets.fib.dataset.id == "fib"
    targets.choose_view("fib-2")
    qtbot.waitUntil(lambda: not targets.drift.busy, timeout=20000)
    assert targets.fib.dataset.id == "fib-2"
    moved = np.array(SHIFT) * 0.1
    np.testing.assert_allclose(targets.aims[0].seen.position, before + moved, atol=0.02)
    np.testing.assert_allclose(targets.boxes.places("fib")["centre"], box + moved, atol=0.02)
    assert targets.fib.angle == pytest.approx(ANGLE, abs=1e-6)
    assert "correlation" in targets.drift.said
    link = session(plan).links[-1]
    assert (link.moving, link.fixed, link.kind) == ("tomogram", "fib-2", "content")
    workspace_for(plan.viewer).store.undo()
    assert targets.fib.dataset.id == "fib"
    np.testing.assert_allclose(targets.aims[0].seen.position, before)


def test_beads_in_both_images_go_before_correlation(newer, plan, qtbot):
    targets = plan.targets
    before = np.array(targets.aims[0].seen.position)
    spots = np.array([[3.0, 4.0], [15.0, 6.0], [8.0, 20.0]])
    # the other way round, and elsewhere than the pictures say
    marks = [
        Landmark(
            moving=tuple(s + np.array([0.5, 0.25])),
            fixed=tuple(s),
            moving_sigma=(0.02,) * 2,
            fixed_sigma=(0.02,) * 2,
        )
        for s in spots
    ]
    link = Link(moving="fib-2", fixed="fib", model="translation", landmarks=tuple(marks))
    workspace_for(plan.viewer).store.commit(lambda s: edits.put(s, link), "Beads")
    targets.drift.follow(newer)
    qtbot.waitUntil(lambda: not targets.drift.busy, timeout=20000)
    seen = place(session(plan), session(plan).targets[0], "fib-2")
    np.testing.assert_allclose(seen.position, before + np.array([0.5, 0.25]), atol=1e-6)
    assert "beads" in targets.drift.said


def test_a_file_is_taken_as_the_newer_image(newer, fib_grid, plan, tmp_path, monkeypatch, qtbot):
    path = tmp_path / "after rough milling.tif"
    picture = np.roll(textured(), SHIFT, (0, 1)).astype(np.float32)
    tifffile.imwrite(
        path,
        picture,
        imagej=True,
        resolution=(10.0, 10.0),
        metadata={"unit": "um", "axes": "YX"},
    )

    def opened(source, dataset):
        known = dataset.id in fib_grid.images
        return fib_grid.open(source, dataset) if known else open_dataset(source, dataset)

    monkeypatch.setattr("napari_clxem.plugin.controllers.loading.open_dataset", opened)
    targets = plan.targets
    before = np.array(targets.aims[0].seen.position)
    targets.drift.open(path)
    qtbot.waitUntil(lambda: not targets.drift.busy, timeout=20000)
    assert targets.fib.dataset.name == "after rough milling"
    np.testing.assert_allclose(
        targets.aims[0].seen.position, before + np.array(SHIFT) * 0.1, atol=0.02
    )


def test_an_image_of_another_view_is_refused(newer):
    tilted = replace(newer, stage=StagePosition((0.0, 0.0, 0.0), 0.0, TILT + 5.0))
    with pytest.raises(LamellaError, match="another view"):
        check_alike(newer, tilted)
    with pytest.raises(LamellaError, match="magnification"):
        check_alike(newer, replace(newer, scale=(0.05, 0.05)))
    with pytest.raises(LamellaError, match="pixel size"):
        check_alike(newer, replace(newer, scale=None))


def film_grid(fib_grid, tilt, count=14, above=5, seed=3):
    """Beads on a film of some tilt, some of them on top of the cell."""
    rng = np.random.default_rng(seed)
    spots = rng.uniform(0, 20, (count, 3))
    about_y, about_x = np.tan(np.deg2rad(tilt))
    spots[:, 0] = 2.0 + spots[:, 1] * about_x + spots[:, 2] * about_y + rng.normal(0, 0.03, count)
    spots[:above, 0] += rng.uniform(1.0, 4.0, above)
    marks = [Landmark(moving=tuple(s), fixed=tuple(s)) for s in spots]
    link = Link(id="film", moving="tomogram", fixed="stack", landmarks=tuple(marks))
    return edits.put(fib_grid.session, link), spots[above:]


@pytest.mark.parametrize("tilt", [(0.0, 0.0), (-3.0, 5.0), (8.0, -2.0)])
def test_the_film_is_found_among_beads_on_the_cell(fib_grid, tilt):
    made, on = film_grid(fib_grid, tilt)
    found = estimated(made, "tomogram")
    assert found.tilt == pytest.approx(tilt, abs=0.3)
    assert found.beads == len(on)
    assert found.tilt == pytest.approx(film_tilt(on), abs=1e-9)
    assert f"{len(on)} of 14 beads" in found.sentence


def test_without_beads_the_film_is_not_guessed(fib_grid):
    with pytest.raises(DegenerateError, match="type the tilt in"):
        estimated(fib_grid.session, "tomogram")


def said(plan, **other):
    targets = plan.targets
    now = session(plan)
    found = target_warnings(now, "c1", targets.target, targets.fib, targets.aim)
    box = other.get("lamella", targets.lamella)
    return " ".join((*found, *box_warnings(now, targets.fib, targets.record, box, INSTRUMENTS[0])))


def test_nothing_is_wrong_with_a_box_about_its_target(plan):
    assert said(plan) == ""
    plan.targets.boxes.draw()
    assert said(plan) == ""


def test_a_target_outside_of_every_image_is_said(plan):
    far = replace(plan.targets.target, position=(4.0, 5000.0, 5000.0))
    workspace_for(plan.viewer).store.commit(lambda s: edits.put(s, far), "Far")
    assert "A1 lies outside of every image" in said(plan)
    assert "A1 shows outside of fib" in said(plan)


def test_an_angle_that_the_stage_does_not_reach_is_said(plan):
    targets = plan.targets
    targets.boxes.draw()
    targets.boxes.turn(60.0)
    text = said(plan)
    _, high = INSTRUMENTS[0].tilt_range
    assert f"needs a stage tilt of {TILT + 60.0 - ANGLE:.1f}°" in text
    assert f"from 0.0° to {high - TILT + ANGLE:.1f}°" in text


def test_a_box_outside_of_image_and_volume_is_said(plan):
    targets = plan.targets
    targets.boxes.draw()
    z, y, x = targets.lamella.centre
    view = Affine(targets.fib.projection)
    along = np.array(targets.lamella.axes[1])
    deep = tuple((np.array((z, y, x)) + 40.0 * along).tolist())
    np.testing.assert_allclose(view.transform([deep]), view.transform([(z, y, x)]), atol=1e-9)
    assert "outside of tomogram" in said(plan, lamella=replace(targets.lamella, centre=deep))
    aside = replace(targets.lamella, centre=(z + 200.0, y, x))
    assert "outside of fib" in said(plan, lamella=aside)


def test_joints_that_cut_the_lamella_are_said(plan):
    targets = plan.targets
    targets.boxes.draw()
    targets.boxes.amend(joints=Joints(0.5, 18.0, 5.0))
    assert "cut 1.2 µm into the lamella" in said(plan)
    assert "narrower than 9.5 µm" in said(plan)


def test_coplanar_beads_of_the_view_are_said(fib_grid, plan):
    link = next(one for one in session(plan).links if one.id == "to-fib")
    matrix = Affine(np.array(link.estimate.matrix))
    rng = np.random.default_rng(4)
    spots = np.column_stack([np.full(8, 4.0), rng.uniform(2, 18, (8, 2))])
    marks = tuple(
        Landmark(
            moving=tuple(s),
            fixed=tuple(matrix.transform([s])[0]),
            moving_sigma=(0.05,) * 3,
            fixed_sigma=(0.05,) * 2,
        )
        for s in spots
    )
    flat = Link(
        id="to-fib",
        moving="tomogram",
        fixed="fib",
        model="projection",
        upright=True,
        landmarks=marks,
    )
    workspace_for(plan.viewer).store.commit(lambda s: edits.put(s, flat), "Coplanar")
    assert "coplanar" in said(plan)


def beads_of_view(plan, count=5, sd=0.3):
    """The FIB view by few and poor beads, and more of them that only the stack has seen."""
    made = session(plan)
    link = next(one for one in made.links if one.id == "to-fib")
    matrix = Affine(np.array(link.estimate.matrix))
    rng = np.random.default_rng(6)
    spots = rng.uniform(2, 18, (count + 6, 3)) * (0.4, 1.0, 1.0)
    marks = tuple(
        Landmark(
            moving=tuple(s),
            fixed=tuple(matrix.transform([s])[0]),
            moving_sigma=(0.05,) * 3,
            fixed_sigma=(sd,) * 2,
        )
        for s in spots[:count]
    )
    view = Link(
        id="to-fib",
        moving="tomogram",
        fixed="fib",
        model="projection",
        upright=True,
        landmarks=marks,
    )
    more = tuple(Landmark(moving=tuple(s), fixed=tuple(s)) for s in spots[count:])
    other = Link(id="more", moving="tomogram", fixed="elsewhere", landmarks=more)
    frame = Frame(name="elsewhere")
    workspace_for(plan.viewer).store.commit(lambda s: edits.put(s, frame, view, other), "Beads")


def test_more_beads_are_said_to_help_and_do(plan):
    beads_of_view(plan)
    targets = plan.targets
    targets.picks.amend(radius=0.1)
    targets.boxes.draw()
    targets.advice.explain()
    assert "error of the position limits it" in targets.advice.limit
    before, after = (
        float(one) for one in re.findall(r"raise (\d+)% to (\d+)%", targets.advice.gain)[0]
    )
    assert after > before + 5
    assert before == pytest.approx(100 * session(plan).lamellae[0].promised, abs=1)
    targets.boxes.amend(thickness=0.5)
    assert (targets.advice.limit, targets.advice.gain) == ("", "")


def test_a_drift_found_after_the_dock_has_gone_changes_nothing(newer, plan, qtbot):
    targets = plan.targets
    before = session(plan)
    targets.drift.follow(newer)
    targets.drift.release()
    qtbot.waitUntil(lambda: not targets.drift.busy, timeout=20000)
    assert session(plan) == before
