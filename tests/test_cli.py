"""The verbs of the terminal."""

from __future__ import annotations

import csv
import os
import re
import shlex
import subprocess
import sys
import warnings
from pathlib import Path

import pytest

from napari_clxem import cli
from napari_clxem.errors import ClxemWarning
from napari_clxem.samples import sample_folder
from napari_clxem.session import load


@pytest.fixture(scope="module")
def session():
    return load(sample_folder() / "grid.clxem.json")


def test_the_report_names_every_link_once_and_every_target(session):
    text, rows = cli.report(session, ["a → b: why not"])
    assert len(rows) == len(session.links)
    assert {row.id for row in rows} == {link.id for link in session.links}
    assert "not linked: a → b: why not" in text
    for target in session.targets:
        assert f"    {target.name}: ±" in text
    assert "FRE" in text
    assert "accuracy" not in text


def test_links_are_written_as_a_table(session, tmp_path):
    _, rows = cli.report(session)
    cli.write_csv(rows, tmp_path / "links.csv")
    with (tmp_path / "links.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == len(session.links)
    beads = next(row for row in table if row["link"] == "confocal-A → sxt-mosaic")
    assert int(beads["beads used"]) >= 8
    assert 0 < float(beads["predicted error at target (um)"]) < 0.1


def test_what_goes_wrong_is_one_sentence(tmp_path, capsys):
    assert cli.main(["open", str(tmp_path / "no.clxem.json")]) == 2
    assert "There is no session" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert cli.main(["demo", "--out", str(tmp_path / "file"), "--no-window"]) == 2
    assert "cannot be made" in capsys.readouterr().err
    assert cli.main(["link", str(tmp_path / "no.json"), str(tmp_path / "s.clxem.json")]) == 2
    assert "cannot be read" in capsys.readouterr().err


def test_a_verb_is_needed():
    with pytest.raises(SystemExit):
        cli.main([])


def test_the_commands_of_the_manual_are_understood():
    text = (Path(__file__).parents[1] / "docs" / "how-to" / "command-line.md").read_text("utf-8")
    text = text.replace("\\\n", " ")
    commands = re.findall(r"^\$ napari-clxem (.*)$", text, flags=re.MULTILINE)
    assert len(commands) > 10
    for command in commands:
        assert callable(cli._parser().parse_args(shlex.split(command)).run), command
    for name in cli._parser()._subparsers._group_actions[0].choices:
        assert f"`{name}" in text, name


def test_every_verb_has_a_line_of_help(capsys):
    with pytest.raises(SystemExit) as stopped:
        cli.main(["--help"])
    assert stopped.value.code == 0
    out = capsys.readouterr().out
    assert re.search(r"check-doses\s+check whether declared dose numbers add up", out)
    assert "Status: 0" in out


def test_a_terminal_without_unicode_is_no_error():
    """As some consoles are: signs it does not know become question marks."""
    run = subprocess.run(
        [sys.executable, "-m", "napari_clxem.cli", "plan"],
        env={**os.environ, "PYTHONIOENCODING": "ascii", "PYTHONUTF8": "0"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "The plan does not do" in run.stdout
    assert "Traceback" not in run.stderr


def test_warnings_are_sentences(monkeypatch, capsys):
    def warned(options):
        with warnings.catch_warnings():
            warnings.simplefilter("always")
            warnings.warn("Something to know.", ClxemWarning, stacklevel=1)
        return 0

    monkeypatch.setattr(cli, "_info", warned)
    assert cli.main(["info", "a"]) == 0
    assert capsys.readouterr().err == "napari-clxem: Something to know.\n"


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryError("74 GiB"), "There is not enough memory: 74 GiB; crop"),
        (PermissionError(13, "Permission denied", "a.mrc"), "a.mrc cannot be used: Permission"),
    ],
)
def test_what_the_system_refuses_is_one_sentence(error, expected, monkeypatch, capsys):
    def refused(options):
        raise error

    monkeypatch.setattr(cli, "_info", refused)
    assert cli.main(["info", "a"]) == 2
    err = capsys.readouterr().err
    assert err.startswith(f"napari-clxem: {expected}")
    assert err.count("\n") == 1


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{shlex.quote(sys.executable)} -m napari_clxem.cli plan | true"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=False)
    assert not run.stderr
