"""Make the picture of the Dose review dock: ``python -P docs/dose_review_pictures.py``."""

from __future__ import annotations

import shutil
import tempfile
import time
from dataclasses import replace
from pathlib import Path

from qtpy.QtWidgets import QApplication

from napari_clxem.dose import PRESETS, Exposure, mosaic, tile_aims
from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.widgets.dose import DoseWidget
from napari_clxem.plugin.window import open_window
from napari_clxem.samples import sample_folder
from napari_clxem.session import edits

IMAGES = Path(__file__).parent / "images"
PLACE = (21.6, 64.0)  # µm in the SXT mosaic: in the wing of the tilt series of cell A


def exposures() -> tuple[Exposure, ...]:
    """An X-ray mosaic, tilt series of two cells, an SEM overview, and a planned TEM series."""
    tiles = mosaic(
        tile_aims((45.0, 45.0), (6, 6), 14.0),
        modality="sxt",
        frame="sxt-mosaic",
        group="mosaic",
        beam_radius=9.0,
        fluence=4e7,
        energy=520.0,
        time="2025-03-01T10:00:00",
    )
    xrays = PRESETS["Mistral 40 nm"]
    done = {"planned": False, "axis_height": 2.7}
    return (
        *tiles,
        xrays.exposure("tomogram-A", (6.7, 6.7), group="cell A", time="2025-03-01T11:00", **done),
        xrays.exposure("tomogram-B", (6.7, 6.7), group="cell B", time="2025-03-01T11:30", **done),
        PRESETS["Aquilos SEM 2 kV"].exposure(
            "sem-overview",
            (62.0, 62.0),
            beam_size=(100.0, 120.0),
            planned=False,
            group="overview",
            time="2025-03-02T09:00",
        ),
        PRESETS["Krios 300 kV"].exposure("tem-A", (4.7, 6.1), group="lamella A"),
    )


def settle(dock: DoseWidget, seconds: float = 1.0) -> None:
    """Let everything be computed and drawn."""
    still = time.perf_counter()
    while time.perf_counter() < still + seconds:
        QApplication.processEvents()
        if dock.review.busy or dock.plan.planner.working.busy:
            still = time.perf_counter()


def main() -> None:
    """Write one picture per tab."""
    with tempfile.TemporaryDirectory() as folder:
        shutil.copytree(sample_folder(), folder, dirs_exist_ok=True)
        viewer = open_window(Path(folder) / "grid.clxem.json")
        workspace = workspace_for(viewer)
        session = replace(workspace.store.session, exposures=())
        workspace.store.commit(edits.put(session, *exposures()), "Add exposures")
        workspace.show_site("A", "sxt-mosaic")
        dock = DoseWidget(viewer)
        beside = viewer.window.add_dock_widget(dock, name="Dose review", area="right", tabify=True)
        viewer.window.resize(1400, 950)
        beside.raise_()
        viewer.layers["Landmarks"].visible = False
        settle(dock)
        viewer.fit_to_view()
        settle(dock)
        dock.review.pointer.point(PLACE)
        settle(dock)
        viewer.screenshot(str(IMAGES / "dose-review.png"), canvas_only=False, flash=False)
        dock.tabs.setCurrentWidget(dock.plan)
        planner = dock.plan.planner
        planner.aim("C1")
        planner.add(PRESETS["Mistral 40 nm"])
        planner.add(PRESETS["Krios 300 kV"])
        settle(dock)
        viewer.screenshot(str(IMAGES / "dose-plan.png"), canvas_only=False, flash=False)
        dock.close()
        viewer.close()


if __name__ == "__main__":
    main()
