"""What a session may not hold."""

from __future__ import annotations

from dataclasses import replace

import pytest

from napari_clxem.errors import SessionError
from napari_clxem.session import Frame, Landmark, Link, Session, Store, check, edits
from napari_clxem.session.model import Dataset, FileRef, Site, Target

UNIT8 = tuple(tuple(float(i == j) for j in range(8)) for i in range(8))


def landmark(**values):
    return lambda s: edits.amend_landmark(s, "l1", "m1", **values)


def amend(kind, name, **values):
    return lambda s: edits.amend(s, kind, name, **values)


def estimate(**values):
    return lambda s: edits.set_estimate(
        s, "l2", replace(edits.get(s, Link, "l2").estimate, **values)
    )


WRONG = {
    "landmark longer than its frame": (
        lambda s: edits.put(
            s,
            Link(
                id="l3",
                moving="confocal",
                fixed="map",
                landmarks=(Landmark(id="a", fixed=(0.0, 0.0, 0.0)),),
            ),
        ),
        "Landmark 'a' of link 'l3', fixed, has 3 numbers, but frame 'map' is 2D",
    ),
    "landmark of one number": (landmark(moving=(1.0,), moving_sigma=None), "has 1 numbers"),
    "landmarks of two dimensions": (landmark(fixed=(1.0, 2.0)), "'m3' .* has 3 numbers, but those"),
    "sigma longer than position": (landmark(fixed_sigma=(1.0, 2.0)), "sigma that does not belong"),
    "sigma without position": (landmark(moving=None), "sigma that does not belong"),
    "negative sigma": (landmark(moving_sigma=(0.1, -0.1, 0.1)), "negative sigma"),
    "far away": (landmark(fixed=(0.0, 0.0, 1e12)), "cannot be"),
    "link to itself": (amend(Link, "l1", fixed="confocal"), "ties frame 'confocal' to itself"),
    "link from nowhere": (amend(Link, "l1", moving="tem"), "frame 'tem', which the session"),
    "dataset nowhere": (amend(Dataset, "d1", frame="tem"), "Dataset 'stack' is in frame 'tem'"),
    "dataset of no site": (amend(Dataset, "d1", site="x"), "belongs to site 'x'"),
    "dataset without file": (amend(Dataset, "d1", file=FileRef(path="")), "names no file"),
    "axes and shape": (amend(Dataset, "d1", axes=("y", "x")), "2 axes but a shape of 4"),
    "axis twice": (amend(Dataset, "d1", axes=("c", "x", "y", "x")), "one axis twice"),
    "zero scale": (amend(Dataset, "d1", scale=(0.1, 0.0, 0.1)), "pixel size of dataset 'stack' is"),
    "scale of another length": (amend(Dataset, "d1", scale=(0.1, 0.1)), "2 pixel sizes for 3"),
    "zero axial scaling": (amend(Dataset, "d1", axial_scaling=0.0), "above zero"),
    "target of another dimension": (
        amend(Target, "t1", position=(1.0, 2.0)),
        "has 2 numbers",
    ),
    "target sigma": (amend(Target, "t1", sigma=(1.0,)), "has 1 numbers for sigma"),
    "negative target sigma": (amend(Target, "t1", sigma=(1.0, -1.0, 1.0)), "negative sigma"),
    "target without radius": (amend(Target, "t1", radius=0.0), "radius of target 'vesicle'"),
    "target nowhere": (amend(Target, "t1", frame="tem"), "frame 'tem'"),
    "film tilt": (amend(Site, "s1", film_tilt=(0.0, 120.0)), "film tilt of site 'cell 1'"),
    "height of a 3D frame": (amend(Frame, "sxt", z=(0.0, 1.0)), "is 3D and so has no prior"),
    "negative sd of height": (amend(Frame, "map", z=(0.0, -1.0)), "is negative"),
    "frame without name": (lambda s: edits.put(s, Frame(name="")), "A frame has no name"),
    "site without id": (lambda s: edits.put(s, Site(id="")), "A site has an empty id"),
    "matrix of a wrong form": (estimate(matrix=((1.0, 0.0), (0.0, 1.0))), "neither homogeneous"),
    "ragged matrix": (estimate(matrix=((1.0, 0.0, 0.0, 0.0), (0.0, 1.0))), "neither homogeneous"),
    "small covariance": (estimate(covariance=UNIT8[:4]), "covariance of 8 x 8"),
    "ragged covariance": (estimate(covariance=(*UNIT8[:7], (1.0,))), "covariance of 8 x 8"),
    "no degrees of freedom": (estimate(dof=0), "dof 0; give 1 or more"),
}


@pytest.mark.parametrize("what", WRONG)
def test_what_makes_no_sense_is_refused(rich, what):
    edit, expected = WRONG[what]
    wrong = edit(rich)
    with pytest.raises(SessionError, match=expected):
        check(wrong)
    store = Store(rich)
    with pytest.raises(SessionError, match=expected):
        store.commit(edit, "Do wrong")
    assert store.session == rich


def exposure(**values):
    return lambda s: replace(s, exposures=(replace(s.exposures[0], **values),))


@pytest.mark.parametrize(
    ("edit", "expected"),
    [
        (exposure(frame="tem"), "Exposure 'e1' is in frame 'tem'"),
        (exposure(dose_per_image=-1.0), "dose of -1.0 MGy"),
        (exposure(images=0), "0 images per tilt"),
        (exposure(beam_radius=0.0), "beam of exposure 'e1'"),
        (exposure(tilts=(0.0, 1000.0)), "tilts, is 1000.0"),
        (exposure(tilts=(), weights=(), times=()), "has no tilt"),
        (exposure(tilts=(0.0, 1.0), weights=(1.0,)), "1 weights for 2 tilts"),
        (exposure(tilts=(0.0, 1.0), weights=(1.0, -1.0)), "a weight that cannot be"),
        (exposure(tilts=(0.0,), times=("2024", "2025")), "2 times for 1 tilts"),
        (exposure(fluence=float("nan")), "fluence of nan"),
        (exposure(beam_radius=None, beam_size=None), "needs one shape of its beam"),
        (exposure(beam_radius=1.0, beam_size=(1.0, 2.0)), "needs one shape of its beam"),
        (exposure(halo=((2.0, 0.2), (1.0, 0.1))), "does not reach outwards"),
        (exposure(halo=((1.0, 0.2), (2.0, 0.3))), "reach outwards and weaken"),
        (exposure(halo=((1.0, 1.5),)), "fall from at most 1"),
        (exposure(halo=((-1.0, 0.5),)), "A distance in the halo"),
        (exposure(axis_azimuth=float("inf")), "turn of beam or axis, is inf"),
    ],
)
def test_exposures_are_checked(rich, edit, expected):
    with pytest.raises(SessionError, match=expected):
        check(edit(rich))


def test_a_rich_session_passes(rich):
    assert check(rich) is None
    assert check(Session()) is None


def test_landmarks_may_lie_in_the_plane_of_a_3d_frame():
    session = Session(
        frames=(Frame(name="a"), Frame(name="b", ndim=2)),
        links=(Link(moving="a", fixed="b", landmarks=(Landmark(moving=(1.0, 2.0)),)),),
    )
    assert Store(session, journal=False).session == session


def test_dropping_what_others_name_is_refused(rich):
    store = Store(rich)
    for kind, name in ((Frame, "sxt"), (Frame, "map"), (Site, "s1")):
        with pytest.raises(SessionError, match=f"'{name}', which the session does not have"):
            store.commit(lambda s, kind=kind, name=name: edits.drop(s, kind, name), "Drop")
    assert store.session == rich


def test_changing_a_frame_checks_what_lies_in_it(rich):
    store = Store(rich)
    with pytest.raises(SessionError, match="frame 'sxt' is 2D"):
        store.commit(lambda s: edits.amend(s, Frame, "sxt", ndim=2), "Flatten")
