"""Pictures of the report, made from the sample grid with all that a report can hold.

python docs/report_pictures.py docs/images

Needs PyQt6-WebEngine besides, which draws the page as a browser does.
"""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from PIL import Image

from napari_clxem.dose import PRESETS
from napari_clxem.errors import ClxemError
from napari_clxem.lamella import INSTRUMENTS, Lamella, LamellaRecord, Optics, propose, trace
from napari_clxem.plugin.controllers.dose_records import assumed
from napari_clxem.plugin.controllers.targets_sites import propose_fields
from napari_clxem.report import write_report
from napari_clxem.samples import sample_folder
from napari_clxem.session import Session, edits, load, open_dataset, record_dataset, save
from napari_clxem.session.fib_views import aims, fib_view
from napari_clxem.session.model import Dataset
from napari_clxem.session.overlaps import record_on_map
from napari_clxem.session.promises import captures, promise
from napari_clxem.session.records import Known

PAGE = (1000, 1414)


def full(folder: Path) -> Path:
    """Fill the session of a folder with exposures, fields and lamellae, and save it."""
    path = folder / "grid.clxem.json"
    session = load(path)
    session = with_exposures(session, folder)
    map_ = edits.get(session, Dataset, "sxt-mosaic")
    session = edits.put(session, *propose_fields(session, map_, Optics(), session.targets[-2:]))
    for site in ("A", "B"):
        session = edits.put(session, milled(session, folder, site))
    session = edits.put(session, planned(session, "C"))
    save(session, path)
    return path


def with_exposures(session: Session, folder: Path) -> Session:
    """Record the exposures of the images as the Dose dock does, and plan one."""
    preset = PRESETS["Mistral 40 nm"]
    found = []
    for dataset in session.datasets:
        known = Known(preset=preset if dataset.modality == "sxt" else None)
        try:
            made = record_dataset(dataset, open_dataset(folder, dataset), known).exposures
        except ClxemError:
            continue
        deep = "z" in dataset.axes
        found += [assumed(one, preset, deep) if known.preset else one for one in made]
    ahead = PRESETS["Krios 300 kV"].exposure("tem-A", (4.6, 5.6), id="tilt series A1")
    return edits.put(session, *found, replace(ahead, planned=True))


def milled(session: Session, folder: Path, site: str) -> LamellaRecord:
    """Trace the lamella of a site on its map."""
    map_ = edits.get(session, Dataset, f"tem-{site}")
    image = open_dataset(folder, map_)
    scale = image.scale or (1.0, 1.0)
    outline = trace(image.data, (scale[-2], scale[-1]))
    return record_on_map(session, map_, outline.corners, 0.3, 0.0, 0.0, 0.0, 0.0, None)


def planned(session: Session, site: str) -> LamellaRecord:
    """Plan a lamella for the first target of a site."""
    view = fib_view(session, edits.get(session, Dataset, f"fib-{site}"))
    assert view is not None
    near = [one for one in session.targets if one.site == site]
    seen = aims(session, view, near)
    aim, instrument = seen[0], INSTRUMENTS[0]
    spread = aim.covariance + instrument.placing**2 * np.eye(3)
    best = propose(
        [aim.position],
        [aim.target.radius],
        [spread],
        angles=(view.angle, view.angle),
        usual=view.angle,
        azimuth=view.azimuth,
        damage=instrument.damage,
    )
    box: Lamella = best.lamella
    name = aim.target.id
    return LamellaRecord(
        id=f"plan-{site}",
        name=f"{site} plan",
        site=site,
        frame=view.volume,
        lamella=box,
        targets=(name,),
        instrument=instrument.name,
        stage_tilt=17.0,
        promised=promise(captures(box, seen, instrument.placing), (name,)),
    )


def picture(page: Path, out: Path) -> None:
    """Draw the top of a page as a browser does."""
    os.environ.setdefault("QT_QPA_PLATFORM", "offscreen")
    os.environ.setdefault("QTWEBENGINE_CHROMIUM_FLAGS", "--no-sandbox")
    from PyQt6.QtCore import QTimer, QUrl
    from PyQt6.QtWebEngineCore import QWebEngineSettings
    from PyQt6.QtWebEngineWidgets import QWebEngineView
    from PyQt6.QtWidgets import QApplication

    app = QApplication.instance() or QApplication(sys.argv)
    view = QWebEngineView()
    view.resize(*PAGE)
    settings = view.settings()
    settings.setAttribute(QWebEngineSettings.WebAttribute.ShowScrollBars, False)
    view.show()

    def drawn() -> None:
        view.grab().save(str(out))
        app.quit()

    view.loadFinished.connect(lambda _good: QTimer.singleShot(1500, drawn))
    view.load(QUrl.fromLocalFile(str(page)))
    app.exec()
    with Image.open(out) as drawing:
        # a palette takes a quarter of the space; other methods lose the few bright marks
        few = drawing.convert("RGB").quantize(256, Image.Quantize.FASTOCTREE)
    few.save(out, optimize=True)


def main(folder: str) -> None:
    """Write the report of a copy of the sample grid, and draw its top."""
    with tempfile.TemporaryDirectory() as scratch:
        again = Path(scratch) / "grid"
        shutil.copytree(sample_folder(), again)
        path = full(again)
        page = write_report(load(path), Path(scratch) / "report.html", home=path)
        picture(page, Path(folder) / "report.png")


if __name__ == "__main__":
    main(sys.argv[1])
