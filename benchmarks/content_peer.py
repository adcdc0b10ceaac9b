"""What artis-tomo makes of a site: fluorescence ↔ tomogram without a bead, next to `relate`.

``python -P benchmarks/content_peer.py --artis /path/to/venv/bin/ars_corr_fluo_3d`` renders sites
as `content_links.py` does, writes the files that artis-tomo 1.0 reads and runs it in a process of
its own, with a limit of time. It is GPL and needs numpy below 2, so it lives in an environment of
its own. Under Linux its default threads (GNU OpenMP) do not outlive the forks that it makes
afterwards, and it hangs; with NUMBA_THREADING_LAYER=workqueue, as here, it ends.

It takes a stack (DeltaVision), a tilt series with its angles, the mosaic, four pixel sizes, and
numbers that its users set by hand: the tolerance of the mosaic's mask, the range of features, the
step of the global turn, the range and step of tilts, and the number of projections. It is given
its defaults (``--settings coarsest`` for less), a mosaic cut to 30 µm around the site, and the
better of all readings of its matrix (which way it leads, which way z runs).
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from scipy.ndimage import rotate, zoom

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from content_links import CROSS, SITES, bare, between, link_cross

from napari_clxem.samples.light import confocal_stack
from napari_clxem.samples.poses import make_layout
from napari_clxem.samples.scene import make_scene
from napari_clxem.samples.sizes import find_size
from napari_clxem.samples.xray_views import mosaic, tomogram

ANGLES = np.arange(-60, 61, 5)
NUMBER = r"[-+]?\d+\.?\d*(?:e[-+]?\d+)?"
SETTINGS = {
    "coarsest": ("--global_step", "5", "--perturb", "1", "1", "--projs", "3"),
    "default": (),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--artis", type=Path, required=True, help="its ars_corr_fluo_3d")
    parser.add_argument("--seeds", type=int, nargs="*", default=[500, 501, 502])
    parser.add_argument("--size", default="tiny", help="how finely the grids are rendered")
    parser.add_argument("--settings", choices=SETTINGS, default="default")
    parser.add_argument("--tolerance", type=float, default=0.5, help="of the mosaic's mask")
    parser.add_argument("--limit", type=float, default=900.0, help="seconds a site")
    parser.add_argument("--keep", type=Path, help="folder to keep files and output in")
    options = parser.parse_args()
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as place:
            folder = (options.keep or Path(place)) / str(seed)
            folder.mkdir(parents=True, exist_ok=True)
            compare(seed, options, folder)


def compare(seed: int, options: argparse.Namespace, folder: Path) -> None:
    """Run both on one site and print a line for each."""
    size = find_size(options.size)
    scene = bare(make_scene(seed))
    poses = make_layout(scene, size).poses
    site = SITES[seed % len(SITES)]
    one, other = poses[f"confocal-{site}"], poses[f"tomogram-{site}"]
    stack, volume = confocal_stack(scene, one)[:3], tomogram(scene, other)
    targets = np.array([t.position for t in scene.targets if t.site == site])
    points = one.place(targets) * (one.axial_scaling, 1, 1)
    row = link_cross(
        seed, stack, one, volume, other, points, np.random.default_rng([seed, 3]), False
    )
    ours = f"{row.error * 1e3:.0f} nm" if row.accepted else "refused"
    print(f"seed {seed}: {CROSS}\n  here: {ours} in {row.seconds:.1f} s", flush=True)
    pose = poses["sxt-mosaic"]
    picture = cut_out(scene, pose, targets.mean(axis=0)), pose.spacing[0]
    theirs = peer(options, folder, (stack, one), (volume, other), picture, points)
    print(f"  artis-tomo: {theirs}", flush=True)


def cut_out(scene, pose, middle: np.ndarray) -> np.ndarray:
    """Cut 30 µm of the mosaic around a site: in all of it the stack is not found."""
    picture = mosaic(scene, pose).astype(float)
    row, column = (pose.project(middle[None])[0] / pose.spacing).astype(int)
    half = int(15.0 / pose.spacing[0])
    return picture[max(row - half, 0) : row + half, max(column - half, 0) : column + half]


def peer(options, folder: Path, stack, volume, picture, points: np.ndarray) -> str:
    """Write the files, run it, and judge the matrix that it prints."""
    (light, one), (absorption, other) = stack, volume
    step = one.spacing[1]
    depth = 0.012 * (absorption.astype(float) - 60)  # 1/µm
    cube = zoom(depth, (other.spacing[0] / other.spacing[1], 1, 1), order=1)
    series = [np.exp(-other.spacing[1] * rotate(cube, angle, (0, 2), reshape=False, order=1).sum(0))
              for angle in ANGLES]  # fmt: skip
    np.save(folder / "stack.npy", light.sum(axis=0).astype(np.float32))
    np.save(folder / "series.npy", (1000 * np.array(series)).astype(np.float32))
    np.save(folder / "cube.npy", cube.astype(np.float32))
    np.save(folder / "mosaic.npy", picture[0].astype(np.float32))
    (folder / "angles.tlt").write_text("".join(f"{angle}\n" for angle in ANGLES))
    (folder / "out").mkdir(exist_ok=True)
    python = options.artis.parent / "python"
    subprocess.run([python, "-c", WRITE], cwd=folder, check=True)
    deep = one.spacing[0] * one.axial_scaling
    command = [options.artis, "-i", "series.mrc", "-m", "mosaic.tif", "-f", "stack.dv", "-o", "out",
               "--tlt", "angles.tlt", "--tomofn", "cube.mrc", "--nproc", "2",
               "--xrpix", str(1e3 * other.spacing[1]), "--mpix", str(1e3 * picture[1]),
               "--flpix", str(1e3 * step), "--flzpix", str(1e3 * deep),
               "--tol", str(options.tolerance), *SETTINGS[options.settings]]  # fmt: skip
    begin = time.perf_counter()
    with (folder / "log.txt").open("w") as log:
        # its default threads do not outlive a fork
        run = subprocess.Popen([str(c) for c in command], cwd=folder, stdout=log, stderr=log,
                               env={**os.environ, "NUMBA_THREADING_LAYER": "workqueue"},
                               start_new_session=True)  # fmt: skip
        try:
            code = run.wait(options.limit)
        except subprocess.TimeoutExpired:
            os.killpg(run.pid, signal.SIGKILL)
            return f"not finished after {options.limit:.0f} s"
    seconds = time.perf_counter() - begin
    said = (folder / "log.txt").read_text()
    if code:
        return f"stopped after {seconds:.0f} s: {said.strip().splitlines()[-1]}"
    places = [float(one) for one in re.findall(NUMBER, said[said.rindex("Matrix to apply:") :])]
    matrix = np.array(places[-16:]).reshape(4, 4)
    middles = [(np.array(a.shape[-3:]) // 2) for a in (light, cube)]
    sizes = np.array([deep, step, step]), np.full(3, other.spacing[1])
    best = np.inf
    for way in (matrix, np.linalg.inv(matrix)):
        for side in (1.0, -1.0):
            mirror = np.array([1.0, 1.0, side])
            # pixels of the stack's size, (x, y, z), from the middle of either
            here = (points - middles[0] * sizes[0])[:, ::-1] / step * mirror
            there = (here - way[:3, 3]) @ np.linalg.inv(way[:3, :3]).T
            found = (there * mirror * step)[:, ::-1] + middles[1] * sizes[1]
            true = points @ between(one, other)[:3, :3].T + between(one, other)[:3, 3]
            best = min(best, float(np.linalg.norm((found - true)[:, 1:], axis=1).mean()))
    return f"{best * 1e3:.0f} nm in {seconds:.0f} s"


WRITE = """
import mrc, mrcfile, numpy, tifffile
mrc.save(numpy.load("stack.npy"), "stack.dv")
for name in ("series", "cube"):
    mrcfile.write(f"{name}.mrc", numpy.load(f"{name}.npy"), overwrite=True)
tifffile.imwrite("mosaic.tif", numpy.load("mosaic.npy"))
"""


if __name__ == "__main__":
    main()
