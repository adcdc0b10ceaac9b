"""Kernels are compiled by another process, and nothing waits for it."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path
from threading import Timer

import numpy as np
import pytest
from numba.core import config

from napari_clxem import compiling

KERNELS = """
import os
from numba import njit

@njit(cache=True)
def double(value):
    return 2 * value

def warm():
    double(1.0)
"""
SLOW = KERNELS.replace(
    "    double(1.0)", "    import time; time.sleep(3 * (os.getpid() != PARENT)); double(1.0)"
)
NOWHERE = """
from numba.core import config
if not config.CACHE_DIR:
    raise RuntimeError("cannot cache function 'double': no locator available for file")
"""


@pytest.fixture
def kernels(tmp_path, monkeypatch):
    """Write a module of kernels under a name of its own; forget it afterwards."""
    monkeypatch.setattr(compiling, "_made", {})
    monkeypatch.setattr(compiling, "_mark", lambda name: tmp_path / f"{name}.compiling")
    monkeypatch.setattr(config, "CACHE_DIR", "")
    monkeypatch.syspath_prepend(str(tmp_path))
    written = []

    def write(source: str) -> str:
        name = f"kernels_{tmp_path.name}_{len(written)}".replace("-", "_")
        (tmp_path / f"{name}.py").write_text(source)
        written.append(name)
        return name

    yield write
    for name in written:
        sys.modules.pop(name, None)


def until(test, seconds: float = 120.0) -> None:
    begin = time.monotonic()
    while not test():
        assert time.monotonic() - begin < seconds
        time.sleep(0.02)


def test_the_first_use_does_not_wait_and_later_ones_are_compiled(kernels, monkeypatch, tmp_path):
    monkeypatch.setattr(compiling, "_PATIENCE", 30.0)  # what is known needs no patience
    name = kernels(SLOW.replace("PARENT", str(os.getpid())))
    begin = time.monotonic()
    assert compiling.ready(name) is None
    assert compiling.loaded(name) is None
    assert time.monotonic() - begin < 2.5
    until(lambda: compiling.ready(name) is not None)
    module = compiling.loaded(name)
    assert module.double(4.0) == 8.0
    # read from what the other process has written
    assert sum(module.double.stats.cache_hits.values()) == 1
    assert not list(tmp_path.glob("*.compiling"))


def test_what_is_on_disk_is_there_at_once(kernels, monkeypatch):
    name = kernels(KERNELS)
    monkeypatch.setattr(compiling, "_compile_beside", lambda _name: None)
    compiling.warm(name, block=True)
    sys.modules.pop(name)
    compiling._made.clear()
    monkeypatch.setattr(compiling, "_compile_beside", lambda _name: pytest.fail("compiled again"))
    compiling.warm(name, block=True)
    assert compiling.ready(name).double(3.0) == 6.0


def test_one_process_compiles_for_all(kernels, tmp_path, monkeypatch):
    name = kernels(KERNELS)
    mark = tmp_path / f"{name}.compiling"
    mark.touch()
    monkeypatch.setattr(compiling.subprocess, "run", lambda *_, **__: pytest.fail("a second one"))
    Timer(0.5, mark.unlink).start()
    begin = time.monotonic()
    compiling.warm(name, block=True)  # the other one wrote nothing: compiled here
    assert time.monotonic() - begin > 0.4
    assert compiling.ready(name).double(1.0) == 2.0


def test_a_compiler_that_died_is_not_waited_for(kernels, tmp_path, monkeypatch):
    name = kernels(KERNELS)
    mark = tmp_path / f"{name}.compiling"
    mark.touch()
    monkeypatch.setattr(compiling, "_LONGEST", -1.0)
    compiling._compile_beside(name)
    assert not mark.exists()


@pytest.mark.parametrize("way", ["frozen", "embedded"])
def test_where_no_python_can_be_started_it_compiles_here(kernels, monkeypatch, way):
    name = kernels(KERNELS)
    if way == "frozen":
        monkeypatch.setattr(sys, "frozen", True, raising=False)
    else:
        monkeypatch.setattr(sys, "executable", "/usr/bin/microscope")
    monkeypatch.setattr(compiling.subprocess, "run", lambda *_, **__: pytest.fail("started"))
    compiling.warm(name, block=True)
    assert compiling.ready(name).double(1.0) == 2.0


def test_where_nothing_can_be_written_kernels_are_kept_for_the_run(kernels, monkeypatch):
    monkeypatch.setattr(compiling, "_compile_beside", lambda _name: None)
    name = kernels(NOWHERE + KERNELS)
    compiling.warm(name, block=True)
    module = compiling.ready(name)
    assert module.double(1.0) == 2.0
    assert Path(module.double.stats.cache_path).is_relative_to(config.CACHE_DIR)


def test_errors_reach_whoever_asks(kernels):
    name = kernels("def warm():\n    raise ValueError('no such type')\n")
    with pytest.raises(ValueError, match="no such type"):
        compiling.warm(name, block=True)
    with pytest.raises(ValueError, match="no such type"):
        compiling.ready(name)


def test_no_use_compiles_anew_after_warming():
    """A kernel asked for other types than it was warmed for would hold up its first use."""
    from numba.core import event

    from napari_clxem import dose, fiducials, frames, lamella, xray
    from napari_clxem.frames import orthographic

    compiling.warm("napari_clxem.fiducials.match_kernels", block=True)
    dose.warm_kernels()
    xray.warm(block=True)
    lamella.warm()
    orthographic.warm(block=True)
    rng = np.random.default_rng(1)
    with event.install_recorder("numba:compile") as recorder:
        points = rng.uniform(0, [4, 40, 40], (14, 3))
        turned = points @ np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]])
        fiducials.match(points, turned, tolerance=0.1)
        fiducials.match(points[:, 1:], turned[:, 1:], moving_sigma=0.02, mirror=True)
        down = np.array([[-0.98, -0.2, 0.0], [0.0, 0.0, -1.0]])
        view = fiducials.View(angle=11.0)
        fiducials.match(points, points @ down.T, "projection", moving_sigma=0.05, view=view)
        frames.fit(points, points @ down.T, "projection")
        frames.fit(points, points @ down.T, "projection", 0.1, rng.uniform(0.1, 0.2, (14, 2)))
        one = dose.Exposure.tilt_series(
            modality="sxt", frame="map", aim=(1.0, 1.0), beam_radius=4.0, dose_per_image=1.0,
            tilts=np.arange(-60, 61, 3.0),
        )  # fmt: skip
        dose.History([one]).interval_map((0.0, 0.0), (8, 9), 0.5)
        for kind in (np.float32, np.float64):
            xray.fsc(*rng.normal(size=(2, 12, 12, 12)).astype(kind), 0.01)
            xray.fsc(*rng.normal(size=(2, 20, 21)).astype(kind), 0.01)
        tilts = np.linspace(-60, 60, 7)
        for slices, limits in ((1, None), (3, (0.0, 1.0)), (7, None), (20, None)):
            series = xray.project(np.ones((8, slices, 16), np.float32), tilts, 0.01)
            for method in ("SART", "SIRT"):
                xray.reconstruct(
                    series, tilts, 0.01, thickness=8, iterations=1, method=method, limits=limits
                )
        body = lamella.Lamella((0.3, 1, 2), 12, 30)
        lamella.overlap(body, ((-1, 0, 1), (2, 4, 6)), covariance=0.01 * np.eye(3))
    compiled = [record.data["dispatcher"].__name__ for _, record in recorder.buffer]
    assert not compiled
