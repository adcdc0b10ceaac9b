"""True against predicted error at the held targets, for every link of the automatic chain.

``python benchmarks/chain_accuracy.py`` takes the shipped sample; ``--seeds 11 12`` renders and
links other grids as well. Only here and in tests may ``truth.json`` be read.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import NoPathError
from napari_clxem.frames import Affine
from napari_clxem.samples import sample_folder, write_grid
from napari_clxem.session.geometry import graph
from napari_clxem.session.linked import linked_grid
from napari_clxem.session.model import Session

WAYS = (
    ("fluorescence-map", "sxt-mosaic"),
    ("sem-overview", "fluorescence-map"),
    ("vlm-map", "fluorescence-map"),
    ("confocal-{}", "sxt-mosaic"),
    ("tomogram-{}", "sxt-mosaic"),
    ("confocal-{}", "tomogram-{}"),
    ("confocal-{}", "fib-{}"),
    ("tomogram-{}", "tem-{}"),
    ("confocal-{}", "tem-{}"),
)


@dataclass(frozen=True)
class Errors:
    """Of one way: in the plane, µm, at each held target; `ratio` is squared over predicted."""

    moving: str
    fixed: str
    by: tuple[str, ...]
    true: np.ndarray
    predicted: np.ndarray
    ratio: np.ndarray


def errors(session: Session, truth: dict[str, Any]) -> list[Errors]:
    """Compare a linked session with its truth along every way."""
    found = []
    sites = [site.name for site in session.sites]
    for moving, fixed in WAYS:
        for site in sites if "{}" in moving else [None]:
            one = moving.format(site)
            other = fixed.format(site)
            places = held_targets(truth, site, other)
            if other not in truth["frames"] or not len(places):
                continue
            a, b = (true_frame(session, truth, name).transform(places) for name in (one, other))
            try:
                route = graph(session).transform(one, other, a)
            except NoPathError:
                continue
            miss = (route.transform(a) - b)[:, -2:]
            spread = route.predict_error(a)[:, -2:, -2:]
            found.append(
                Errors(
                    one,
                    other,
                    route.links,
                    np.linalg.norm(miss, axis=1),
                    np.sqrt(np.einsum("nii->n", spread)),
                    np.einsum("ni,nij,nj->n", miss, np.linalg.inv(spread), miss),
                )
            )
    return found


def held_targets(truth: dict[str, Any], site: str | None, fixed: str) -> np.ndarray:
    """Give the true places of targets; in a lamella map only those the lamella comes near."""
    rows = [t for t in truth["targets"] if site is None or t["site"] == site]
    places = np.array([t["position"] for t in rows]).reshape(-1, 3)
    for lamella in truth["lamellae"]:
        if fixed == f"tem-{lamella['site']}":
            off = (places - lamella["centre"]) @ np.array(lamella["normal"])
            places = places[np.abs(off) < 0.5]
    return places


def true_frame(session: Session, truth: dict[str, Any], name: str) -> Affine:
    """Give the true map from the grid to a frame as the session uses it (axial scaling in z)."""
    matrix = np.array(truth["frames"][name]["from_grid"])
    scaling = next(d.axial_scaling for d in session.datasets if d.frame == name)
    if len(matrix) == 4:
        matrix = np.diag([scaling, 1.0, 1.0, 1.0]) @ matrix
    return Affine(matrix)


def show(title: str, found: list[Errors]) -> None:
    print(title)
    print(f"{'way':34s}{'targets':>8s}{'true median':>13s}{'true rms':>10s}{'predicted':>11s}  by")
    for row in found:
        print(
            f"{row.moving + ' → ' + row.fixed:34s}{len(row.true):8d}"
            f"{np.median(row.true) * 1e3:10.0f} nm{np.sqrt((row.true**2).mean()) * 1e3:7.0f} nm"
            f"{np.sqrt((row.predicted**2).mean()) * 1e3:8.0f} nm  {', '.join(row.by)}"
        )
    ratio = np.concatenate([row.ratio for row in found])
    print(f"in the 95 % region: {(ratio <= 5.991).mean():.0%} of {len(ratio)}\n")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seeds", type=int, nargs="*", default=[])
    options = parser.parse_args()
    folder = sample_folder()
    session, failures = linked_grid(folder / "grid.json")
    show("shipped sample", errors(session, json.loads((folder / "truth.json").read_text())))
    print(*failures, sep="\n")
    for seed in options.seeds:
        with tempfile.TemporaryDirectory() as place:
            write_grid(Path(place), seed=seed)
            session, failures = linked_grid(Path(place) / "grid.json")
            truth = json.loads((Path(place) / "truth.json").read_text())
            show(f"seed {seed}", errors(session, truth))
            print(*failures, sep="\n")


if __name__ == "__main__":
    main()
