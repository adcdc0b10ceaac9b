from __future__ import annotations

import csv
from io import StringIO
from xml.etree import ElementTree

import numpy as np
import pytest

from napari_clxem.errors import LamellaError
from napari_clxem.lamella import (
    CampaignRow,
    Overlap,
    campaign,
    campaign_plot,
    campaign_table,
    share_interval,
)


def row(area, site="A", **more):
    return CampaignRow("grid 1", site, Overlap(1.0, area / 2, area, 0.1, 0.2, **more))


def test_share_above_half():
    found = campaign([row(0.2), row(0.8, "B"), row(0.5, "C"), CampaignRow("grid 1", "D")])
    assert (found.measured, found.above) == (3, 1)
    assert found.share == pytest.approx(1 / 3)
    assert found.mean_area == pytest.approx(0.5)
    assert found.mean_volume == pytest.approx(0.25)
    assert [one.site for one in found.rows] == ["B", "C", "A", "D"]
    assert found.sentence.startswith("1 of 3 above 50% overlap (33%")


def test_nothing_measured_yet():
    found = campaign([CampaignRow("grid 1", "A")])
    assert np.isnan(found.share)
    assert "No lamella" in found.sentence


def test_interval_of_wilson():
    # numbers of Brown, Cai & DasGupta 2001 for 0 of 10 and 5 of 10
    assert share_interval(0, 10) == pytest.approx((0.0, 0.2775), abs=1e-4)
    assert share_interval(5, 10) == pytest.approx((0.2366, 0.7634), abs=1e-4)
    assert share_interval(0, 0) == (0.0, 1.0)


def test_table_reads_back():
    found = campaign([row(0.8, area_interval=(0.7, 0.9)), CampaignRow("g", "B, lost", verdict="x")])
    rows = list(csv.DictReader(StringIO(campaign_table(found))))
    assert float(rows[0]["area_fraction"]) == 0.8
    assert float(rows[0]["area_low"]) == 0.7
    assert rows[0]["volume_low"] == ""
    assert rows[1]["site"] == "B, lost"
    assert rows[1]["area_fraction"] == ""


def test_threshold_must_be_passable():
    with pytest.raises(LamellaError, match="threshold"):
        campaign([], threshold=1.0)


def test_plot_shows_each_overlap_and_which_are_above_half():
    found = campaign(
        [row(0.8, area_interval=(0.7, 0.9)), row(0.3, "B<1>"), CampaignRow("grid 1", "lost")]
    )
    drawing = ElementTree.fromstring(campaign_plot(found, ink="#111111", paper="#fefefe"))
    dots = list(drawing.iter("{http://www.w3.org/2000/svg}circle"))
    assert [dot.get("fill") for dot in dots] == ["#111111", "#fefefe"]
    assert [dot[0].text for dot in dots] == ["grid 1 A: 80%", "grid 1 B<1>: 30%"]
    # equal steps of overlap are equal steps up
    first, second = (float(dot.get("cy")) for dot in dots)
    lines = [one.get("d") for one in drawing.iter("{http://www.w3.org/2000/svg}path")]
    low, high = (float(part) for part in lines[-1].split(" ")[1].split("V"))
    assert (second - first) / (low - high) == pytest.approx(0.5 / 0.2, rel=0.01)
    empty = ElementTree.fromstring(campaign_plot(campaign([])))
    assert "no overlap yet" in "".join(empty.itertext())
