"""Doses as CSV files, in the layout of :mod:`napari_clxem.dose.tables`."""

from __future__ import annotations

from pathlib import Path

from napari_clxem.dose import History, exposures_csv, targets_csv
from napari_clxem.errors import WriteError
from napari_clxem.plugin.controllers.dose_scene import Scene
from napari_clxem.plugin.controllers.dose_settings import Settings
from napari_clxem.plugin.controllers.dose_tables import Findings
from napari_clxem.session.model import Session


def write_exposures(path: str | Path, session: Session, shown: Scene | None) -> None:
    """Write the exposures of a session, in time order where they are shown.

    Raises
    ------
    WriteError
        Where the file cannot be written.
    """
    history = History(()) if shown is None else shown.history
    known = {one.id for one in history.exposures}
    others = [one for one in session.exposures if one.id not in known]
    _write(path, exposures_csv(history, others))


def write_targets(path: str | Path, found: Findings, settings: Settings) -> None:
    """Write the doses of targets and cells; what they are held against is in the headings.

    Raises
    ------
    WriteError
        Where the file cannot be written.
    """
    _write(path, targets_csv(found.targets, settings.budget))


def _write(path: str | Path, text: str) -> None:
    try:
        Path(path).write_text(text, encoding="utf-8", newline="")
    except OSError as error:
        raise WriteError(f"{path} cannot be written ({error.strerror}); choose another.") from error
