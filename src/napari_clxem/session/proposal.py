"""What a folder seems to hold, to be looked over and corrected before it becomes a session."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType

from napari_clxem.errors import ClxemError
from napari_clxem.io.image import SPATIAL
from napari_clxem.session.description import OBLIQUE, stage_map, with_stage
from napari_clxem.session.model import Dataset, Frame, Grid, Session, Site, SiteStatus

# Every image is compared with every other to say which links will be tried.
MOST_SHOWN = 400
# Height of what a plane shows: cells on the film are a few µm thick, (mean, sd) µm.
FILM = (0.0, 2.0)
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

        if len(self.entries) > MOST_SHOWN:
            return (f"More than {MOST_SHOWN} images: their links are found when they are made.",)
        return tuple(
            f"{moving.name} → {fixed.name}, by {how}"
            for moving, fixed, how in pairs(self.session())
        )


def _amended(entry: Entry, modality: str | None, site: str | None, use: bool | None) -> Entry:
    if modality is not None and modality != entry.modality:
        entry = replace(entry, modality=modality, modality_reason="you said so")
    if site is not None and site.strip() != entry.site:
        entry = replace(entry, site=site.strip(), site_reason="you said so")
    return entry if use is None else replace(entry, use=use)


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
