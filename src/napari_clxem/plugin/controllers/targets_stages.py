"""Where fields and targets are on the stage of an instrument, and fields as a stage list."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from napari_clxem.errors import WriteError
from napari_clxem.io.exchange import Entry, write_list
from napari_clxem.lamella import FieldRecord
from napari_clxem.plugin.controllers.targets_sites import judged
from napari_clxem.session.extents import spatial
from napari_clxem.session.geometry import place
from napari_clxem.session.model import Dataset, Session, Target

# Stages that milling is done on, in the order they are asked for.
STAGES = ("fib", "sem")


def stage_frame(session: Session, modalities: Sequence[str] = STAGES) -> str:
    """Find the frame of the stage that images of some modality were taken on; empty for none."""
    for modality in modalities:
        frames = {one.frame for one in session.datasets if one.modality == modality}
        for link in session.links:
            if link.kind == "stage" and link.moving in frames:
                return link.fixed
    return ""


def stage_height(session: Session, stage: str) -> float:
    """Give the height at which a map was taken on a stage, µm; nan where none says."""
    frames = [one.moving for one in session.links if one.kind == "stage" and one.fixed == stage]
    known = [one.stage for one in session.datasets if one.frame in frames and one.site is None]
    heights = [one.position[0] for one in known if one is not None]
    return next((z for z in heights if np.isfinite(z)), float("nan"))


def write_fields(path: str | Path, session: Session) -> str:
    """Write the planned fields as a list (CSV): in pixels of the map, and on the stage.

    Parameters
    ----------
    path : str or Path
    session : Session

    Returns
    -------
    str
        What was written, for people.

    Raises
    ------
    WriteError
        Where no field is planned, or the file cannot be written.
    """
    planned = [one for one in session.fields if one.status == "planned"]
    if not planned:
        raise WriteError("No field is planned; press Propose sites first.")
    lines, stages = [], set()
    for record in planned:
        map_ = next((one for one in session.datasets if one.frame == record.frame), None)
        stage = stage_frame(session, (map_.modality if map_ else "", "vlm", "sxt"))
        lines.append(field_entry(session, record, map_, stage))
        stages.add(stage if lines[-1].stage else "")
    write_list(lines, path)
    named = " and ".join(sorted(filter(None, stages)))
    where = f"on {named}" if named else "in pixels only: no link leads to a stage"
    return f"{len(lines)} fields written to {Path(path).name}, {where}."


def field_entry(session: Session, record: FieldRecord, map_: Dataset | None, stage: str) -> Entry:
    """Give the line of one field: in pixels of its map, and on a stage."""
    centre = Target(id="-", frame=record.frame, position=record.centre)
    spot = place(session, centre, stage) if stage else None
    height = stage_height(session, stage)
    known = spatial(map_) if map_ else None
    found = judged(session, record)
    notes = (f"{found.beads} beads.", *found.notes) if found else ()
    sites = {one.id: one.name or one.id for one in session.sites}
    sd = record.pointing
    return Entry(
        name=record.name or record.id,
        kind="field",
        site=sites.get(record.site or "", ""),
        stage=(height, spot.position[-2], spot.position[-1])
        if spot is not None and np.isfinite(height)
        else None,
        image=map_.name if map_ else "",
        pixel=(record.centre[0] / known[1][-2], record.centre[1] / known[1][-1]) if known else None,
        width=record.optics.size[1],
        length=record.optics.size[0],
        sd=None if sd is None else (sd, sd),
        note=" ".join(notes),
    )
