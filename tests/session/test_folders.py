"""A grid proposed from a folder: by headers and names, with reasons, and with what was left out."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path, PurePath

import numpy as np
import pytest
import tifffile

from napari_clxem.errors import ClxemError, ReadError
from napari_clxem.io.image import Channel, OpenedImage, StagePosition
from napari_clxem.samples import sample_folder
from napari_clxem.session import check
from napari_clxem.session.folders import propose
from napari_clxem.session.guesses import guess_modality, guess_site


@pytest.fixture(scope="module")
def bare(tmp_path_factory):
    """The sample grid without anything that describes it."""
    folder = tmp_path_factory.mktemp("grids") / "grid 9"
    left_out = shutil.ignore_patterns("*.json", "landmarks")
    shutil.copytree(sample_folder(), folder, ignore=left_out)
    return folder


@pytest.fixture(scope="module")
def proposal(bare):
    return propose(bare)


def write(path: Path, shape=(4, 5), scale=0.2, seed=0, **meta):
    path.parent.mkdir(parents=True, exist_ok=True)
    data = np.random.default_rng(seed).integers(0, 255, shape, dtype=np.uint8)
    axes = "ZYX"[-len(shape) :]
    sizes = {f"PhysicalSize{axis}": scale for axis in axes}
    units = {f"PhysicalSize{axis}Unit": "µm" for axis in axes}
    tifffile.imwrite(path, data, ome=True, metadata={"axes": axes, **sizes, **units, **meta})


def test_the_sample_grid_is_recognised_without_its_description(proposal):
    found = {one.dataset.name: (one.modality, one.site) for one in proposal.entries}
    assert found == {
        "fluorescence-map": ("fluorescence", ""),
        "confocal-A": ("confocal", "A"),
        "confocal-B": ("confocal", "B"),
        "confocal-C": ("confocal", "C"),
        "site-A": ("fib", "A"),
        "site-B": ("fib", "B"),
        "site-C": ("fib", "C"),
        "overview": ("sem", ""),
        "sxt-mosaic": ("sxt", ""),
        "tomogram-A": ("sxt", "A"),
        "tomogram-B": ("sxt", "B"),
        "tomogram-C": ("sxt", "C"),
        "lamella-A": ("tem", "A"),
        "lamella-B": ("tem", "B"),
        "map": ("vlm", ""),
    }
    assert all(one.modality_reason and one.site_reason for one in proposal.entries)
    assert list(proposal.groups) == ["confocal", "fluorescence", "vlm", "sxt", "sem", "fib", "tem"]
    assert proposal.unread == ()
    assert [one.name for one in proposal.others] == ["README.md"]


def test_its_session_holds_together_and_says_how_far_each_site_has_come(proposal):
    session = proposal.session()
    check(session)
    assert (session.name, session.grid.name) == ("grid 9", "grid 9")
    assert {one.name: one.status for one in session.sites} == {
        "A": "milled",
        "B": "milled",
        "C": "x-rayed",
    }
    planes = {one.name for one in session.frames if one.ndim == 2}
    assert {"fluorescence-map", "sxt-mosaic", "overview", "map", "site-A"} <= planes
    assert all(one.z is not None and one.z[1] > 0 for one in session.frames if one.ndim == 2)


def test_images_of_one_stage_hang_together_and_others_do_not(proposal):
    links = {(link.moving, link.fixed) for link in proposal.session().links}
    stage = "light microscope stage"
    assert links == {
        (name, stage) for name in ("fluorescence-map", "confocal-A", "confocal-B", "confocal-C")
    }
    assert proposal.session(stages=False).links == ()


def test_the_chain_is_proposed(proposal):
    assert "fluorescence-map → sxt-mosaic, by beads" in proposal.chain
    assert "tomogram-A → sxt-mosaic, by content" in proposal.chain
    assert "confocal-A → tomogram-A, by beads" in proposal.chain
    assert not any("confocal-A → tomogram-B" in one for one in proposal.chain)


def test_a_guess_can_be_corrected(proposal):
    name = next(one.id for one in proposal.entries if one.dataset.name == "map")
    changed = proposal.amended(name, modality="fluorescence", site=" D ")
    entry = next(one for one in changed.entries if one.id == name)
    assert (entry.modality, entry.site) == ("fluorescence", "D")
    assert entry.modality_reason == "you said so"
    dataset = next(one for one in changed.session().datasets if one.id == name)
    assert (dataset.modality, dataset.site) == ("fluorescence", "D")
    assert proposal.session().datasets != changed.session().datasets
    without = proposal.amended(name, use=False).session()
    assert all(one.id != name for one in without.datasets)
    with pytest.raises(ClxemError, match="no image 'nobody'"):
        proposal.amended("nobody", use=False)


def test_a_description_is_followed_and_what_it_leaves_out_is_offered(tmp_path):
    folder = tmp_path / "grid"
    shutil.copytree(sample_folder(), folder)
    write(folder / "extra" / "cell 7.ome.tif", (3, 4, 5))
    proposal = propose(folder)
    assert [one.name for one in proposal.sessions] == ["grid.clxem.json"]
    extra = [one for one in proposal.entries if not one.use]
    assert [(one.dataset.name, one.site) for one in extra] == [("cell 7", "7")]
    session = proposal.session()
    check(session)
    assert len(session.datasets) == len(proposal.entries) - 1
    assert {one.status for one in session.sites} == {"milled", "lost"}
    assert any(link.kind == "landmarks" for link in session.links)
    assert session.targets
    taken = proposal.amended(extra[0].id, use=True, modality="confocal").session()
    check(taken)
    assert [one.name for one in taken.sites] == ["A", "B", "C", "7"]
    assert next(one for one in taken.sites if one.name == "7").status == "imaged"


def test_a_broken_description_is_said_and_the_files_are_looked_at(tmp_path):
    write(tmp_path / "map.ome.tif")
    (tmp_path / "grid.json").write_text('{"name": "x"}')
    proposal = propose(tmp_path)
    assert [one.dataset.name for one in proposal.entries] == ["map"]
    assert "no complete grid description" in proposal.unread[0].reason


def test_what_cannot_be_read_is_said_with_the_reason(tmp_path):
    write(tmp_path / "map.ome.tif", seed=1)
    whole = (tmp_path / "map.ome.tif").read_bytes()
    (tmp_path / "cut.mrc").write_bytes(b"\0" * 300)
    (tmp_path / "copy of map.ome.tif").write_bytes(whole)
    (tmp_path / "empty.tif").touch()
    (tmp_path / "notes.txt").write_text("cell 3 looks good")
    (tmp_path / ".hidden.tif").write_bytes(whole)
    proposal = propose(tmp_path)
    reasons = {one.path.name: one.reason for one in proposal.unread}
    assert set(reasons) == {"cut.mrc", "empty.tif", "map.ome.tif"}
    assert "empty" in reasons["empty.tif"]
    assert "copy of copy of map.ome.tif" in reasons["map.ome.tif"]
    assert [one.name for one in proposal.others] == ["notes.txt"]
    assert len(proposal.entries) == 1


def test_two_files_of_one_name_stay_apart(tmp_path):
    for number, folder in enumerate(("square 1", "square 2")):
        write(tmp_path / folder / "overview.ome.tif", seed=number)
    proposal = propose(tmp_path)
    assert [one.dataset.name for one in proposal.entries] == [
        "square 1/overview",
        "square 2/overview",
    ]
    assert [one.site for one in proposal.entries] == ["1", "2"]
    check(proposal.session())


def test_images_of_one_name_and_folder_are_told_apart_by_their_files(tmp_path):
    for number, name in enumerate(("map.tif", "map.ome.tif", "map.ome.tiff")):
        write(tmp_path / "vlm" / name, seed=number)
    names = [one.dataset.name for one in propose(tmp_path).entries]
    assert names == ["vlm/map", "vlm/map.ome.tiff", "vlm/map.tif"]


def test_a_folder_that_is_one_image_counts_as_one(tmp_path):
    import zarr

    axes = [{"name": name, "type": "space", "unit": "micrometer"} for name in "yx"]
    level = {
        "path": "0",
        "coordinateTransformations": [{"type": "scale", "scale": [0.2, 0.3]}],
    }
    for number in range(2):
        place = tmp_path / "grid" / f"cell {number} fluorescence.zarr"
        group = zarr.open_group(place, mode="w", zarr_format=2)
        group.attrs["multiscales"] = [{"version": "0.4", "axes": axes, "datasets": [level]}]
        array = group.create_array("0", shape=(8, 9), dtype="uint8", chunks=(8, 9))
        array[:] = number
    found = propose(tmp_path / "grid")
    assert [(one.modality, one.site) for one in found.entries] == [
        ("fluorescence", "0"),
        ("fluorescence", "1"),
    ]
    assert found.unread == found.others == ()
    check(found.session())
    alone = propose(place)
    assert [one.dataset.scale for one in alone.entries] == [(0.2, 0.3)]
    assert alone.folder == place


def test_the_search_can_be_ended(tmp_path):
    for number in range(3):
        write(tmp_path / f"{number}.ome.tif", seed=number)
    seen = []

    class EndedError(Exception):
        pass

    def progress(share, text):
        seen.append((share, text))
        if len(seen) == 3:
            raise EndedError

    with pytest.raises(EndedError):
        propose(tmp_path, progress)
    assert seen == [(0.0, tmp_path.name), (0.0, "0.ome.tif"), (1 / 3, "1.ome.tif")]


def test_a_folder_that_cannot_be_read_is_said(tmp_path, monkeypatch):
    write(tmp_path / "map.ome.tif")
    (tmp_path / "closed").mkdir()
    scan = os.scandir

    def refused(path):
        if Path(path).name == "closed":
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refused)
    found = propose(tmp_path)
    assert [one.dataset.name for one in found.entries] == ["map"]
    (lost,) = found.unread
    assert lost.path == tmp_path / "closed"
    assert "you may not read it" in lost.reason


@pytest.mark.parametrize("what", ["missing", "file"])
def test_only_a_folder_is_looked_through(tmp_path, what):
    (tmp_path / "file").touch()
    with pytest.raises(ReadError, match="is not a folder"):
        propose(tmp_path / what)


def test_an_empty_folder_proposes_nothing(tmp_path):
    proposal = propose(tmp_path)
    assert proposal.entries == proposal.unread == proposal.chain == ()
    check(proposal.session())


@pytest.mark.parametrize(
    ("path", "site"),
    [
        ("confocal/stack-A.ome.tif", "A"),
        ("lamella_02.mrc", "2"),
        ("Cell 3/overview.tif", "3"),
        ("sxt/TomoCell-03_bin2.rec", "3"),
        ("site-B/tilt.mrc", "B"),
        ("cell 4/site 5.tif", "5"),
        ("map.tif", ""),
        ("grid-atlas2.tif", ""),
        ("IMG_0001.tif", ""),
        ("mosaics/scan.tif", ""),
    ],
)
def test_sites_by_names(path, site):
    assert guess_site(PurePath(path)).value == site


def image(shape=(3, 4), channels=(), stage=None, **meta):
    return OpenedImage(
        levels=(np.zeros(shape),),
        axes=("z", "y", "x")[-len(shape) :],
        scale=(1.0,) * len(shape),
        channels=channels,
        stage=stage,
        meta=meta,
    )


@pytest.mark.parametrize(
    ("opened", "path", "modality"),
    [
        (image(beam="ion"), "sem/x.tif", "fib"),
        (image(beam="electron"), "fib/x.tif", "sem"),
        (image(format="xrm"), "x", "sxt"),
        (image(mdoc={"Voltage": 200}), "x.mrc", "tem"),
        (image(stage=StagePosition((0.0, 0.0, 0.0), convention="serialem")), "x", "tem"),
        (image(description="Widefield of square 3"), "sem.tif", "fluorescence"),
        (image((2, 3, 4), description="Widefield"), "x.tif", "confocal"),
        (image(), "FIB-SEM/vlm/x.tif", "vlm"),
        (image(), "FIB-SEM/sem_overview.tif", "sem"),
        (image(), "x-ray/mosaic.tif", "sxt"),
        (image(channels=(Channel("a"), Channel("b"))), "x.tif", "fluorescence"),
        (image(), "x.tif", ""),
        (image(), "themes/assembly/lemon.tif", ""),
    ],
)
def test_modalities_by_header_then_name(opened, path, modality):
    assert guess_modality(opened, PurePath(path)).value == modality
