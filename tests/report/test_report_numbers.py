"""The numbers of the report are those of the functions that it asks, as the docks do."""

from __future__ import annotations

import csv
from dataclasses import replace
from io import StringIO

import numpy as np
import pytest
from reported import HOME, Page

from napari_clxem.dose import budget, conflicts, duplicates, exposures_csv, target_table
from napari_clxem.dose.tables import EXPOSURES
from napari_clxem.lamella import campaign
from napari_clxem.report import words, write_report
from napari_clxem.report.drawing import half_axes
from napari_clxem.report.exposures import BELOW, HEADINGS
from napari_clxem.session import Link, edits, history
from napari_clxem.session.doses import site_spots, target_spots
from napari_clxem.session.fib_views import aims, fib_view
from napari_clxem.session.geometry import place
from napari_clxem.session.model import Dataset, Target
from napari_clxem.session.overlaps import held, shares
from napari_clxem.session.pairs import target_error
from napari_clxem.session.promises import captures, gain_of, limit_of, placing_of
from napari_clxem.session.summary import link_rows, nanometres, target_rows

LIMIT = budget(20.0)
FRAME = "fluorescence-map"


def test_every_link_has_the_numbers_of_the_summary(sample, sample_page):
    tables = [one for one in sample_page.tables if one.caption.startswith("Links of ")]
    rows = {row[0]: dict(zip(one.head, row, strict=True)) for one in tables for row in one.rows}
    expected = {row.id: row for row in link_rows(sample)}
    assert len(rows) == len(expected) == sum(len(one.rows) for one in tables)
    for row in expected.values():
        shown = rows[row.name]
        assert shown["FRE"] == nanometres(row.fre)
        assert shown["left out"] == nanometres(row.leave_one_out)
        used = f"{row.landmarks} / {row.offered}" if row.offered else "–"
        assert shown["used / paired"] == used
        assert shown["model"] == (row.model or "–")
    assert rows["confocal-A → tomogram-A"]["by"] == "beads"
    assert rows["confocal-C → tomogram-C"]["by"] == "content"
    assert rows["confocal-A → fib-A"]["by"] == "picks of a file"
    assert rows["confocal-A → confocal stage"]["by"] == "stage"


def test_links_of_a_site_predict_their_error_at_each_of_its_targets(sample, sample_page):
    shown = sample_page.table("Links of site A").row("confocal-A → tomogram-A")
    link = edits.get(sample, Link, "beads-confocal-A-tomogram-A")
    lines = shown["predicted error at (95 % ellipse)"].split(" | ")
    assert len(lines) == 2
    for name, line in zip(("A1", "A2"), lines, strict=True):
        target = edits.get(sample, Target, name)
        row = next(one for one in link_rows(sample, target) if one.id == link.id)
        error = target_error(sample, link, target)
        said = words.half_axes(*half_axes(np.array(error.covariance), error.radius))
        assert line.strip() == f"{name} ± {nanometres(row.lateral)} ({said})"
        assert said.startswith(nanometres(error.radius).split()[0])


def test_links_of_the_grid_give_the_least_and_the_largest_error(sample, sample_page):
    shown = sample_page.table("Links of the grid").row("fluorescence-map → sxt-mosaic")
    known = {}
    for target in sample.targets:
        rows = {one.name: one for one in link_rows(sample, target)}
        known[target.name] = rows["fluorescence-map → sxt-mosaic"].lateral
    count, least, most = shown["predicted error at (95 % ellipse)"].split(" | ")
    assert count == "6 targets, from"
    assert least.startswith(f"{min(known, key=known.get)} ± {nanometres(min(known.values()))}")
    assert most.startswith(f"to {max(known, key=known.get)} ± {nanometres(max(known.values()))}")


def test_notes_and_troubles_of_links_are_said(sample, sample_page, tmp_path):
    notes = [note for one in sample_page.tables for note in one.notes]
    assert any("by correlation, 14 parts agree to 14 nm" in one for one in notes)
    bare = replace(edits.get(sample, Dataset, "vlm-map"), site=None)
    session = replace(
        sample,
        datasets=(bare, sample.datasets[0]),
        links=(replace(next(x for x in sample.links if x.landmarks), landmarks=()),),
        targets=(),
    )
    page = Page(write_report(session, tmp_path / "a.html", home=HOME))
    said = [note for one in page.tables for note in one.notes]
    assert any("no complete landmark yet" in one for one in said)


def test_every_target_has_its_error_in_every_frame(sample, sample_page):
    for target in sample.targets:
        table = sample_page.table(f"Target {target.name} ")
        near = {one.frame for one in sample.datasets if one.site in (None, target.site)}
        assert set(table.column("frame")) == near
        for frame in near:
            shown = table.row(frame)
            row = next(one for one in target_rows(sample, frame) if one.id == target.id)
            found = place(sample, target, frame)
            assert shown["± in the plane"] == nanometres(row.lateral)
            assert shown["95 % radius"] == nanometres(row.radius)
            assert shown["sd of z"] == nanometres(row.axial)
            assert shown["by way of"] == row.way
            written = [float(one) for one in shown["(z,) y, x, µm"].split(",")]
            np.testing.assert_allclose(written, found.position, atol=6e-4)
            assert shown["95 % half axes, turn"].startswith(nanometres(row.radius).split()[0])


def test_frames_that_no_link_reaches_are_named(sample, tmp_path):
    session = replace(sample, links=())
    page = Page(write_report(session, tmp_path / "a.html", home=HOME))
    assert any(
        one.startswith("No links lead from confocal-A to fluorescence-map") for one in page.missing
    )
    assert page.table("Target A1 ").column("frame") == ["confocal-A"]


def test_every_exposure_is_a_row_with_the_columns_of_the_csv(full, full_page):
    past = history(full, FRAME, "cell")
    head, *rows = csv.reader(StringIO(exposures_csv(past)))
    assert tuple(head) == EXPOSURES == tuple(HEADINGS)
    table = full_page.table("Exposures in time order")
    assert table.column("id") == [row[0] for row in rows]
    dose = table.column("dose, MGy")
    for shown, row in zip(dose, rows, strict=True):
        known = row[head.index("dose_MGy")]
        assert shown == (words.number(float(known), 4) if known else "–")
        assert not known or float(shown) == pytest.approx(float(known), rel=1e-3)
    # a column stands in the table, below the rows, above it for all alike, or is named as unknown
    chapter = full_page.chapters["dose"]
    for name, title in HEADINGS.items():
        assert (
            title in table.head
            or f"{title}: " in chapter
            or (title in chapter and not any(row[head.index(name)] for row in rows))
        ), name
    notes = table.notes[[row[0] for row in rows].index("series-A")]
    assert "tilts, °: -60 to 60 in steps of 2 (61 tilts)" in notes
    assert "beam radius, µm: 10" in notes
    assert set(BELOW) <= set(HEADINGS)


def test_doses_at_targets_and_sites_are_those_of_the_history(full, full_page):
    places = [*target_spots(full, FRAME)[0], *site_spots(full, FRAME)[0]]
    expected = target_table(history(full, FRAME, LIMIT.material), places, LIMIT)
    table = full_page.table("Cumulative dose at targets and sites")
    assert table.column("at") == [one.name for one in expected]
    assert {"A1", "C2", "Cell A", "Cell C"} <= set(table.column("at"))
    for one in expected:
        shown = table.row(one.name)
        assert shown["MGy"] == words.dose(one.dose, one.lower_bound)
        low, high = shown["90 % interval by registration, MGy"].split(" to ")
        assert (low, high) == (words.dose(one.low), words.dose(one.high))
        assert shown["highest within the radius, MGy"] == words.dose(one.highest)
        assert shown["amplitude left at 20 Å"] == f"{one.amplitude:.2f}"
        assert shown["still supported, Å (critical)"] == words.period(one.resolution["critical"])
        assert shown["of 142.5 MGy (critical)"] == words.percent(one.shares["critical"])
    a1 = next(one for one in expected if one.name == "A1")
    assert a1.dose > 100  # the series and the planned one


def test_clashes_and_what_is_in_no_sum_are_said(full, full_page, tmp_path):
    past = history(full, FRAME, "cell")
    clashes = conflicts(past, LIMIT.dose)
    assert clashes
    for one in clashes:
        assert str(one) in full_page.warnings
    said = "\n".join(full_page.warnings)
    assert "lower bounds where they reach: tem-B-map" in said
    assert "Without a readable time, and so counted as early: tem-B-map" in said
    twice = replace(full.exposures[0], id="again")
    session = replace(full, exposures=(*full.exposures[:1], twice), links=(), datasets=())
    page = Page(write_report(session, tmp_path / "a.html"))
    for one in duplicates(session.exposures):
        assert str(one) in page.warnings
    assert not any("no link reaches" in one for one in page.warnings)
    session = replace(full, exposures=full.exposures[:1], links=())
    page = Page(write_report(session, tmp_path / "b.html", home=HOME))
    assert "In no sum: series-A, because no link reaches tomogram-A." in page.warnings


def test_another_limit_changes_what_doses_are_held_against(full, tmp_path):
    limit = budget(40.0, "ice", 200.0)
    session = replace(full, links=(), lamellae=())
    page = Page(write_report(session, tmp_path / "a.html", home=HOME, limit=limit, frame="tem-A"))
    head = page.table("Cumulative dose").head
    assert "amplitude left at 40 Å" in head
    assert any("200 kV" in one for one in head)
    assert page.table("What 40 Å (full period) stands in ice at 200 kV").column("MGy") == [
        words.dose(one.dose) for one in limit.estimates
    ]


def test_a_planned_lamella_promises_what_is_predicted_in_the_fib_image(full, full_page):
    record = next(one for one in full.lamellae if one.id == "plan-C")
    view = fib_view(full, edits.get(full, Dataset, "fib-C"), record.frame)
    seen = aims(full, view, [one for one in full.targets if one.site == "C"])
    placing = placing_of(record)
    expected = captures(record.lamella, seen, placing)
    table = full_page.table("What plan C promises, by fib-C")
    assert table.column("target") == list(expected) == ["C1", "C2"]
    for name, one in expected.items():
        assert table.row(name)["captured"] == words.percent(one.volume_fraction)
        offset = f"{1000 * one.offset:+.0f} ± {1000 * one.sigma:.0f}"
        assert table.row(name)["from the mid-plane, nm"] == offset
    assert table.row("C2")["meant"] == "–"
    limit = limit_of(record, seen, placing)
    more = gain_of(full, view, record, seen, placing)
    assert limit
    assert more
    assert f"What limits it: {limit} {more}" in full_page.chapters["milling"]


def test_a_lamella_that_no_fib_image_sees_is_said(full, tmp_path):
    session = replace(full, links=(), exposures=(), fields=())
    page = Page(write_report(session, tmp_path / "a.html", home=HOME))
    assert (
        "What plan C holds cannot be told: no FIB image of its site is linked with confocal-C."
        in (page.missing)
    )
    assert any("lamella A is not linked with a tomogram" in one for one in page.missing)
    session = replace(session, datasets=tuple(d for d in full.datasets if d.modality != "fib"))
    page = Page(write_report(session, tmp_path / "a.html", home=HOME))
    assert "What plan C holds cannot be told: its site has no FIB image." in page.missing


def test_overlaps_are_those_of_the_campaign(full, full_page):
    milled = [one for one in full.lamellae if one.status != "planned"]
    expected = campaign(one.row(full.name) for one in milled)
    assert expected.sentence in full_page.chapters["overlap"]
    table = full_page.table("Overlap of lamella and tomogram")
    shown = table.row("lamella A")
    assert shown["2D: of the lamella in plan"] == "87%"
    assert shown["3D: of the slab"] == "91%"
    first, second = (i for i, one in enumerate(table.head) if one == "95 % interval")
    row = next(one for one in table.rows if one[0] == "lamella A")
    assert (row[first], row[second]) == ("85%–89%", "86%–93%")
    assert shown["promised"] == "70%"
    assert table.row("lamella B")["verdict"] == "broken in transfer"
    assert "No overlap is known of lamella B." in full_page.missing
    assert "Outline of lamella A over the field of tomogram-A" in full_page.pictures


def test_fields_are_followed_to_tomogram_lamella_and_verdict(full_page):
    row = full_page.table("Fields for tomograms").row("field A")
    assert row["status"] == "taken"
    assert row["targets"] == "A1, A2"
    assert (row["tomogram"], row["lamella"], row["verdict"]) == (
        "tomogram-A",
        "lamella A",
        "good ice",
    )
    assert row["pointing sd, nm"] == "62"


def test_methods_cite_what_was_used_and_no_more(sample_page, full_page):
    assert "10.7554/eLife.06980" in full_page.raw
    assert "10.1006/adnd.1993.1013" in full_page.raw
    assert "10.1038/s42003-025-09072-x" in sample_page.raw
    assert "10.7554/eLife.06980" not in sample_page.raw
    assert "confocal-A × 1.45" in sample_page.chapters["methods"]


def test_what_milled_lamellae_hold_of_each_target_is_listed(full, full_page):
    record = next(one for one in full.lamellae if one.id == "milled-A")
    found = {one.target.id: one.capture for one in held(full, record)}
    assert {one.frame for one in held(full, record)} == {"tomogram-A"}
    table = full_page.table("What lamella A holds, by tomogram-A")
    assert table.column("target") == list(found) == ["A1", "A2"]
    for name, one in found.items():
        assert table.row(name)["captured"] == words.percent(one.volume_fraction)
        offset = f"{1000 * one.offset:+.0f} ± {1000 * one.sigma:.0f}"
        assert table.row(name)["from the mid-plane, nm"] == offset
    assert table.row("A1")["meant"] == "–"


def test_what_milled_lamellae_share_now_stands_beside_what_was_kept(full, full_page):
    record = next(one for one in full.lamellae if one.id == "milled-A")
    (one,) = shares(full, record)
    found = one.overlap
    row = full_page.table("What lamella A shares, by the links of now").rows[0]
    assert row == [
        one.dataset.name,
        words.percent(found.area_fraction),
        words.interval(found.area_interval),
        words.percent(found.volume_fraction),
        words.interval(found.volume_interval),
        "–",
    ]
    # the record was made up: what it keeps is not what the links say
    assert abs(found.area_fraction - record.overlap.area_fraction) > 0.02
    assert any(
        one.startswith("By the links of now lamella A overlaps by ") and "but 87% was kept" in one
        for one in full_page.warnings
    )
