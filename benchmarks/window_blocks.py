"""How long the window does not answer, by what is done: nothing may hold it for 100 ms.

``xvfb-run -a python -P benchmarks/window_blocks.py`` opens a copy of the sample grid, and then a
grid of 90 images made on the spot, and prints for every action the longest silence of the event
loop, with what was painted meanwhile taken off (a software renderer paints slowly), by the clock
and as processor time of the window's thread; first, for comparison, what layers cost in a window of
napari alone. ``--only save`` runs the actions of that name.
"""

from __future__ import annotations

import argparse
import cProfile
import pstats
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import napari
import numpy as np
import tifffile

sys.path.append(str(Path(__file__).parent))

from event_loop import LIMIT_BLOCK, Watch, settle

from napari_clxem.plugin.controllers import release, workspace_for
from napari_clxem.plugin.controllers.opening import open_session, save_session
from napari_clxem.plugin.widgets.correlate import CorrelateWidget
from napari_clxem.plugin.widgets.links import LinksWidget
from napari_clxem.session import Frame, Landmark, Link, Session, Site, edits, save
from napari_clxem.session.opening import dataset_from_file

SAMPLE = Path(__file__).parents[1] / "sample_data"


def large_grid(folder: Path, sites: int = 10, images: int = 8, landmarks: int = 20) -> Path:
    """Write a session of ten maps and `sites` cells of `images` images each, all by landmarks."""
    rng = np.random.default_rng(1)
    datasets, frames, links = [], [Frame(name="grid", ndim=2)], []
    names = [(f"map{n}", None) for n in range(10)]
    names += [(f"cell{s}-{n}", f"c{s}") for s in range(sites) for n in range(images)]
    for name, site in names:
        file = folder / f"{name}.ome.tif"
        sizes = {f"PhysicalSize{axis}": 0.1 for axis in "YX"}
        units = {f"PhysicalSize{axis}Unit": "µm" for axis in "YX"}
        values = rng.integers(0, 4000, (64, 64), dtype=np.uint16)
        tifffile.imwrite(file, values, metadata={"axes": "YX", **sizes, **units})
        dataset, _ = dataset_from_file(file, name=name, modality="sem", frame=name, site=site)
        datasets.append(replace(dataset, id=name))
        frames.append(Frame(name=name, ndim=2))
        places = rng.uniform(0, 6, (landmarks, 2))
        marks = tuple(
            Landmark(
                id=f"{name}-{n}", moving=tuple(a), fixed=tuple(b),
                moving_sigma=(0.05, 0.05), fixed_sigma=(0.02, 0.02), origin="bead",
            )
            for n, (a, b) in enumerate(
                zip(places.tolist(), (places + rng.normal(0, 0.05, places.shape)).tolist(),
                    strict=True)
            )
        )  # fmt: skip
        links.append(Link(id=name, moving=name, fixed="grid", model="similarity", landmarks=marks))
    session = Session(
        name="large",
        sites=tuple(Site(id=f"c{s}", name=f"Cell {s}") for s in range(sites)),
        datasets=tuple(datasets),
        frames=tuple(frames),
        links=tuple(links),
    )
    path = folder / "large.clxem.json"
    save(session, path)
    return path


class Trial:
    """Does things in a window and prints how long it did not answer.

    Parameters
    ----------
    watch : Watch
    workspace : Workspace
        Of the window: its work is waited for.
    only : str
        Part of the names of what is printed.
    profiled : str
        Part of the names of what is profiled.
    """

    def __init__(self, watch: Watch, workspace: Any, only: str, profiled: str) -> None:
        self._watch, self._workspace = watch, workspace
        self._only, self._profiled = only, profiled
        self.over: list[str] = []
        self.opening: Path | None = None

    def __call__(self, what: str, act: Callable[[], Any], seconds: float = 1.0) -> None:
        settle(0.3)
        profile = cProfile.Profile() if self._profiled and self._profiled in what else None
        self._watch.restart()
        if profile is not None:
            profile.enable()
        act()
        settle(seconds)
        while self._busy():
            settle(0.5)
        settle(0.5)
        if profile is not None:
            profile.disable()
            pstats.Stats(profile).sort_stats("cumulative").print_stats(45)
        clock, processor = self._watch.longest
        if self._only in what:
            over = processor > LIMIT_BLOCK
            if over:
                self.over.append(what)
            mark = "   OVER" if over else ""
            print(f"  {what:34} {clock:7.1f} ms, {processor:7.1f} ms of processor{mark}")

    def _busy(self) -> bool:
        work = self._workspace
        opening = self.opening is not None and work.store.path != self.opening
        return bool(opening or work.loading.busy or work.turns.busy or work.saver.busy)


def new_window() -> tuple[Any, Watch]:
    viewer = napari.Viewer()
    viewer.window.resize(1500, 900)
    viewer.window.add_dock_widget(LinksWidget(viewer), name="Links & targets", area="right")
    settle(1.0)
    return viewer, Watch(viewer.window._qt_viewer.canvas._scene_canvas)


def bare() -> None:
    """The same in a window of napari that none of our docks is in."""
    viewer = napari.Viewer()
    viewer.window.resize(1500, 900)
    settle(1.0)
    watch = Watch(viewer.window._qt_viewer.canvas._scene_canvas)
    noise = np.random.default_rng(1).random((512, 512)).astype(np.float32)
    marks: list[Any] = []
    print("napari alone:")
    for what in ("first image layer", "second image layer", "remove an image layer"):
        settle(0.3)
        watch.restart()
        if what.startswith("remove"):
            viewer.layers.remove(marks.pop())
        else:
            marks.append(viewer.add_image(noise))
        settle(1.5)
        clock, processor = watch.longest
        print(f"  {what:34} {clock:7.1f} ms, {processor:7.1f} ms of processor")
    viewer.close()


def sample(folder: Path, only: str, profiled: str) -> list[str]:
    """The sample grid: sites, frames, links, layers, saving."""
    shutil.copytree(SAMPLE, folder / "sample")
    viewer, watch = new_window()
    workspace = workspace_for(viewer)
    trial = Trial(watch, workspace, only, profiled)
    path = folder / "sample" / "grid.clxem.json"
    print(f"{path.name} of the sample data:")
    trial("nothing", lambda: None, 3.0)
    trial.opening = path
    trial("open the session", lambda: open_session(viewer, path), 3.0)
    trial("another site", lambda: workspace.show_site("B", "tomogram-B", wait=False), 6.0)
    trial("the first site again", lambda: workspace.show_site("A", "tomogram-A", wait=False), 6.0)
    trial("another frame", lambda: workspace.show_site("A", "confocal-A", wait=False), 4.0)
    trial("volume view", lambda: setattr(viewer.dims, "ndisplay", 3), 3.0)
    trial("slice view", lambda: setattr(viewer.dims, "ndisplay", 2), 3.0)
    marks: list[Any] = []
    place = {"units": ("um", "um"), "axis_labels": ("y", "x")}
    noise = np.random.default_rng(1).random((512, 512)).astype(np.float32)
    trial("insert an image layer",
          lambda: marks.append(viewer.add_image(noise, scale=(0.1, 0.1), **place)))  # fmt: skip
    trial("remove an image layer", lambda: viewer.layers.remove(marks.pop()))
    dock = CorrelateWidget(viewer)
    viewer.window.add_dock_widget(dock, name="Correlate", area="right")
    settle(2.0)
    correlation, store = dock.correlation, workspace.store
    trial("choose a link (second canvas)", lambda: dock.choose("confocal-A", "tomogram-A"), 5.0)
    watch.add(dock.canvas._viewer.canvas._scene_canvas)
    trial("other model", lambda: correlation.set_model(model="similarity", prior=None), 2.0)
    trial("undo", store.undo, 2.0)
    trial("other side", correlation.turn, 4.0)
    trial("stop", correlation.stop, 3.0)
    trial("save", lambda: save_session(viewer), 2.0)
    dock.close()
    release(viewer)
    viewer.close()
    return trial.over


def large(folder: Path, only: str, profiled: str) -> list[str]:
    """A grid of 90 images: opening it, the first step, saving."""
    path = large_grid(folder)
    viewer, watch = new_window()
    workspace = workspace_for(viewer)
    trial = Trial(watch, workspace, only, profiled)
    print("90 images, 20 landmarks each:")
    trial.opening = path
    trial("open the large session", lambda: open_session(viewer, path), 15.0)

    def step(number: int) -> None:
        workspace.store.commit(
            lambda s: edits.move_landmark(s, "map1", f"map1-{number}", "fixed", (1.0, 2.0)), "Move"
        )

    trial("the first step", lambda: step(3), 4.0)
    trial("the second step", lambda: step(4), 4.0)
    trial("undo a step", workspace.store.undo, 3.0)
    trial("another cell", lambda: workspace.show_site("c3", "grid", wait=False), 6.0)
    trial("save the large session", lambda: save_session(viewer), 3.0)
    release(viewer)
    viewer.close()
    return trial.over


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", default="", help="print what has this in its name")
    parser.add_argument("--profile", default="", help="profile what has this in its name")
    parser.add_argument("--grid", choices=("sample", "large", "both"), default="both")
    asked = parser.parse_args()
    over = []
    bare()
    with tempfile.TemporaryDirectory() as name:
        if asked.grid != "large":
            over += sample(Path(name), asked.only, asked.profile)
        if asked.grid != "sample":
            over += large(Path(name), asked.only, asked.profile)
    print(f"Over {LIMIT_BLOCK:.0f} ms of processor: {', '.join(over) or 'nothing'}.")
    return int(bool(over))


if __name__ == "__main__":
    sys.exit(main())
