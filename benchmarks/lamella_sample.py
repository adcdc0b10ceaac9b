"""The shipped sample: what is promised beside what is true, from the targets to the milled lamella.

``python -P benchmarks/lamella_sample.py`` takes the picked targets of the linked session to their
FIB views, proposes a lamella for each, and puts the volume that the true target has in it beside
the promise. Then the lamellae on the TEM maps are traced, laid in the tomograms, and compared with
the true ones: outline, tilt, height, what they hold. ``--relink`` runs the automatic chain anew on
the images (a minute or two) instead of taking the links of the session file.

``truth.json`` is read after everything else is settled.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from napari_clxem.frames import Affine
from napari_clxem.io import open_image
from napari_clxem.lamella import (
    LamellaRecord,
    Outline,
    Overlap,
    capture_in_view,
    capture_probability,
    in_outline,
    lamella_on_map,
    overlap,
    propose,
    trace,
)
from napari_clxem.samples import make_scene, sample_folder
from napari_clxem.samples.lamella_map import make_slab
from napari_clxem.samples.poses import make_layout
from napari_clxem.samples.sizes import SIZES
from napari_clxem.session import Session, load
from napari_clxem.session.geometry import graph, place
from napari_clxem.session.linked import linked_grid
from napari_clxem.session.slabs import laid

PLACE_SD = 0.05
THICKNESS = 0.3


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--relink", action="store_true", help="run the automatic chain anew")
    options = parser.parse_args()
    folder = sample_folder()
    if options.relink:
        session, failures = linked_grid(folder / "grid.json")
        for one in failures:
            print(f"  {one}")
    else:
        session = load(folder / "grid.clxem.json")
    boxes = [proposed(session, target) for target in session.targets]
    traced = {}
    for one in session.datasets:
        if one.modality == "tem" and one.site:
            image = open_image(folder / "tem" / f"lamella-{one.site}.mrc")
            traced[one.site] = trace(np.asarray(image.data), image.scale)
    truth = json.loads((folder / "truth.json").read_text())
    print(f"targets picked in the confocal stacks, lamellae of {THICKNESS:g} µm proposed for each")
    say_boxes(session, boxes, truth)
    print("lamellae traced on their TEM maps")
    for site, outline in traced.items():
        say_lamella(session, site, outline, truth)


def proposed(session: Session, target: Any) -> tuple[Any, Any, float] | None:
    """Propose a box for a target in the FIB view of its site: its middle, and the promise."""
    there = place(session, target, f"fib-{target.site}")
    if there is None:
        return None
    spread = np.array(there.covariance) + PLACE_SD**2 * np.eye(2)
    full = np.zeros((3, 3))
    full[np.ix_([0, 2], [0, 2])] = spread
    row, column = there.position
    found = propose(
        (-row, 0.0, -column),
        target.radius,
        full,
        angles=(0.0, 0.0),
        usual=0.0,
        thickness=THICKNESS,
    )
    box = -np.array(found.lamella.centre)[[0, 2]]
    told = capture_in_view(box, there.position, target.radius, spread, thickness=THICKNESS)
    return box, told, found.expected


def say_boxes(session: Session, boxes: list[Any], truth: dict[str, Any]) -> None:
    """Put promise and truth of the proposed lamellae side by side."""
    true = {target["id"]: target for target in truth["targets"]}
    pairs = []
    for target, found in zip(session.targets, boxes, strict=True):
        if found is None:
            print(f"  {target.name}: no way to its FIB view")
            continue
        box, told, expected = found
        onto = Affine(np.array(truth["frames"][f"fib-{target.site}"]["from_grid"]))
        spot = onto.transform(true[target.name]["position"])[0]
        came = capture_in_view(box, spot, true[target.name]["radius"], thickness=THICKNESS)
        pairs.append((expected, came.volume_fraction))
        print(
            f"  {target.name}: promised volume {expected:5.1%} (centre {told.centre:5.1%}); "
            f"true miss {came.offset * 1e3:+5.0f} nm (predicted sd {told.sigma * 1e3:3.0f} nm), "
            f"true volume {came.volume_fraction:5.1%}"
        )
    promised, came_true = np.mean(pairs, axis=0)
    print(f"  mean: promised {promised:.1%}, true {came_true:.1%}")


def say_lamella(session: Session, site: str, outline: Outline, truth: dict[str, Any]) -> None:
    """Compare a traced lamella, laid in its tomogram, with the true one."""
    one = next(entry for entry in truth["lamellae"] if entry["site"] == site)
    frame, volume = one["frame"], f"tomogram-{site}"
    data = {dataset.frame: dataset for dataset in session.datasets}
    record = LamellaRecord(
        id=site, site=site, frame=frame, lamella=lamella_on_map(outline.corners), status="milled"
    )
    lying = laid(session, record)
    way = graph(lying).transform(frame, volume)
    shape, scale = (np.array(getattr(data[volume], name)) for name in ("shape", "scale"))
    box = np.array([-0.5 * scale, (shape - 0.5) * scale])
    back = Affine(way.placement).inverted()
    there = overlap(
        record.lamella,
        box,
        way.placement,
        lambda points: way.predict_error(back.transform(points)[:, 1:]),
    )
    window, material, mask, pixel = true_lamella(truth, site)
    rows, columns = np.mgrid[: mask.shape[0] : 4, : mask.shape[1] : 4]
    places = np.column_stack([rows.ravel(), columns.ravel()]) * pixel
    inside = in_outline(places, outline.corners).reshape(rows.shape)
    held = mask[::4, ::4]
    print(
        f"  {site}: traced {outline.area:.1f} µm²; milled window {window:.1f} µm², of which "
        f"{material:.1f} µm² hold ice or cell (traced over true of these: "
        f"{(inside & held).sum() / (inside | held).sum():.2f})"
    )
    onto = Affine(np.array(truth["frames"][volume]["from_grid"]))
    normal = np.linalg.inv(onto.linear).T @ one["normal"]
    normal = normal / np.linalg.norm(normal)
    seen = back.linear[0] / np.linalg.norm(back.linear[0])
    middle = back.transform(onto.transform(one["centre"]))[0, 0]
    print(
        f"     faces {np.rad2deg(np.arccos(min(1.0, abs(seen @ normal)))):.1f}° off, middle "
        f"{middle * 1e3:+.0f} nm off; overlap {percent(there)}"
    )
    slab = true_slab(truth, one)
    print(f"     of the true material: {share_in_box(slab, onto, box):6.1%} by volume")
    say_targets(lying, site, volume, way, truth, one)


def say_targets(
    session: Session, site: str, volume: str, way: Any, truth: dict[str, Any], one: dict[str, Any]
) -> None:
    """Say how far the targets are told to be from the mid-plane, and how far they truly are."""
    true = {target["id"]: np.array(target["position"]) for target in truth["targets"]}
    back = Affine(way.placement).inverted()
    for target in session.targets:
        spot = place(session, target, volume) if target.site == site else None
        if spot is None:
            continue
        here = back.transform([spot.position])[0]
        own = way.predict_error([here[1:]])[0]
        flat = lamella_on_map(here[1:] + np.array([[-5, -5], [-5, 5], [5, 5], [5, -5]]), THICKNESS)
        linear = back.linear
        spread = linear @ (np.array(spot.covariance) + own) @ linear.T
        told = capture_probability(flat, here, target.radius, (spread + spread.T) / 2)
        real = (true[target.name] - one["centre"]) @ np.array(one["normal"])
        print(
            f"     {target.name}: told {told.offset * 1e3:+5.0f} ± {told.sigma * 1e3:3.0f} nm from "
            f"the mid-plane, truly {real * 1e3:+5.0f} nm"
        )


def percent(found: Overlap) -> str:
    """Write an overlap with its intervals."""
    (low, high), (less, more) = found.area_interval, found.volume_interval
    return (
        f"area {found.area_fraction:.1%} ({low:.1%} to {high:.1%}), volume "
        f"{found.volume_fraction:.1%} ({less:.1%} to {more:.1%})"
    )


def true_lamella(truth: dict[str, Any], site: str) -> tuple[float, float, Any, float]:
    """Give the milled window in the map, the part of it that holds anything (µm²), and its mask."""
    path, window, pixel = _path(truth, site)
    mask = (path > THICKNESS / 2) & window
    return float(window.sum()) * pixel**2, float(mask.sum()) * pixel**2, mask, pixel


def true_slab(truth: dict[str, Any], one: dict[str, Any]) -> Any:
    """Give points (n, 3) of the grid that lie in the lamella's ice or cell."""
    scene = make_scene(truth["seed"])
    rng = np.random.default_rng(1)
    own = rng.uniform(-0.5, 0.5, (200_000, 3)) * [one["thickness"], one["length"], one["width"]]
    axes = np.array([one["normal"], one["along"], one["across"]])
    points = np.array(one["centre"]) + own @ axes
    z, y, x = points.T
    film = scene.film.height(y, x)
    top = np.maximum(scene.ice_top(y, x), film + scene.ground.thickness(y, x))
    return points[(z > film) & (z < top)]


def share_in_box(points: Any, onto: Affine, box: Any) -> float:
    """Give the share of points of the grid that lie in a box of a volume."""
    there = onto.transform(points)
    return float(((there >= box[0]) & (there <= box[1])).all(axis=1).mean())


def _path(truth: dict[str, Any], site: str) -> tuple[Any, Any, float]:
    """Give ice or cell in the slab under each pixel of the map, µm; its window, and the pixel."""
    from napari_clxem.samples.lamella_map import _outline

    scene = make_scene(truth["seed"])
    layout = make_layout(scene, SIZES["shipped"])
    pose, lamella = layout.poses[f"tem-{site}"], layout.lamellae[site]
    slab = make_slab(pose, lamella)
    path = np.zeros(pose.shape)
    for index in range(slab.lattice.shape[0]):
        z, y, x = slab.lattice.plane(index)
        film = scene.film.height(y, x)
        top = np.maximum(scene.ice_top(y, x), film + scene.ground.thickness(y, x))
        path += slab.inside[index] * slab.step * ((z > film) & (z < top))
    along, across = _outline(pose, lamella)
    window = (np.abs(along) < lamella.length / 2) & (np.abs(across) < lamella.width / 2)
    return path, window, float(pose.spacing[0])


if __name__ == "__main__":
    main()
