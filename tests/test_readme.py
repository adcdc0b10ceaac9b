"""The README's Python runs as it stands, and its commands exist."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


@pytest.mark.slow
def test_the_python_example_runs(monkeypatch):
    monkeypatch.chdir(ROOT)
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.DOTALL)
    space: dict[str, object] = {}
    exec(code, space)
    fitted = space["fitted"]
    assert fitted.fre < 0.1
    assert fitted.predict_error(space["beads"].positions[:1]).shape == (1, 2, 2)


def test_the_commands_exist():
    assert "./run demo" in README
    assert "./run test" in README
    assert os.access(ROOT / "run", os.X_OK)


def test_what_it_links_to_is_there():
    for link in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / link).exists(), link


def test_the_manifest_at_the_top_is_the_one_in_the_package():
    assert (ROOT / "napari.yaml").resolve() == ROOT / "src" / "napari_clxem" / "napari.yaml"
