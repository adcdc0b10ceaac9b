"""The grid that a folder seems to hold, to be looked over before a session is built of it."""

from __future__ import annotations

from typing import Any

from psygnal import Signal
from qtpy.QtCore import Qt
from qtpy.QtWidgets import (
    QAbstractItemView,
    QCheckBox,
    QComboBox,
    QDialog,
    QDialogButtonBox,
    QHBoxLayout,
    QHeaderView,
    QLineEdit,
    QPlainTextEdit,
    QPushButton,
    QTabWidget,
    QTreeWidget,
    QTreeWidgetItem,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.plugin.widgets.parts import said
from napari_clxem.session.guesses import MODALITIES
from napari_clxem.session.proposal import Entry, Proposal

ROLE = int(Qt.ItemDataRole.UserRole)
HEADINGS = ("Image", "Site", "Size", "Why")
UNKNOWN = "unknown"
STAGES = "Images of one instrument share its stage (image axes taken to run along stage axes)"


class FolderDialog(QDialog):
    """What was found, what it is taken for and why, what could not be read, what will be linked.

    Parameters
    ----------
    proposal : Proposal
        What the folder seems to hold.
    parent : QWidget, optional
        Owner.

    Attributes
    ----------
    built : Signal
        Emitted with the proposal as it was changed, whether stages are used, and whether to link.
    asked_for : Signal
        Emitted with the path of a session that lies in the folder, to be opened instead.
    """

    built = Signal(Proposal, bool, bool)
    asked_for = Signal(object)

    def __init__(self, proposal: Proposal, parent: QWidget | None = None) -> None:
        super().__init__(parent)
        self._proposal = proposal
        self._filling = False
        self.setWindowTitle(f"Grid in {proposal.folder.name}")
        self.resize(760, 560)
        column = QVBoxLayout(self)
        column.addWidget(said(_summary(proposal)))
        column.addLayout(self._sessions())
        self._tree = _tree()
        self._tree.itemChanged.connect(self._on_changed)
        self._tree.itemSelectionChanged.connect(self._judge)
        tabs = QTabWidget()
        images = QWidget()
        inside = QVBoxLayout(images)
        inside.setContentsMargins(0, 4, 0, 0)
        inside.addWidget(self._tree)
        inside.addLayout(self._changes())
        tabs.addTab(images, f"Images ({len(proposal.entries)})")
        self._links = _text("")
        tabs.addTab(self._links, "Links to try")
        lost = "\n".join(f"{one.path.name}: {one.reason}" for one in proposal.unread)
        tabs.addTab(
            _text(lost or "Every image could be read."), f"Not read ({len(proposal.unread)})"
        )
        others = "\n".join(str(one.relative_to(proposal.folder)) for one in proposal.others)
        tabs.addTab(_text(others or "None."), f"No images ({len(proposal.others)})")
        self._tabs = tabs
        column.addWidget(tabs, 1)
        self._stages = QCheckBox(STAGES)
        self._stages.setChecked(proposal.described is None)
        self._stages.setVisible(proposal.described is None)
        self._link = QCheckBox("Link automatically when it is built")
        column.addWidget(self._stages)
        column.addWidget(self._link)
        self._box = QDialogButtonBox(QDialogButtonBox.StandardButton.Cancel)
        build = self._box.addButton("Build session", QDialogButtonBox.ButtonRole.AcceptRole)
        assert build is not None
        self._build = build
        self._box.accepted.connect(self._on_build)
        self._box.rejected.connect(self.reject)
        column.addWidget(self._box)
        self._show()

    @property
    def proposal(self) -> Proposal:
        """The proposal as the user has changed it."""
        return self._proposal

    def _sessions(self) -> QHBoxLayout:
        row = QHBoxLayout()
        for path in self._proposal.sessions[:3]:
            button = QPushButton(f"Open {path.name} instead")
            button.setToolTip(str(path))
            button.clicked.connect(lambda _checked=False, path=path: self._on_session(path))
            row.addWidget(button)
        row.addStretch(1)
        return row

    def _changes(self) -> QHBoxLayout:
        self._modality = QComboBox()
        self._modality.addItem("modality as it is", None)
        for name in MODALITIES:
            self._modality.addItem(name, name)
        self._site = QLineEdit()
        self._site.setPlaceholderText("site as it is")
        self._site.setToolTip("Name of the site; “-” for the grid as a whole")
        self._set = QPushButton("Set for chosen rows")
        self._set.setToolTip("Choose one or more rows above, then what they are")
        self._set.clicked.connect(lambda _checked=False: self._on_set())
        row = QHBoxLayout()
        for part in (self._modality, self._site, self._set):
            row.addWidget(part)
        return row

    def _show(self) -> None:
        chosen = set(self._chosen())
        self._filling = True
        self._tree.clear()
        for name, entries in self._proposal.groups.items():
            group = QTreeWidgetItem([f"{name or UNKNOWN} ({len(entries)})"])
            group.setFirstColumnSpanned(True)
            self._tree.addTopLevelItem(group)
            for entry in entries:
                group.addChild(_line(entry))
            group.setFirstColumnSpanned(True)
            group.setExpanded(True)
        for item in self._lines():
            item.setSelected(item.data(0, ROLE) in chosen)
        self._filling = False
        chain = self._proposal.chain
        self._links.setPlainText("\n".join(chain) or "None: link its images by landmarks.")
        self._tabs.setTabText(1, f"Links to try ({len(chain)})")
        self._build.setEnabled(any(one.use for one in self._proposal.entries))
        self._judge()

    def _lines(self) -> list[Any]:
        found = []
        for number in range(self._tree.topLevelItemCount()):
            group = self._tree.topLevelItem(number)
            if group is not None:
                found += [group.child(row) for row in range(group.childCount())]
        return found

    def _chosen(self) -> list[str]:
        return [str(one.data(0, ROLE)) for one in self._tree.selectedItems() if one.data(0, ROLE)]

    def _judge(self) -> None:
        self._set.setEnabled(bool(self._chosen()))

    def _on_changed(self, item: QTreeWidgetItem) -> None:
        if not self._filling and item.data(0, ROLE):
            use = item.checkState(0) == Qt.CheckState.Checked
            self._proposal = self._proposal.amended(str(item.data(0, ROLE)), use=use)
            self._build.setEnabled(any(one.use for one in self._proposal.entries))

    def _on_set(self) -> None:
        site = self._site.text().strip() or None
        for name in self._chosen():
            self._proposal = self._proposal.amended(
                name,
                modality=self._modality.currentData(),
                site="" if site == "-" else site,
            )
        self._show()

    def _on_session(self, path: Any) -> None:
        self.accept()
        self.asked_for.emit(path)

    def _on_build(self) -> None:
        self.accept()
        self.built.emit(self._proposal, self._stages.isChecked(), self._link.isChecked())


def _summary(proposal: Proposal) -> str:
    count, lost = len(proposal.entries), len(proposal.unread)
    found = f"{count} image{'' if count == 1 else 's'} in {proposal.folder.name}"
    if not count:
        return f"No image that can be opened in {proposal.folder.name}."
    source = (
        "They are described in its grid.json."
        if proposal.described is not None
        else "What each one is was guessed from its header and name: look it over."
    )
    unread = f" {lost} could not be read." if lost else ""
    return f"{found}.{unread} {source}"


def _tree() -> QTreeWidget:
    tree = QTreeWidget()
    tree.setColumnCount(len(HEADINGS))
    tree.setHeaderLabels(list(HEADINGS))
    tree.setSelectionMode(QAbstractItemView.SelectionMode.ExtendedSelection)
    tree.setUniformRowHeights(True)
    header = tree.header()
    assert header is not None
    header.setSectionResizeMode(QHeaderView.ResizeMode.ResizeToContents)
    header.setSectionResizeMode(3, QHeaderView.ResizeMode.Stretch)
    return tree


def _line(entry: Entry) -> QTreeWidgetItem:
    size = " × ".join(str(n) for n in entry.dataset.shape)
    no_scale = " · no pixel size" if entry.dataset.scale is None else ""
    reasons = f"{entry.modality_reason}; {entry.site_reason}"
    cells = [entry.dataset.name, entry.site or "–", f"{size}{no_scale}", reasons]
    item = QTreeWidgetItem(cells)
    item.setData(0, ROLE, entry.id)
    item.setFlags(item.flags() | Qt.ItemFlag.ItemIsUserCheckable)
    item.setCheckState(0, Qt.CheckState.Checked if entry.use else Qt.CheckState.Unchecked)
    for column in range(len(cells)):
        item.setToolTip(column, f"{entry.dataset.file.path}\n{reasons}")
    return item


def _text(text: str) -> QPlainTextEdit:
    shown = QPlainTextEdit(text)
    shown.setReadOnly(True)
    shown.setTabChangesFocus(True)
    return shown
