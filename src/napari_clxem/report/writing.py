"""The report as one file: every chapter, written at one stroke."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from napari_clxem.dose import Budget, budget
from napari_clxem.errors import SessionError, WriteError
from napari_clxem.io.exchange.text import write_text
from napari_clxem.io.image import OpenedImage
from napari_clxem.report.doses import doses
from napari_clxem.report.files import files
from napari_clxem.report.head import head, title_of
from napari_clxem.report.lamellae import overlaps, plans
from napari_clxem.report.links import links, not_reached, sites
from napari_clxem.report.markup import page
from napari_clxem.report.methods import methods
from napari_clxem.report.overview import overview
from napari_clxem.report.pictures import pictures
from napari_clxem.report.subject import Opener, Progress, Subject
from napari_clxem.report.targets import targets
from napari_clxem.report.tomograms import tomograms
from napari_clxem.session.checks import check
from napari_clxem.session.model import Dataset, Session
from napari_clxem.session.opening import open_dataset
from napari_clxem.session.pictures import stand_in
from napari_clxem.session.relinking import missing_files

CHAPTERS: tuple[Callable[[Subject], object], ...] = (
    head,
    overview,
    sites,
    pictures,
    links,
    not_reached,
    targets,
    plans,
    overlaps,
    tomograms,
    doses,
    methods,
    files,
)
SUFFIXES = (".html", ".htm")
# Full period that doses are held against unless another is asked for, Å.
RESOLUTION = 20.0


def write_report(
    session: Session,
    path: str | Path,
    *,
    home: str | Path | None = None,
    opened: Opener | None = None,
    frame: str = "",
    limit: Budget | None = None,
    made: datetime | None = None,
    progress: Progress | None = None,
) -> Path:
    """Write all that a session knows of its grid as one HTML file to be read and printed.

    Nothing is fetched when it is opened: pictures and drawings are in the file. What the session
    does not hold, and images that cannot be read, are said in one sentence each.

    Parameters
    ----------
    session : Session
        The document.
    path : str or Path
        The file to write; ``.html`` is added where the name does not end so. One that is there is
        replaced at one stroke, and stays as it is where anything goes wrong.
    home : str or Path, optional
        The session file: small pictures beside it stand in for images that are not here.
    opened : callable, optional
        Gives the opened image of a dataset; by default its file is opened.
    frame : str
        Frame in which the overview is drawn and doses are added up; by default that of the widest
        map of the grid among those that most targets and exposures can be placed in.
    limit : Budget, optional
        What doses are held against, and the material they are stated for; by default 20 Å in
        ``"cell"`` at 300 kV, as in the Dose dock.
    made : datetime, optional
        Date to be printed; now by default.
    progress : callable, optional
        Called with the share done and what comes next; an exception it raises ends the report,
        and nothing is written.

    Returns
    -------
    Path
        The file.

    Raises
    ------
    SessionError
        Where the session does not make sense, or has no such frame.
    WriteError
        Where the file cannot be written.
    """
    check(session)
    names = [one.name for one in session.frames]
    if frame and frame not in names:
        raise SessionError(f"There is no frame {frame!r}; there are {', '.join(names) or 'none'}.")
    place = Path(path).expanduser().absolute()
    if place.suffix.lower() not in SUFFIXES:
        place = place.with_name(f"{place.name}.html")
    if not place.parent.is_dir():
        raise WriteError(f"There is no folder {place.parent}; choose another, or make it first.")
    file = None if home is None else Path(home).expanduser().absolute()
    count = _Count(session, progress)
    subject = Subject(
        session=session,
        opened=opened or _opener(session, file),
        limit=limit or budget(RESOLUTION),
        made=made or datetime.now().astimezone(),
        home=file,
        wanted=frame,
        step=count,
    )
    text = page(f"Report on {title_of(session)}", *(chapter(subject) for chapter in CHAPTERS))
    count("writing it")
    # names of files may hold what no encoding knows
    write_text(place, text.encode("utf-8", "replace").decode("utf-8"))
    if progress is not None:
        progress(1.0, "done")
    return place


class _Count:
    """Turns steps into the share done, by how many there are about to be."""

    def __init__(self, session: Session, progress: Progress | None) -> None:
        sites, images = len(session.sites), len(session.datasets)
        self._steps = 8 + 2 * images + sites * 4 + len(session.targets) + 2 * len(session.lamellae)
        self._done = 0
        self._progress = progress

    def __call__(self, text: str) -> None:
        if self._progress is not None:
            self._progress(min(0.99, self._done / self._steps), text)
        self._done += 1


def _opener(session: Session, home: Path | None) -> Opener:
    """Open images by their files, or what is kept of those that are not here."""

    def opened(dataset: Dataset) -> OpenedImage:
        base = None if home is None else home.parent
        if missing_files(replace(session, datasets=(dataset,)), base):
            small = stand_in(home, session, dataset)
            if small is not None:
                return small
        return open_dataset(base or dataset.file.folder or ".", dataset)

    return opened
