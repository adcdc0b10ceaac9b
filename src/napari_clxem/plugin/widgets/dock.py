"""What all docks have in common: narrow and scrolled, refreshed once per change, and their end."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from weakref import WeakMethod, ref

from psygnal import SignalInstance
from qtpy.QtCore import QEvent, Qt, QTimer
from qtpy.QtWidgets import (
    QDockWidget,
    QLabel,
    QMainWindow,
    QPushButton,
    QScrollArea,
    QVBoxLayout,
    QWidget,
)

from napari_clxem.plugin import keys
from napari_clxem.plugin.controllers import redo, undo, workspace_for
from napari_clxem.plugin.world import unwrapped

WIDTH = 320
SOON = 20  # ms
# A dock that needs more is a canvas and stays beside the others.
CANVAS = 440


class Leaving:
    """Gives back what a dock has taken, once, whether or not its Qt object is still there."""

    def __init__(self) -> None:
        self._taken: list[Callable[[], object]] = []

    def add(self, give_back: Callable[[], object]) -> None:
        """Remember something to be given back."""
        self._taken.append(give_back)

    def __call__(self, _object: Any = None) -> None:
        """Give everything back, in the order it was taken."""
        taken, self._taken = self._taken, []
        for give_back in taken:
            give_back()


class Dock(QScrollArea):
    """A dock of one viewer.

    It ends where it is closed, where napari takes it away, which only leaves it without a parent,
    and where the window goes as a whole.

    Parameters
    ----------
    napari_viewer : napari.Viewer
        The viewer; kept by weak reference.
    """

    def __init__(self, napari_viewer: Any) -> None:
        super().__init__()
        viewer = unwrapped(napari_viewer)
        self._viewer = ref(viewer)
        self._workspace = workspace_for(viewer)
        self._docked = False
        self._clocks: list[QTimer] = []
        self._leaving = Leaving()
        self.setWidgetResizable(True)
        self.setMinimumWidth(WIDTH)
        self.setHorizontalScrollBarPolicy(Qt.ScrollBarPolicy.ScrollBarAlwaysOff)
        # The layers move first; the dock follows once for several changes in a row.
        self._soon = self.clock(self.refresh)
        self.destroyed.connect(self._leaving)

    @property
    def viewer(self) -> Any:
        """The viewer, or None once it is gone."""
        return self._viewer()

    def refresh(self) -> None:
        """Show the session as it is now; each dock has its own way."""

    def refresh_soon(self) -> None:
        """Show the session a moment later, once for all that changes until then."""
        if not self._soon.isActive():
            self._soon.start(SOON)

    def end(self) -> None:
        """Give back all that the dock has taken; it shows nothing new from now on."""
        for one in self._clocks:
            one.stop()
        self._leaving()

    def closeEvent(self, event: Any) -> None:  # noqa: N802
        """End where the dock is closed."""
        self.end()
        super().closeEvent(event)

    def changeEvent(self, event: Any) -> None:  # noqa: N802
        """End where napari takes the dock away."""
        if event.type() == QEvent.Type.ParentChange:
            if self.parentWidget() is not None:
                self._docked = True
            elif self._docked:
                self.end()
        super().changeEvent(event)

    # -- for the docks themselves

    def clock(self, slot: Callable[[], object], every: int = 0) -> QTimer:
        """Make a timer that stops when the dock ends: once, or again and again every so many ms."""
        made = QTimer(self)
        made.setSingleShot(not every)
        made.setInterval(every)
        made.timeout.connect(slot)
        self._clocks.append(made)
        return made

    def follow(self, signal: Any, slot: Callable[..., object]) -> None:
        """Connect a signal, of psygnal or napari, to a method until the dock ends."""
        signal.connect(slot)
        # A dock that nobody holds may go: its methods are not held either.
        self._leaving.add(_Parting(signal, WeakMethod(slot)))

    def when_left(self, give_back: Callable[[], object]) -> None:
        """Have something called, once, when the dock ends; its widgets may be gone by then."""
        self._leaving.add(give_back)

    def bind_steps(self, model: Any) -> None:
        """Undo and redo also where another canvas of this dock has the focus."""
        viewer = self._viewer
        model.bind_key(keys.UNDO.key, lambda _: undo(viewer()), overwrite=True)
        model.bind_key(keys.REDO.key, lambda _: redo(viewer()), overwrite=True)

    def show_steps(self, back: QPushButton, forth: QPushButton) -> None:
        """Say on two buttons what would be taken back, and what made again."""
        store = self._workspace.store
        for button, verb, possible, label in (
            (back, keys.UNDO, store.can_undo, store.undo_label),
            (forth, keys.REDO, store.can_redo, store.redo_label),
        ):
            button.setEnabled(possible)
            button.setToolTip(f"{verb.tooltip}: {label}" if label else verb.tooltip)


class _Parting:
    """Disconnects a method from a signal where it still lives."""

    def __init__(self, signal: Any, slot: WeakMethod[Callable[..., object]]) -> None:
        self._signal, self._slot = signal, slot

    def __call__(self) -> None:
        slot = self._slot()
        if slot is None:
            return
        if isinstance(self._signal, SignalInstance):
            self._signal.disconnect(slot, missing_ok=True)
        else:
            self._signal.disconnect(slot)


def page(margin: int | None = 4) -> tuple[QWidget, QVBoxLayout]:
    """Make what a dock scrolls, and the column that its parts stand in."""
    inside = QWidget()
    column = QVBoxLayout(inside)
    if margin is not None:
        column.setContentsMargins(margin, margin, margin, margin)
    return inside, column


def show_words(*said: tuple[QLabel, str]) -> None:
    """Give labels their texts; those without one are hidden."""
    for label, text in said:
        label.setText(text)
        label.setVisible(bool(text))


def around(widget: QWidget) -> QDockWidget | None:
    """Give the dock widget of the window that a widget is in; None where it is in none."""
    found: QWidget | None = widget
    while found is not None and not isinstance(found, QDockWidget):
        found = found.parentWidget()
    return found if isinstance(found, QDockWidget) else None


def bring_forward(widget: QWidget) -> None:
    """Put other docks of the right side behind the one that a widget is in; canvases stay."""
    ours = around(widget)
    window = None if ours is None else ours.parentWidget()
    if ours is None or not isinstance(window, QMainWindow):
        return
    right = Qt.DockWidgetArea.RightDockWidgetArea
    for dock in window.findChildren(QDockWidget):
        if dock is ours or dock.isFloating() or not dock.isVisibleTo(window):
            continue
        if window.dockWidgetArea(dock) == right and dock.minimumSizeHint().width() < CANVAS:
            # They come to this one: it stays beside the canvas it works with.
            window.tabifyDockWidget(ours, dock)
    ours.raise_()
