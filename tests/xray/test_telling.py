"""Long calculations say how far they are, and stop when asked to."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from napari_clxem.errors import Cancelled
from napari_clxem.xray import (
    Contrast,
    calibrate_wedge,
    density,
    fsc,
    local_resolution,
    normalise,
    reconstruct,
    wiener,
    zone_plate_mtf,
)

NOISE = np.random.default_rng(0).normal(0, 1, (40, 40, 40)).astype(np.float32)
TILTS = np.arange(-60.0, 61.0, 12.0)
OTHER = np.random.default_rng(1).normal(0, 1, NOISE.shape).astype(np.float32)
LUMP = NOISE.copy()
LUMP[15:22, 15:22, 15:22] += 30
SERIES = NOISE[: len(TILTS)]

CALCULATIONS = {
    "correlation": partial(fsc, OTHER, LUMP, 0.01),
    "weighing": partial(density, LUMP, None, 0.01, Contrast(1e4, "made up")),
    "wedge": partial(calibrate_wedge, TILTS, 0.01, shape=(24, 24), diameters=[0.03, 0.05]),
    "map": partial(local_resolution, OTHER, LUMP, 0.01, window=16, step=12),
    "normalisation": partial(normalise, NOISE * 0.01 + 1, np.ones((40, 40))),
    "sharpening": partial(wiener, NOISE * 0.01 + 1, 0.01, zone_plate_mtf(0.04), 20.0),
    "reconstruction": partial(reconstruct, SERIES, TILTS, 0.01, iterations=3),
}


@pytest.mark.parametrize("name", CALCULATIONS)
def test_progress_rises_to_one(name):
    told: list[tuple[float, str]] = []
    CALCULATIONS[name](progress=lambda share, text: told.append((share, text)))
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] <= 0.5
    assert len(told) > 2 or name == "sharpening"
    assert all(text for _, text in told)
    assert shares[-1] == pytest.approx(1.0, abs=0.05)


@pytest.mark.parametrize("name", CALCULATIONS)
@pytest.mark.parametrize("after", [0, 1])
def test_it_stops_when_asked_to(name, after):
    told: list[float] = []
    asked: list[bool] = []

    def cancelled():
        asked.append(True)
        return len(asked) > after

    with pytest.raises(Cancelled, match="stopped"):
        CALCULATIONS[name](
            progress=lambda share, _text: told.append(share),
            cancelled=cancelled,
        )
    assert not told or told[-1] < 1.0


def test_telling_does_not_change_what_is_found():
    plain = density(LUMP, None, 0.01, Contrast(1e4, "made up"))
    told = density(LUMP, None, 0.01, Contrast(1e4, "made up"), progress=lambda _s, _t: None)
    assert plain.total == told.total
    assert np.array_equal(plain.labels, told.labels)
