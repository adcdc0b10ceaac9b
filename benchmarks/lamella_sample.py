"""The shipped sample: promised beside true capture, and overlap beside that of the true lamella.

``python benchmarks/lamella_sample.py`` places the picked targets of the linked session in their
FIB views, and compares the lamellae on the TEM maps, drawn as they truly are and as traced, with
their tomograms. Only the last column of either table reads ``truth.json``.
"""

from __future__ import annotations

import argparse
import json
from typing import Any

import numpy as np

from napari_clxem.frames import Affine, Route
from napari_clxem.io import open_image
from napari_clxem.lamella import Overlap, capture_in_view, lamella_on_map, overlap, trace
from napari_clxem.samples import sample_folder
from napari_clxem.session import load
from napari_clxem.session.geometry import graph, place

PLACE_SD = 0.05
# How well the height of the lamella in its own map is known, µm.
HEIGHT_SD = 0.15
THICKNESS = 0.3


def percent(found: Overlap) -> str:
    (low, high), (less, more) = found.area_interval, found.volume_interval
    return (
        f"area {found.area_fraction:6.1%} ({low:.1%} to {high:.1%})  volume "
        f"{found.volume_fraction:6.1%} ({less:.1%} to {more:.1%})"
    )


def main() -> None:
    argparse.ArgumentParser(description=__doc__.splitlines()[0]).parse_args()
    folder = sample_folder()
    session = load(folder / "grid.clxem.json")
    truth = json.loads((folder / "truth.json").read_text())
    true = {target["id"]: target for target in truth["targets"]}
    print(f"targets picked in the confocal stacks, boxes of {THICKNESS:g} µm in the FIB views")
    for target in session.targets:
        view = f"fib-{target.site}"
        there = place(session, target, view)
        if there is None:
            print(f"  {target.name}: no way to {view}")
            continue
        spread = np.array(there.covariance) + PLACE_SD**2 * np.eye(2)
        told = capture_in_view(
            there.position, there.position, target.radius, spread, thickness=THICKNESS
        )
        onto = Affine(np.array(truth["frames"][view]["from_grid"]))
        real = onto.transform(true[target.name]["position"])[0]
        came = capture_in_view(
            there.position, real, true[target.name]["radius"], thickness=THICKNESS
        )
        print(
            f"  {target.name}: promised centre {told.centre:5.1%}, volume "
            f"{told.volume_fraction:5.1%}; true miss {came.offset * 1e3:+5.0f} nm (predicted sd "
            f"{told.sigma * 1e3:3.0f} nm), volume {came.volume_fraction:5.1%}"
        )
    print("lamellae on their TEM maps against the tomograms")
    for one in truth["lamellae"]:
        site, frame = one["site"], one["frame"]
        data = {dataset.frame: dataset for dataset in session.datasets}
        shape, scale = (np.array(getattr(data[f"tomogram-{site}"], n)) for n in ("shape", "scale"))
        box = np.array([-0.5 * scale, (shape - 0.5) * scale])
        centre, along, across = (np.array(one[key]) for key in ("centre", "along", "across"))
        signs = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) / 2
        corners = centre + (signs * [one["length"], one["width"]]) @ np.array([along, across])
        drawn = Affine(np.array(truth["frames"][frame]["from_grid"])).transform(corners)
        image = open_image(folder / "tem" / f"lamella-{site}.mrc")
        traced = trace(np.asarray(image.data), image.scale)
        route = graph(session).transform(f"tomogram-{site}", frame)
        to_box = Affine(route.placement).inverted()
        for name, outline in (("drawn", drawn), ("traced", traced.corners)):
            lamella = lamella_on_map(outline, one["thickness"])

            def spread(points: np.ndarray, route: Route = route, back: Affine = to_box) -> Any:
                """Give the map's error where it counts: in the frame of the tomogram."""
                found = np.zeros((len(points), 3, 3))
                found[:, 0, 0] = HEIGHT_SD**2
                found[:, 1:, 1:] = route.predict_error(points)[:, -2:, -2:]
                return back.linear @ found @ back.linear.T

            print(f"  {site} {name:7s} {percent(overlap(lamella, box, to_box, spread))}")
        onto = Affine(np.array(truth["frames"][f"tomogram-{site}"]["from_grid"]))
        basis = np.array([one["normal"], along, across])
        # the true slab in its own axes: normal, along, across are (z, y, x) at angle 0
        slab = lamella_on_map(signs * [one["length"], one["width"]], one["thickness"])
        to_tomogram = onto @ Affine.from_parts(basis.T, centre)
        real = overlap(slab, box, to_tomogram, np.zeros((3, 3)))
        print(
            f"  {site} true    area {real.area_fraction:6.1%}  volume {real.volume_fraction:6.1%}"
        )


if __name__ == "__main__":
    main()
