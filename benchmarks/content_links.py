"""How right links by content are, over seeded sample grids rendered without files.

``python -P benchmarks/content_links.py --grids 10`` renders a site of each grid: a tomogram is
looked for in the mosaic, and a fluorescence stack without a single bead in the tomogram. Wrong
partners come from the next grid. Prints errors at the held targets, how honest the predicted
ones are, and how many wrong partners were accepted. ``--rows`` keeps what was done, so that a run
of many grids can be cut into pieces.

The peer, artis-tomo, runs in `content_peer.py`.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).parent))  # with -P, which spares numba our coverage.py

from bead_plots import line_plot

from napari_clxem.errors import NoMatch
from napari_clxem.fiducials import align, relate, relate_section
from napari_clxem.frames import Affine, UncertainAffine
from napari_clxem.samples.lamella_map import _outline, lamella_map
from napari_clxem.samples.light import confocal_stack
from napari_clxem.samples.poses import Pose, make_layout
from napari_clxem.samples.scene import Beads, Scene, make_scene
from napari_clxem.samples.sizes import find_size
from napari_clxem.samples.xray_views import mosaic, tomogram

SITES = "ABC"
FLAT, CROSS, CUT = (
    "tomogram in mosaic", "fluorescence in tomogram, no bead", "lamella map in tomogram"
)  # fmt: skip
LIMITS = {FLAT: 0.4, CROSS: 0.6, CUT: 0.3}
"""Errors beyond these are a wrong place, µm: two mosaic pixels of a tiny grid, and so on."""


def bare(scene: Scene) -> Scene:
    """Take away every bead within sight of a site's stack or field; the mosaic keeps the rest."""
    beads = scene.beads
    near = np.min(
        [np.abs(beads.centres[:, 1:] - s.stack).max(axis=1) for s in scene.sites], axis=0
    )  # fmt: skip
    far = near > 14.0
    kept = Beads(beads.centres[far], beads.radii[far], beads.fluorescent[far])
    return replace(scene, beads=kept)


def between(moving: Pose, fixed: Pose) -> np.ndarray:
    """True map between two volumes as a user sees them."""
    return fixed.used @ np.linalg.inv(moving.used)


def declared(true: np.ndarray, middle: np.ndarray, rng: np.random.Generator, sd: float):
    """What is known before: shifted at random, a little turned and scaled."""
    turn = Affine.planar(rng.normal(0, 0.5), rng.normal(1, 0.005)).linear
    ndim = len(true) - 1
    wrong = np.eye(ndim)
    wrong[-2:, -2:] = turn
    linear = wrong @ true[:ndim, :ndim]
    place = true[:ndim, :ndim] @ middle + true[:ndim, ndim] + rng.normal(0, sd, ndim)
    matrix = Affine.from_parts(linear, place - linear @ middle).matrix
    return UncertainAffine.declared(matrix, middle, sd, angle_sd=0.5, scale_sd=0.005)


@dataclass
class Row:
    """One attempt: what was looked for, and how it went; errors µm, in the plane."""

    kind: str
    seed: int
    foreign: bool
    accepted: bool
    seconds: float
    error: float = float("nan")
    square: float = float("nan")
    why: str = ""


def judged(
    row: Row,
    found: UncertainAffine | None,
    true: np.ndarray,
    points: np.ndarray,
    more: float = 0.0,
) -> Row:
    """Compare a link with the truth at points; `more` is an error that no image can tell, µm."""
    if found is None or row.foreign:
        return row
    ndim = found.affine.shape[0] - 1
    there = points @ true[:ndim, :-1].T + true[:ndim, -1]
    miss = found.transform(points) - there
    spread = found.predict_error(points)[:, -2:, -2:] + more**2 * np.eye(2)
    squares = np.einsum("ni,nij,nj->n", miss[:, -2:], np.linalg.inv(spread), miss[:, -2:])
    row.error = float(np.linalg.norm(miss[:, -2:], axis=1).mean())
    row.square = float(squares.mean())
    return row


def report(rows: list[Row]) -> None:
    """Print how often each kind of link was right, refused or wrong, and how honest it was."""
    for kind, limit in LIMITS.items():
        true = [r for r in rows if r.kind == kind and not r.foreign]
        alien = [r for r in rows if r.kind == kind and r.foreign]
        if not true:
            continue
        errors = np.array([r.error for r in true if r.accepted])
        squares = np.array([r.square for r in true if r.accepted])
        print(f"\n{kind}: {len(true)} with the right partner, {len(alien)} with a wrong one")
        print(f"  right {(errors < limit).sum() / len(true):.1%} (under {limit * 1e3:.0f} nm), "
              f"refused {len(true) - len(errors)}, wrong {(errors >= limit).sum()}")  # fmt: skip
        if len(errors):
            print(f"  error in the plane: median {np.median(errors) * 1e3:.0f} nm, rms "
                  f"{np.sqrt((errors**2).mean()) * 1e3:.0f} nm; over the predicted one "
                  f"{np.sqrt(np.median(squares) / 1.386):.2f} (1 is honest)")  # fmt: skip
        print(f"  wrong partners accepted: {sum(r.accepted for r in alien)} of {len(alien)}; "
              f"{np.median([r.seconds for r in true + alien]):.2f} s each")  # fmt: skip


def plot(rows: list[Row]) -> None:
    """Draw the share of links with the right partner that are made and within an error."""
    steps = [0, 25, 50, 75, 100, 150, 200, 300]
    series = []
    for kind in LIMITS:
        errors = [
            r.error if r.accepted else np.inf for r in rows if r.kind == kind and not r.foreign
        ]
        if errors:
            shares = [float(np.mean(np.array(errors) * 1e3 <= step)) for step in steps]
            series.append((kind.split(",")[0], steps, shares))
    line_plot("content-links", "Links by content that are made and within an error",
              ("error in the plane, nm", "share of right partners"), series, 0.0, 1.0)  # fmt: skip


def grid_rows(seed: int, size_name: str, verbose: bool = False) -> list[Row]:
    """Make every link of one site of one grid; wrong partners come from the grid before."""
    size = find_size(size_name)
    scene = bare(make_scene(seed))
    layout = make_layout(scene, size)
    poses = layout.poses
    site = SITES[seed % len(SITES)]
    stack_pose, volume_pose = poses[f"confocal-{site}"], poses[f"tomogram-{site}"]
    map_pose = poses["sxt-mosaic"]
    stack = confocal_stack(scene, stack_pose)[:3]
    seen = mosaic(scene, map_pose).astype(float)
    depth = -np.log(np.clip(seen / np.percentile(seen, 99.5), 1e-3, None))
    targets = np.array([t.position for t in scene.targets if t.site == site])
    here = targets @ stack_pose.used[:3, :3].T + stack_pose.used[:3, 3]
    inside = targets @ volume_pose.used[:3, :3].T + volume_pose.used[:3, 3]
    rng = np.random.default_rng([seed, 3])
    rows = []
    for partner, wrong in ((tomogram(scene, volume_pose), False), (foreign(seed, size), True)):
        rows.append(link_flat(seed, partner, volume_pose, depth, map_pose, inside, rng, wrong))
        if site in layout.lamellae:
            rows.append(link_section(seed, scene, layout, site, partner, targets, rng, wrong))
        rows.append(link_cross(seed, stack, stack_pose, partner, volume_pose, here, rng, wrong))
    if verbose:
        for row in rows:
            print(row)
    return rows


def foreign(seed: int, size) -> np.ndarray:
    """Render a tomogram of another grid."""
    other = bare(make_scene(seed - 1))
    site = SITES[(seed - 1) % len(SITES)]
    return tomogram(other, make_layout(other, size).poses[f"tomogram-{site}"])


def read(path: Path) -> list[Row]:
    """Read rows that earlier runs left in a file."""
    if not path.exists():
        return []
    return [Row(**json.loads(line)) for line in path.read_text().splitlines()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--grids", type=int, default=10)
    parser.add_argument("--first", type=int, default=500, help="first seed")
    parser.add_argument("--size", default="tiny", help="how finely the grids are rendered")
    parser.add_argument("--rows", type=Path, help="file that results are added to and read from")
    parser.add_argument("--plot", action="store_true", help="write docs/images/content-links.svg")
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    rows = read(options.rows) if options.rows else []
    done = {row.seed for row in rows}
    for seed in range(options.first, options.first + options.grids):
        if seed in done:
            continue
        found = grid_rows(seed, options.size, options.verbose)
        rows += found
        if options.rows:
            with options.rows.open("a") as file:
                file.writelines(json.dumps(asdict(row)) + "\n" for row in found)
    report(rows)
    if options.plot:
        plot(rows)
    print(f"\na mosaic pixel is {find_size(options.size).mosaic * 1e3:.0f} nm")


def link_flat(seed, volume, pose, depth, map_pose, points, rng, wrong) -> Row:
    """Look for a tomogram's projection in the mosaic."""
    step = pose.spacing
    middle = (np.array(volume.shape[1:]) - 1) * step[1:] / 2
    full = map_pose.matrix @ np.linalg.inv(pose.used)
    # the plane through the middle of the volume
    z = (volume.shape[0] - 1) * step[0] / 2
    true = Affine.from_parts(full[1:3, 1:3], full[1:3, 3] + full[1:3, 0] * z).matrix
    start = declared(true, middle, rng, 1.0)
    begin = time.perf_counter()
    found, why = None, ""
    try:
        found = align(volume.astype(float).sum(axis=0), step[1:], depth, map_pose.spacing, start)
    except NoMatch as error:
        why = str(error)[:150]
    row = Row(FLAT, seed, wrong, found is not None, time.perf_counter() - begin, why=why)
    # no image tells how its own tiles were misplaced: a quarter of a pixel
    return judged(row, found, true, points[:, 1:], 0.25 * map_pose.spacing[0])


def link_cross(seed, stack, pose, volume, volume_pose, points, rng, wrong) -> Row:
    """Look for a stack in a tomogram."""
    true = between(pose, volume_pose)
    used = tuple(np.array(pose.spacing) * (pose.axial_scaling, 1, 1))
    middle = np.linalg.inv(true)[:3] @ [
        *((np.array(volume.shape) - 1) * volume_pose.spacing / 2),
        1,
    ]
    start = declared(true, middle, rng, 0.6)
    begin = time.perf_counter()
    found, why = None, ""
    try:
        match = relate(stack, used, volume, volume_pose.spacing, start)
        found, why = match.transform, f"{match.score:.3f} {match.rival:.3f} {match.sigma.round(3)}"
    except NoMatch as error:
        why = str(error)[:150]
    row = Row(CROSS, seed, wrong, found is not None, time.perf_counter() - begin, why=why)
    return judged(row, found, true, points)


def link_section(seed, scene, layout, site, volume, points, rng, wrong) -> Row:
    """Look for a tomogram in the map of a lamella that was cut from its site."""
    pose, volume_pose = layout.poses[f"tem-{site}"], layout.poses[f"tomogram-{site}"]
    lamella = layout.lamellae[site]
    image = lamella_map(scene, pose, lamella).astype(float)
    along, across = _outline(pose, lamella)
    inside = (np.abs(along) < lamella.length / 2 - 0.3) & (np.abs(across) < lamella.width / 2 - 0.3)
    image[~inside] = np.nan
    true = pose.matrix @ np.linalg.inv(volume_pose.used)
    middle = volume_pose.place(lamella.centre[None])[0]
    start = declared(true, middle, rng, 0.4)
    begin = time.perf_counter()
    found, why = None, ""
    try:
        match = relate_section(
            volume, volume_pose.spacing, image, pose.spacing, start, thickness=lamella.thickness
        )
        found, why = match.transform, f"{match.score:.3f} {match.rival:.3f} {match.sigma.round(3)}"
    except NoMatch as error:
        why = str(error)[:150]
    seconds = time.perf_counter() - begin
    near = points[np.abs((points - lamella.centre) @ lamella.normal) < 0.5]
    near = near if len(near) else lamella.centre[None]
    row = Row(CUT, seed, wrong, found is not None, seconds, why=why)
    return judged(row, found, true, volume_pose.place(near))


if __name__ == "__main__":
    main()
