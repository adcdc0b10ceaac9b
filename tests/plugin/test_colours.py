from __future__ import annotations

import pytest

from napari_clxem.io.image import Channel
from napari_clxem.plugin import colours


@pytest.mark.parametrize("modality", ["sxt", "sem", "fib", "tem", "vlm"])
def test_absorption_and_electrons_are_grey_and_cover(modality):
    channels = (Channel("a", colour="#ff0000"),)
    light = colours.is_fluorescence(modality, channels)
    assert colours.colormap(channels[0], 0, light) == "gray"
    assert colours.blending(light) == "translucent"


def test_light_takes_the_colour_of_the_file_then_of_the_wavelength_then_its_turn():
    assert colours.is_fluorescence("confocal", ())
    assert colours.colormap(Channel("a", colour="#FF8800"), 0, True) == "#ff8800"
    assert colours.colormap(Channel("a", wavelength=461.0), 0, True) == "#4488ff"
    assert colours.colormap(Channel("a", wavelength=670.0), 0, True) == "#ee3355"
    assert colours.colormap(Channel("a"), 1, True) == colours.CYCLE[1]
    assert colours.blending(True) == "additive"


def test_a_black_channel_is_given_a_colour_that_shows():
    assert colours.colormap(Channel("a", colour="#000000"), 2, True) == colours.CYCLE[2]


def test_without_a_modality_several_channels_or_a_wavelength_mean_light():
    assert colours.is_fluorescence("", (Channel("a"), Channel("b")))
    assert colours.is_fluorescence("", (Channel("a", wavelength=500.0),))
    assert not colours.is_fluorescence("", (Channel("a"),))
