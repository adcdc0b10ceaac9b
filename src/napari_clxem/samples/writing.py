"""Writing a whole sample grid into a folder, each image in the format its microscope uses."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from napari_clxem.errors import ClxemError
from napari_clxem.samples import light, scanning, xray_views
from napari_clxem.samples.files_mrc import autodoc, write_mrc
from napari_clxem.samples.files_tiff import (
    OmeChannel,
    OmeImage,
    ThermoImage,
    write_imagej,
    write_ome,
    write_thermo,
)
from napari_clxem.samples.lamella_map import lamella_map
from napari_clxem.samples.picks import all_picks
from napari_clxem.samples.poses import MILLING_ANGLE, Layout, Pose, make_layout
from napari_clxem.samples.records import (
    file_of,
    grid_record,
    landmark_file,
    landmark_text,
    truth_record,
)
from napari_clxem.samples.scene import Scene, make_scene
from napari_clxem.samples.sizes import find_size

Progress = Callable[[int, int, str], None]
SEED = 1
_AIR = (
    ("Model", "50x cryo"),
    ("NominalMagnification", "50"),
    ("LensNA", "0.9"),
    ("Immersion", "Air"),
)
# Angle from the TEM's stage x axis to the columns of its camera, degrees.
CAMERA_ANGLE = 84.3


def _stage(pose: Pose) -> tuple[float, float, float]:
    return (float(pose.stage[0]), float(pose.stage[1]), float(pose.stage[2]))


def write_confocal(path: Path, scene: Scene, pose: Pose) -> None:
    """Write a confocal stack as OME-TIFF."""
    channels = tuple(
        OmeChannel(d.name, d.dye, d.colour, d.excitation, d.emission) for d in light.DYES
    )
    image = OmeImage(
        name=pose.name,
        spacing=pose.spacing,
        stage=_stage(pose),
        channels=channels,
        description="Cryo confocal stack, simulated. z is the position of the stage.",
        microscope=(("Manufacturer", "Leica"), ("Model", "TCS SP8 CRYO"), ("Type", "Upright")),
        objective=_AIR,
    )
    write_ome(path, light.confocal_stack(scene, pose), image)


def write_fluorescence_map(path: Path, scene: Scene, pose: Pose) -> None:
    """Write the widefield map as OME-TIFF."""
    image = OmeImage(
        name=pose.name,
        spacing=pose.spacing,
        stage=_stage(pose),
        channels=(
            OmeChannel("beads", "FluoSpheres yellow-green", "#20ff40", 488, 515),
            OmeChannel("reflection", "", "#ffffff"),
        ),
        description="Widefield map of one grid square, simulated.",
        microscope=(("Manufacturer", "Leica"), ("Model", "TCS SP8 CRYO"), ("Type", "Upright")),
        objective=_AIR,
    )
    write_ome(path, light.fluorescence_map(scene, pose), image)


def write_vlm(path: Path, scene: Scene, pose: Pose) -> None:
    """Write the in-line VLM map as ImageJ TIFF."""
    info = "In-line visible-light microscope, fluorescence, simulated. Objective 20x NA 0.42 air."
    write_imagej(path, light.vlm_map(scene, pose), pose.spacing[0], info)


def write_mosaic(path: Path, scene: Scene, pose: Pose) -> None:
    """Write the SXT mosaic as OME-TIFF."""
    image = OmeImage(
        name=pose.name,
        spacing=pose.spacing,
        stage=_stage(pose),
        channels=(OmeChannel("transmission"),),
        description="Soft X-ray mosaic, 520 eV, 1 s per tile, stitched; simulated.",
    )
    write_ome(path, xray_views.mosaic(scene, pose), image)


def write_tomogram(path: Path, scene: Scene, pose: Pose) -> None:
    """Write an SXT tomogram as MRC with y slowest, as some reconstruction programs do."""
    binning = round(pose.spacing[0] / 0.013)
    signed = pose.site != "B"
    zero = xray_views.LAC_ZERO - (128 if signed else 0)
    title = (
        f"SXT 520 eV, tilts -65 to 65 by 1, 13 nm x {binning}; "
        f"LAC = {xray_views.LAC_STEP}/um (value - {zero})"
    )
    spacing = (pose.spacing[0], pose.spacing[1], pose.spacing[2])
    write_mrc(path, xray_views.tomogram(scene, pose), spacing, title, "yzx", signed)


def _thermo(pose: Pose, beam: str, voltage: int, current: float, tilt: float) -> ThermoImage:
    """Sections of a dual-beam file; stage x and y in metres with y up, tilt in radians."""
    rows, columns = pose.shape
    metres = pose.spacing[0] * 1e-6
    stage = {
        "StageX": f"{pose.stage[2] * 1e-6:.9f}",
        "StageY": f"{-pose.stage[1] * 1e-6:.9f}",
        "StageZ": f"{pose.stage[0] * 1e-6:.9f}",
        "StageR": "0",
        "StageT": f"{np.deg2rad(tilt):.6f}",
        "StageTb": "0",
    }
    column: dict[str, Any] = {
        "Source": "FEG" if beam == "EBeam" else "Gallium",
        "HV": voltage,
        "HFW": f"{metres * columns:.6e}",
        "VFW": f"{metres * rows:.6e}",
        "WD": "0.004" if beam == "EBeam" else "0.0165",
        "BeamCurrent": f"{current:.3e}",
        "ScanRotation": 0,
    }
    scan = "EScan" if beam == "EBeam" else "IScan"
    return ThermoImage(
        pose.spacing[0],
        {
            "User": {"User": "simulated"},
            "System": {"Type": "DualBeam", "SystemType": "Aquilos 2 (simulated)"},
            "Beam": {"HV": voltage, "ScanRotation": 0, "Beam": beam, "Scan": scan},
            beam: column | stage,
            "Scan": {"InternalScan": "true", "Dwelltime": "1e-06"},
            "Stage": stage,
            "Image": {"DigitalContrast": 1, "DigitalBrightness": 0, "DigitalGamma": 1},
            "Detectors": {"Number": 1, "Name": "ETD", "Mode": "SecondaryElectrons"},
        },
    )


def write_sem(path: Path, scene: Scene, pose: Pose) -> None:
    """Write the SEM overview as Thermo TIFF: the shuttle faces the electron column."""
    write_thermo(
        path, scanning.sem_overview(scene, pose), _thermo(pose, "EBeam", 2000, 1.3e-11, 45.0)
    )


def write_fib(path: Path, scene: Scene, pose: Pose) -> None:
    """Write a FIB view as Thermo TIFF: milling angle = stage tilt - 7 degrees."""
    image = _thermo(pose, "IBeam", 30000, 1.0e-11, MILLING_ANGLE + 7.0)
    write_thermo(path, scanning.fib_view(scene, pose), image)


def write_tem(path: Path, scene: Scene, pose: Pose, layout: Layout) -> None:
    """Write a lamella map as MRC with its mdoc."""
    assert pose.site is not None
    data = lamella_map(scene, pose, layout.lamellae[pose.site])
    pixel = pose.spacing[0]
    title = "TEM lamella map, 300 kV, 8700x, simulated"
    write_mrc(path, data, (pixel, pixel, pixel), title, signed=pose.site != "B")
    binning = round(pixel / 0.001477)
    head = {
        "PixelSpacing": pixel * 1e4,
        "Voltage": 300,
        "ImageFile": path.name,
        "ImageSize": (pose.shape[1], pose.shape[0]),
        "DataMode": 0,
    }
    headline: tuple[str, str, dict[str, Any]] = ("T", "SerialEM: simulated lamella map", {})
    section = {
        "TiltAngle": -MILLING_ANGLE,
        "StagePosition": _tem_stage(pose),
        "StageZ": round(float(pose.stage[0]), 3),
        "Magnification": 8700,
        "Intensity": 0.12,
        "ExposureDose": 0.08,
        "PixelSpacing": pixel * 1e4,
        "SpotSize": 7,
        "Defocus": -50.0,
        "RotationAngle": CAMERA_ANGLE,
        "ExposureTime": 1.0,
        "Binning": binning,
        "CountsPerElectron": 0,
        "TargetDefocus": -50.0,
    }
    text = autodoc(head, (headline, ("ZValue", "0", section)))
    path.with_name(path.name + ".mdoc").write_text(text, encoding="ascii", newline="\n")


def _tem_stage(pose: Pose) -> tuple[float, float]:
    """Stage (X, Y) of a TEM map, µm: right-handed axes turned against the camera."""
    x, y = tem_stage_axes() @ [pose.stage[2], pose.stage[1]]
    return (round(float(x), 3), round(float(y), 3))


def tem_stage_axes() -> np.ndarray[Any, np.dtype[np.float64]]:
    """Matrix (2, 2) from image directions (x, y down) to stage (X, Y): a reflection, as y is up."""
    cos, sin = np.cos(np.deg2rad(CAMERA_ANGLE)), np.sin(np.deg2rad(CAMERA_ANGLE))
    return np.array([[cos, -sin], [sin, cos]]) @ np.diag([1.0, -1.0])


def navigator(poses: list[Pose]) -> str:
    """Write a SerialEM navigator with a map item per TEM map.

    A stage point S lies at pixel M (S - StageXYZ) + (W, H)/2, y down, M = MapScaleMat.
    """
    sections: list[tuple[str, str, dict[str, Any]]] = []
    for number, pose in enumerate(poses, start=1):
        rows, columns = pose.shape
        scale = np.linalg.inv(tem_stage_axes()) / pose.spacing[0]
        stage = np.array(_tem_stage(pose))
        corners = np.array([[0, 0], [columns, 0], [columns, rows], [0, rows], [0, 0]], float)
        outline = (corners - [columns / 2, rows / 2]) @ np.linalg.inv(scale).T + stage
        sections.append(
            (
                "Item",
                f"{number}-{pose.site}",
                {
                    "Color": 2,
                    "StageXYZ": (*stage, round(float(pose.stage[0]), 3)),
                    "NumPts": 5,
                    "Regis": 1,
                    "Type": 2,
                    "Note": f"lamella {pose.site}",
                    "MapFile": Path(file_of(pose)).name,
                    "MapID": 1000 + number,
                    "MapMontage": 0,
                    "MapSection": 0,
                    "MapBinning": round(pose.spacing[0] / 0.001477),
                    "MapMagInd": 20,
                    "MapCamera": 0,
                    "MapScaleMat": tuple(scale.ravel()),
                    "MapWidthHeight": (columns, rows),
                    "MapExposure": 1.0,
                    "MapTiltAngle": -MILLING_ANGLE,
                    "PtsX": tuple(np.round(outline[:, 0], 4)),
                    "PtsY": tuple(np.round(outline[:, 1], 4)),
                },
            )
        )
    return autodoc({"AdocVersion": "2.00", "LastSavedAs": "tem.nav"}, sections)


def _write_dataset(folder: Path, scene: Scene, layout: Layout, pose: Pose) -> None:
    path = folder / file_of(pose)
    writers: dict[str, Callable[[Path, Scene, Pose], None]] = {
        "confocal": write_confocal,
        "fluorescence": write_fluorescence_map,
        "vlm": write_vlm,
        "sem": write_sem,
        "fib": write_fib,
        "sxt": write_mosaic if pose.ndim == 2 else write_tomogram,
    }
    if pose.modality == "tem":
        write_tem(path, scene, pose, layout)
    else:
        writers[pose.modality](path, scene, pose)


def _write_json(path: Path, record: dict[str, Any]) -> None:
    text = json.dumps(record, indent=1, ensure_ascii=False)
    path.write_text(text + "\n", encoding="utf-8", newline="\n")


def write_grid(
    folder: str | os.PathLike[str],
    seed: int = SEED,
    size: str = "shipped",
    progress: Progress | None = None,
) -> Path:
    """Render a sample grid and write it.

    Parameters
    ----------
    folder : path
        Where to; it is made. Files of the same names are replaced.
    seed : int
        Same seed and size, same bytes (with the same versions of the libraries).
    size : str
        ``"shipped"`` (about 15 MB), ``"tiny"`` for tests or ``"large"``.
    progress : callable, optional
        Called as ``progress(done, total, name)`` after each dataset.

    Returns
    -------
    Path
        The folder.

    Raises
    ------
    ClxemError
        Where the size is unknown or the folder cannot be written.
    """
    folder = Path(folder)
    chosen = find_size(size)
    scene = make_scene(seed)
    layout = make_layout(scene, chosen)
    picks = all_picks(scene, layout)
    poses = list(layout.poses.values())
    try:
        for name in {Path(file_of(pose)).parent for pose in poses} | {Path("landmarks")}:
            (folder / name).mkdir(parents=True, exist_ok=True)
        for done, pose in enumerate(poses, start=1):
            _write_dataset(folder, scene, layout, pose)
            if progress is not None:
                progress(done, len(poses), pose.name)
        maps = [pose for pose in poses if pose.modality == "tem"]
        (folder / "tem" / "tem.nav").write_text(navigator(maps), encoding="ascii", newline="\n")
        for item in picks:
            path = folder / landmark_file(item)
            path.write_text(landmark_text(item), encoding="utf-8", newline="\n")
        _write_json(folder / "grid.json", grid_record(scene, layout, picks))
        _write_json(folder / "truth.json", truth_record(scene, layout))
    except OSError as error:
        raise ClxemError(
            f"The sample grid could not be written to {folder} ({error.strerror}); choose a "
            "folder that you may write to, on a disk with 50 MB to spare."
        ) from error
    return folder
