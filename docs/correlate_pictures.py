"""Make the pictures of the tutorial from the running plugin: ``python docs/correlate_pictures.py``.

Needs a window system (``xvfb-run -a -s "-screen 0 1600x1000x24"`` makes one).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from qtpy.QtWidgets import QApplication

from napari_clxem.plugin.controllers import workspace_for
from napari_clxem.plugin.sample import sample_session
from napari_clxem.plugin.widgets.correlate import CorrelateWidget
from napari_clxem.plugin.window import open_window
from napari_clxem.session import Store, edits, load
from napari_clxem.session.model import Link

IMAGES = Path(__file__).parent / "images"
LINK = "beads-confocal-A-tomogram-A"


def settle(seconds: float = 1.5, until: Callable[[], bool] = lambda: True) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end or not until():
        QApplication.processEvents()
        time.sleep(0.01)


def main() -> None:
    IMAGES.mkdir(exist_ok=True)
    viewer = open_window(sample_session())
    workspace = workspace_for(viewer)
    session = load(sample_session())
    workspace.use(Store(session))
    workspace.show_first()
    viewer.window.resize(1560, 940)
    dock = CorrelateWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Correlate", area="right")
    dock.choose("confocal-A", "tomogram-A")
    settle(4.0)

    def picture(name: str) -> None:
        settle()
        viewer.screenshot(str(IMAGES / name), canvas_only=False, flash=False)

    picture("correlate-link.png")
    true = edits.get(session, Link, LINK).landmarks[:4]
    workspace.store.commit(lambda found: edits.drop(found, Link, LINK), "Begin anew")
    dock.correlation.picking = True
    for one in true:
        dock.correlation.pick("main", one.fixed, (0.08, 0.04, 0.04))
        dock.correlation.pick("second", one.moving, (0.2, 0.08, 0.08))
    dock.correlation.point("second", true[1].moving)
    picture("correlate-pick.png")
    dock.correlation.point("second", None)
    dock.correlation.picking = False
    dock.automatic.start(match=True)
    settle(1.0, lambda: not dock.automatic.busy)
    dock.correlation.field = True
    dock.correlation.refresh()
    settle(3.0)
    picture("correlate-match.png")
    dock.close()
    viewer.close()


if __name__ == "__main__":
    main()
