"""The report as a page: whole, self-contained, readable without eyes, colours or a network."""

from __future__ import annotations

import re
import shutil
from dataclasses import replace
from importlib.metadata import version
from itertools import pairwise

import numpy as np
import pytest
from reported import HOME, MADE, Page

from napari_clxem.dose import Exposure
from napari_clxem.errors import SessionError, WriteError
from napari_clxem.io.image import Channel
from napari_clxem.lamella import FieldRecord, Lamella, LamellaRecord
from napari_clxem.report import write_report
from napari_clxem.report.markup import page as whole_page
from napari_clxem.samples import sample_folder
from napari_clxem.session import (
    Dataset,
    FileRef,
    Frame,
    Grid,
    Link,
    Session,
    Site,
    Target,
    load,
)
from napari_clxem.session.files import fingerprint, written

CHAPTERS = [
    *("overview", "sites", "pictures", "links", "targets", "milling", "overlap", "sxt"),
    *("dose", "methods", "files"),
]
EVIL = """<b>"'&</b><script>alert(1)</script>"""


def unlinked(session):
    """A session whose images lie each for itself, which is quick to report on."""
    return replace(session, links=())


@pytest.fixture
def copied(tmp_path):
    """The sample grid in a folder of its own."""
    folder = tmp_path / "grid"
    shutil.copytree(sample_folder(), folder)
    return folder / "grid.clxem.json"


def test_the_sample_has_every_chapter_and_target(sample, sample_page):
    assert list(sample_page.chapters) == CHAPTERS
    for target in sample.targets:
        assert sample_page.table(f"Target {target.name} ").rows
        assert target.name in sample_page.table("Targets as they were picked").column("target")
    assert sample_page.raw.startswith("<!DOCTYPE html>")
    assert len(sample_page.raw) < 5e6


def test_the_head_says_what_it_is_about_and_rests_on(sample, sample_page):
    facts = sample_page.raw[: sample_page.raw.index('id="overview"')]
    for said in (
        sample.grid.name,
        "200 mesh gold",
        "2026-03-04 05:06 UTC",
        version("napari-clxem"),
        sample.id,
        "as in grid.clxem.json",
        "15 images: 15 ✓ as recorded",
        "3 sites, 15 images, 26 links, 6 targets, 0 exposures",
    ):
        assert said in facts
    files = sample_page.table("Images and the files")
    assert files.column("image") == [one.name for one in sample.datasets]
    marks = files.column("mark")
    assert marks == [one.file.fingerprint[:12] for one in sample.datasets]


def test_the_revision_is_that_of_what_would_be_saved(tmp_path):
    one = Session(name="one", grid=Grid(name="g"))
    page = Page(write_report(one, tmp_path / "a.html"))
    assert fingerprint(written(one)) in page.raw
    assert "the session has no file yet" in page.raw
    other = replace(one, name="two")
    assert fingerprint(written(one)) not in Page(write_report(other, tmp_path / "b.html")).raw


def test_steps_that_are_not_saved_are_said(copied, tmp_path):
    session = load(copied)
    changed = replace(
        session, sites=(*session.sites, Site(name="D")), datasets=(), links=(), targets=()
    )
    page = Page(write_report(changed, tmp_path / "a.html", home=copied))
    assert "with steps that are not in grid.clxem.json yet" in page.raw


def test_nothing_is_fetched_and_nothing_runs(full_page):
    for tag, attrs in full_page.tags:
        assert tag not in ("script", "link", "iframe", "object", "img")
        assert not any(name.startswith("on") for name in attrs)
        for name in ("href", "src", "xlink:href"):
            address = attrs.get(name) or ""
            assert (
                address.startswith(("data:image/png;base64,", "https://doi.org/10.")) or not address
            )
        assert tag == "a" or not (attrs.get("href") or "").startswith("http")
    style = full_page.raw[full_page.raw.index("<style>") : full_page.raw.index("</style>")]
    assert "url(" not in style
    assert "@import" not in style


def test_pictures_have_words_and_tables_have_headings(full_page):
    assert len(full_page.pictures) > 20
    assert all(full_page.pictures)
    assert len(set(full_page.pictures)) == len(full_page.pictures)
    for table in full_page.tables:
        assert table.caption
        assert all(len(row) == len(table.head) for row in table.rows), table.caption
    cells = [(tag, attrs) for tag, attrs in full_page.tags if tag == "th"]
    assert {attrs.get("scope") for _, attrs in cells} == {"col", "row"}
    levels = [int(tag[1]) for tag, _ in full_page.tags if re.fullmatch("h[1-6]", tag)]
    assert levels[0] == 1
    assert all(b - a <= 1 for a, b in pairwise(levels))
    ids = [attrs["id"] for _, attrs in full_page.tags if attrs.get("id")]
    assert len(ids) == len(set(ids))


def test_it_prints_on_paper(full_page):
    for rule in ("size: A4", "table-header-group", "break-inside: avoid", "color-scheme: light"):
        assert rule in full_page.raw


def test_an_empty_session_says_what_is_missing_in_every_chapter(tmp_path):
    page = Page(write_report(Session(), tmp_path / "empty.html"))
    assert list(page.chapters) == CHAPTERS
    for name in CHAPTERS:
        if name != "methods":
            said = [one for one in page.missing if one in page.chapters[name]]
            assert said, name
    assert not page.tables
    for sentence in page.missing:
        assert sentence.endswith(".")
    assert "No dose was computed." in page.chapters["methods"]


def test_what_the_sample_lacks_is_said(sample_page):
    said = "\n".join(sample_page.missing)
    for words in (
        "No film tilt is kept for A, B, C",
        "No lamella is planned or milled",
        "No lamella is outlined on its TEM map",
        "No field for a tomogram is kept",
        "Resolution (FSC) and absorption density from two energies (NEASXT) are not kept",
        "No exposure is recorded",
    ):
        assert words in said
    assert not sample_page.warnings


@pytest.fixture
def evil_page(tmp_path):
    """A session all of whose names are HTML."""
    image = Dataset(
        id="d",
        name=EVIL,
        modality=EVIL,
        site="s",
        frame=EVIL,
        file=FileRef(path=f"/nowhere/{EVIL}"),
        axes=("y", "x"),
        shape=(10, 10),
        scale=(1.0, 1.0),
        channels=(Channel(EVIL, colour="red;background:url(http://evil)"),),
    )
    session = Session(
        name=EVIL,
        grid=Grid(name=EVIL, type=EVIL, finder_marks=EVIL, history=(EVIL,)),
        sites=(Site(id="s", name=EVIL),),
        frames=(Frame(name=EVIL, ndim=2), Frame(name="other" + EVIL, ndim=2)),
        datasets=(image, replace(image, id="m", site=None)),
        links=(Link(id="l", moving=EVIL, fixed="other" + EVIL, note=EVIL),),
        targets=(Target(id="t", name=EVIL, site="s", frame=EVIL, position=(5.0, 5.0)),),
        exposures=(
            Exposure(
                id=EVIL, modality=EVIL, frame=EVIL, aim=(5.0, 5.0), beam_radius=2.0,
                dose_per_image=1.0, group=EVIL, basis=EVIL, source=EVIL, planned=True,
            ),
        ),
        lamellae=(
            LamellaRecord(
                id="x", name=EVIL, site="s", frame=EVIL, lamella=Lamella((0.0, 5.0, 5.0), 0.0),
                status="lost", note=EVIL, instrument=EVIL, targets=("t",),
            ),
            LamellaRecord(
                id="y", name=EVIL, site="s", frame=EVIL, lamella=Lamella((0.0, 5.0, 5.0), 10.0)
            ),
        ),
        fields=(FieldRecord(id="f", name=EVIL, frame=EVIL, centre=(5.0, 5.0), verdict=EVIL),),
    )  # fmt: skip
    return Page(write_report(session, tmp_path / "evil.html"))


def test_names_are_never_taken_for_html(evil_page):
    assert "script" not in {tag for tag, _ in evil_page.tags}
    assert not any(tag == "b" and not attrs for tag, attrs in evil_page.tags)
    assert "<script" not in evil_page.raw
    assert "url(http" not in evil_page.raw
    assert evil_page.raw.count("&lt;script&gt;alert(1)") > 20
    for name in CHAPTERS[:2]:
        assert EVIL in evil_page.chapters[name]


def test_a_title_is_escaped():
    assert "<title>a &lt;i&gt;</title>" in whole_page("a <i>", "b <i>")
    assert "b &lt;i&gt;" in whole_page("a", "b <i>")


@pytest.mark.parametrize("how", ["gone", "cut short", "another", "not readable"])
def test_a_bad_file_is_one_sentence_and_no_error(copied, tmp_path, how):
    file = copied.parent / "confocal" / "stack-A.ome.tif"
    if how == "gone":
        file.unlink()
    elif how == "cut short":
        file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])
    elif how == "another":
        shutil.copy(copied.parent / "confocal" / "map.ome.tif", file)
    else:
        file.write_bytes(b"not an image at all")
    page = Page(write_report(unlinked(load(copied)), tmp_path / "a.html", home=copied))
    state = page.table("Images and the files").row("confocal-A")["check"]
    assert state == ("✕ missing" if how == "gone" else "⚠ changed since")
    said = [one for one in page.missing if "stack-A.ome.tif" in one]
    assert len(said) == 1
    assert said[0].startswith("confocal-A is not shown: ")
    assert "confocal-A around A1" not in page.pictures
    assert "confocal-B around B1" in page.pictures
    assert f"1 {state}" in page.raw


def test_a_bad_map_leaves_the_overview_with_its_drawing(copied, tmp_path):
    for name in ("confocal/map.ome.tif", "vlm/map.tif", "sxt/mosaic.ome.tif", "sem/overview.tif"):
        (copied.parent / name).unlink()
    page = Page(write_report(unlinked(load(copied)), tmp_path / "a.html", home=copied))
    assert any(one.startswith("The map is not drawn: ") for one in page.missing)
    assert any(one.startswith("Overview of the grid") for one in page.pictures)


def test_small_pictures_stand_in_for_images_left_at_home(copied, tmp_path):
    from napari_clxem.session import open_dataset
    from napari_clxem.session.travel import pack, unpack

    session = load(copied)
    packed = tmp_path / "trip.clxem.zip"
    pack(session, packed, lambda one: open_dataset(copied.parent, one), home=copied)
    away = unpack(packed, tmp_path / "away")
    page = Page(write_report(unlinked(load(away)), tmp_path / "a.html", home=away))
    assert set(page.table("Images and the files").column("check")) == {"✕ missing"}
    assert "confocal-A around A1" in page.pictures
    assert not any("not shown" in one for one in page.missing)


def test_what_goes_wrong_leaves_the_old_file_whole(tmp_path):
    path = tmp_path / "a.html"
    path.write_text("old")

    def stop(_share, _text):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_report(Session(), path, progress=stop)
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]
    assert write_report(Session(), path) == path
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert list(tmp_path.iterdir()) == [path]


def test_a_place_that_cannot_be_written_is_said(tmp_path):
    with pytest.raises(WriteError, match="There is no folder"):
        write_report(Session(), tmp_path / "nowhere" / "a.html")
    (tmp_path / "b.html").mkdir()
    with pytest.raises(WriteError, match="could not be written"):
        write_report(Session(), tmp_path / "b.html")
    assert [one.name for one in tmp_path.iterdir()] == ["b.html"]


def test_an_unknown_frame_is_said(sample, tmp_path):
    with pytest.raises(SessionError, match="There is no frame 'moon'; there are fluorescence-map"):
        write_report(sample, tmp_path / "a.html", home=HOME, frame="moon")


def test_the_name_ends_in_html(tmp_path):
    assert write_report(Session(), tmp_path / "a").name == "a.html"
    assert write_report(Session(), tmp_path / "a.b").name == "a.b.html"
    assert write_report(Session(), tmp_path / "a.HTM").name == "a.HTM"


def test_the_frame_of_the_overview_can_be_chosen(sample, tmp_path):
    found = write_report(sample, tmp_path / "a.html", home=HOME, frame="sem-overview")
    page = Page(found)
    assert "Overview of the grid in sem-overview" in page.pictures


def test_progress_grows_to_the_end(sample, tmp_path):
    told = []
    write_report(
        replace(sample, links=(), datasets=sample.datasets[:5]),
        tmp_path / "a.html",
        home=HOME,
        made=MADE,
        progress=lambda share, text: told.append((share, text)),
    )
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert shares[0] == 0
    assert told[-1] == (1.0, "done")
    assert max(shares[:-1]) < 1
    assert any("confocal-A" in text for _, text in told)


def test_a_session_that_makes_no_sense_is_refused_in_one_sentence(tmp_path):
    lost = Session(targets=(Target(name="t", frame="nowhere", position=(1.0, 2.0)),))
    with pytest.raises(SessionError, match="nowhere"):
        write_report(lost, tmp_path / "a.html")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_missing_there_is_a_report(full, tmp_path, seed):
    chance = np.random.default_rng(seed)

    def some(items):
        kept = chance.random(len(items)) < chance.choice([0.2, 0.6, 1.0])
        return tuple(one for one, keep in zip(items, kept, strict=True) if keep)

    targets = some(full.targets)
    names = {one.id for one in targets}
    session = replace(
        full,
        targets=targets,
        datasets=tuple(
            replace(one, scale=None) if chance.random() < 0.2 else one
            for one in some(full.datasets)
        ),
        links=some([one for one in full.links if len(one.landmarks) < 9]),
        exposures=some(full.exposures),
        lamellae=tuple(
            replace(one, targets=tuple(names & set(one.targets))) for one in some(full.lamellae)
        ),
        fields=(),
    )
    page = Page(write_report(session, tmp_path / "a.html", home=HOME))
    assert list(page.chapters) == CHAPTERS
    for target in targets:
        assert page.table(f"Target {target.name} ").rows
    assert len(page.missing) > 3


def test_targets_of_no_site_are_pictured_too(sample, tmp_path):
    free = tuple(replace(one, site=None) for one in sample.targets[:1])
    session = replace(
        unlinked(sample),
        sites=(),
        targets=free,
        datasets=tuple(replace(one, site=None) for one in sample.datasets[:5]),
    )
    page = Page(write_report(session, tmp_path / "a.html", home=HOME))
    assert "Targets of no site" in page.chapters["pictures"]
    assert "confocal-A around A1" in page.pictures
    assert "The session has no site, so none is pictured." in page.missing
    assert any(
        one.startswith("sxt-mosaic: no links lead there from confocal-A") for one in page.missing
    )
