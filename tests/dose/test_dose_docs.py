"""The worked example of the documentation runs as printed."""

from __future__ import annotations

import doctest
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_worked_example_is_true():
    result = doctest.testfile(
        str(DOCS / "how-to" / "dose.md"), module_relative=False, encoding="utf-8"
    )
    assert result.attempted > 15
    assert result.failed == 0


def test_its_pictures_are_there():
    for page in ("how-to/dose.md", "theory/dose.md"):
        text = (DOCS / page).read_text(encoding="utf-8")
        for part in text.split("](../images/")[1:]:
            assert (DOCS / "images" / part.split(")")[0]).is_file()
