"""The verbs dose, plan and check-doses."""

from __future__ import annotations

import csv
from dataclasses import replace

import numpy as np
import pytest

from napari_clxem.cli import main
from napari_clxem.dose import Exposure, budget
from napari_clxem.samples import sample_folder
from napari_clxem.session import Session, load, save, target_doses

PAPER = """# as printed
dose_rate = 25.58
pixel = 3.104 A
exposure_time = {time} s
images = 41
fluence = {fluence}
voltage = 300 kV
"""


@pytest.fixture(scope="module")
def dosed(tmp_path_factory):
    """The sample session with exposures: one reached, one of unknown dose, one out of reach."""
    session = load(sample_folder() / "grid.clxem.json")
    common = {"modality": "sxt", "beam_radius": 15.0, "energy": 520.0}
    exposures = (
        Exposure.tilt_series(
            id="xrays", frame="tomogram-A", aim=(6.7, 6.7), tilts=np.arange(-60.0, 61.0, 2.0),
            fluence=2e7, **common,
        ),
        Exposure.tilt_series(
            id="unsaid", frame="tomogram-A", aim=(6.7, 6.7), tilts=[0.0], **common
        ),
        Exposure.tilt_series(
            id="adrift", frame="vlm stage", aim=(0.0, 0.0), tilts=[0.0], fluence=1e7, **common
        ),
    )  # fmt: skip
    path = tmp_path_factory.mktemp("doses") / "grid.clxem.json"
    save(replace(session, exposures=exposures), path)
    return path


def test_doses_are_those_of_the_session(dosed, tmp_path, capsys):
    table, exposures = tmp_path / "doses.csv", tmp_path / "exposures.csv"
    arguments = ["dose", str(dosed), "--frame", "sxt-mosaic", "--csv", str(table)]
    assert main([*arguments, "--exposures-csv", str(exposures)]) == 0
    out, err = capsys.readouterr()
    session = load(dosed)
    rows, lost = target_doses(session, "sxt-mosaic", budget(20.0, "cell"))
    assert not lost
    lines = {line.split()[0]: line for line in out.splitlines() if line.strip()}
    for row in rows:
        assert f"{row.dose:.3g}" in lines[row.name]
        assert f"{row.amplitude:.2f}" in lines[row.name]
    assert max(row.dose for row in rows) > 10
    assert "exposure adrift: no link reaches vlm stage" in out
    assert "exposure unsaid: dose unknown" in out
    assert "doses.csv written" in err
    with table.open(encoding="utf-8") as file:
        written = {row["name"]: float(row["dose_MGy"]) for row in csv.DictReader(file)}
    assert written == pytest.approx({row.name: row.dose for row in rows}, rel=1e-5)
    assert "no link reaches" in exposures.read_text(encoding="utf-8")


def test_another_material_takes_another_dose(dosed, capsys):
    found = {}
    for material in ("cell", "ice"):
        assert main(["dose", str(dosed), "--frame", "sxt-mosaic", "--material", material]) == 0
        out = capsys.readouterr().out
        line = next(line for line in out.splitlines() if line.startswith("A1"))
        found[material] = float(line.removeprefix("A1").replace("≥", "").split()[0])
    assert 2.5 < found["cell"] / found["ice"] < 3.5


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["dose", "absent.clxem.json", "--frame", "f"], "There is no session file"),
        (["dose", "SESSION", "--frame", "nowhere"], "There is no frame 'nowhere'"),
        (["dose", "SESSION", "--frame", "sxt-mosaic", "--material", "Xx9"], "Xx9"),
        (["plan", "SESSION"], "Say for which target"),
        (["plan", "SESSION", "--target", "Z9"], "There is no target 'Z9'"),
        (["plan", "SESSION", "--target", "A1", "--frame", "vlm stage"], "No link leads"),
        (["plan", "--target", "A1"], "name its .clxem.json"),
        (["plan", "--sxt", "Aquilos SEM 2 kV"], "no preset 'Aquilos SEM 2 kV' for sxt"),
        (["plan", "--sxt", "none", "--et", "none"], "nothing to plan"),
        (["plan", "--et-tilts", "10", "0", "3"], "Tilts from 10 to 0"),
        (["plan", "--material", "Xx9"], "Xx9"),
        (["plan", "--voltage", "1"], "1 kV"),
        (["plan", "--sxt-energy", "1"], "1 eV"),
        (["plan", "--amplitude", "2"], "amplitude to be left is 2"),
        (["check-doses", "absent.txt"], "cannot be read"),
    ],
)
def test_bad_input_is_one_sentence(dosed, arguments, expected, capsys):
    given = [str(dosed) if one == "SESSION" else one for one in arguments]
    assert main(given) == 2
    out, err = capsys.readouterr()
    assert not out
    assert expected in err
    assert err.count("\n") == 1


def test_a_session_without_exposures_is_said(tmp_path, capsys):
    session = load(sample_folder() / "grid.clxem.json")
    save(session, tmp_path / "s.clxem.json")
    assert main(["dose", str(tmp_path / "s.clxem.json"), "--frame", "sxt-mosaic"]) == 2
    assert "has no exposures" in capsys.readouterr().err


def test_the_chain_of_the_paper_is_too_much(capsys):
    assert main(["plan"]) == 1
    out = capsys.readouterr().out
    steps = {line.split()[0]: line.split() for line in out.splitlines() if "131" in line[:20]}
    assert float(steps["X-rays"][2]) == pytest.approx(239, rel=0.01)
    assert "Bring the X-ray steps from 239 to at most 143 MGy" in out
    assert "The plan does not do" in out


def test_a_gentle_chain_does(capsys):
    assert main(["plan", "--sxt-fluence", "4e9", "--et-fluence", "60"]) == 0
    assert "The plan does." in capsys.readouterr().out


def test_what_was_recorded_counts(dosed, capsys):
    arguments = ["plan", str(dosed), "--target", "A1", "--frame", "tomogram-A", "--sxt", "none"]
    main([*arguments, "--et-fluence", "10"])
    out = capsys.readouterr().out
    done = next(line for line in out.splitlines() if line.startswith("xrays"))
    ahead = next(line for line in out.splitlines() if line.startswith("electrons"))
    assert done.split()[-1] == "done"
    assert float(ahead.split()[3]) == pytest.approx(float(done.split()[4]), rel=1e-3)
    assert "dose of 'unsaid' is unknown" in out


def test_tables_that_close_and_that_do_not(tmp_path, capsys):
    path = tmp_path / "table.txt"
    path.write_text(PAPER.format(time=1.015, fluence=110.49), encoding="utf-8")
    assert main(["check-doses", str(path)]) == 0
    assert "2 of 2 relations close." in capsys.readouterr().out
    path.write_text(PAPER.format(time=1.77, fluence=110.48), encoding="utf-8")
    assert main(["check-doses", str(path)]) == 1
    out = capsys.readouterr().out
    assert "OPEN" in out
    assert "192.67" in out
    assert main(["check-doses", str(path), "--tolerance", "0.9"]) == 0
    path.write_text("what = 3\n", encoding="utf-8")
    assert main(["check-doses", str(path)]) == 2


def test_an_empty_session_has_no_frames(tmp_path, capsys):
    save(Session(), tmp_path / "s.clxem.json")
    assert main(["dose", str(tmp_path / "s.clxem.json"), "--frame", "map"]) == 2
    assert "there are none" in capsys.readouterr().err
