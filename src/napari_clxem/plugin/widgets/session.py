"""The dock "Session": the grid and its sites, where they are kept, and what can be done to them."""

from __future__ import annotations

import time
from collections import deque
from pathlib import Path
from typing import Any
from weakref import ref

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt, QTimer
from qtpy.QtWidgets import (
    QDialog,
    QFileDialog,
    QGridLayout,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo, workspace_for
from napari_clxem.plugin.controllers.grid_rows import (
    Quality,
    grid_row,
    headline,
    link_troubles,
    quality,
)
from napari_clxem.plugin.controllers.grid_verbs import GridVerbs
from napari_clxem.plugin.controllers.opening import save_session
from napari_clxem.plugin.controllers.positions import default_frame
from napari_clxem.plugin.widgets.session_details import Details
from napari_clxem.plugin.widgets.session_folder import FolderDialog
from napari_clxem.plugin.widgets.session_history import HistoryList
from napari_clxem.plugin.widgets.session_merge import MergeDialog
from napari_clxem.plugin.widgets.session_parts import (
    Banner,
    Fold,
    ProgressRow,
    listed,
    said,
    verb_button,
)
from napari_clxem.plugin.widgets.session_tree import GridTree
from napari_clxem.session import Session, edits, load
from napari_clxem.session.folders import Proposal
from napari_clxem.session.merging import Merge
from napari_clxem.session.model import Dataset, Site
from napari_clxem.session.recovery import Recovery
from napari_clxem.session.travel import SUFFIX

SESSIONS = "CLXEM session (*.clxem.json)"
PACKAGES = f"CLXEM travel package (*{SUFFIX})"
BOTH = f"CLXEM session or travel package (*.clxem.json *{SUFFIX})"
NARROW = 320
SOON = 20  # ms
# How long errors may be predicted before the window is let draw, s.
AT_ONCE = 0.01

TRAVEL = (
    "A travel package holds maps, small pictures, landmarks, doses and targets, and opens without "
    "the images. What was done with it elsewhere is merged by id; conflicts are shown."
)


class SessionWidget(QScrollArea):
    """Grid and sites of a viewer's session: open, save, link, relink, travel, merge, history.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        self._workspace = workspace_for(napari_viewer)
        self._viewer = ref(getattr(napari_viewer, "__wrapped__", napari_viewer))
        self._verbs = GridVerbs(self._workspace)
        self._qualities: dict[str, Quality] = {}
        self._missing: dict[str, str] = {}
        self._unjudged: deque[str] = deque()
        self._judged: Any = None
        self._looked: Any = None
        self._notices_seen = 0
        self._dialog: QDialog | None = None
        self.setWidgetResizable(True)
        self.setMinimumWidth(NARROW)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        self._make_parts()
        self._arrange()
        self._connect()
        self.refresh()
        self._verbs.look_for_unsaved()

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    @property
    def verbs(self) -> GridVerbs:
        """What the buttons do."""
        return self._verbs

    def _make_parts(self) -> None:
        self._headline = said()
        self._unsaved = Banner()
        self._notices = Banner()
        self._task = ProgressRow(self._verbs.task.cancel)
        self._loading = ProgressRow(self._workspace.loading.cancel)
        self._tree = GridTree()
        self._details = Details()
        self._history = HistoryList()
        self._steps = Fold("History")
        self._travel = Fold("Travel and merge")
        self._troubles = Fold("Not linked")
        self._trouble_text = said()
        self._failures: dict[str, tuple[str, ...]] = {}
        slots = {
            keys.OPEN: self._on_open,
            keys.OPEN_FOLDER: self._on_open_folder,
            keys.SAVE: self._on_save,
            keys.SAVE_AS: self._on_save_as,
            keys.LINK_ALL: self._verbs.link_automatically,
            keys.RELINK: self._on_relink,
            keys.ADD_SITE: self._on_add_site,
            keys.SHOW: self._on_show,
            keys.UNDO: lambda: undo(self.viewer),
            keys.REDO: lambda: redo(self.viewer),
            keys.REVERT: self._on_revert,
            keys.PACK: self._on_pack,
            keys.MERGE: self._on_merge,
        }
        self._button: dict[keys.Verb, QPushButton] = {
            verb: verb_button(verb, slot) for verb, slot in slots.items()
        }

    def _arrange(self) -> None:
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

    def _connect(self) -> None:
        # The layers move first; the dock follows once for several changes in a row.
        self._soon = QTimer(self)
        self._soon.setSingleShot(True)
        self._soon.timeout.connect(self.refresh)
        self._judge_soon = QTimer(self)
        self._judge_soon.setSingleShot(True)
        self._judge_soon.timeout.connect(self._judge_some)
        self._workspace.refreshed.connect(self._refresh_soon)
        self._workspace.loading.progressed.connect(self._on_loading)
        self._tree.chosen.connect(self._on_chosen)
        self._tree.entered.connect(self._on_entered)
        self._details.edited.connect(self._commit)
        self._history.entered.connect(self._on_history)
        task, verbs = self._verbs.task, self._verbs
        task.progressed.connect(self._task.show_progress)
        task.ended.connect(self._on_ended)
        verbs.proposed.connect(self._on_proposed)
        verbs.compared.connect(self._on_compared)
        verbs.found_unsaved.connect(self._on_unsaved)
        verbs.missing_known.connect(self._on_missing)
        verbs.failed.connect(self._on_failed)

    def _refresh_soon(self) -> None:
        self._soon.start(SOON)

    def refresh(self) -> None:
        """Show the session as it is now."""
        store = self._workspace.store
        session = store.session
        empty = not session.datasets and not session.sites
        self._headline.setText(headline(store))
        self._sites.setVisible(not empty)
        self._look_again()
        self._show_tree()
        self._show_details()
        self._history.show_history(store)
        self._show_troubles()
        self._show_notices()
        self._refresh_buttons()

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
                self._verbs.look_for_missing()

    def _judge_some(self) -> None:
        """Predict errors until the window should draw again."""
        session, view = self._workspace.store.session, self._workspace.view
        known = {one.id: one for one in session.datasets}
        began = time.perf_counter()
        while self._unjudged and time.perf_counter() - began < AT_ONCE:
            name = self._unjudged.popleft()
            if name in known:
                self._qualities[name] = quality(session, known[name], view)
        self._show_tree()
        if self._unjudged:
            self._judge_soon.start(0)

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
        idle = not self._verbs.task.busy
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

    def _commit(self, edit: Any, label: str) -> None:
        try:
            self._workspace.store.commit(edit, label)
        except ClxemError as error:
            show_error(str(error))
            self._show_details()

    def _on_chosen(self, _kind: str, _name: str) -> None:
        self._show_details()
        self._refresh_buttons()

    def _on_entered(self, kind: str, name: str) -> None:
        """Show a site, or the site of an image, in the frame it is best seen in."""
        session = self._workspace.store.session
        if kind == "dataset":
            site = edits.get(session, Dataset, name).site
            frame = default_frame(session, site)
        else:
            site = name or None
            frame = default_frame(session, site)
        if not frame:
            show_error("This site has no image with a pixel size yet; there is nothing to show.")
            return
        self._workspace.show_site(site, frame, wait=False)

    def _on_show(self) -> None:
        self._on_entered(*self._tree.current)

    def _on_add_site(self) -> None:
        taken = {one.name for one in self._workspace.store.session.sites}
        number = 1
        while f"site {number}" in taken:
            number += 1
        site = Site(name=f"site {number}")
        self._commit(lambda now: edits.put(now, site), f"Add site {number}")
        self.refresh()
        self._tree.choose("site", site.id)

    def _on_open(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, keys.OPEN.tip, "", BOTH)
        if path:
            self._verbs.open(path)

    def _on_open_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, keys.OPEN_FOLDER.tip)
        if path:
            self._verbs.look_through(path)

    def _on_save(self) -> None:
        if self._workspace.store.path is None:
            self._on_save_as()
        else:
            self._save(None)

    def _on_save_as(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.SAVE_AS.tip, "", SESSIONS)
        if path:
            self._save(path if path.endswith(".clxem.json") else f"{path}.clxem.json")

    def _save(self, path: str | None) -> None:
        if self.viewer is not None:
            save_session(self.viewer, path)

    def _on_relink(self) -> None:
        path = QFileDialog.getExistingDirectory(self, keys.RELINK.tip)
        if path:
            self._verbs.relink(path)

    def _on_pack(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.PACK.tip, "", PACKAGES)
        if path:
            self._verbs.pack(path)

    def _on_merge(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, keys.MERGE.tip, "", BOTH)
        if path:
            self._verbs.compare(path)

    def _on_revert(self) -> None:
        path = self._workspace.store.path
        if path is None:
            return

        def saved(_now: Session) -> Session:
            return load(path)

        self._commit(saved, keys.REVERT.text)

    def _on_history(self, position: int) -> None:
        self._workspace.store.go_to(position)

    def _on_loading(self, opened: int, total: int, name: str) -> None:
        if not total:
            self._loading.hide()
            return
        self._loading.show_progress(opened / total, f"Opening {name} ({opened + 1} of {total})")

    def _on_ended(self) -> None:
        self._task.hide()
        self._refresh_soon()

    def _on_proposed(self, proposal: Proposal) -> None:
        dialog = FolderDialog(proposal, self)
        dialog.built.connect(self._verbs.build)
        dialog.asked_for.connect(self._verbs.open)
        self._show_dialog(dialog)

    def _on_compared(self, merge: Merge, path: Path) -> None:
        dialog = MergeDialog(merge, path, self)
        dialog.decided.connect(self._verbs.take_merge)
        self._show_dialog(dialog)

    def _show_dialog(self, dialog: QDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        self._dialog = dialog
        dialog.open()

    def _on_unsaved(self, found: tuple[Recovery, ...]) -> None:
        if not found:
            self._unsaved.say("")
            return
        left = found[0]
        when = time.strftime("%d %b %H:%M", time.localtime(left.time))
        more = f" ({len(found) - 1} more)" if len(found) > 1 else ""
        name = left.session.name or "A session"
        self._unsaved.say(
            f"{name} was never saved; last step {when}: {left.label}.{more}",
            ("Recover", "Go on from its last step", lambda: self._verbs.recover(left)),
            ("Discard", "Remove it for good", lambda: self._verbs.forget(left)),
        )

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
