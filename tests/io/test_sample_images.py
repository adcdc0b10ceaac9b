"""The shipped sample, opened: beads are where the truth says, in every modality."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from napari_clxem.io import open_image

SAMPLE = Path(__file__).parents[2] / "sample_data"
DATASETS = json.loads((SAMPLE / "grid.json").read_text(encoding="utf-8"))["datasets"]


@pytest.fixture(scope="module")
def truth() -> dict:
    return json.loads((SAMPLE / "truth.json").read_text(encoding="utf-8"))


def true_beads(truth: dict, frame: str) -> np.ndarray:
    """Beads of a frame in its own (z, y, x) or (y, x) µm."""
    known = truth["frames"][frame]
    beads = [truth["beads"][index]["position"] for index in known["beads"]]
    matrix = np.array(known["from_grid"])
    beads = np.reshape(beads, (-1, 3)) @ matrix[: known["ndim"], :3].T
    return beads + matrix[: known["ndim"], 3]


@pytest.mark.parametrize("dataset", DATASETS, ids=[d["name"] for d in DATASETS])
def test_scale_and_size_are_the_true_ones(dataset, truth):
    image = open_image(SAMPLE / dataset["file"])
    known = truth["frames"][dataset["frame"]]
    assert image.scale == pytest.approx(known["spacing"])
    assert image.data.shape[-known["ndim"] :] == tuple(known["shape"])
    assert image.missing == ()


# A lamella holds no bead; in the SEM overview charging hides most of them from a median.
BEADS = [d for d in DATASETS if d["modality"] not in ("tem", "sem")]


@pytest.mark.parametrize("dataset", BEADS, ids=[d["name"] for d in BEADS])
def test_beads_stand_out_where_they_are_and_not_in_the_mirror(dataset, truth):
    image = open_image(SAMPLE / dataset["file"])
    data = np.asarray(image.data)
    if "c" in image.axes:
        data = data[[channel.name for channel in image.channels].index("beads")]
    places = np.round(true_beads(truth, dataset["frame"]) / image.scale).astype(int)
    places = places[((places >= 0) & (places < data.shape)).all(axis=1)]

    def contrast(pixels: np.ndarray) -> float:
        return abs(float(np.median(pixels[tuple(places.T)])) - float(np.median(pixels)))

    mirrored = [contrast(np.flip(data, axis)) for axis in range(data.ndim)]
    assert contrast(data) > 3 * max(mirrored)
