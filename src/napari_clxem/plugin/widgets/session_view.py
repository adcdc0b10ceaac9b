"""What the Session dock shows: the parts of it, kept in step with the document."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

from qtpy.QtWidgets import QGridLayout, QPushButton, QVBoxLayout, QWidget

from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.grid_rows import (
    Quality,
    grid_row,
    headline,
    link_troubles,
    quality,
)
from napari_clxem.plugin.controllers.grid_verbs import GridVerbs
from napari_clxem.plugin.widgets.dock import Dock, page
from napari_clxem.plugin.widgets.parts import (
    Banner,
    Fold,
    ProgressRow,
    listed,
    said,
    verb_button,
)
from napari_clxem.plugin.widgets.session_details import Details
from napari_clxem.plugin.widgets.session_history import HistoryList
from napari_clxem.plugin.widgets.session_tree import GridTree

# How long errors may be predicted before the window is let draw, s.
AT_ONCE = 0.01
# How often the tree shows what was predicted so far, s.
NOW_AND_THEN = 0.2

TRAVEL = (
    "A travel package holds maps, small pictures, landmarks, doses and targets, and opens without "
    "the images. What was done with it elsewhere is merged by id; conflicts are shown."
)


class SessionView(Dock):
    """The parts of the Session dock.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.

    Attributes
    ----------
    verbs : GridVerbs
        What the buttons do.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        workspace = self._workspace
        self.verbs = GridVerbs(workspace)
        self._store = workspace.store
        self._qualities: dict[str, Quality] = {}
        self._missing: dict[str, str] = {}
        self._failures: dict[str, tuple[str, ...]] = {}
        self._unjudged: deque[str] = deque()
        self._judged: Any = None
        self._looked: Any = None
        self._notices_seen = 0
        self._told = 0.0
        self._button: dict[keys.Verb, QPushButton] = {}
        self._make_parts()
        self._judge_soon = self.clock(self._judge_some)
        self.follow(workspace.refreshed, self.refresh_soon)
        self.follow(workspace.loading.progressed, self._on_loading)
        self.follow(self.verbs.task.progressed, self._on_progress)
        self.follow(self.verbs.task.ended, self._on_ended)
        self.follow(self.verbs.missing_known, self._on_missing)
        self.follow(self.verbs.failed, self._on_failed)
        # What a thread brings after the dock has gone finds nobody.
        self.when_left(self.verbs.let_go)

    def _make_parts(self) -> None:
        self._headline = said()
        self._unsaved = Banner()
        self._notices = Banner()
        self._task = ProgressRow(self.verbs.task.cancel)
        self._loading = ProgressRow(self._workspace.loading.cancel)
        self._tree = GridTree()
        self._details = Details()
        self._history = HistoryList()
        self._steps = Fold("History")
        self._travel = Fold("Travel and merge")
        self._troubles = Fold("Not linked")
        self._trouble_text = said()

    def arrange(self, slots: Mapping[keys.Verb, Callable[[], Any]]) -> None:
        """Lay the parts out.

        Parameters
        ----------
        slots : mapping
            What the button of each verb does.
        """
        self._button = {verb: verb_button(verb, slot) for verb, slot in slots.items()}
        inside, column = page(margin=None)
        column.addLayout(self._pairs(keys.OPEN, keys.OPEN_FOLDER, keys.SAVE, keys.SAVE_AS))
        for part in (self._unsaved, self._notices, self._task, self._loading, self._headline):
            column.addWidget(part)
        self._sites = QWidget()
        sites = QVBoxLayout(self._sites)
        sites.setContentsMargins(0, 0, 0, 0)
        sites.addWidget(self._tree)
        sites.addLayout(self._pairs(keys.SHOW, keys.ADD_SITE, keys.WRITE_IMAGE, keys.PRINT_REPORT))
        sites.addWidget(self._details)
        sites.addLayout(self._pairs(keys.LINK_ALL, keys.RELINK))
        column.addWidget(self._sites)
        self._troubles.column.addWidget(self._trouble_text)
        self._steps.column.addLayout(self._pairs(keys.UNDO, keys.REDO))
        self._steps.column.addWidget(self._history)
        self._steps.column.addWidget(self._button[keys.REVERT])
        self._travel.column.addWidget(said(TRAVEL))
        self._travel.column.addLayout(self._pairs(keys.PACK, keys.MERGE))
        for fold in (self._troubles, self._steps, self._travel):
            column.addWidget(fold)
        column.addStretch(1)
        self.setWidget(inside)

    def _pairs(self, *verbs: keys.Verb) -> QGridLayout:
        grid = QGridLayout()
        for number, verb in enumerate(verbs):
            grid.addWidget(self._button[verb], number // 2, number % 2)
            grid.setColumnStretch(number % 2, 1)
        return grid

    def refresh(self) -> None:
        """Show the session as it is now."""
        store = self._workspace.store
        session = store.session
        if store is not self._store:
            self._forget()
        empty = not session.datasets and not session.sites
        for part, wanted in ((self._steps, store.steps), (self._travel, not empty)):
            part.setVisible(bool(wanted))
        self._headline.setText(headline(store))
        self._sites.setVisible(not empty)
        self._look_again()
        self._show_tree()
        self._show_details()
        self._history.show_history(store)
        self._show_troubles()
        self._show_notices()
        self._refresh_buttons()

    def _forget(self) -> None:
        """Leave behind what was known of another session."""
        self._store = self._workspace.store
        self._qualities, self._missing, self._failures = {}, {}, {}
        self._judged = self._looked = None
        self._notices_seen = 0

    def _look_again(self) -> None:
        """Ask again only for what may have changed: errors by links, files by their names."""
        store = self._workspace.store
        session, view = store.session, self._workspace.view
        judged = (session.links, session.frames, session.datasets, view.site, view.frame)
        if self._judged is None or any(
            a is not b and a != b for a, b in zip(judged, self._judged, strict=True)
        ):
            self._judged = judged
            self._unjudged = deque(one.id for one in session.datasets)
            self._judge_soon.start(0)
        looked = (store, store.path, tuple(one.file for one in session.datasets))
        if looked != self._looked:
            self._looked = looked
            self._missing = {}
            if session.datasets:
                self.verbs.look_for_missing()

    def _judge_some(self) -> None:
        """Predict errors until the window should draw again."""
        session, view = self._workspace.store.session, self._workspace.view
        known = {one.id: one for one in session.datasets}
        began = time.perf_counter()
        while self._unjudged and time.perf_counter() - began < AT_ONCE:
            name = self._unjudged.popleft()
            if name in known:
                self._qualities[name] = quality(session, known[name], view)
        if self._unjudged:
            self._judge_soon.start(0)
        if not self._unjudged or time.perf_counter() - self._told > NOW_AND_THEN:
            self._told = time.perf_counter()
            self._show_tree()

    def _show_tree(self) -> None:
        session = self._workspace.store.session
        row = grid_row(session, self._qualities, self._missing)
        self._tree.show_grid(row, self._workspace.view.site)

    def _show_details(self) -> None:
        kind, name = self._tree.current
        missing = self._missing.get(name, "")
        self._details.show_details(self._workspace.store.session, kind, name, missing)

    def _show_troubles(self) -> None:
        failures = {
            "Links without a fit": link_troubles(self._workspace.store.session),
            **self._failures,
        }
        shown = {title: told for title, told in failures.items() if told}
        count = sum(len(told) for told in shown.values())
        self._troubles.setVisible(bool(shown))
        self._troubles.set_heading(f"⚠ Could not be done ({count})")
        self._trouble_text.setText(
            "\n\n".join(f"{title}:\n{listed(told)}" for title, told in shown.items())
        )

    def _show_notices(self) -> None:
        notices = self._workspace.store.notices[self._notices_seen :]
        if notices:
            self._notices.say(
                "\n".join(notices), ("Understood", "Put this away", self._on_understood)
            )
        else:
            self._notices.say("")

    def _refresh_buttons(self) -> None:
        store = self._workspace.store
        self.show_steps(self._button[keys.UNDO], self._button[keys.REDO])
        idle = not self.verbs.task.busy
        filled = bool(store.session.datasets)
        kind, _ = self._tree.current
        for verb, possible in (
            (keys.OPEN, idle),
            (keys.OPEN_FOLDER, idle),
            (keys.SAVE, store.dirty or store.path is None),
            (keys.LINK_ALL, idle and filled),
            (keys.RELINK, idle and filled),
            (keys.PACK, idle and filled),
            (keys.MERGE, idle and (filled or bool(store.session.sites))),
            (keys.REVERT, store.path is not None and store.dirty),
            (keys.SHOW, bool(kind)),
            (keys.WRITE_IMAGE, idle and kind == "dataset"),
            (keys.PRINT_REPORT, idle),
        ):
            self._button[verb].setEnabled(possible)

    def _on_loading(self, opened: int, total: int, name: str) -> None:
        if not total:
            self._loading.hide()
            return
        self._loading.show_progress(opened / total, f"Opening {name} ({opened + 1} of {total})")

    def _on_progress(self, share: float, text: str) -> None:
        name = self.verbs.task.name
        self._task.show_progress(share, name if text in ("", name) else f"{name}: {text}")
        self._refresh_buttons()

    def _on_ended(self) -> None:
        self._task.hide()
        self.refresh_soon()

    def _on_missing(self, missing: dict[str, str]) -> None:
        self._missing = missing
        self._show_tree()
        self._show_details()

    def _on_failed(self, title: str, sentences: tuple[str, ...]) -> None:
        self._failures[title] = sentences
        self._show_troubles()
        if sentences:
            self._troubles.unfold()

    def _on_understood(self) -> None:
        self._notices_seen = len(self._workspace.store.notices)
        self._show_notices()
