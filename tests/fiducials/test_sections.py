"""Lamella maps of the sample in their tomograms: small features find them, strangers do not."""

from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.errors import NoMatch
from napari_clxem.fiducials import lamella_region, relate_section
from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.samples.lamella_map import lamella_map
from napari_clxem.samples.poses import make_layout
from napari_clxem.samples.scene import make_scene
from napari_clxem.samples.sizes import find_size
from napari_clxem.samples.xray_views import tomogram


def site_of(seed, site):
    """A tomogram with its pose, and the true place and map of the lamella cut from it."""
    scene = make_scene(seed)
    layout = make_layout(scene, find_size("tiny"))
    pose = layout.poses[f"tomogram-{site}"]
    return scene, layout, pose, tomogram(scene, pose)


def masked_map(scene, pose, lamella):
    """The electron map, NaN beside the lamella."""
    image = lamella_map(scene, pose, lamella).astype(float)
    image[~lamella_region(image, pose.spacing)] = np.nan
    return image


def start_near(true, middle, rng):
    """The truth, shifted by half a µm and turned by half a degree."""
    turn = np.eye(3)
    turn[1:, 1:] = Affine.planar(0.5).linear
    linear = turn @ true[:3, :3]
    place = true[:3, :3] @ middle + true[:3, 3] + rng.normal(0, 0.4, 3)
    matrix = Affine.from_parts(linear, place - linear @ middle).matrix
    return UncertainAffine.declared(matrix, middle, 0.4, angle_sd=0.5, scale_sd=0.005)


@pytest.mark.parametrize(("seed", "site"), [(751, "B"), (769, "B"), (766, "B")])
def test_a_lamella_that_shows_little_is_found_and_its_tomogram_alone(seed, site):
    scene, layout, pose, volume = site_of(seed, site)
    lamella, view = layout.lamellae[site], layout.poses[f"tem-{site}"]
    image = masked_map(scene, view, lamella)
    true = view.matrix @ np.linalg.inv(pose.used)
    middle = pose.place(lamella.centre[None])[0]
    start = start_near(true, middle, np.random.default_rng(seed))
    found = relate_section(
        volume, pose.spacing, image, view.spacing, start, thickness=lamella.thickness
    )
    miss = found.transform.transform(middle)[0] - Affine(true).transform(middle)[0]
    assert np.linalg.norm(miss[1:]) < 0.2
    spread = found.transform.predict_error(middle)[0, 1:, 1:]
    assert miss[1:] @ np.linalg.inv(spread) @ miss[1:] < 16
    stranger = site_of(seed - 1, "ABC"[(seed - 1) % 3])[3]
    with pytest.raises(NoMatch, match="No place stands out"):
        relate_section(
            stranger, pose.spacing, image, view.spacing, start, thickness=lamella.thickness
        )
