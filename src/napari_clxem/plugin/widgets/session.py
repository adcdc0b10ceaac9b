"""The dock "Session": the grid and its sites, where they are kept, and what can be done to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from napari.utils.notifications import show_error
from qtpy.QtCore import Qt
from qtpy.QtWidgets import QDialog, QFileDialog

from napari_clxem.errors import ClxemError
from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo
from napari_clxem.plugin.controllers.opening import save_session
from napari_clxem.plugin.controllers.positions import default_frame
from napari_clxem.plugin.widgets.session_folder import FolderDialog
from napari_clxem.plugin.widgets.session_merge import MergeDialog
from napari_clxem.plugin.widgets.session_view import SessionView
from napari_clxem.session import Session, edits, load
from napari_clxem.session.merging import Merge
from napari_clxem.session.model import Dataset, Site
from napari_clxem.session.proposal import Proposal
from napari_clxem.session.recovery import Recovery
from napari_clxem.session.travel import SUFFIX

SESSIONS = "CLXEM session (*.clxem.json)"
PACKAGES = f"CLXEM travel package (*{SUFFIX})"
PAGES = "Web page (*.html)"
IMAGES = "OME-Zarr (*.ome.zarr);;OME-TIFF (*.ome.tif)"
BOTH = f"CLXEM session or travel package (*.clxem.json *{SUFFIX})"


class SessionWidget(SessionView):
    """Grid and sites of a viewer's session: open, save, link, relink, travel, merge, history.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__(napari_viewer)
        self._dialog: QDialog | None = None
        self.arrange(self._slots())
        self._tree.chosen.connect(self._on_chosen)
        self._tree.wanted.connect(self._on_wanted)
        self._details.edited.connect(self._commit)
        self._history.wanted.connect(self._on_history)
        self.verbs.proposed.connect(self._on_proposed)
        self.verbs.compared.connect(self._on_compared)
        self.verbs.found_unsaved.connect(self._on_unsaved)
        self.refresh()
        self.verbs.look_for_unsaved()

    @property
    def dialog(self) -> QDialog | None:
        """What is asked at the moment; None where nothing is."""
        return self._dialog

    def _slots(self) -> dict[keys.Verb, Callable[[], Any]]:
        return {
            keys.OPEN: self._on_open,
            keys.OPEN_FOLDER: self._on_open_folder,
            keys.SAVE: self._on_save,
            keys.SAVE_AS: self._on_save_as,
            keys.LINK_ALL: self.verbs.link_automatically,
            keys.RELINK: self._on_relink,
            keys.ADD_SITE: self._on_add_site,
            keys.SHOW: self._on_show,
            keys.WRITE_IMAGE: self._on_write_image,
            keys.PRINT_REPORT: self._on_print_report,
            keys.UNDO: lambda: undo(self.viewer),
            keys.REDO: lambda: redo(self.viewer),
            keys.REVERT: self._on_revert,
            keys.PACK: self._on_pack,
            keys.MERGE: self._on_merge,
        }

    def _commit(self, edit: Any, label: str) -> None:
        try:
            self._workspace.store.commit(edit, label)
        except ClxemError as error:
            show_error(str(error))
            self._show_details()

    def _on_chosen(self, _kind: str, _name: str) -> None:
        self._show_details()
        self._refresh_buttons()

    def _on_wanted(self, kind: str, name: str) -> None:
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
        self._on_wanted(*self._tree.current)

    def _on_write_image(self) -> None:
        _, name = self._tree.current
        path, kind = QFileDialog.getSaveFileName(self, keys.WRITE_IMAGE.tip, "", IMAGES)
        if path:
            self.verbs.write_image(name, path, "zarr" if "zarr" in kind else "tif")

    def _on_print_report(self) -> None:
        home = self._workspace.store.path
        name = "" if home is None else f"{home.name.removesuffix('.clxem.json')}-report.html"
        place = "" if home is None else str(home.with_name(name))
        path, _ = QFileDialog.getSaveFileName(self, keys.PRINT_REPORT.tip, place, PAGES)
        if path:
            self.verbs.print_report(path)

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
            self.verbs.open(path)

    def _on_open_folder(self) -> None:
        path = QFileDialog.getExistingDirectory(self, keys.OPEN_FOLDER.tip)
        if path:
            self.verbs.look_through(path)

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
            self.verbs.relink(path)

    def _on_pack(self) -> None:
        path, _ = QFileDialog.getSaveFileName(self, keys.PACK.tip, "", PACKAGES)
        if path:
            self.verbs.pack(path)

    def _on_merge(self) -> None:
        path, _ = QFileDialog.getOpenFileName(self, keys.MERGE.tip, "", BOTH)
        if path:
            self.verbs.compare(path)

    def _on_revert(self) -> None:
        path = self._workspace.store.path
        if path is None:
            return

        def saved(_now: Session) -> Session:
            return load(path)

        self._commit(saved, keys.REVERT.text)

    def _on_history(self, position: int) -> None:
        self._workspace.store.go_to(position)

    def _on_proposed(self, proposal: Proposal) -> None:
        dialog = FolderDialog(proposal, self)
        dialog.built.connect(self.verbs.build)
        dialog.asked_for.connect(self.verbs.open)
        self._show_dialog(dialog)

    def _on_compared(self, merge: Merge, path: Path) -> None:
        dialog = MergeDialog(merge, path, self)
        dialog.decided.connect(self.verbs.take_merge)
        self._show_dialog(dialog)

    def _show_dialog(self, dialog: QDialog) -> None:
        dialog.setAttribute(Qt.WidgetAttribute.WA_DeleteOnClose)
        dialog.finished.connect(self._on_answered)
        self._dialog = dialog
        dialog.open()

    def _on_answered(self, _result: int) -> None:
        self._dialog = None

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
            ("Recover", "Go on from its last step", lambda: self.verbs.recover(left)),
            ("Discard…", "Remove it", lambda: self._ask_to_discard(left)),
        )

    def _ask_to_discard(self, left: Recovery) -> None:
        steps = "1 step" if left.steps == 1 else f"{left.steps} steps"
        self._unsaved.say(
            f"{left.session.name or 'A session'}: {steps} will be gone for good.",
            ("Discard for good", "This cannot be undone", lambda: self.verbs.forget(left)),
            ("Keep", "Leave it where it is", self.verbs.look_for_unsaved),
        )
