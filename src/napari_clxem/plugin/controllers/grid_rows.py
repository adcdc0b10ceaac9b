"""What the Session dock shows of a grid, as text: pure functions of the document."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np

from napari_clxem.io.image import SPATIAL
from napari_clxem.plugin.controllers.positions import View, default_frame, route
from napari_clxem.session import Session, Store
from napari_clxem.session.differences import orientation_text
from napari_clxem.session.extents import axes_of, middle
from napari_clxem.session.geometry import graph, problems
from napari_clxem.session.model import Dataset, Site, SiteStatus
from napari_clxem.session.summary import nanometres

Kind = Literal["grid", "site", "dataset"]

# A symbol besides the word: the states are told apart in any colour.
STATUS: Mapping[SiteStatus, str] = MappingProxyType(
    {"candidate": "○", "imaged": "◐", "x-rayed": "●", "milled": "◆", "lost": "✕"}
)
MISSING = "⚠ missing"
SMALL = "▫ small picture"
REFERENCE = "reference"
NOT_LINKED = "not linked"
NO_SCALE = "no pixel size"
WAITING = "…"


@dataclass(frozen=True)
class GridRow:
    """One line of the tree.

    Parameters
    ----------
    kind : {"grid", "site", "dataset"}
        What it stands for.
    id : str
        Id of it; empty for the grid.
    cells : tuple of str
        Name; modality or status; predicted error in the plane.
    tip : str
        Tooltip.
    rows : tuple of GridRow
        Lines below it.
    """

    kind: Kind
    id: str
    cells: tuple[str, str, str]
    tip: str = ""
    rows: tuple[GridRow, ...] = ()


@dataclass(frozen=True)
class Quality:
    """How well an image is placed in the frame its site is shown in.

    Parameters
    ----------
    text : str
        The predicted error at its middle, or why there is none.
    tip : str
        What that means.
    """

    text: str
    tip: str


def quality(session: Session, dataset: Dataset, view: View) -> Quality:
    """Say how well the middle of an image is placed in the reference frame of its site.

    Parameters
    ----------
    session : Session
        The document.
    dataset : Dataset
        One of its datasets.
    view : View
        What is shown: its frame is the reference of the site shown.
    """
    here = view.frame and view.site == dataset.site
    frame = view.frame if here else default_frame(session, dataset.site)
    spot = middle(session, dataset)
    if spot is None:
        return Quality(NO_SCALE, "Give its pixel size below: until then it is not placed.")
    if dataset.frame == frame:
        return Quality(REFERENCE, "The other images of the site are placed in its frame.")
    way = route(session, dataset, frame)
    if way is None:
        return Quality(NOT_LINKED, f"No links lead to {frame}: link it automatically or by hand.")
    place = spot[np.newaxis]
    whose, where = "its middle", frame
    if axes_of(session, dataset.frame) == 2 and axes_of(session, frame) == 3:
        # A view does not tell how deep its middle lies; what lies there is seen in it all the same.
        place = way.transform(place)
        way = graph(session).transform(frame, dataset.frame, place)
        whose, where = f"what of {frame} is seen in its middle", dataset.frame
    error = nanometres(float(np.sqrt(np.trace(way.predict_error(place)[0][-2:, -2:]))))
    return Quality(
        f"±{error}",
        f"Predicted error of {whose}, in the plane of {where}: ±{error} "
        f"(root mean square), by way of {' – '.join(way.frames)}",
    )


def grid_row(
    session: Session, qualities: Mapping[str, Quality], missing: Mapping[str, str]
) -> GridRow:
    """Give the tree of a session.

    Parameters
    ----------
    session : Session
        The document.
    qualities : mapping
        By id of dataset, as far as known.
    missing : mapping
        Id of a dataset whose file is not there to what is shown of it.
    """
    sites = tuple(_site_row(session, site, qualities, missing) for site in session.sites)
    maps = _dataset_rows(session, None, qualities, missing)
    grid = session.grid
    facts = [f"Type: {grid.type}" if grid.type else "", f"Marks: {grid.finder_marks}"]
    return GridRow(
        kind="grid",
        id="",
        cells=(grid.name or session.name or "Grid", f"{len(session.sites)} sites", ""),
        tip="\n".join(one for one in facts if one and not one.endswith(" ")),
        rows=(*maps, *sites),
    )


def _site_row(
    session: Session, site: Site, qualities: Mapping[str, Quality], missing: Mapping[str, str]
) -> GridRow:
    targets = sum(one.site == site.id for one in session.targets)
    rows = _dataset_rows(session, site.id, qualities, missing)
    lost = sum(missing.get(row.id) == MISSING for row in rows)
    return GridRow(
        kind="site",
        id=site.id,
        cells=(
            site.name or site.id,
            f"{STATUS[site.status]} {site.status}",
            f"⚠ {lost} missing" if lost else "",
        ),
        tip=f"{targets} target{'' if targets == 1 else 's'}; double-click to show it",
        rows=rows,
    )


def _dataset_rows(
    session: Session,
    site: str | None,
    qualities: Mapping[str, Quality],
    missing: Mapping[str, str],
) -> tuple[GridRow, ...]:
    rows = []
    for dataset in session.datasets:
        if dataset.site != site:
            continue
        known = qualities.get(dataset.id, Quality(WAITING, ""))
        lost = missing.get(dataset.id)
        tip = [dataset.file.path, facts(dataset), known.tip]
        if lost:
            tip.insert(0, "Its file is missing: relink missing files.")
        rows.append(
            GridRow(
                kind="dataset",
                id=dataset.id,
                cells=(dataset.name or dataset.id, lost or dataset.modality or "–", known.text),
                tip="\n".join(one for one in tip if one),
            )
        )
    return tuple(rows)


def facts(dataset: Dataset) -> str:
    """Write size, pixel size and orientation of an image in one line."""
    size = " × ".join(str(n) for n in dataset.shape)
    pixel = " × ".join(f"{one:.4g}" for one in dataset.scale or ())
    turn = turn_text(dataset)
    parts = (f"{size} pixels" if size else "", f"{pixel} µm" if pixel else NO_SCALE, turn)
    return " · ".join(one for one in parts if one)


def turn_text(dataset: Dataset) -> str:
    """Say how the stored axes become those of the frame; empty where they are left as they are."""
    natural = tuple(axis for axis in dataset.axes if axis in SPATIAL)
    turn = dataset.orientation
    if turn.axes in ((), natural) and not turn.flip:
        return ""
    return f"stored as {orientation_text(turn)}"


def headline(store: Store) -> str:
    """Name the session, and say where it is kept and whether that is up to date."""
    session = store.session
    if not session.datasets and not session.sites:
        return (
            "No grid yet. Open a session or a folder above, drop image files onto the canvas, "
            "or try File ▸ Open Sample ▸ CLXEM."
        )
    name = session.name or "Unnamed session"
    if store.path is None:
        return f"{name}\nnot saved yet"
    return f"{name}\n{store.path.name} {'· unsaved steps' if store.dirty else '· saved'}"


def link_troubles(session: Session) -> tuple[str, ...]:
    """Say of each link that takes no part why not."""
    said = problems(session)
    names = {one.id: f"{one.moving} → {one.fixed}" for one in session.links}
    return tuple(f"{names[name]}: {why}" for name, why in said.items())
