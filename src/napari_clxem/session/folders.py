"""A grid proposed from a folder: what is there, what it seems to be, and what could not be read.

The proposal is shown, corrected by the user, and only then becomes a session.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from types import MappingProxyType

from napari_clxem.errors import ClxemError, ReadError
from napari_clxem.io.image import SPATIAL
from napari_clxem.session.description import OBLIQUE, describe, stage_map, with_stage
from napari_clxem.session.guesses import guess_modality, guess_site
from napari_clxem.session.model import Dataset, Frame, Grid, Session, Site, SiteStatus
from napari_clxem.session.opening import dataset_from_file

Progress = Callable[[float, str], None]

# A folder of more files than this is a disk, not a grid.
MOST_FILES = 5000
DESCRIPTION = "grid.json"
SESSION = ".clxem.json"
# Height of what a plane shows: cells on the film are a few µm thick, (mean, sd) µm.
FILM = (0.0, 2.0)
# Files that are looked into whatever their first bytes are.
IMAGES = re.compile(
    "tiff?|mrcs?|map|rec|st|ali|preali|lif|xlef|lof|nd2|czi|t?xrm|h5|hdf5|nxs|dm3|dm4|zarr"
)
# Files that belong to an image or to the session, and are no image of their own.
COMPANIONS = re.compile("mdoc|nav|idoc|bak|journal|kept|lock|tmp|xf|tlt|rawtlt|aln|com|mod")
# Names that programs give by default.
_MEANINGLESS = re.compile(r"(?i)(image|series|untitled|stack|new)[ _#:]*\d*")
INSTRUMENTS: Mapping[str, str] = MappingProxyType(
    {
        "confocal": "light microscope",
        "fluorescence": "light microscope",
        "vlm": "in-line light microscope",
        "sxt": "X-ray microscope",
        "sem": "FIB-SEM",
        "fib": "FIB-SEM",
        "tem": "TEM",
    }
)
# How far a site has come, by what was taken of it, the last first.
_REACHED: tuple[tuple[str, SiteStatus], ...] = (
    ("tem", "milled"),
    ("sxt", "x-rayed"),
    ("confocal", "imaged"),
    ("fluorescence", "imaged"),
)


@dataclass(frozen=True)
class Unread:
    """A file that could not be taken, and why."""

    path: Path
    reason: str


@dataclass(frozen=True)
class Entry:
    """One image of the folder.

    Parameters
    ----------
    dataset : Dataset
        As its file says; without modality, site and frame, which stand beside it.
    modality : str
        Guessed; empty where nothing tells.
    site : str
        Name of the site; empty for the grid as a whole.
    modality_reason, site_reason : str
        What the guesses rest on.
    use : bool
        Whether it goes into the session.
    """

    dataset: Dataset
    modality: str
    site: str
    modality_reason: str = ""
    site_reason: str = ""
    use: bool = True

    @property
    def id(self) -> str:
        """Id of the dataset."""
        return self.dataset.id

    @property
    def ndim(self) -> int:
        """Number of spatial axes."""
        return sum(axis in SPATIAL for axis in self.dataset.axes)


@dataclass(frozen=True)
class Proposal:
    """What a folder seems to hold.

    Parameters
    ----------
    folder : Path
        The folder.
    entries : tuple of Entry
        Images that can be opened.
    unread : tuple of Unread
        Files that look like images and could not be taken, with the reason.
    others : tuple of Path
        Files that are no images; landmark files among them are imported at their link.
    sessions : tuple of Path
        Session files that lie in the folder already.
    described : Session or None
        What the folder's ``grid.json`` says, where it has one.
    """

    folder: Path
    entries: tuple[Entry, ...] = ()
    unread: tuple[Unread, ...] = ()
    others: tuple[Path, ...] = ()
    sessions: tuple[Path, ...] = ()
    described: Session | None = field(default=None, repr=False)

    @property
    def groups(self) -> dict[str, tuple[Entry, ...]]:
        """Entries by modality, in the order of the workflow; those of unknown modality last."""
        names = [*INSTRUMENTS, *sorted({one.modality for one in self.entries} - set(INSTRUMENTS))]
        order = [name for name in names if name] + [""]
        found = {name: tuple(e for e in self.entries if e.modality == name) for name in order}
        return {name: entries for name, entries in found.items() if entries}

    def amended(
        self,
        name: str,
        *,
        modality: str | None = None,
        site: str | None = None,
        use: bool | None = None,
    ) -> Proposal:
        """Give the proposal with another modality, site or use of the entry `name` (its id).

        Raises
        ------
        ClxemError
            Where there is no such entry.
        """
        if all(one.id != name for one in self.entries):
            raise ClxemError(f"The proposal has no image {name!r}.")
        entries = tuple(
            _amended(one, modality, site, use) if one.id == name else one for one in self.entries
        )
        return replace(self, entries=entries)

    def session(self, stages: bool = True) -> Session:
        """Build the session of what is used.

        Parameters
        ----------
        stages : bool
            Whether images of one instrument hang together by their stage positions; image axes
            are taken to run along stage axes where the file does not say.

        Returns
        -------
        Session
            Not saved; paths are absolute. With a ``grid.json`` its links and targets are kept.
        """
        used = [one for one in self.entries if one.use]
        if self.described is not None:
            return _described(self.described, used)
        session = _bare(self.folder.name, used)
        return _with_stages(session) if stages else session

    @property
    def chain(self) -> tuple[str, ...]:
        """Links that the images themselves may make, in order, as sentences."""
        from napari_clxem.session.chain import pairs

        return tuple(
            f"{moving.name} → {fixed.name}, by {how}"
            for moving, fixed, how in pairs(self.session())
        )


def propose(folder: str | Path, progress: Progress | None = None) -> Proposal:
    """Look through a folder and propose its grid.

    A ``grid.json`` in it is followed; without one, modality and site are guessed from headers
    and names, with the reason. Folders below are looked through; links to folders elsewhere are
    not followed. Opening reads headers only.

    Parameters
    ----------
    folder : str or Path
        The folder.
    progress : callable, optional
        Called with the share done and the file that comes next; an exception it raises ends the
        search.

    Raises
    ------
    ReadError
        Where it is not a folder, cannot be read, or holds more than 5000 files.
    """
    place = Path(folder).expanduser().absolute()
    if not place.is_dir():
        raise ReadError(f"{place} is not a folder; choose the one that holds the grid's files.")
    files = list(_files(place))
    described, unread = _description(place, files)
    files = [one for one in files if one != place / DESCRIPTION]
    proposal = _sorted(place, files, described, progress)
    return replace(
        proposal,
        entries=_named(proposal.entries, described),
        unread=(*unread, *proposal.unread),
        described=described,
    )


def _description(folder: Path, files: list[Path]) -> tuple[Session | None, tuple[Unread, ...]]:
    path = folder / DESCRIPTION
    if path not in files:
        return None, ()
    try:
        return describe(path), ()
    except ClxemError as error:
        return None, (Unread(path, f"{error} The files were looked at without it."),)


def _sorted(
    folder: Path, files: list[Path], described: Session | None, progress: Progress | None
) -> Proposal:
    entries = [] if described is None else [_of_description(one) for one in described.datasets]
    known = {one.dataset.file.path for one in entries}
    seen = {one.dataset.file.fingerprint: one.dataset.file.path for one in entries}
    unread: list[Unread] = []
    others: list[Path] = []
    sessions = [one for one in files if one.name.endswith(SESSION)]
    for number, path in enumerate(files):
        if progress is not None:
            progress(number / len(files), path.name)
        if path in sessions or COMPANIONS.fullmatch(_suffix(path)) or path.as_posix() in known:
            continue
        if not _may_be_image(path):
            others.append(path)
            continue
        try:
            found = _opened(path, folder)
        except ClxemError as error:
            unread.append(Unread(path, str(error)))
            continue
        mark = found[0].dataset.file.fingerprint
        if mark in seen:
            unread.append(Unread(path, f"It is a copy of {Path(seen[mark]).name}; left out."))
            continue
        seen[mark] = path.as_posix()
        # What a description leaves out is offered, and left out until it is asked for.
        entries += [replace(one, use=described is None) for one in found]
    if progress is not None:
        progress(1.0, "done")
    return Proposal(folder, tuple(entries), tuple(unread), tuple(others), tuple(sessions))


def _files(folder: Path) -> Iterator[Path]:
    """Give the files below a folder; a folder that is one image counts as one."""
    count = 0

    def unreadable(error: OSError) -> None:
        if error.filename == str(folder):
            raise ReadError(f"{folder} cannot be read: {error.strerror}.") from error

    for here, folders, names in os.walk(folder, onerror=unreadable):
        whole = sorted(name for name in folders if _suffix(Path(name)) == "zarr")
        folders[:] = sorted(n for n in folders if n not in whole and not n.startswith("."))
        for name in sorted([*names, *whole]):
            if name.startswith("."):
                continue
            count += 1
            if count > MOST_FILES:
                raise ReadError(
                    f"{folder} holds more than {MOST_FILES} files; choose the folder of one grid."
                )
            yield Path(here, name)


def _suffix(path: Path) -> str:
    return path.suffix.lower().lstrip(".")


def _may_be_image(path: Path) -> bool:
    from napari_clxem.io import can_open

    return bool(IMAGES.fullmatch(_suffix(path))) or can_open(path)


def _opened(path: Path, folder: Path) -> list[Entry]:
    """Describe every image of a file.

    Raises
    ------
    ClxemError
        Where it cannot be opened.
    """
    from napari_clxem.io import open_images

    count = len(open_images(path))
    if not count:
        raise ReadError(f"{path.name} holds no image.")
    relative = path.relative_to(folder)
    return [_entry(path, index, relative) for index in range(count)]


def _entry(path: Path, index: int, relative: PurePath) -> Entry:
    dataset, image = dataset_from_file(path, index=index)
    if _MEANINGLESS.fullmatch(dataset.name):
        dataset = replace(dataset, name=path.name.split(".")[0] + (f" #{index}" if index else ""))
    modality = guess_modality(image, relative)
    site = guess_site(relative)
    return Entry(dataset, modality.value, site.value, modality.reason, site.reason)


def _of_description(dataset: Dataset) -> Entry:
    said = f"{DESCRIPTION} says so"
    return Entry(dataset, dataset.modality, dataset.site or "", said, said)


def _amended(entry: Entry, modality: str | None, site: str | None, use: bool | None) -> Entry:
    if modality is not None and modality != entry.modality:
        entry = replace(entry, modality=modality, modality_reason="you said so")
    if site is not None and site.strip() != entry.site:
        entry = replace(entry, site=site.strip(), site_reason="you said so")
    return entry if use is None else replace(entry, use=use)


def _named(entries: tuple[Entry, ...], described: Session | None) -> tuple[Entry, ...]:
    """Give every entry a name of its own: with its folder where two files are called alike."""
    plain = [one.dataset.name for one in entries]
    taken = set() if described is None else {one.name for one in described.frames}
    found = []
    for entry, name in zip(entries, plain, strict=True):
        if entry.dataset.frame:  # described: it has its names
            taken.add(name)
            found.append(entry)
            continue
        if plain.count(name) > 1:
            name = f"{Path(entry.dataset.file.path).parent.name}/{name}"
        free, number = name, 1
        while free in taken:
            number += 1
            free = f"{name} ({number})"
        taken.add(free)
        found.append(replace(entry, dataset=replace(entry.dataset, name=free)))
    return tuple(found)


def _bare(name: str, used: list[Entry]) -> Session:
    """Give a session without links: every image lies in a frame of its own."""
    return Session(
        name=name,
        grid=Grid(name=name),
        sites=_sites(used),
        frames=tuple(_frame(one) for one in used),
        datasets=tuple(
            replace(
                one.dataset,
                modality=one.modality,
                site=one.site or None,
                frame=one.dataset.name,
            )
            for one in used
        ),
    )


def _frame(entry: Entry) -> Frame:
    name = entry.dataset.name
    return Frame(name=name) if entry.ndim == 3 else Frame(name=name, ndim=2, z=FILM)


def _sites(used: list[Entry], known: tuple[Site, ...] = ()) -> tuple[Site, ...]:
    """Give the sites that are named, those of `known` as they are."""
    names = {one.id for one in known}
    new = sorted({one.site for one in used if one.site and one.site not in names}, key=_natural)
    return (*known, *(Site(id=name, name=name, status=_status(name, used)) for name in new))


def _natural(name: str) -> tuple[int, str]:
    return (int(name), "") if name.isdigit() else (0, name)


def _status(site: str, used: list[Entry]) -> SiteStatus:
    taken = {one.modality for one in used if one.site == site}
    return next((status for modality, status in _REACHED if modality in taken), "candidate")


def _described(session: Session, used: list[Entry]) -> Session:
    """Give a described session with what the user changed; what is left out keeps its frame."""
    known = {one.name for one in session.frames}
    frames = [_frame(one) for one in used if one.dataset.frame not in known]
    return replace(
        session,
        sites=_sites(used, session.sites),
        frames=(*session.frames, *frames),
        datasets=tuple(
            replace(
                one.dataset,
                modality=one.modality,
                site=one.site or None,
                frame=one.dataset.frame or one.dataset.name,
            )
            for one in used
        ),
    )


def _with_stages(session: Session) -> Session:
    """Hang images onto the stage of their instrument, where two or more of it are known."""
    stages: dict[tuple[str, str], list[str]] = {}
    for dataset in session.datasets:
        instrument = INSTRUMENTS.get(dataset.modality)
        if instrument and dataset.modality not in OBLIQUE and stage_map(dataset) is not None:
            assert dataset.stage is not None
            stages.setdefault((instrument, dataset.stage.convention), []).append(dataset.frame)
    names = [instrument for instrument, _ in stages]
    for (instrument, convention), frames in stages.items():
        if len(frames) > 1:
            alone = names.count(instrument) == 1
            name = f"{instrument} stage" if alone else f"{instrument} stage ({convention})"
            session = with_stage(session, name, frames)
    return session
