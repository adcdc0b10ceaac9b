"""What the Session dock says of images, as pure functions of the document."""

from __future__ import annotations

import pytest

from napari_clxem.plugin.controllers.grid_rows import quality
from napari_clxem.plugin.controllers.positions import View
from napari_clxem.samples import sample_folder
from napari_clxem.session import load
from napari_clxem.session.geometry import graph

pytestmark = pytest.mark.gl


def test_a_view_from_the_side_is_as_good_as_what_is_seen_in_it():
    session = load(sample_folder() / "grid.clxem.json")
    fib, stack = (
        next(one for one in session.datasets if one.name == name)
        for name in ("fib-A", "confocal-A")
    )
    said = quality(session, fib, View())
    # along the line of sight its own middle is anywhere within the sample
    assert float(said.text.strip("±nm ")) < 200
    assert "seen in its middle" in said.tip
    target = next(one for one in session.targets if one.site == "A")
    way = graph(session).transform(target.frame, fib.frame, [target.position])
    error = 1e3 * way.predict_error([target.position])[0][-2:, -2:].trace() ** 0.5
    assert float(said.text.strip("±nm ")) == pytest.approx(error, rel=1.0)
    assert "its middle, in the plane of tomogram-A" in quality(session, stack, View()).tip
