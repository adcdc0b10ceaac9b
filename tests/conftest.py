"""Shared fixtures: where the reference numbers and real files are, if they are here."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("CLXEM_SHARED_DATA", Path(__file__).parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Folder of reference data; the test is skipped where it is absent."""
    if not SHARED.is_dir():
        pytest.skip(f"no reference data at {SHARED} (set CLXEM_SHARED_DATA to use them)")
    return SHARED


@pytest.fixture(scope="session", autouse=True)
def state_folder(tmp_path_factory: pytest.TempPathFactory):
    """Keep the journals of unsaved sessions out of the user's own folder."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("CLXEM_STATE", str(tmp_path_factory.mktemp("state")))
        yield
