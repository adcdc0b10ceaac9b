from __future__ import annotations

import numpy as np
import pytest

from napari_clxem.io.image import Channel
from napari_clxem.plugin import colours

RAMP = np.arange(10_000, dtype=np.uint16).reshape(100, 100)


@pytest.mark.parametrize("modality", ["sxt", "sem", "fib", "tem", "vlm"])
def test_absorption_and_electrons_are_grey_and_cover(modality):
    channels = (Channel("a", colour="#ff0000"),)
    light = colours.is_fluorescence(modality, channels)
    look = colours.look(channels[0], 0, (RAMP,), light)
    assert look["colormap"] == "gray"
    assert look["blending"] == "translucent"


def test_light_takes_the_colour_of_the_file_then_of_the_wavelength_then_its_turn():
    assert colours.is_fluorescence("confocal", ())
    assert colours.colormap(Channel("a", colour="#FF8800"), 0, True) == "#ff8800"
    assert colours.colormap(Channel("a", wavelength=461.0), 0, True) == "#4488ff"
    assert colours.colormap(Channel("a", wavelength=670.0), 0, True) == "#ee3355"
    assert colours.colormap(Channel("a"), 1, True) == colours.CYCLE[1]
    assert colours.look(Channel("a"), 1, (RAMP,), True)["blending"] == "additive"


def test_the_background_of_light_is_black_and_that_of_electrons_is_not():
    low, high = colours.look(Channel("a"), 0, (RAMP,), True)["contrast_limits"]
    assert low > 0.5 * high
    low, high = colours.look(Channel("a"), 0, (RAMP,), False)["contrast_limits"]
    assert low < 0.05 * high


def test_a_black_channel_is_given_a_colour_that_shows():
    assert colours.colormap(Channel("a", colour="#000000"), 2, True) == colours.CYCLE[2]


def test_without_a_modality_several_channels_or_a_wavelength_mean_light():
    assert colours.is_fluorescence("", (Channel("a"), Channel("b")))
    assert colours.is_fluorescence("", (Channel("a", wavelength=500.0),))
    assert not colours.is_fluorescence("", (Channel("a"),))


@pytest.mark.parametrize(
    ("name", "support"),
    [("reflection", True), ("DIC", True), ("acidic vesicles", False), ("nuclei", False)],
)
def test_channels_of_the_support_are_grey(name, support):
    assert colours.is_support(Channel(name)) is support
    assert (colours.colormap(Channel(name), 0, True) == "gray") is support
