"""What the Session dock shows: the parts of it, kept in step with the document."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from weakref import ReferenceType, ref

from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import QGridLayout, QPushButton, QScrollArea, QVBoxLayout, QWidget

from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers.grid_rows import (
    Quality,
    grid_row,
    headline,
    link_troubles,
    quality,
)
from napari_clxem.plugin.controllers.grid_verbs import GridVerbs
from napari_clxem.plugin.controllers.workspace import Workspace
from napari_clxem.plugin.widgets.session_details import Details
from napari_clxem.plugin.widgets.session_history import HistoryList
from napari_clxem.plugin.widgets.session_parts import (
    Banner,
    Fold,
    ProgressRow,
    listed,
    said,
    verb_button,
)
from napari_clxem.plugin.widgets.session_tree import GridTree

NARROW = 320
SOON = 20  # ms
# How long errors may be predicted before the window is let draw, s.
AT_ONCE = 0.01
# How often the tree shows what was predicted so far, s.
NOW_AND_THEN = 0.2

TRAVEL = (
    "A travel package holds maps, small pictures, landmarks, doses and targets, and opens without "
    "the images. What was done with it elsewhere is merged by id; conflicts are shown."
)


class SessionView(QScrollArea):
    """The parts of the Session dock.

    Parameters
    ----------
    workspace : Workspace
        The viewer's.

    Attributes
    ----------
    verbs : GridVerbs
        What the buttons do.
    """

    def __init__(self, workspace: Workspace) -> None:
        super().__init__()
        self._workspace = workspace
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
        self.setWidgetResizable(True)
        self.setMinimumWidth(NARROW)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_parts()
        # The layers move first; the dock follows once for several changes in a row.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        self._judge_soon = QTimer(self)
        self._judge_soon.setSingleShot(True)
        self._judge_soon.timeout.connect(self._judge_some)
        workspace.refreshed.connect(self.refresh_soon)
        workspace.loading.progressed.connect(self._on_loading)
        self.verbs.task.progressed.connect(self._on_progress)
        self.verbs.task.ended.connect(self._on_ended)
        self.verbs.missing_known.connect(self._on_missing)
        self.verbs.failed.connect(self._on_failed)
        # What a thread brings, or the workspace says, after the dock has gone finds nobody.
        verbs, me = self.verbs, ref(self)
        self.destroyed.connect(lambda _object=None: _let_go(verbs, workspace, me))

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
        inside = QWidget()
        column = QVBoxLayout(inside)
        column.addLayout(self._pairs(keys.OPEN, keys.OPEN_FOLDER, keys.SAVE, keys.SAVE_AS))
        for part in (self._unsaved, self._notices, self._task, self._loading, self._headline):
            column.addWidget(part)
        self._sites = QWidget()
        sites = QVBoxLayout(self._sites)
        sites.setContentsMargins(0, 0, 0, 0)
        sites.addWidget(self._tree)
        sites.addLayout(self._pairs(keys.SHOW, keys.ADD_SITE))
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

    def refresh_soon(self) -> None:
        """Show the session once no more changes come."""
        self._soon.start(SOON)

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
        for verb, possible, label in (
            (keys.UNDO, store.can_undo, store.undo_label),
            (keys.REDO, store.can_redo, store.redo_label),
        ):
            self._button[verb].setEnabled(possible)
            self._button[verb].setToolTip(f"{verb.tooltip}: {label}" if label else verb.tooltip)
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


def _let_go(verbs: GridVerbs, workspace: Workspace, view: ReferenceType[SessionView]) -> None:
    verbs.let_go()
    gone = view()
    if gone is not None:
        workspace.refreshed.disconnect(gone.refresh_soon, missing_ok=True)
        workspace.loading.progressed.disconnect(gone._on_loading, missing_ok=True)
