"""What is told about a sample grid: `grid.json` for users, `truth.json` for tests only."""

from __future__ import annotations

from typing import Any

import numpy as np

from napari_clxem.samples.picks import Picks, suggestions
from napari_clxem.samples.points import HEIGHTS
from napari_clxem.samples.poses import MILLING_ANGLE, TRUE_ZETA, Layout, Pose
from napari_clxem.samples.scene import Scene
from napari_clxem.samples.visibility import lookalikes, visible_beads
from napari_clxem.samples.xray_views import ENERGY, TILT_RANGE

NOTICE = (
    "The truth behind this synthetic grid. Only tests and benchmarks may read this file: "
    "a method that looks here has measured nothing."
)
INSTRUMENTS = {
    "confocal": "cryo confocal and widefield fluorescence, objective 50x NA 0.9 air",
    "vlm": "visible-light microscope in line with the X-ray microscope",
    "sxt": "soft X-ray transmission microscope, 520 eV",
    "fib-sem": "dual-beam FIB-SEM with 45 degree shuttle",
    "tem": "300 kV transmission electron microscope",
}


def file_of(pose: Pose) -> str:
    """Path of a dataset's file within the folder of the grid, POSIX."""
    return {
        "confocal": f"confocal/stack-{pose.site}.ome.tif",
        "fluorescence": "confocal/map.ome.tif",
        "vlm": "vlm/map.tif",
        "sem": "sem/overview.tif",
        "fib": f"fib/site-{pose.site}.tif",
        "tem": f"tem/lamella-{pose.site}.mrc",
        "sxt": "sxt/mosaic.ome.tif" if pose.ndim == 2 else f"sxt/tomogram-{pose.site}.rec",
    }[pose.modality]


def landmark_file(picks: Picks) -> str:
    """Path of a landmark file within the folder of the grid, POSIX."""
    return f"landmarks/{picks.fixed_frame}.csv"


def acquisition(pose: Pose) -> dict[str, Any]:
    """How a dataset was taken, as a user would note it; units in the names."""
    kinds: dict[str, dict[str, Any]] = {
        "confocal": {"objective_na": 0.9, "immersion": "air", "magnification": 50},
        "fluorescence": {"objective_na": 0.9, "immersion": "air", "magnification": 50},
        "vlm": {"objective_na": 0.42, "immersion": "air", "magnification": 20},
        "sem": {"voltage_kv": 2, "current_pa": 13, "dwell_us": 1},
        "fib": {"voltage_kv": 30, "current_pa": 10, "milling_angle_deg": MILLING_ANGLE},
        "tem": {"voltage_kv": 300, "magnification": 8700, "fluence_e_per_A2": 0.08},
    }
    if pose.modality != "sxt":
        return kinds[pose.modality]
    common: dict[str, Any] = {"energy_ev": ENERGY, "exposure_s": 1}
    if pose.ndim == 2:
        return common
    return common | {
        "tilt_first_deg": -TILT_RANGE,
        "tilt_last_deg": TILT_RANGE,
        "tilt_step_deg": 1,
        "field_um": 13.0,
        "pixel_nm": 13,
        "binning": round(pose.spacing[0] / 0.013),
        "fluence_photons_per_um2": 0.86e10,
    }


def _rounded(values: Any, digits: int = 6) -> Any:
    return np.round(np.asarray(values, float), digits).tolist()


def _dataset(pose: Pose) -> dict[str, Any]:
    record: dict[str, Any] = {
        "name": pose.name,
        "file": file_of(pose),
        "modality": pose.modality,
        "site": pose.site,
        "frame": pose.name,
        "ndim": pose.ndim,
        "axial_scaling": pose.axial_scaling,
    }
    if pose.ndim == 2:
        record["z"] = list(HEIGHTS[pose.modality])
    if pose.modality == "sxt" and pose.ndim == 3:
        record["stage"] = _rounded(pose.stage, 3)
    return record | {"acquisition": acquisition(pose)}


def grid_record(scene: Scene, layout: Layout, picks: tuple[Picks, ...]) -> dict[str, Any]:
    """Say what a user of this grid knows: files, frames, landmarks, first targets; no truth."""
    poses = layout.poses.values()
    return {
        "format": "clxem-sample-grid",
        "version": 1,
        "name": f"Sample grid {scene.seed}",
        "grid": {
            "name": f"Sample grid {scene.seed}",
            "type": f"200 mesh gold, holey carbon R{scene.film.hole:g}/"
            f"{scene.film.pitch - scene.film.hole:g}, simulated",
            "bar_pitch": scene.mesh.pitch,
            "hole_pitch": scene.film.pitch,
        },
        "sites": [{"name": site.name, "status": site.status} for site in scene.sites],
        "datasets": [_dataset(pose) for pose in poses],
        "landmarks": [
            {
                "file": landmark_file(item),
                "moving": item.moving_frame,
                "fixed": item.fixed_frame,
                "model": item.model,
                "note": f"Simulated human picks: {item.note}.",
            }
            for item in picks
        ],
        "instruments": [
            {
                "name": name,
                "note": note,
                "frames": [pose.name for pose in poses if pose.instrument == name],
            }
            for name, note in INSTRUMENTS.items()
        ],
        "targets": [
            {
                "name": item.name,
                "site": item.site,
                "frame": item.frame,
                "position": _rounded(item.position, 3),
                "sigma": list(item.sd),
                "radius": item.radius,
            }
            for item in suggestions(scene, layout)
        ],
    }


def truth_record(scene: Scene, layout: Layout) -> dict[str, Any]:
    """Say everything: true matrices, beads, targets, lamellae, and what each dataset shows."""
    frames = {}
    for name, pose in layout.poses.items():
        false = lookalikes(scene, pose)
        frames[name] = {
            "ndim": pose.ndim,
            "instrument": pose.instrument,
            "site": pose.site,
            "from_grid": _rounded(pose.from_grid, 9),
            "spacing": list(pose.spacing),
            "shape": list(pose.shape),
            "beads": visible_beads(scene, pose).tolist(),
            "spurious": _rounded(pose.project(false.centres)),
        }
    return {
        "notice": NOTICE,
        "seed": scene.seed,
        "axes": ["z", "y", "x"],
        "unit": "um",
        "frames": frames,
        "axial_scaling": TRUE_ZETA,
        "beads": [
            {
                "id": index,
                "position": _rounded(scene.beads.centres[index]),
                "radius": round(float(scene.beads.radii[index]), 6),
                "fluorescent": bool(scene.beads.fluorescent[index]),
            }
            for index in range(len(scene.beads))
        ],
        "targets": [
            {
                "id": target.id,
                "site": target.site,
                "position": _rounded(target.position),
                "radius": round(target.radius, 6),
            }
            for target in scene.targets
        ],
        "lamellae": [
            {
                "site": lamella.site,
                "frame": f"tem-{lamella.site}",
                "centre": _rounded(lamella.centre),
                "normal": _rounded(lamella.normal, 9),
                "along": _rounded(lamella.along, 9),
                "across": _rounded(lamella.across, 9),
                "angle": lamella.angle,
                "thickness": lamella.thickness,
                "width": round(lamella.width, 6),
                "length": round(lamella.length, 6),
            }
            for lamella in layout.lamellae.values()
        ],
    }


def landmark_text(picks: Picks) -> str:
    """Write landmarks as CSV, µm, blank where a frame has no z."""
    lines = [
        f"# Simulated human picks ({picks.note}); not measured on real data.",
        "id,moving_z,moving_y,moving_x,fixed_z,fixed_y,fixed_x,moving_sigma,fixed_sigma",
    ]
    for index, name in enumerate(picks.ids):
        moving = [f"{value:.4f}" for value in picks.moving[index]]
        fixed = ["", *(f"{value:.4f}" for value in picks.fixed[index])]
        sd = [
            " ".join(f"{value:.3f}" for value in values[index])
            for values in (picks.moving_sd, picks.fixed_sd)
        ]
        lines.append(",".join([name, *moving, *fixed, *sd]))
    return "\n".join(lines) + "\n"
