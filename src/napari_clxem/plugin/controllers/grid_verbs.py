"""What the Session dock does to a session: long work in a thread, its result as one step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error, show_info
from psygnal import Signal

from napari_clxem.errors import ClxemError
from napari_clxem.io import write_ome_tiff, write_ome_zarr
from napari_clxem.io.image import OpenedImage
from napari_clxem.plugin.controllers.grid_rows import MISSING, SMALL, quality
from napari_clxem.plugin.controllers.opening import warm
from napari_clxem.plugin.controllers.positions import default_view
from napari_clxem.plugin.controllers.tasks import GivenUpError, LongTask, Progress
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.report import write_report
from napari_clxem.session import Session, Store, edits, missing_files, open_dataset, relink
from napari_clxem.session.chain import Chained, chain
from napari_clxem.session.folders import propose
from napari_clxem.session.merging import Merge, Side, merge
from napari_clxem.session.model import Dataset
from napari_clxem.session.pictures import Picture, keep_pictures, pictured, stand_in
from napari_clxem.session.proposal import Proposal
from napari_clxem.session.recovery import Recovery, unsaved
from napari_clxem.session.resampling import resample_dataset
from napari_clxem.session.travel import SUFFIX, Packed, another_copy, pack, session_path


class GridVerbs:
    """The verbs of the Session dock on one workspace.

    Parameters
    ----------
    workspace : Workspace
        The viewer's.

    Attributes
    ----------
    task : LongTask
        What is being done.
    proposed : Signal
        Emitted with the proposal for a folder.
    compared : Signal
        Emitted with the comparison to another copy, and its path.
    found_unsaved : Signal
        Emitted with what crashed sessions have left that never had a file.
    missing_known : Signal
        Emitted with the ids of datasets whose files are missing, and what is shown instead.
    failed : Signal
        Emitted with a heading and sentences about what could not be done.
    """

    proposed = Signal(Proposal)
    compared = Signal(Merge, object)
    found_unsaved = Signal(tuple)
    missing_known = Signal(dict)
    failed = Signal(str, tuple)

    def __init__(self, workspace: Workspace) -> None:
        self.workspace = workspace
        self.task = LongTask()
        self._quiet = LongTask()
        self._compared: Session | None = None
        self._pictures: Mapping[str, Picture] = {}

    @property
    def store(self) -> Store:
        """The session being worked on."""
        return self.workspace.store

    def let_go(self) -> None:
        """Give up what is being done, and tell nobody any more."""
        for task in (self.task, self._quiet):
            for signal in (task.progressed, task.ended):
                signal.disconnect()
            task.cancel()
        for signal in (
            self.proposed,
            self.compared,
            self.found_unsaved,
            self.missing_known,
            self.failed,
        ):
            signal.disconnect()

    def open(self, path: str | Path) -> None:
        """Open a session file, or unpack a travel package and open that.

        Where a crash has left steps beyond the file they are recovered, and that is said.
        """
        path = Path(path)

        def work(progress: Progress) -> Store:
            progress(0.0, f"Opening {path.name}")
            warm()
            store = Store.open(session_path(path))
            try:
                _predict(store.session, progress)
            except GivenUpError:
                store.close()  # so that it can be opened again at once
                raise
            return store

        self.task.start(f"Opening {path.name}", work, self._use)

    def _use(self, store: Store) -> None:
        self.workspace.use(store)
        self.workspace.show_first(wait=False)
        # What was open before may have been left unsaved.
        self.look_for_unsaved()

    def look_through(self, folder: str | Path) -> None:
        """Look through a folder; `proposed` is emitted with what it seems to hold."""
        name = f"Looking through {Path(folder).name}"
        self.task.start(name, partial(_proposed, folder), self.proposed.emit)

    def build(self, proposal: Proposal, stages: bool, link: bool) -> None:
        """Work on the session of a proposal from now on."""
        try:
            store = Store(proposal.session(stages))
        except ClxemError as error:
            show_error(str(error))
            return
        self._use(store)
        if link:
            self.link_automatically()

    def link_automatically(self) -> None:
        """Link the frames of the session by its images: one step, which can be taken back."""
        store, session = self.store, self.store.session
        opened = partial(open_dataset, store)
        self.task.start(
            "Linking automatically",
            lambda progress: chain(session, opened, progress),
            partial(self._take_links, store, session),
        )

    def _take_links(self, store: Store, before: Session, found: Chained) -> None:
        if store is not self.store:
            return
        known = {one.id: one for one in before.links}
        new = [one for one in found.session.links if known.get(one.id) != one]
        store.commit(lambda session: edits.put(session, *new), "Link automatically")
        self.failed.emit("Not linked", found.failures)
        show_info(f"{len(new)} links made, {len(found.failures)} could not be.")

    def relink(self, folder: str | Path) -> None:
        """Find missing files below a folder: one step."""
        store, session = self.store, self.store.session
        base = None if store.path is None else store.path.parent

        def work(progress: Progress) -> tuple[Session, tuple[Dataset, ...]]:
            progress(0.0, f"Looking for missing files in {Path(folder).name}")
            return relink(session, base, folder, progress)

        self.task.start("Relinking", work, partial(self._take_files, store, session))

    def _take_files(
        self, store: Store, before: Session, found: tuple[Session, tuple[Dataset, ...]]
    ) -> None:
        if store is not self.store:
            return
        session, lost = found
        old = {one.id: one.file for one in before.datasets}
        files = {one.id: one.file for one in session.datasets if old[one.id] != one.file}
        if files:
            store.commit(lambda now: _with_files(now, files), "Relink files")
            # What could not be opened before is tried again.
            view = self.workspace.view
            self.workspace.show_site(view.site, view.frame, wait=False)
        self.failed.emit("Not found", tuple(f"{one.name}: {one.file.path}" for one in lost))
        show_info(f"{len(files)} files found, {len(lost)} still missing.")

    def pack(self, path: str | Path) -> None:
        """Write a travel package."""
        store, session, home = self.store, self.store.session, self.store.path
        place = Path(path)
        if not place.name.endswith(SUFFIX):
            place = place.with_name(place.name.removesuffix(".zip") + SUFFIX)

        opened = partial(_opened, store, session, home)
        self.task.start(
            f"Packing {place.name}",
            lambda progress: pack(session, place, opened, home=home, progress=progress),
            self._say_packed,
        )

    def _say_packed(self, found: Packed) -> None:
        self.failed.emit("Packed without", found.left_out)
        show_info(f"{found.path.name} written: {found.size / 1e6:.1f} MB.")

    def print_report(self, path: str | Path) -> None:
        """Write all that is known of the grid as one page to read and print."""
        store, session, home = self.store, self.store.session, self.store.path
        opened = partial(_opened, store, session, home)

        def work(progress: Progress) -> Path:
            progress(0.0, "looking at the session")
            warm()
            return write_report(session, path, home=home, opened=opened, progress=progress)

        self.task.start(
            "Writing the report",
            work,
            lambda written: show_info(f"{written} written: open it in a browser to print it."),
        )

    def write_image(self, dataset: str, path: str | Path, kind: str) -> None:
        """Write an image as it lies in the frame that is shown.

        Parameters
        ----------
        dataset : str
            Its id.
        path : str or Path
            What to write; the user has agreed that it may be overwritten.
        kind : {"zarr", "tif"}
            What it becomes where the name does not say.
        """
        store, session = self.store, self.store.session
        chosen = edits.get(session, Dataset, dataset)
        place = Path(path)
        if place.suffix.lower() not in (".zarr", ".tif", ".tiff"):
            place = place.with_name(f"{place.name}.ome.{kind}")
        frame = self.workspace.view.frame or chosen.frame
        write = write_ome_zarr if place.suffix.lower() == ".zarr" else write_ome_tiff

        def work(progress: Progress) -> Path:
            progress(0.0, "opening it")
            image = resample_dataset(store, session, chosen, frame)
            return write(image, place, overwrite=True, progress=progress)

        self.task.start(
            f"Writing {place.name}",
            work,
            lambda written: show_info(f"{written.name} written: {chosen.name} in {frame}."),
        )

    def compare(self, path: str | Path) -> None:
        """Compare with another copy of the session; `compared` is emitted."""
        session, home = self.store.session, self.store.path
        place = Path(path)

        def work(progress: Progress) -> tuple[Merge, Mapping[str, Picture]]:
            progress(0.0, f"Comparing with {place.name}")
            other = another_copy(place, session, home)
            return merge(session, other.session, other.base), other.pictures

        def done(found: tuple[Merge, Mapping[str, Picture]]) -> None:
            self._compared = session
            self._pictures = found[1]
            self.compared.emit(found[0], place)

        self.task.start(f"Comparing with {place.name}", work, done)

    def take_merge(self, found: Merge, choices: Mapping[str, Side], name: str) -> None:
        """Make a merge one step; where it cannot be, the user is told.

        Parameters
        ----------
        found : Merge
            The comparison.
        choices : mapping
            Key of a conflict to the copy that it is taken from.
        name : str
            Of the other copy.
        """
        path, pictures = self.store.path, self._pictures
        if path is None or not pictures:
            self._commit_merge(found, choices, name)
            return
        # Small pictures come first: images that were taken elsewhere are then there to be shown.
        self.task.start(
            f"Merging {name}",
            lambda _progress: keep_pictures(path, found.ours, pictures),
            lambda _done: self._commit_merge(found, choices, name),
        )

    def _commit_merge(self, found: Merge, choices: Mapping[str, Side], name: str) -> None:
        if self.store.session is not self._compared:
            show_error("The session was changed since it was compared; compare it again.")
            return
        try:
            merged = found.session(choices)
            for sentence in found.restored(choices):
                show_info(sentence)
            self.store.commit(merged, f"Merge {name}")
        except ClxemError as error:
            show_error(str(error))

    def recover(self, left: Recovery) -> None:
        """Go on from what a crash has left."""
        try:
            self._use(Store.recover(left))
        except ClxemError as error:
            show_error(str(error))

    def forget(self, left: Recovery) -> None:
        """Remove what a crash has left."""
        left.discard()
        self.look_for_unsaved()

    def look_for_unsaved(self) -> None:
        """Look for sessions that were never saved; `found_unsaved` is emitted."""
        self._quietly(lambda _progress: unsaved(), self.found_unsaved.emit)

    def look_for_missing(self) -> None:
        """Look whether the files are there; `missing_known` is emitted."""
        store, session, path = self.store, self.store.session, self.store.path

        def done(found: dict[str, str]) -> None:
            if store is self.store:
                self.missing_known.emit(found)

        self._quietly(lambda _progress: _missing(session, path), done)

    def _quietly(self, work: Any, done: Any) -> None:
        """Run small work in a thread, one after the other, without a progress bar."""
        if self._quiet.start("", work, done):
            return

        def later() -> None:
            self._quiet.ended.disconnect(later)
            self._quietly(work, done)

        self._quiet.ended.connect(later)


def _predict(session: Session, progress: Progress) -> None:
    """Solve all links and find all ways once, so that the window finds them known."""
    first = default_view(session, session.sites[0].id if session.sites else None)
    for number, dataset in enumerate(session.datasets):
        progress(number / len(session.datasets), f"predicting the error of {dataset.name}")
        quality(session, dataset, first)


def _proposed(folder: str | Path, progress: Progress) -> Proposal:
    warm()
    return propose(folder, progress)


def _opened(store: Store, session: Session, home: Path | None, dataset: Dataset) -> OpenedImage:
    """Open an image, or the small picture that is kept of one whose file is missing."""
    small = None
    if missing_files(replace(session, datasets=(dataset,))):
        small = stand_in(home, session, dataset)
    return open_dataset(store, dataset) if small is None else small


def _missing(session: Session, path: Path | None) -> dict[str, str]:
    lost = missing_files(session, None if path is None else path.parent)
    small = pictured(path, session) if lost else frozenset()
    return {one.id: SMALL if one.id in small else MISSING for one in lost}


def _with_files(session: Session, files: Mapping[str, Any]) -> Session:
    datasets = tuple(
        replace(one, file=files[one.id]) if one.id in files else one for one in session.datasets
    )
    return replace(session, datasets=datasets)
