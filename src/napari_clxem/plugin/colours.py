"""How images look by what they show: light adds up, absorption and electrons cover.

Every map runs from black to one hue, or through greys, so that lightness alone tells the signal.
"""

from __future__ import annotations

import re
from typing import Any

from napari_clxem.io.contrast import contrast_limits
from napari_clxem.io.image import Channel

Look = dict[str, Any]

# Channels that show the support rather than what is labelled.
SUPPORT = re.compile(r"\b(reflect|transmi|bright|phase|dic\b)")
# Hues that stay apart for colour-blind eyes, for channels that state no colour.
CYCLE = ("#33bbee", "#ee3377", "#eecc33", "#66dd77", "#bb88ff", "#ffffff")
LIGHT = ("confocal", "fluorescence", "widefield", "flm", "light")
# Percentiles drawn black and in full colour. Most of a field of fluorescence is background: it
# must be black, or the backgrounds of four channels add up to a veil.
SIGNAL = (60.0, 99.9)
GREYS = (1.0, 99.8)
# Emission bands by their upper end, nm.
BANDS = ((490.0, "#4488ff"), (545.0, "#33dd55"), (600.0, "#eecc33"), (2000.0, "#ee3355"))


def is_fluorescence(modality: str, channels: tuple[Channel, ...]) -> bool:
    """Tell whether an image is light emitted by the sample, by modality, else by its channels."""
    if modality:
        return any(word in modality.lower() for word in LIGHT)
    return len(channels) > 1 or any(c.wavelength is not None or c.colour for c in channels)


def is_support(channel: Channel) -> bool:
    """Tell whether a channel shows the support, by its name."""
    return SUPPORT.search(channel.name.lower()) is not None


def colormap(channel: Channel, index: int, fluorescence: bool) -> str:
    """Choose a colour map: the file's own colour, else by wavelength, else by position.

    Parameters
    ----------
    channel : Channel
        What the file says about the channel.
    index : int
        Position among the image's channels.
    fluorescence : bool
        False gives grey.
    """
    if not fluorescence or is_support(channel):
        return "gray"
    # A map from black to black would hide the image.
    if channel.colour and channel.colour.lower()[:7] != "#000000":
        return channel.colour.lower()[:7]
    if channel.wavelength is not None:
        return next((hue for end, hue in BANDS if channel.wavelength < end), BANDS[-1][1])
    return CYCLE[index % len(CYCLE)]


def look(channel: Channel, index: int, levels: tuple[Any, ...], fluorescence: bool) -> Look:
    """Choose how a layer is drawn, as napari's keyword arguments.

    Parameters
    ----------
    channel : Channel
        What the file says about the channel.
    index : int
        Position among the image's channels.
    levels : tuple of array_like
        Resolution levels of the channel; a bounded sample of the coarsest is read.
    fluorescence : bool
        Whether light adds up to the layers below.
    """
    return {
        "colormap": colormap(channel, index, fluorescence),
        "blending": "additive" if fluorescence else "translucent",
        "rendering": "mip" if fluorescence else "average",
        "contrast_limits": contrast_limits(levels, SIGNAL if fluorescence else GREYS),
    }
