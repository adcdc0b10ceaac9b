"""What belongs to one viewer: its store, its world in µm, and the layers of the site shown."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from weakref import ref

from napari.utils.notifications import show_warning
from psygnal import Signal

from napari_clxem.plugin.controllers import adoption, garbage
from napari_clxem.plugin.controllers.annotations import Annotations
from napari_clxem.plugin.controllers.examining import Examining
from napari_clxem.plugin.controllers.loading import Loader, open_planes
from napari_clxem.plugin.controllers.positions import View, default_view, origin, target_marks
from napari_clxem.plugin.controllers.saving import Saver
from napari_clxem.plugin.controllers.scene import frame_site, go_to, preview_window, show_scale_bar
from napari_clxem.plugin.controllers.site import SiteLayers
from napari_clxem.plugin.controllers.turns import Turns
from napari_clxem.plugin.layers import Plane
from napari_clxem.plugin.world import MicrometreWorld, is_preview, unwrapped
from napari_clxem.session import Session, Store
from napari_clxem.session.model import Dataset

Source = tuple[str, int]


class Workspace:
    """One viewer at work on one session.

    Parameters
    ----------
    viewer : napari.Viewer
        Kept by weak reference.

    Attributes
    ----------
    target : str or None
        Id of the target whose error is shown large.
    turns : Turns
        What is still to be done to layers, in the turns to come.
    saver : Saver
        Writes the session in the background.
    refreshed : Signal
        Emitted when the document, the site or the frame shown is another one, and when layers
        have been opened.
    informed : Signal
        Emitted when more is known of the same document.
    hand_taken : Signal
        Emitted with whoever picks by clicks from now on: two at once would both take one click.
    """

    refreshed = Signal()
    informed = Signal()
    hand_taken = Signal(object)

    def __init__(self, viewer: Any) -> None:
        viewer = unwrapped(viewer)
        self._viewer = ref(viewer)
        self._world = MicrometreWorld(viewer)
        self.turns = Turns()
        self._site = SiteLayers(viewer, self.turns)
        self._annotations = Annotations(viewer, self.turns)
        self._framed = True
        self.target: str | None = None
        self._loader = Loader(self._take, self._arrived)
        self._examining = Examining()
        self._examining.known.connect(self.informed.emit)
        self.saver = Saver(self.refreshed.emit)
        self._previews: dict[Source, tuple[str, int]] = {}
        self._store = Store()
        self._connect(self._store)
        viewer.layers.events.inserted.connect(self._on_inserted)
        garbage.watch(viewer)
        garbage.spare()

    @property
    def store(self) -> Store:
        """The session being worked on."""
        return self._store

    @property
    def view(self) -> View:
        """What is shown."""
        return self._site.view

    @property
    def layers(self) -> SiteLayers:
        """The image layers of the site shown."""
        return self._site

    @property
    def loading(self) -> Loader:
        """What opens images in the background."""
        return self._loader

    def release(self) -> None:
        """Let the viewer and the session go."""
        self.saver.settle()
        self._loader.stop()
        self._examining.stop()
        self.turns.drop()
        viewer = self._viewer()
        if viewer is not None:
            viewer.layers.events.inserted.disconnect(self._on_inserted)
        self._disconnect(self._store)
        for part in (self._site, self._annotations, self._world):
            part.release()

    def use(self, store: Store) -> None:
        """Work on another session from now on."""
        self.saver.settle()
        self._loader.stop()
        self._disconnect(self._store)
        self._store = store
        self._connect(store)
        self.show_site(None, "")
        garbage.spare()
        for sentence in store.notices:
            show_warning(sentence)

    def _connect(self, store: Store) -> None:
        store.changed.connect(self._on_changed)
        store.noticed.connect(show_warning)

    def _disconnect(self, store: Store) -> None:
        store.changed.disconnect(self._on_changed)
        store.noticed.disconnect(show_warning)
        store.close()

    def show_site(self, site: str | None, frame: str, wait: bool = True, link: str = "") -> None:
        """Show the datasets of a site, and of the grid, in one reference frame.

        Parameters
        ----------
        site : str or None
            Id of the site; None shows the grid's own datasets.
        frame : str
            Name of the reference frame; empty shows nothing.
        wait : bool
            False opens files in the background.
        link : str
            Id of a link being worked on, by which alone its moving frame is placed.
        """
        session = self._store.session
        zero = origin(session, site, frame)
        self._loader.forgive()
        self._site.look_at(session, View(site=site, frame=frame, origin=zero, link=link))
        self._refresh(wait)
        if wait:
            self.turns.finish()

    def show_first(self, wait: bool = True) -> None:
        """Show what a newly opened session is best begun with."""
        session = self._store.session
        first = default_view(session, session.sites[0].id if session.sites else None)
        self._framed = False
        self.show_site(first.site, first.frame, wait=wait)

    def choose(self, target: str | None) -> None:
        """Make a target the one whose error is shown large, and go to it."""
        self.target = target
        viewer = self._viewer()
        marks = target_marks(self._store.session, self.view) if self.view.frame else []
        mark = next((one for one in marks if one.id == target), None)
        if viewer is not None and mark is not None:
            go_to(viewer, mark.position)
        self.refreshed.emit()

    @property
    def previews(self) -> dict[Source, tuple[str, int]]:
        """Opened files that wait for a pixel size: their names and numbers of spatial axes."""
        return dict(self._previews)

    def offer(self, source: Source, name: str, ndim: int) -> None:
        """Note that a file of `ndim` spatial axes was opened that states no pixel size."""
        self._previews[source] = (name, ndim)
        self.refreshed.emit()

    def give_scale(self, source: Source, scale: tuple[float, ...]) -> None:
        """Take a previewed file into the session, now that its pixel size is known.

        Raises
        ------
        ClxemError
            Where the file cannot be opened with that pixel size.
        """
        dataset = adoption.commit(self._store, source, scale)
        del self._previews[source]
        viewer = self._viewer()
        layers = [] if viewer is None else list(viewer.layers)
        self._remove(layer for layer in layers if adoption.source_of(layer) == source)
        if not self.view.frame:
            self.show_site(None, dataset.frame, wait=False)

    def _on_inserted(self, event: Any) -> None:
        layer = event.value
        if not is_preview(layer):
            self._part_from_previews()
        if self._site.holds(layer):
            return
        dataset = adoption.dataset_of(self._store, layer)
        if dataset is None:
            return
        if not self.view.frame:
            self._site.look_at(self._store.session, View(frame=dataset.frame))
        found = self._site.planes(dataset) or open_planes(self._store, dataset)
        self._site.adopt(self._store.session, dataset, found, layer)
        self.refreshed.emit()

    def _part_from_previews(self) -> None:
        """Move previews, which are in pixels, out of a viewer that shows µm."""
        viewer = self._viewer()
        previews = [] if viewer is None else [one for one in viewer.layers if is_preview(one)]
        self._remove(previews)
        if previews:
            preview_window(previews)

    def _remove(self, layers: Iterable[Any]) -> None:
        viewer = self._viewer()
        for layer in layers:
            if viewer is not None:
                viewer.layers.remove(layer)

    def _on_changed(self, new: Session) -> None:
        if not _knows(new, self.view):
            self.show_site(None, "")
            return
        self._site.update(new)
        self._refresh(wait=False)

    def _refresh(self, wait: bool) -> None:
        """Open what is missing, and bring the marks up to date."""
        session = self._store.session
        missing = self._loader.openable(self._site.missing(session))
        if missing and wait:
            self._loader.load(self._store, missing)
        elif missing:
            self._loader.load_later(self._store, missing)
        self._mark()

    def _mark(self) -> None:
        self._annotations.update(self._store.session, self.view)
        self._examining.want(self._store.session, self.view.link)
        self.refreshed.emit()

    def _arrived(self) -> None:
        """Everything was opened: a new session begins with its reference in the middle."""
        viewer = self._viewer()
        if viewer is not None and not self._framed:
            self._framed = True
            show_scale_bar(viewer)
            frame_site(viewer)
        self._mark()

    def _take(self, dataset: Dataset, channels: list[Plane], channel: Plane) -> None:
        self._site.add(self._store.session, dataset, channels, channel)


def _knows(session: Session, view: View) -> bool:
    sites = {None, *(one.id for one in session.sites)}
    frames = {"", *(one.name for one in session.frames)}
    return view.site in sites and view.frame in frames
