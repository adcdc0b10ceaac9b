"""The verb report."""

from __future__ import annotations

from itertools import count
from types import SimpleNamespace

import pytest

from napari_clxem.cli import main
from napari_clxem.samples import sample_folder
from napari_clxem.session import Session, save


@pytest.fixture
def grid(tmp_path):
    """A session without images."""
    path = tmp_path / "home" / "grid.clxem.json"
    path.parent.mkdir()
    save(Session(name="my grid"), path)
    return path


def test_a_report_is_written_and_its_place_printed(grid, tmp_path, capsys):
    assert main(["report", str(grid), str(tmp_path / "page")]) == 0
    out, err = capsys.readouterr()
    page = tmp_path / "page.html"
    assert out.strip() == str(page)
    assert not err
    text = page.read_text(encoding="utf-8")
    assert "<h1>Report on my grid</h1>" in text
    assert "as in grid.clxem.json" in text


def test_images_are_found_beside_the_session(tmp_path, capsys, monkeypatch):
    # nothing is said of what takes less than 2 s
    clock = SimpleNamespace(monotonic=count(0.0, 3.0).__next__)
    monkeypatch.setattr("napari_clxem.verbs.printing.time", clock)
    page = tmp_path / "sample.html"
    home = sample_folder() / "grid.clxem.json"
    words = ["--resolution", "40", "--material", "ice", "--frame", "sxt-mosaic"]
    assert main(["report", str(home), str(page), *words]) == 0
    text = page.read_text(encoding="utf-8")
    assert 'aria-label="Overview of the grid in sxt-mosaic"' in text
    assert text.count("data:image/png;base64,") > 20
    assert "100%" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--frame", "moon"], "There is no frame 'moon'"),
        (["--material", "cheese"], "cheese"),
        (["--voltage", "7e9"], "kV"),
    ],
)
def test_bad_options_are_one_sentence(grid, tmp_path, capsys, options, said):
    assert main(["report", str(grid), str(tmp_path / "page.html"), *options]) == 2
    err = capsys.readouterr().err
    assert said in err
    assert len(err.strip().splitlines()) == 1
    assert not (tmp_path / "page.html").exists()


def test_what_is_no_session_is_one_sentence(tmp_path, capsys):
    assert main(["report", str(tmp_path / "no.clxem.json"), str(tmp_path / "page.html")]) == 2
    assert "There is no session file" in capsys.readouterr().err
    with pytest.raises(SystemExit):
        main(["report", "a", "b", "--resolution", "0"])
